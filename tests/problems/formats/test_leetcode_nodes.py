from acereason.problems.formats.leetcode_nodes import LISTS, TREES, node_sources

SCOPE: dict = {}
exec(f"{LISTS}\n{TREES}", SCOPE)


def listed(node):
    values = []
    while node is not None:
        values.append(node.val)
        node = node.next
    return values


def nested(node):
    return node and (node.val, nested(node.left), nested(node.right))


def test_lists():
    make, same = SCOPE["list_node"], SCOPE["is_same_list"]
    assert listed(make([3, 1, 2])) == [3, 1, 2]
    assert make([]) is None
    assert same(make([1, 2]), make([1, 2])) and same(None, None)
    assert not any(same(make([1, 2]), make(other)) for other in ([], [1], [1, 3], [1, 2, 3]))
    assert same(make(range(100_000)), make(range(100_000)))


def test_trees():
    make, same = SCOPE["tree_node"], SCOPE["is_same_tree"]
    # 1 has 2 on the left and nothing on the right; 2 has 3 on the right, 3 has 4 on the left.
    assert nested(make([1, 2, None, None, 3, 4])) == (1, (2, None, (3, (4, None, None), None)), None)
    assert nested(make([1, None, 2])) == (1, None, (2, None, None))
    assert nested(make([1, None, None, 5])) == (1, None, None)
    assert make([]) is None
    assert same(make([1, None, 2]), make([1, None, 2])) and same(None, None)
    assert not any(same(make([1, None, 2]), make(other)) for other in ([], [1], [1, 2], [1, None, 3], [1, 4, 2]))


def test_what_is_used_and_not_defined_is_given():
    assert node_sources("assert f(list_node([1])) == 1", "") == LISTS
    assert node_sources("assert is_same_tree(f(1), None)", "") == TREES
    assert node_sources("assert is_same_tree(f(list_node([])), None)", "") == f"{LISTS}\n\n{TREES}"
    assert node_sources("assert f(list_node([1])) == 1", "def list_node(values):\n    pass") == ""
    assert node_sources("assert my_list_node([1]) == x.tree_node([1])", "") == ""
