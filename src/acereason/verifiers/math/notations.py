"""Times of day and dates, which look like ratios, divisions and products."""

from __future__ import annotations

import re

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
    """Whether two times of day are the same; None where one of the texts is no time."""
    first, second = _time(gold), _time(answer)
    if first is None or second is None:
        return None
    if first[1] and second[1]:
        return first == second
    if first[1] or second[1]:
        # One says a.m. or p.m. and the other does not: it is the same time on the 12-hour dial or on the 24-hour one.
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
    """Whether two dates with the month in words are the same; a year or a weekday may be left out. None: no dates."""
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
