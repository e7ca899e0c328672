"""Attempts on disk: a line for each response as soon as it is judged, and one table when all are judged."""

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

    `NAME.parquet` is the table of all responses. Until it is written, each rank that samples appends the rows of its
    responses to a journal, `NAME-rank-3-0.jsonl`, whose first line is the key; a resumed run begins new journals. The
    folder is shared by all ranks. The same attempts leave the same bytes, whichever ranks made them and however often
    the run was killed on the way.

    Args:
        table: path of the table.
        key: what decides the rows; files of another key are not used.
        keep_texts: whether the rows keep prompt, response, gold answer and extracted answer.
    """

    def __init__(self, table: Path, key: str, keep_texts: bool = True) -> None:
        self.table, self.key, self.keep_texts = table, key, keep_texts
        self._journal: IO[str] | None = None
        self._journal_path: Path | None = None

    @property
    def unfinished(self) -> bool:
        """True if the table is missing, or journals are left."""
        return not self.table.exists() or bool(self._journals())

    def find(self, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Return the rows that exist already, in any order; for rank 0, which removes journals of another key.

        Rows that a kill cut short are left out.

        Args:
            columns: those of the table that are needed, all if None; rows from journals have all of them.
        """
        found = read_rows(self.table, self.key, columns) or []
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
        """Close this rank's journal and sync it to the disk; return its path, or None if there is none."""
        path, self._journal_path = self._journal_path, None
        if self._journal is None or path is None:
            return None
        self._journal.close()
        self._journal = None
        sync(path)
        return path

    def finish(self, problems: Sequence[str], journals: Iterable[Path]) -> None:
        """Write the table and remove the journals; for rank 0, once all other ranks have closed theirs.

        Args:
            problems: ids in the order of the table.
            journals: of all ranks; a network disk may list those of other nodes late.
        """
        listed, found = set(self._journals()), self.find()
        for path in set(journals) - listed:
            found += _read_journal(path, self.key) or []
        place = {problem: number for number, problem in enumerate(problems)}
        rows = {(place[row["problem"]], row["sample"]): row for row in found if row["problem"] in place}
        write_table(self.table, RESPONSES, [rows[key] for key in sorted(rows)], self.key)
        for path in listed.union(journals):
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
    """Return the complete rows of a journal; None if it is of another key."""
    rows: list[dict[str, Any]] = []
    lines = path.read_bytes().split(b"\n")[:-1]  # what follows the last newline was cut short
    try:
        if not lines or json.loads(lines[0]) != {"key": key}:
            return None
        rows += map(json.loads, lines[1:])
    except ValueError:  # a torn line in the middle: a disk that lost a block
        return rows
    return rows
