"""Rows from JSONL, JSON and Parquet files and from hub data sets.

Packages that are slow to import (pyarrow, datasets) are imported when a source needs them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from acereason.errors import UserError
from acereason.problems.json_values import without_surrogates

SOURCES = "`laptop`, `word_problems`, a .jsonl, .json or .parquet file, or hub:OWNER/NAME"


@dataclass(frozen=True)
class Row:
    """One row of a source.

    Attributes:
        values: the row's fields.
        number: line of the file, or number of the row, from 1; the default id ends in it.
        place: file and line or row, for error messages.
    """

    values: dict[str, Any]
    number: int
    place: str


def open_rows(location: str, split: str) -> tuple[str, Iterator[Row]]:
    """Open `problems.path`; return the stem of default ids and the rows. `split` is for hub data sets.

    Raises:
        UserError: the source is missing or not readable; raised here or while the rows are read.
    """
    if location.startswith("hub:"):
        return _hub_rows(location, split)
    path = Path(location).expanduser()
    if path.is_dir():
        raise UserError(f"problems.path={location} is a folder; give {SOURCES}, or hub:FOLDER for a saved data set")
    if not path.is_file():
        raise UserError(f"problems.path={location}: there is no such file; give {SOURCES}")
    readers = {".jsonl": _jsonl_rows, ".json": _json_rows, ".parquet": _parquet_rows}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"problems.path={location}: unknown kind of file {path.suffix!r}; give {SOURCES}")
    return path.stem, reader(path)


def _jsonl_rows(path: Path) -> Iterator[Row]:
    with _open_binary(path) as lines:
        for number, line in enumerate(lines, 1):
            raw = (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).rstrip()
            if raw:
                place = f"{path}:{number}"
                yield _object_row(parse_json(raw, place), number, place)


def _json_rows(path: Path) -> Iterator[Row]:
    """Read a file that is one list of objects, or else has one object a line."""
    with _open_binary(path) as file:
        content = file.read().removeprefix(b"\xef\xbb\xbf")
    if not content.lstrip().startswith(b"["):
        yield from _jsonl_rows(path)
        return
    for number, value in enumerate(parse_json(content, str(path)), 1):
        yield _object_row(value, number, f"{path} row {number}")


def _open_binary(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise UserError(f"problems.path={path}: {error.strerror}") from error


def parse_json(raw: bytes, place: str, decode: Callable[[str], Any] = json.loads) -> Any:
    """Parse UTF-8 JSON; lone surrogates, which no tokenizer and no UTF-8 file can hold, become U+FFFD.

    Args:
        raw: the JSON.
        place: file and line, for error messages.
        decode: the parser, a function such as `json.loads`.

    Raises:
        UserError: `raw` is not UTF-8 or not JSON; the message names `place` and the column.
    """
    try:
        text = raw.decode()
        return without_surrogates(decode(text), text)
    except UnicodeDecodeError as error:
        raise UserError(f"{place}: byte {error.start + 1} is not UTF-8; convert the file to UTF-8") from error
    except json.JSONDecodeError as error:
        where = f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno} column {error.colno}"
        raise UserError(f"{place}: broken JSON: {error.msg} at {where}; fix or delete it") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place}: unreadable JSON: {error}; fix or delete it") from error


def _object_row(value: Any, number: int, place: str) -> Row:
    if not isinstance(value, dict):
        raise UserError(f"{place}: a row must be a JSON object with named fields, not a {type(value).__name__}")
    return Row(value, number, place)


def _parquet_rows(path: Path) -> Iterator[Row]:
    from pyarrow import ArrowException, parquet

    number = 0
    try:
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=1024):
            for values in batch.to_pylist():
                number += 1
                yield Row(values, number, f"{path} row {number}")
    except (ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(f"problems.path={path} is not readable as Parquet: {_first_line(error)}") from error


def _hub_rows(path: str, split: str) -> tuple[str, Iterator[Row]]:
    """Read `hub:OWNER/NAME`, `hub:OWNER/NAME:CONFIG` or `hub:FOLDER`, a folder with the files of a hub data set."""
    spec = path.removeprefix("hub:")
    folder = Path(spec).expanduser()
    name, _, subset = (str(folder), "", "") if spec and folder.is_dir() else spec.partition(":")
    if not name:
        raise UserError(f"problems.path={path} names no data set; give {SOURCES}")
    from datasets import load_dataset

    try:
        rows = load_dataset(name, subset or None, split=split)
    except Exception as error:  # whatever the hub's client, the builder or the network raises
        raise UserError(
            f"problems.path={path} problems.split={split}: cannot be loaded: {type(error).__name__}: "
            f"{_first_line(error)}; check the names and the network, or give a local file"
        ) from error
    return Path(name).name, (Row(dict(values), n, f"{path} row {n}") for n, values in enumerate(rows, 1))


@contextmanager
def downloaded_before() -> Iterator[None]:
    """Read hub data sets from this machine's cache, without asking the hub: another process has just loaded them."""
    import datasets
    import huggingface_hub

    settings: tuple[Any, ...] = (datasets.config, huggingface_hub.constants)
    before = [module.HF_HUB_OFFLINE for module in settings], datasets.logging.get_verbosity()
    datasets.logging.set_verbosity_error()  # it warns that the cache may be old
    for module in settings:
        module.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        for module, value in zip(settings, before[0], strict=True):
            module.HF_HUB_OFFLINE = value
        datasets.logging.set_verbosity(before[1])


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
