"""The Parquet tables that runs write: what each column holds, and how a table is written and read.

Every table of responses has the columns of `RESPONSES`, whether training, held-out evaluation, the refilter or
something else sampled them; training appends those of `TRAINING`. A file describes its columns, too:
`pyarrow.parquet.read_schema(path).field("reward").metadata`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from acereason.files import whole_file

KEY = b"key"
"""Key of the metadata in which a file says what decided its rows."""


class Column(NamedTuple):
    """The type of a column, and what it holds."""

    type: pa.DataType
    doc: str


RESPONSES = {
    "problem": Column(pa.string(), "id of the problem"),
    "domain": Column(pa.string(), "domain of the problem, `math` or `code`"),
    "level": Column(pa.int64(), "level of the problem; null where it has none"),
    "sample": Column(pa.int64(), "number of the response among those to the same prompt, from 0"),
    "prompt": Column(pa.string(), "the prompt as text"),
    "response": Column(pa.string(), "the response as text; null where responses were not kept"),
    "tokens": Column(pa.int64(), "length of the response, tokens, the end-of-sequence token included"),
    "finish_reason": Column(pa.string(), "`stop`, or `length` where the length limit ended the response"),
    "truncated": Column(pa.bool_(), "whether the length limit ended the response"),
    "gold": Column(pa.string(), "gold answer of a math problem; empty for code, which is judged by tests"),
    "extracted": Column(pa.string(), "the answer or program found in the response; null where responses were not kept"),
    "reward": Column(pa.float64(), "the verifier's verdict, 1 or 0"),
    "reason": Column(pa.string(), "why: `correct`, `wrong_answer`, `no_answer`, `timeout` …"),
    "seconds": Column(
        pa.float64(),
        "wall time of the judgement; 0 where the verdict of an identical one was reused; null in attempts, whose files "
        "hold the same bytes however often a run was killed",
    ),
}
"""The columns of every table of responses, with one row for each response."""

TRAINING = {
    "step": Column(pa.int64(), "rollout step, from 0: the updates that the sampling weights had seen"),
    "learned_reward": Column(pa.float64(), "the reward that the policy learned from; differs with `rewards.shuffle`"),
    "advantage": Column(pa.float64(), "advantage of every token of the response"),
    "prompt_ids": Column(pa.list_(pa.int64()), "the prompt as tokens"),
    "response_ids": Column(pa.list_(pa.int64()), "the response as tokens; the loss uses these"),
    "logprobs": Column(pa.list_(pa.float64()), "log-prob of each response token under the engine, at the temperature"),
}
"""The columns that training appends."""

SOLVE_RATES = {
    "problem": RESPONSES["problem"],
    "domain": RESPONSES["domain"],
    "level": RESPONSES["level"],
    "attempts": Column(pa.int64(), "responses that were judged; null for a rate from elsewhere"),
    "solved": Column(pa.int64(), "how many of them were right"),
    "solve_rate": Column(pa.float64(), "their share"),
    "length_mean": Column(pa.float64(), "mean length of the responses, tokens"),
    "truncated": Column(pa.float64(), "share of the responses that hit the length limit"),
    "kept": Column(pa.bool_(), "whether the refilter kept the problem in the pool"),
}
"""The columns of a table of solve rates, with one row for each problem."""


def write_table(path: Path, columns: Mapping[str, Column], rows: Iterable[Mapping[str, Any]], key: str = "") -> None:
    """Write rows as Parquet, whole or not at all; the same rows give the same bytes.

    Args:
        path: of the file.
        columns: by name, in order; those that a row lacks are null.
        rows: by name of the column.
        key: what decided the rows, for `read_rows`.
    """
    fields = [pa.field(name, column.type, metadata={"doc": column.doc}) for name, column in columns.items()]
    schema = pa.schema(fields, metadata={KEY: key.encode()})
    with whole_file(path) as beside:
        pq.write_table(pa.Table.from_pylist(list(rows), schema), beside)


def read_rows(path: Path, key: str, columns: Sequence[str] | None = None) -> list[dict[str, Any]] | None:
    """Return the rows of a file that was written with `key`; None if it is missing, torn, or of another key.

    Args:
        path: the file.
        key: what decided the rows.
        columns: those that are needed; all if None.
    """
    try:
        table = pq.read_table(path, columns=list(columns) if columns else None)
    except (OSError, pa.ArrowException):
        return None
    if (table.schema.metadata or {}).get(KEY) != key.encode():
        return None
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows
