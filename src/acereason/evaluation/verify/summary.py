"""Counts over the verdicts on a file of answers, as a table."""

from __future__ import annotations

import math
from collections import Counter

from rich.table import Table

from acereason.evaluation.verify.answer_rows import BROKEN
from acereason.problems.problem import Domain
from acereason.verifiers.verifier import NOTHING_TO_JUDGE, Verdict

_STEPS = 200
"""Steps of the histogram of times in each factor of e: percentiles are right to a quarter of a percent."""


class VerifySummary:
    """Counts over verdicts, in memory that does not grow with their number.

    Attributes:
        rows: number of verdicts.
        reasons: how often each reason was given.
        unjudged: how often each reason was given without a judgement; without broken lines.
        correct: sum of the rewards.
        slowest: seconds of the longest judgement.
    """

    def __init__(self, domain: Domain = "math") -> None:
        self.rows = 0
        self.reasons: Counter[str] = Counter()
        self.unjudged: Counter[str] = Counter()
        self._domain = domain
        self.correct = 0.0
        self.slowest = 0.0
        self._times: Counter[int] = Counter()  # judgements by the logarithm of their seconds

    def add(self, verdict: Verdict) -> None:
        """Count one verdict; its time counts where a judgement was made."""
        self.rows += 1
        self.reasons[verdict.reason] += 1
        if not verdict.judged and verdict.reason != BROKEN:
            self.unjudged[verdict.reason] += 1
        self.correct += verdict.reward
        self.slowest = max(self.slowest, verdict.seconds)
        if verdict.seconds > 0:
            self._times[round(_STEPS * math.log(verdict.seconds))] += 1

    @property
    def broken(self) -> int:
        """Number of lines that could not be read."""
        return self.reasons[BROKEN]

    @property
    def mean_reward(self) -> float:
        """Mean reward of the rows that could be read, including those that could not be judged; 0 without any."""
        return self.correct / max(1, self.rows - self.broken)

    def percentile(self, share: float) -> float:
        """Return the seconds that this share of the judgements took at most; 0 without any."""
        wanted, seen = share * self._times.total(), 0
        for step in sorted(self._times):
            seen += self._times[step]
            if seen >= wanted:
                return min(math.exp(step / _STEPS), self.slowest)
        return 0.0

    def table(self, shared: int, elapsed: float) -> Table:
        """Return the counts as a table for people.

        Args:
            shared: verdicts that came from an equal judgement.
            elapsed: seconds that the whole file took.
        """
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column()
        table.add_column(justify="right")
        for name, value in self.lines(shared, elapsed):
            table.add_row(name, value)
        return table

    def lines(self, shared: int, elapsed: float) -> list[tuple[str, str]]:
        """Return the names and values of the table."""
        judged = self.reasons - self.unjudged
        del judged[BROKEN]
        nothing = Counter({reason: count for reason, count in judged.items() if reason in NOTHING_TO_JUDGE})
        if self._domain == "math":
            outcome = [("correct", f"{judged['correct']:,}"), ("wrong", f"{judged['wrong']:,}")]
        else:
            failed = judged - nothing - Counter(passed=self.rows)
            outcome = [("passed", f"{judged['passed']:,}"), *_by_reason("failed", failed)]
        return [
            ("rows", f"{self.rows:,}"),
            *outcome,
            *_by_reason("no answer" if self._domain == "math" else "no program", nothing),
            *_by_reason("not judged", self.unjudged),
            ("broken lines", f"{self.broken:,}"),
            ("mean reward", f"{self.mean_reward:.4f}"),
            ("judgements shared", f"{shared:,}"),
            ("median ms", f"{1000 * self.percentile(0.5):.2f}"),
            ("99th percentile ms", f"{1000 * self.percentile(0.99):.2f}"),
            ("slowest ms", f"{1000 * self.slowest:.2f}"),
            ("rows a second", f"{self.rows / elapsed:,.0f}" if elapsed > 0 else ""),
        ]


def _by_reason(title: str, reasons: Counter[str]) -> list[tuple[str, str]]:
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return [(title, f"{reasons.total():,}"), *((f"  {reason}", f"{count:,}") for reason, count in ordered)]
