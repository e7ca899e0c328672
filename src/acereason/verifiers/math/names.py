r"""Names before `=` that are no part of the answer: `x`, `f(x)`, `AB`, `|AB|`, `V_1:V_2`, `\angle ABC`."""

from __future__ import annotations

from acereason.verifiers.math.reading.expressions import Bracket, Call, Node, Number, Symbol, Word
from acereason.verifiers.math.reading.vocabulary import FUNCTIONS, GREEK

_OF_NAMES = (frozenset(FUNCTIONS.values()) - {"log", "ln", "exp"}) | {"abs", "div", "ratio", "degrees", "group"}


def name_of(node: Node) -> str | None:
    """Return one spelling of a name; None where the expression is more than a name."""
    if isinstance(node, Symbol):
        return None if node.name in ("pi", "e", "infinity", "…") else node.name
    if isinstance(node, Word):
        return node.text.lower()
    if isinstance(node, Bracket):
        return _joined("tuple", node.items)
    if not isinstance(node, Call):
        return None
    if node.name.startswith("apply "):
        plain = all(isinstance(part, (Symbol, Number)) for part in node.args)
        return _joined(node.name, node.args, numbers=True) if plain else None
    if node.name == "mul":
        return _product(node)
    return _joined(node.name, node.args) if node.name in _OF_NAMES else None


def _joined(kind: str, parts: tuple[Node, ...], numbers: bool = False) -> str | None:
    names = [str(part.value) if numbers and isinstance(part, Number) else name_of(part) for part in parts]
    known = [name for name in names if name is not None]
    return f"{kind}({','.join(known)})" if known and len(known) == len(names) else None


def _product(node: Call) -> str | None:
    r"""Return the name that letters form without being multiplied: `AB`, `P(x)`, `\text{area of } ABC`."""
    first, *rest = node.args
    if isinstance(first, Word) or (len(node.args) > 1 and all(_is_point(part) for part in node.args)):
        names = [name_of(part) for part in node.args]
        return " ".join(name for name in names if name) if None not in names else None
    if isinstance(first, Symbol) and len(rest) == 1 and isinstance(rest[0], Call) and rest[0].name == "group":
        inside = rest[0].args[0]
        return f"{first.name}({inside.value if isinstance(inside, Number) else name_of(inside)})"
    return None


def _is_point(node: Node) -> bool:
    return isinstance(node, Symbol) and node.name[0].isupper()


def is_of_letters(node: Node) -> bool:
    """Return whether this is a sum or product of different letters, `m+n` or `abc`, which a question may ask for."""
    if not isinstance(node, Call) or node.name not in ("add", "mul"):
        return False
    letters = [part.name for part in node.args if isinstance(part, Symbol) and is_variable(part.name)]
    return len(letters) == len(node.args) == len(set(letters))


def is_variable(name: str) -> bool:
    """Return whether a name is one letter, with or without a subscript."""
    letter = name.partition("_")[0].rstrip("'")
    return len(letter) == 1 or letter in GREEK
