r"""The comparison of two answers of any structure: lists, sets, tuples, intervals, matrices, equations, single values.

Every function returns True, False, or None where it cannot tell. The gold answer comes first: the answer may add what
the gold leaves open (names, order, units), and may leave out what the gold has only where nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from acereason.verifiers.math.ambiguities import paired_readings
from acereason.verifiers.math.entries import Entry, entries, named_entry, records_of
from acereason.verifiers.math.matrices import as_matrix
from acereason.verifiers.math.names import is_of_letters, is_variable
from acereason.verifiers.math.reading.expressions import (
    DOTS,
    Bracket,
    Call,
    Matrix,
    Node,
    Number,
    Opaque,
    Relation,
    Several,
    Symbol,
    Word,
    children,
    has_call,
    is_infinite,
    number,
    variables,
    walk,
)
from acereason.verifiers.math.reading.units import Unit, as_total, without_unit
from acereason.verifiers.math.reduction import reduced
from acereason.verifiers.math.regions import ORDER, same_region
from acereason.verifiers.math.values import proportional, same_value

MAX_ENTRIES = 200
"""Longest list whose order is free; longer ones are compared in order."""
T = TypeVar("T")
U = TypeVar("U")


def same_answer(gold: Node, answer: Node) -> bool | None:
    """Return whether an answer is the gold one.

    Raises:
        TooLarge: a value is too large to compute.
    """
    gold, answer = reduced(gold), reduced(answer)
    if gold == answer:
        return True
    if isinstance(gold, Opaque) or isinstance(answer, Opaque):
        return None
    if _is_inequality(gold) or _is_inequality(answer):
        return _same_conditions(gold, answer)
    if isinstance(gold, (Several, Bracket)) or isinstance(answer, (Several, Bracket)) or _splits(gold, answer):
        return _same_collections(gold, answer)
    if isinstance(gold, Relation) or isinstance(answer, Relation):
        return _same_relations(gold, answer)
    if _is_set(gold) or _is_set(answer):
        return same_region(gold, answer)
    for side, other in ((gold, answer), (answer, gold)):
        if isinstance(side, Call) and side.name == "residue":
            return _same_residues(side, other)
    if isinstance(gold, Call) and gold.name == "ratio":
        return _same_ratios(gold, answer)
    if isinstance(answer, Call) and answer.name == "ratio":
        return False
    if isinstance(gold, Word) and isinstance(answer, Word):
        return gold.text.lower() == answer.text.lower()
    left, right = as_matrix(gold), as_matrix(answer)
    if left is None and right is None and (_holds_matrix(gold) or _holds_matrix(answer)):
        return None
    if left is not None or right is not None:
        return left is not None and right is not None and _same_matrices(left, right)
    return _same_quantities(gold, answer)


# --- conditions -------------------------------------------------------------------------------------------------------


def _is_inequality(node: Node) -> bool:
    if isinstance(node, Several):
        return any(_is_inequality(item) for item in node.items)
    return isinstance(node, Relation) and bool(set(node.operators) & ORDER)


def _is_set(node: Node) -> bool:
    if isinstance(node, Call):
        return node.name in ("union", "intersection", "minus", "such_that")
    return isinstance(node, Symbol) and node.name in ("set R", "set R+")


def _same_conditions(gold: Node, answer: Node) -> bool | None:
    verdict = _same_chains(gold, answer)
    if verdict is not True:
        by_region = same_region(gold, answer)
        verdict = by_region if by_region is not None else verdict
    if verdict is None and isinstance(gold, Several) and isinstance(answer, Several):
        return _matched(gold.items, answer.items, same_answer)
    if verdict is None and not (_is_inequality(gold) and _is_inequality(answer)):
        other = answer if _is_inequality(gold) else gold
        return False if isinstance(other, (Number, Symbol, Word, Matrix)) else None
    if verdict and _names_clash(gold, answer):
        return False
    return verdict


def _names_clash(gold: Node, answer: Node) -> bool:
    left, right = (variables(node) if _is_inequality(node) else set() for node in (gold, answer))
    return bool(left and right and left != right)


def _same_chains(gold: Node, answer: Node) -> bool | None:
    """Compare chains of relations, read from either end; single relations up to moving terms."""
    if not isinstance(gold, Relation) or not isinstance(answer, Relation):
        return None
    for other in (answer, _reversed(answer)):
        if gold.operators == other.operators and len(gold.sides) == len(other.sides):
            if all(same_answer(*pair) for pair in zip(gold.sides, other.sides, strict=True)):
                return True
            several = len(variables(gold)) > 1 or len(variables(other)) > 1
            if several and len(gold.operators) == 1 and gold.operators[0] in ORDER and _same_difference(gold, other):
                return True
    return False if len(variables(gold)) > 1 or len(variables(answer)) > 1 else None


def _same_difference(gold: Relation, other: Relation) -> bool:
    """Return whether the differences of both relations' sides are the same up to a positive factor."""
    left, right = _difference(gold), _difference(other)
    return variables(left) == variables(right) and bool(proportional(left, right)) and _same_sign(left, right)


def _difference(relation: Relation) -> Node:
    return Call("add", (relation.sides[0], Call("neg", (relation.sides[1],))))


def _same_sign(left: Node, right: Node) -> bool:
    total = Call("add", (Call("abs", (left,)), Call("abs", (right,))))
    return same_value(Call("abs", (Call("add", (left, right)),)), total) is True


_REVERSED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def _reversed(node: Relation) -> Relation:
    return Relation(node.sides[::-1], tuple(_REVERSED.get(operator, operator) for operator in node.operators[::-1]))


# --- equations --------------------------------------------------------------------------------------------------------


def _same_relations(gold: Node, answer: Node) -> bool | None:
    if isinstance(gold, Relation) and isinstance(answer, Relation):
        return _same_equations(gold, answer)
    relation, value, mine = (gold, answer, True) if isinstance(gold, Relation) else (answer, gold, False)
    assert isinstance(relation, Relation)
    entry = named_entry(relation)
    if entry is None and not mine and not variables(value) and is_of_letters(relation.sides[0]):
        return set(relation.operators) == {"="} and same_answer(value, relation.sides[-1])
    if entry is None or entry.name is None:
        return False
    return same_answer(entry.value, value) if mine else same_answer(value, entry.value)


def _same_equations(gold: Relation, answer: Relation) -> bool | None:
    if gold.operators != answer.operators:
        return False
    first, second = named_entry(gold), named_entry(answer)
    if first and second:
        verdict = same_answer(first.value, second.value)
        if verdict and not _may_share_value(first, second):
            verdict = False
        if verdict:
            return True
    elif all(same_answer(*pair) for pair in zip(gold.sides, answer.sides, strict=True)):
        return True
    if gold.operators != ("=",) or (first and second and not variables(first.value) and not variables(second.value)):
        return False
    return bool(proportional(_difference(gold), _difference(answer)))


def _may_share_value(first: Entry, second: Entry) -> bool:
    """Return whether two names may mean the same thing: not two letters for a number, nor two functions."""
    if first.name == second.name or first.name is None or second.name is None:
        return True
    if is_variable(first.name) and is_variable(second.name):
        return bool(variables(first.value)) or _same_letter(first.name, second.name)
    named_functions = [name.lower() for name in (first.name, second.name) if "(" in name]
    return len(named_functions) < 2 or (
        named_functions[0].partition("(")[0] == named_functions[1].partition("(")[0] and bool(variables(first.value))
    )


def _same_letter(one: str, other: str) -> bool:
    """Return whether two names are the same letter, and only one has a subscript."""
    return one.partition("_")[0] == other.partition("_")[0] and ("_" in one) != ("_" in other)


# --- lists, sets, tuples ----------------------------------------------------------------------------------------------


def _splits(gold: Node, answer: Node) -> bool:
    return any(isinstance(part, Call) and part.name in ("pm", "mp") for node in (gold, answer) for part in walk(node))


def _same_collections(gold: Node, answer: Node) -> bool | None:
    if isinstance(gold, Bracket) and isinstance(answer, Bracket):
        if "{" not in (gold.opening, answer.opening):
            return _same_sequences(gold, answer)
        if gold.opening != answer.opening:
            return _same_as_only_member(gold, answer)
    if _is_set(gold) or _is_set(answer):
        return same_region(gold, answer)
    for side, other in ((gold, answer), (answer, gold)):
        matrix = as_matrix(other) if isinstance(side, Bracket) and side.opening != "{" else None
        if matrix is not None and isinstance(side, Bracket):
            return _is_vector(matrix) and _same_in_order(side.items, [x for row in matrix.rows for x in row])
    return _same_entries(gold, answer)


def _same_as_only_member(gold: Bracket, answer: Bracket) -> bool | None:
    """Return whether two brackets are the same when a set of one member counts as that member."""
    sides = [side.items[0] if side.opening == "{" and len(side.items) == 1 else side for side in (gold, answer)]
    return same_answer(*sides) if sides != [gold, answer] else False


def _is_vector(matrix: Matrix) -> bool:
    return len(matrix.rows) == 1 or len(matrix.rows[0]) == 1


def _same_sequences(gold: Bracket, answer: Bracket) -> bool | None:
    if len(gold.items) != len(answer.items):
        return False
    ends = [(side.opening, side.closing) for side in (gold, answer)]
    if len(gold.items) == 2 and ends[0] != ends[1] and ("<", ">") not in ends:
        return False
    return _same_in_order(gold.items, answer.items)


def _same_in_order(gold: Sequence[Node], answer: Sequence[Node]) -> bool | None:
    if len(gold) != len(answer):
        return False
    verdicts = []
    for pair in zip(gold, answer, strict=True):
        verdicts.append(same_answer(*pair))
        if verdicts[-1] is False:
            return False
    return None if None in verdicts else True


def _same_entries(gold: Node, answer: Node) -> bool | None:
    first, second = entries(gold), entries(answer)
    if max(len(first), len(second)) > MAX_ENTRIES:
        return _same_in_order([x.value for x in first], [x.value for x in second])
    records, others = records_of(first), records_of(second)
    if records and others:
        return _same_records(records, others)
    if records:
        return _same_as_records(records, second, answer)
    if others:
        return _same_as_named(gold, first, others)
    if len(first) == len(second) == 1 and (first[0].value, second[0].value) == (gold, answer):
        return False  # a tuple against something else
    verdict = _same_lists(gold, answer, first, second)
    names = [{entry.name for entry in found} for found in (first, second)]
    if verdict and len(names[0]) == len(names[1]) == 1 and not _may_share_value(first[0], second[0]):
        return False
    return verdict


def _same_records(gold: list[dict[str, Node]], answer: list[dict[str, Node]]) -> bool | None:
    def equal(one: dict[str, Node], other: dict[str, Node]) -> bool | None:
        if one.keys() != other.keys():
            return False
        return _same_in_order(list(one.values()), [other[name] for name in one])

    return _matched(gold, answer, equal)


def _same_as_records(records: list[dict[str, Node]], found: list[Entry], written: Node) -> bool | None:
    """Compare records with values without names, in the records' order."""
    rows = [tuple(record.values()) for record in records]
    if isinstance(written, Bracket) and written.opening != "{":
        return len(rows) == 1 and _same_in_order(rows[0], written.items)
    values = [entry.value for entry in found]
    if len(rows) == 1 and len(values) == len(rows[0]) > 1:
        return _same_in_order(rows[0], values)

    def equal(row: tuple[Node, ...], value: Node) -> bool | None:
        return _same_in_order(row, value.items) if isinstance(value, Bracket) else False

    return _matched(rows, values, equal)


def _same_as_named(gold: Node, found: list[Entry], records: list[dict[str, Node]]) -> bool | None:
    """Compare a gold without names with an answer that has them; the names of a tuple count in alphabetical order."""
    if any(entry.name is not None for entry in found):
        return False
    if isinstance(gold, Bracket) and gold.opening != "{" and all(is_variable(name) for name in records[0]):
        records = [dict(sorted(record.items())) for record in records]
    return _same_as_records(records, found, gold)


def _same_lists(gold: Node, answer: Node, first: list[Entry], second: list[Entry]) -> bool | None:
    golds, values = [entry.value for entry in first], [entry.value for entry in second]
    for side, other in ((gold, values), (answer, golds)):
        items = side.items if isinstance(side, Bracket) and side.opening in ("(", "<") else ()
        if items and len(items) == len(other) > 1 and len(golds if side is gold else values) == 1:
            return _same_in_order(golds if side is answer else items, items if side is answer else values)
    if DOTS in golds or DOTS in values:
        return _same_in_order(golds, values)
    return _matched(golds, values, same_answer)


def _matched(gold: Sequence[T], answer: Sequence[U], equal: Callable[[T, U], bool | None]) -> bool | None:
    """Return whether the answer has each gold entry as often as the gold, and no others; repetitions do no harm."""
    if len(answer) < len(gold):
        return False
    found, unknown = [False] * len(gold), False
    for place, value in enumerate(answer):
        repeated = False
        for i in sorted(range(len(gold)), key=lambda i: (i != place, i)):
            verdict = equal(gold[i], value)
            unknown = unknown or verdict is None
            repeated = repeated or bool(verdict)
            if verdict and not found[i]:
                found[i] = True
                break
        else:
            if not repeated:
                return None if unknown else False
    return True if all(found) else (None if unknown else False)


# --- matrices and values ----------------------------------------------------------------------------------------------


def _in_radians(unit: Unit | None) -> bool:
    return unit is not None and "radian" in unit.dimensions


def _same_residues(one: Call, other: Node) -> bool | None:
    """Return whether two residues are congruent to the same modulus; one side may leave the modulus out."""
    if not isinstance(other, Call) or other.name != "residue":
        return same_answer(one.args[0], other)
    if not same_value(one.args[1], other.args[1]):
        return False
    rest = Call("mod", (Call("add", (one.args[0], Call("neg", (other.args[0],)))), one.args[1]))
    return same_value(one.args[0], other.args[0]) or same_value(rest, number(0))


def _same_ratios(gold: Call, answer: Node) -> bool | None:
    """Return whether two ratios are proportional; a ratio of two parts may be written as a fraction."""
    if not isinstance(answer, Call) or answer.name != "ratio":
        return same_answer(Call("div", gold.args), answer) if len(gold.args) == 2 else False
    if len(gold.args) != len(answer.args):
        return False
    pairs = list(zip(gold.args, answer.args, strict=True))
    first, second = pairs[0]
    if any(same_value(x, number(0)) != same_value(y, number(0)) for x, y in pairs):
        return False
    return _same_in_order(
        [Call("mul", (x, second)) for x, _ in pairs[1:]], [Call("mul", (y, first)) for _, y in pairs[1:]]
    )


def _holds_matrix(node: Node) -> bool:
    """Return whether an expression contains a matrix outside a determinant."""
    if isinstance(node, Call) and node.name == "det":
        return False
    return isinstance(node, Matrix) or any(_holds_matrix(part) for part in children(node))


def _same_matrices(gold: Matrix, answer: Matrix) -> bool | None:
    if len(gold.rows) != len(answer.rows) or len(gold.rows[0]) != len(answer.rows[0]):
        return False
    return _same_in_order([x for row in gold.rows for x in row], [x for row in answer.rows for x in row])


def _same_quantities(gold: Node, answer: Node) -> bool | None:
    """Compare values with or without units, in all readings of `%` and `°`."""
    left, unit = without_unit(as_total(gold))
    right, other = without_unit(as_total(answer))
    if _in_radians(unit) != _in_radians(other) and has_call(Call("add", (left, right)), "degrees"):
        return same_value(left, right)
    if unit and other and unit.dimensions and other.dimensions:
        if unit.dimensions != other.dimensions:
            return False
        if unit.factor != other.factor:
            left = Call("mul", (left, Number(unit.factor)))
            right = Call("mul", (right, Number(other.factor)))
    if isinstance(left, Word) or isinstance(right, Word) or is_infinite(left) or is_infinite(right):
        return left == right
    verdicts = [same_value(*pair) for pair in paired_readings(left, right)]
    return True if True in verdicts else verdicts[0]
