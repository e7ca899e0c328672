"""Units of measure and their exact values in the first unit of their dimension."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from acereason.verifiers.math.reading.expressions import Call, Node, Number, Several, Word, walk
from acereason.verifiers.math.reading.vocabulary import CONDITIONS

_INCH = Fraction(254, 10000)
_POUND = Fraction(45359237, 100000000)
_TABLE: dict[str, dict[str, Fraction | int]] = {
    "length": {
        "m meter meters metre metres": 1,
        "cm centimeter centimeters centimetre centimetres": Fraction(1, 100),
        "mm millimeter millimeters millimetre millimetres": Fraction(1, 1000),
        "km kilometer kilometers kilometre kilometres": 1000,
        "dm decimeter decimeters": Fraction(1, 10),
        "in inch inches": _INCH,
        "ft foot feet": 12 * _INCH,
        "yd yds yard yards": 36 * _INCH,
        "mi mile miles": 63360 * _INCH,
    },
    "mass": {
        "g gram grams": 1,
        "kg kilogram kilograms kgs": 1000,
        "mg milligram milligrams": Fraction(1, 1000),
        "lb lbs pound pounds": 1000 * _POUND,
        "oz ounce ounces": 1000 * _POUND / 16,
        "ton tons tonne tonnes": 1000000,
    },
    "time": {
        "s sec secs second seconds": 1,
        "min mins minute minutes": 60,
        "h hr hrs hour hours": 3600,
        "day days": 86400,
        "week weeks": 604800,
        "ms millisecond milliseconds": Fraction(1, 1000),
    },
    "calendar": {"month months": 1, "year years yr yrs": 12, "decade decades": 120, "century centuries": 1200},
    "volume": {"l L liter liters litre litres": 1, "ml mL milliliter milliliters": Fraction(1, 1000)},
    "money": {"dollar dollars usd USD bucks": 1, "cent cents": Fraction(1, 100)},
    "euros": {"euro euros EUR": 1},
    "sterling": {"GBP sterling": 1},
    "rupees": {"rs Rs rupee rupees": 1},
    "radian": {"rad rads radian radians": 1},
    "energy": {"J joule joules": 1, "kJ kilojoule kilojoules": 1000, "cal calorie calories": Fraction(4184, 1000)},
    "force": {"N newton newtons": 1},
    "power": {"W watt watts": 1, "kW kilowatt kilowatts": 1000},
    "voltage": {"V volt volts": 1},
    "frequency": {"Hz hertz": 1},
}


@dataclass(frozen=True)
class Unit:
    """A factor and the exponents of its dimensions."""

    factor: Fraction
    dimensions: Mapping[str, int]

    def times(self, other: Unit, exponent: int) -> Unit:
        """Return this unit times a power of another."""
        merged = dict(self.dimensions)
        for name, power in other.dimensions.items():
            merged[name] = merged.get(name, 0) + power * exponent
        dimensions = {name: power for name, power in merged.items() if power}
        return Unit(self.factor * other.factor**exponent, dimensions)


NONE = Unit(Fraction(1), {})
_UNITS = {
    name: Unit(Fraction(factor), {dimension: 1})
    for dimension, units in _TABLE.items()
    for names, factor in units.items()
    for name in names.split()
}
_SPEED = {"length": 1, "time": -1}
_UNITS |= {
    "unit": NONE,
    "units": NONE,
    "mph": Unit(63360 * _INCH / 3600, _SPEED),
    "kph": Unit(Fraction(1000, 3600), _SPEED),
    "kmh": Unit(Fraction(1000, 3600), _SPEED),
}
SINGLE_LETTER_UNITS = frozenset(name for name in _UNITS if len(name) == 1)
PLAIN_UNITS = frozenset(name for name in _UNITS if len(name) > 1)
_TEMPERATURES = {
    "degrees C": Unit(Fraction(1), {"Celsius": 1}),
    "degrees F": Unit(Fraction(1), {"Fahrenheit": 1}),
}
_PREFIXES = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_DIVIDERS = {"per"}
_PERCENT = frozenset({"percent", "percentage", "pct", "percents"})


def read_unit(text: str) -> Unit | None:
    """Return the unit that words name, such as `square feet` or `miles per hour`; None where a word is no unit."""
    if text in _TEMPERATURES:
        return _TEMPERATURES[text]
    unit, exponent, side = NONE, 1, 1
    for word in text.split():
        if word in _PREFIXES:
            exponent = _PREFIXES[word]
        elif word in _DIVIDERS:
            side = -1
        elif found := _UNITS.get(word) or _UNITS.get(word.lower()):
            unit, exponent = unit.times(found, exponent * side), 1
        else:
            return None
    return unit


def without_unit(node: Node) -> tuple[Node, Unit | None]:
    """Return a value without the words behind it, and their unit.

    The unit is `NONE` where there are no words, and None where the words are no unit.
    """
    value, words = _strip(node)
    if not words or any(word in CONDITIONS for text, _ in words for word in text.lower().split()):
        return node, NONE
    unit: Unit | None = NONE
    for text, exponent in words:
        found = read_unit(text)
        unit = unit.times(found, exponent) if unit is not None and found is not None else None
    return (value if value is not None else node), (unit if value is not None else NONE)


def as_total(node: Node) -> Node:
    """Return `2 hours 42 minutes` as a sum, with `and`, a comma or nothing between; any other node unchanged."""
    if isinstance(node, Several) and all(isinstance(item, Call) and item.name == "mul" for item in node.items):
        joined = Call("mul", tuple(part for item in node.items if isinstance(item, Call) for part in item.args))
        total = as_total(joined)
        return node if total == joined else total
    if not isinstance(node, Call) or node.name != "mul" or len(node.args) < 4 or len(node.args) % 2:
        return node
    pairs = list(zip(node.args[::2], node.args[1::2], strict=True))
    if not all(isinstance(value, Number) and isinstance(word, Word) for value, word in pairs):
        return node
    units = [read_unit(word.text) for _, word in pairs if isinstance(word, Word)]
    factors = [unit.factor for unit in units if unit is not None]
    if len(factors) < len(units) or len({tuple(unit.dimensions) for unit in units if unit}) != 1:
        return node
    if factors != sorted(set(factors), reverse=True):
        return node
    terms = [
        Call("mul", (value, Number(unit.factor / units[-1].factor)))  # type: ignore[union-attr]
        for (value, _), unit in zip(pairs, units, strict=True)
        if unit
    ]
    return Call("mul", (Call("add", tuple(terms)), node.args[-1]))


def _strip(node: Node) -> tuple[Node | None, list[tuple[str, int]]]:
    """Return the node without words, and the words with their exponents; the node itself if they are no factors."""
    if not any(isinstance(part, Word) for part in walk(node)):
        return node, []
    if isinstance(node, Word):
        return None, [(node.text, 1)]
    if not isinstance(node, Call):
        return node, []
    if node.name == "pow" and isinstance(node.args[0], Word) and isinstance(node.args[1], Number):
        exponent = node.args[1].value
        return (None, [(node.args[0].text, int(exponent))]) if exponent.denominator == 1 else (node, [])
    if node.name == "pow" and isinstance(node.args[1], Number) and node.args[1].value.denominator == 1:
        value, words = _strip(node.args[0])
        raised = [(text, times * int(node.args[1].value)) for text, times in words]
        return (Call("pow", (value, node.args[1])), raised) if value is not None else (node, [])
    if node.name == "neg":
        value, words = _strip(node.args[0])
        return (Call("neg", (value,)), words) if value is not None else (node, [])
    if node.name == "mul":
        if isinstance(node.args[0], Word) and not _may_lead(node.args[0].text):
            return node, []
        parts = [_strip(part) for part in node.args]
        behind = [bool(found) for _, found in parts][isinstance(node.args[0], Word) :]
        if behind != sorted(behind):  # `3 of the 7`: a value behind words is no factor
            return node, []
        values = [value for value, _ in parts if value is not None]
        words = [word for _, found in parts for word in found]
        return _product(values), words
    if node.name == "add":
        last, words = _strip(node.args[-1])  # `2+\sqrt3 feet`: the unit of the whole
        if last is not None and not any(isinstance(part, Word) for term in node.args[:-1] for part in walk(term)):
            return Call("add", (*node.args[:-1], last)), words
        return node, []
    if node.name == "div":
        above, words = _strip(node.args[0])
        below, divisors = _strip(node.args[1])
        words = words + [(text, -exponent) for text, exponent in divisors]
        return (above if below is None else Call("div", (above, below)) if above is not None else None), words
    return node, []


def _may_lead(words: str) -> bool:
    """Return whether words before a value may be its unit, as with money."""
    return all(word in _UNITS for word in words.split())


def _product(values: list[Node]) -> Node | None:
    if not values:
        return None
    return values[0] if len(values) == 1 else Call("mul", tuple(values))


def is_percent(text: str) -> bool:
    """Return whether a word means a percent sign."""
    return text.lower() in _PERCENT
