"""Times of day, dates and numbers in another base, which look like ratios, quotients and products."""

from __future__ import annotations

import re
from fractions import Fraction

from acereason.verifiers.math.reading.vocabulary import NUMBER_WORDS

_TIME = re.compile(r"(\d{1,2})(?::(\d{2})(?::(\d{2}))?)?([ap]m)?")
_NOISE = re.compile(r"\\(?:text|mathrm|mbox|textrm|textbf)\s*(?=\{)|[{}\s~]|(?<!\d)\.|\.(?!\d)|\\[,;: !]")
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan|february feb|march mar|april apr|may|june jun|july jul|august aug"
            "|september sep sept|october oct|november nov|december dec"
        ).split("|"),
        start=1,
    )
    for name in names.split()
}
_MONTH = re.compile(rf"\b({'|'.join(sorted(_MONTHS, key=len, reverse=True))})\b", re.IGNORECASE)
_DAY = re.compile(r"(?<!\d)(\d{1,2})(?:\s*\^?\s*\{?\s*(?:st|nd|rd|th)\s*\}?)?(?!\d)")
_YEAR = re.compile(r"(?<!\d)(\d{4})(?!\d)")
_DATE_WORDS = re.compile(
    r"\\[a-zA-Z]+|[{}\s.,;~]|\\[,;: !]|\b(?:of|the|on|ad|monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b"
)


def same_time(gold: str, answer: str) -> bool | None:
    """Return whether two times of day are the same; None where one of the texts is no time."""
    first, second = _time(gold), _time(answer)
    if first is None or second is None:
        return None
    if first[1] and second[1]:
        return first == second
    if first[1] or second[1]:
        # Only one says a.m. or p.m.: the other may be a time on the 12-hour dial or on the 24-hour one.
        (hour, minute, s), half = (first[0], first[1]) if first[1] else (second[0], second[1])
        other = second[0] if first[1] else first[0]
        return other in ((hour, minute, s), (hour % 12 + 12 * (half == "pm"), minute, s))
    return first == second


def _time(text: str) -> tuple[tuple[int, int, int], str] | None:
    match = _TIME.fullmatch(_NOISE.sub("", text).lower())
    if match is None or not (match[2] or match[4]) or int(match[2] or 0) > 59:
        return None
    if int(match[1]) > (12 if match[4] else 24):
        return None
    return (int(match[1]), int(match[2] or 0), int(match[3] or 0)), match[4] or ""


def same_date(gold: str, answer: str) -> bool | None:
    """Return whether two dates are the same; a year or weekday may be left out. None unless both name the month."""
    first, second = _date(gold), _date(answer)
    if first is None or second is None:
        return None
    return first[:2] == second[:2] and (first[2] == second[2] or 0 in (first[2], second[2]))


def _date(text: str) -> tuple[int, int, int] | None:
    month = _MONTH.search(text)
    if month is None:
        return None
    rest = text[: month.start()] + " " + text[month.end() :]
    year = _YEAR.search(rest)
    if year:
        rest = rest[: year.start()] + " " + rest[year.end() :]
    day = _DAY.search(rest)
    if day:
        rest = rest[: day.start()] + " " + rest[day.end() :]
    if not (day or year) or _DATE_WORDS.sub("", rest.lower()):
        return None
    return _MONTHS[month[1].lower()], int(day[1]) if day else 0, int(year[1]) if year else 0


# --- bases ------------------------------------------------------------------------------------------------------------

_WRAPPERS = re.compile(r"\\(?:text|mathrm|mbox|textrm)\s*(?=\{)|[\s~]|\\[ ,;:!]|base")
_BASED = re.compile(r"(-?)[({]?([0-9A-Za-z]+(?:\.[0-9A-Za-z]+)?)[)}]?_\{*(\w+)\}*")
_DIGITS = re.compile(r"-?[0-9A-Z]+(?:\.[0-9A-Z]+)?")


def same_base(gold: str, answer: str) -> bool | None:
    r"""Return whether two numbers are the same when one of them names its base; None where neither does.

    A base is written as in `204_5`, `1010_{2}`, `1A3_{16}`, `(1010)_2`, `1010_{\text{two}}`. Two bases have to be the
    same. A gold without a base is compared by value; an answer without one must have the gold's digits.
    """
    gold, answer = _WRAPPERS.sub("", gold), _WRAPPERS.sub("", answer)
    if "_" not in gold + answer:
        return None
    first, second = _based(gold), _based(answer)
    if first is not None and second is not None:
        return first == second
    if first is not None and _DIGITS.fullmatch(answer.strip("{}")):
        return _based(f"{answer.strip('{}')}_{first[0]}") == first
    if second is not None and re.fullmatch(r"-?\d+(?:\.\d+)?", gold):
        return second[1] == Fraction(gold)
    return None


def _based(text: str) -> tuple[int, Fraction] | None:
    """Return the base and the value of a text; None when it is no such number."""
    match = _BASED.fullmatch(text)
    if match is None or len(text) > 1000:
        return None
    base = int(match[3]) if match[3].isdigit() and len(match[3]) < 4 else NUMBER_WORDS.get(match[3].lower(), 0)
    whole, _, part = match[2].partition(".")
    if not 2 <= base <= 36 or not any(letter.isdigit() for letter in match[2]):
        return None
    try:
        value = Fraction(int(whole + part, base), base ** len(part))
    except ValueError:  # a digit that the base does not have
        return None
    return base, -value if match[1] else value
