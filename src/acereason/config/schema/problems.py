"""Settings of a source of problems."""

from __future__ import annotations

import math
from dataclasses import dataclass

from acereason.config.schema.choices import DomainName
from acereason.config.setting import setting


def _names_a_source(problems: ProblemsConfig) -> str:
    return "names no data set; give hub:OWNER/NAME" if problems.path == "hub:" else ""


def _rise(problems: ProblemsConfig) -> str:
    low, high = problems.levels
    return f"the lowest comes first, so [{high},{low}]" if low > high else ""


def _is_share_of_code(problems: ProblemsConfig) -> str:
    shares = (problems.false_negatives, problems.false_positives)
    if max(shares) > 0 and problems.domain != DomainName.code:
        return f"wrong tests are for domain=code, and this source has domain={problems.domain.value}"
    if sum(shares) > 1:
        both = f"false_negatives={shares[0]:g} and false_positives={shares[1]:g}"
        return f"{both} must not exceed 1 together, since no problem is in both shares; lower one"
    return ""


@dataclass
class ProblemsConfig:
    """A source of training problems."""

    path: str = setting("laptop", check=_names_a_source)
    """`laptop` or `word_problems` for built-in problems, a .jsonl or .parquet file, or `hub:OWNER/NAME`."""
    domain: DomainName = DomainName.math
    """Domain of every problem in the source."""
    question: str = ""
    """Field that holds the question, dots reach inside; empty tries the usual names and veRL's row form."""
    answer: str = ""
    """Field that holds the gold answer, dots reach inside; empty tries the usual names and veRL's row form."""
    id: str = ""
    """Field that holds a unique id; empty numbers the rows."""
    level: str = ""
    """Field that holds an integer difficulty; empty means unknown."""
    split: str = "train"
    """Split of a hub data set."""
    limit: int = setting(0, ge=0)
    """Keep only this many problems, the first in file order; 0 keeps all."""
    skip_empty: bool = True
    """Leave rows with an empty question or answer out, with a warning, instead of refusing the file."""
    held_out: int = setting(128, ge=0)
    """Problems kept out of training for evaluation; a hash of the question decides which ones."""
    count: int = setting(4096, ge=1)
    """Built-in problems only: how many to generate for training."""
    levels: tuple[int, int] = setting((3, 10), ge=0, check=_rise)
    """Built-in problems only: lowest and highest level."""
    seed: int = setting(0, gt=-math.inf)
    """Built-in problems only: seed of the generator, apart from the run's seed so that runs share a held-out set."""
    false_negatives: float = setting(0.0, ge=0, le=1, check=_is_share_of_code)
    """Experiment (§4.3.6): share of the code problems to train on in which one test expects a wrong output."""
    false_positives: float = setting(0.0, ge=0, le=1, check=_is_share_of_code)
    """Experiment (§4.3.6): share of the code problems to train on of which only the first test is kept."""
