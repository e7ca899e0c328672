"""Matrices and operations on them: multiples, products, sums, transposes."""

from __future__ import annotations

from acereason.verifiers.math.reading.expressions import Call, Matrix, Node, Symbol


def as_matrix(node: Node) -> Matrix | None:
    """Return an expression as one matrix, multiplied out; None where it is no matrix."""
    if isinstance(node, Matrix):
        return node
    if not isinstance(node, Call) or not node.args:
        return None
    parts = [as_matrix(part) for part in node.args]
    if node.name in ("neg", "group") and parts[0] is not None:
        return _scaled(parts[0], "neg", ()) if node.name == "neg" else parts[0]
    if node.name == "mul":
        return _product(node.args, parts)
    if node.name == "div" and parts[0] is not None and parts[1] is None:
        return _scaled(parts[0], "div", (node.args[1],))
    if node.name == "add":
        return _total(parts)
    if node.name == "pow" and parts[0] is not None and node.args[1] in (Symbol("T"), Symbol("top")):
        return Matrix(tuple(zip(*parts[0].rows, strict=True)))
    return None


def _scaled(matrix: Matrix, operation: str, rest: tuple[Node, ...]) -> Matrix:
    return Matrix(tuple(tuple(Call(operation, (entry, *rest)) for entry in row) for row in matrix.rows))


def _product(factors: tuple[Node, ...], parts: list[Matrix | None]) -> Matrix | None:
    matrices = [part for part in parts if part is not None]
    if not matrices:
        return None
    product = matrices[0]
    for matrix in matrices[1:]:
        if len(product.rows[0]) != len(matrix.rows):
            return None
        columns = list(zip(*matrix.rows, strict=True))
        product = Matrix(tuple(tuple(_inner_product(row, column) for column in columns) for row in product.rows))
    scalars = tuple(factor for factor, part in zip(factors, parts, strict=True) if part is None)
    return _scaled(product, "mul", scalars) if scalars else product


def _inner_product(row: tuple[Node, ...], column: tuple[Node, ...]) -> Node:
    return Call("add", tuple(Call("mul", pair) for pair in zip(row, column, strict=True)))


def _total(parts: list[Matrix | None]) -> Matrix | None:
    matrices = [part for part in parts if part is not None]
    shapes = {(len(matrix.rows), len(matrix.rows[0])) for matrix in matrices}
    if len(matrices) != len(parts) or len(shapes) != 1:
        return None
    rows = zip(*(matrix.rows for matrix in matrices), strict=True)
    return Matrix(tuple(tuple(Call("add", entries) for entries in zip(*row, strict=True)) for row in rows))
