"""Programs with one operator, comparison or constant changed; needs nothing but Python."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator

OPERATORS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add, ast.FloorDiv),
    ast.Div: (ast.FloorDiv, ast.Mult),
    ast.FloorDiv: (ast.Div, ast.Mod),
    ast.Mod: (ast.FloorDiv, ast.Add),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.BitXor: (ast.BitOr,),
    ast.LShift: (ast.RShift,),
    ast.RShift: (ast.Sub,),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
    ast.UAdd: (ast.USub,),
    ast.USub: (ast.UAdd,),
}
"""What stands for each operator instead."""


class OneChange(ast.NodeTransformer):
    """A visitor that changes the place with the given number; places are counted in the order of the visit."""

    def __init__(self, number: int, draw: random.Random) -> None:
        self._left, self._draw = number, draw

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Return a changed copy where it is this one's turn, else the same with what is below it visited."""
        changed = next(changes(node), None)
        if changed is not None:
            self._left -= 1
            if self._left == -1:
                return self._draw.choice(list(changes(node)))
        return super().generic_visit(node)


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand for a node; nothing where it stays."""
    for other in OPERATORS.get(type(node), ()):
        yield other()
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, bool):
        yield ast.copy_location(ast.Constant(not value), node)
    elif isinstance(value, int | float):
        yield ast.copy_location(ast.Constant(value + 1), node)
        yield ast.copy_location(ast.Constant(value - 1), node)


def mutant(program: str, draw: random.Random) -> str | None:
    """Return the program with one change, without its comments; None where there is nothing to change.

    Raises:
        SyntaxError: it is no program.
    """
    tree = ast.parse(program)
    places = sum(next(changes(node), None) is not None for node in ast.walk(tree))
    return ast.unparse(OneChange(draw.randrange(places), draw).visit(tree)) if places else None
