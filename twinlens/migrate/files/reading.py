"""Reading what others wrote: files of a folder, lines, JSON, SQLite; bounded, and never outside the folder."""

from __future__ import annotations

import csv
import gzip
import hashlib
import math
import os
import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

import msgspec

from twinlens.domain.clock import parse_iso
from twinlens.domain.record import point_value
from twinlens.migrate.errors import MigrationError

MAX_RECORD = 64 << 20  #: bytes of one line or record


def files_of(root: Path) -> Iterator[Path]:
    """Regular files below a folder (or the file itself), by name; links that lead out of it are left out."""
    if root.is_file():
        yield root
        return
    home = root.resolve()
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = Path(folder) / name
            if is_inside(path, home) and path.is_file():
                yield path


def is_inside(path: Path, root: Path) -> bool:
    """Whether a path, links followed, lies below a folder."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except OSError:
        return False


def bare_name(path: Path) -> str:
    """The name in lower case without ``.gz``."""
    return path.name.lower().removesuffix(".gz")


@contextmanager
def opened(path: Path) -> Generator[IO[bytes]]:
    """A file, inflated if it is gzip.

    Raises:
        MigrationError: it cannot be read, or is damaged gzip.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if packed:
                with gzip.open(raw) as file:
                    yield cast("IO[bytes]", file)
            else:
                yield raw
    except (OSError, EOFError) as error:  # gzip's errors are OSErrors
        raise MigrationError(f"{path} cannot be read: {error}") from error


def lines(path: Path, note: Callable[[str], None]) -> Iterator[tuple[int, Any]]:
    """The JSON values of a file with one per line: line number and value. A torn last line is noted, not an error.

    Raises:
        MigrationError: a line is not JSON, or longer than 64 MiB.
    """
    with opened(path) as file:
        number = 0
        while line := file.readline(MAX_RECORD + 1):
            number += 1
            if len(line) > MAX_RECORD:
                raise MigrationError(f"{path}, line {number} is longer than {MAX_RECORD >> 20} MiB")
            if not line.strip():
                continue
            try:
                yield number, parse(line)
            except ValueError as error:
                if not line.endswith(b"\n"):
                    note(f"{path}: the last line is incomplete and was left out")
                    return
                raise MigrationError(f"{path}, line {number} is not JSON: {error}") from error


def whole(path: Path) -> Any:
    """The JSON value that a file holds.

    Raises:
        MigrationError: it is not JSON, or larger than 1 GiB.
    """
    with opened(path) as file:
        body = file.read((1 << 30) + 1)
    if len(body) > 1 << 30:
        raise MigrationError(f"{path} is larger than 1 GiB; split it, or write one record per line")
    try:
        return parse(body)
    except ValueError as error:
        raise MigrationError(f"{path} is not JSON: {error}") from error


def records(path: Path, note: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """Objects of a JSON file (one list, or one object), a JSON Lines or a CSV file."""
    name = bare_name(path)
    if name.endswith(".csv"):
        yield from _csv(path)
    elif name.endswith((".jsonl", ".ndjson")):
        for number, value in lines(path, note):
            yield an_object(value, f"{path}, line {number}")
    else:
        found = whole(path)
        for item in found if isinstance(found, list) else [found]:  # pyright: ignore[reportUnknownVariableType]
            yield an_object(item, str(path))


def _csv(path: Path) -> Iterator[dict[str, Any]]:
    """Rows; cells that are JSON objects or lists become that, empty ones are left out."""
    csv.field_size_limit(MAX_RECORD)
    with opened(path) as file:
        text = (line.decode("utf-8", "replace") for line in iter(lambda: file.readline(MAX_RECORD + 1), b""))
        try:
            for row in csv.DictReader(text):
                yield {key: _cell(value) for key, value in row.items() if key and value not in (None, "")}
        except csv.Error as error:
            raise MigrationError(f"{path} is not CSV: {error}") from error


def _cell(text: str) -> Any:
    if text[:1] in "[{":
        try:
            return parse(text.encode())
        except ValueError:
            return text
    return text


def parse(body: bytes) -> Any:
    """A JSON value; ``NaN`` and infinities, which Python writes, are read too.

    Raises:
        ValueError: it is not JSON, or nested too deep.
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        import json

        try:
            return json.loads(body)
        except RecursionError:
            raise ValueError("nested too deep") from None


def json_of(text: str | bytes) -> Any:
    """The value of JSON text as Python writes it; what JSON has no number for becomes text (see ``point_value``).

    Raises:
        ValueError: it is not JSON.
    """
    body = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return plain(parse(body))


def an_object(value: Any, where: str) -> dict[str, Any]:
    """The value, which must be an object.

    Raises:
        MigrationError: it is not.
    """
    if not isinstance(value, dict):
        raise MigrationError(f"{where}: an object was expected")
    return cast("dict[str, Any]", value)


@contextmanager
def sqlite_file(path: Path) -> Generator[sqlite3.Connection]:
    """A SQLite file of another program, read only, rows as ``sqlite3.Row``.

    Raises:
        MigrationError: it cannot be read.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)) as db:
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA trusted_schema = OFF")
            yield db
    except sqlite3.Error as error:
        raise MigrationError(f"{path} cannot be read as SQLite: {error}") from error


def tables(db: sqlite3.Connection) -> set[str]:
    """Names of its tables."""
    return {str(row[0]) for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def time_ns(value: Any) -> int | None:
    """A time as nanoseconds: ISO-8601 (UTC where no zone is said), Unix seconds, milliseconds, microseconds or nanoseconds."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            return parse_iso(value.strip().replace("Z", "+00:00").replace(" ", "T", 1))
        except ValueError:
            try:
                value = float(value)
            except ValueError:
                return None
    if isinstance(value, datetime):
        return int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1e6) * 1_000
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    for limit, factor in ((1e11, 1_000_000_000), (1e14, 1_000_000), (1e17, 1_000)):
        if abs(value) < limit:
            return int(value) * factor + int((value - int(value)) * factor)
    return int(value)


def stable_id(*parts: object, digits: int = 32) -> str:
    """Hex digits that depend on the parts only, so that reading again finds the same thing."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()[:digits]


def text(value: Any) -> str | None:
    """A value as JSON text, as inputs and outputs are kept; None stays None."""
    return None if value is None else msgspec.json.encode(plain(value)).decode()


def plain(value: Any) -> Any:
    """A JSON-like value whose floats all have a JSON form."""
    if isinstance(value, float) and not math.isfinite(value):
        return point_value(value)
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in cast("list[Any]", value)]
    return value


def parquet(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a Parquet file.

    Raises:
        MigrationError: it is not one.
    """
    import duckdb

    try:
        with duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}) as db:
            found = db.execute("SELECT * FROM read_parquet(?)", [str(path)])
            names = [column[0] for column in found.description or ()]
            while rows := found.fetchmany(1_000):
                for row in rows:
                    yield dict(zip(names, row, strict=True))
    except duckdb.Error as error:
        raise MigrationError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error
