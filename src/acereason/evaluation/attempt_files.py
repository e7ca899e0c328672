"""Attempts on disk: a line for each response as soon as it is judged, one table when all are there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from acereason.files import sync
from acereason.tables import RESPONSES, read_rows, write_table

TEXTS = ("prompt", "response", "gold", "extracted")
"""Columns that are null where responses are not kept."""


class AttemptFiles:
    """The files of one set of attempts.

    `NAME.parquet` is the table of all responses. While it is being made, each rank that samples appends the rows of its
    responses to a journal, `NAME-rank-3-0.jsonl`, whose first line is the key; a resumed run begins new ones. The
    folder is shared by all ranks. Equal attempts leave equal bytes, whatever ranks made them and however often the run
    was killed on the way.

    Args:
        table: path of the table.
        key: what decides the rows; files of another key are not taken.
        keep_texts: whether the rows keep prompt, response, gold and what was extracted.
    """

    def __init__(self, table: Path, key: str, keep_texts: bool = True) -> None:
        self.table, self.key, self.keep_texts = table, key, keep_texts
        self._journal: IO[str] | None = None
        self._journal_path: Path | None = None

    @property
    def unfinished(self) -> bool:
        """Whether the table is missing, or journals are left."""
        return not self.table.exists() or bool(self._journals())

    def find(self) -> list[dict[str, Any]]:
        """Return the rows that exist already, in any order; for rank 0, which removes journals of another key.

        A row that a kill cut short is not counted.
        """
        found = read_rows(self.table, self.key) or []
        for path in self._journals():
            journal = _read_journal(path, self.key)
            if journal is None:
                path.unlink()
            else:
                found += journal
        return found

    def add(self, row: Mapping[str, Any], rank: int) -> None:
        """Append one row to this rank's journal."""
        if self._journal is None:
            self._journal = self._open_journal(rank)
        self._journal.write(json.dumps(self._kept(row)) + "\n")
        self._journal.flush()

    def close(self) -> Path | None:
        """Close this rank's journal, on the disk; return its path, None when there is none."""
        path, self._journal_path = self._journal_path, None
        if self._journal is None or path is None:
            return None
        self._journal.close()
        self._journal = None
        sync(path)
        return path

    def finish(self, problems: Sequence[str], journals: Iterable[Path]) -> None:
        """Write the table and remove the journals; for rank 0, once all others have closed theirs.

        Args:
            problems: ids in the order of the table.
            journals: of this process and the others; a network disk may list those of other nodes late.
        """
        rows = {(row["problem"], row["sample"]): row for row in self.find()}
        for path in journals:
            for row in _read_journal(path, self.key) or ():
                rows[row["problem"], row["sample"]] = row
        place = {problem: number for number, problem in enumerate(problems)}
        ordered = sorted(rows, key=lambda key: (place.get(key[0], len(place)), key))
        write_table(self.table, RESPONSES, [rows[key] for key in ordered], self.key)
        for path in {*self._journals(), *journals}:
            path.unlink(missing_ok=True)

    def _kept(self, row: Mapping[str, Any]) -> dict[str, Any]:
        dropped = {"seconds"} if self.keep_texts else {"seconds", *TEXTS}
        return {name: None if name in dropped else value for name, value in row.items()}

    def _open_journal(self, rank: int) -> IO[str]:
        self.table.parent.mkdir(parents=True, exist_ok=True)
        number = 0
        while (path := self.table.with_name(f"{self.table.stem}-rank-{rank}-{number}.jsonl")).exists():
            number += 1
        self._journal_path = path
        journal = path.open("x", encoding="utf-8")
        journal.write(json.dumps({"key": self.key}) + "\n")
        return journal

    def _journals(self) -> list[Path]:
        return sorted(self.table.parent.glob(f"{self.table.stem}-rank-*-*.jsonl"))


def _read_journal(path: Path, key: str) -> list[dict[str, Any]] | None:
    """Return the whole rows of a journal; None when it is of another key."""
    rows: list[dict[str, Any]] = []
    lines = path.read_bytes().split(b"\n")[:-1]  # what follows the last line end was cut short
    try:
        if not lines or json.loads(lines[0]) != {"key": key}:
            return None
        rows += map(json.loads, lines[1:])
    except ValueError:  # a torn line in the middle: a disk that lost a block
        return rows
    return rows
