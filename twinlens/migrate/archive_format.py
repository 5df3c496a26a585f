"""The layout of an archive: names, the manifest, Parquet columns. ``docs/archive.md`` is the text of it."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pyarrow as pa

from twinlens.domain.score import Score
from twinlens.domain.trace import Span, TraceSummary
from twinlens.migrate.errors import ArchiveError

FORMAT = "twinlens-archive"
VERSION = 1
MANIFEST = "manifest.json"
#: Kinds in Parquet files; all others are JSON, one record per line.
TABLES = ("trace", "span", "metric", "score")
#: Files of a project, and blobs by the SHA-256 of their bytes. No other names are read.
_NAME = re.compile(
    r"(projects/\d{1,6}/[a-z_]{1,40}\.(jsonl|parquet)|blobs/[0-9a-f]{2}/[0-9a-f]{64})\Z"
)  # fmt: skip


class FileEntry(msgspec.Struct, kw_only=True, frozen=True):
    """One file of the archive, with its size and the hex SHA-256 of its bytes."""

    path: str
    bytes: int
    sha256: str
    records: int = 0


class ProjectEntry(msgspec.Struct, kw_only=True, frozen=True):
    """One project. Its files are under ``projects/<folder>/``."""

    folder: str
    id: str
    name: str
    experiment: str | None = None  #: only this experiment was exported
    trace: str | None = None  #: only this trace was exported


class Manifest(msgspec.Struct, kw_only=True):
    """``manifest.json``."""

    format: str = FORMAT
    version: int = VERSION
    twinlens: str = ""  #: version of the program that wrote it
    created: str = ""  #: ISO-8601, UTC
    projects: list[ProjectEntry] = []
    files: list[FileEntry] = []


def check_name(path: str) -> str:
    """Return ``path`` if an archive may hold a file of that name.

    Raises:
        ArchiveError: any other name, so nothing outside the folder can be meant.
    """
    if not _NAME.match(path):
        raise ArchiveError(f"the archive lists a file that does not belong into one: {path[:200]!r}")
    return path


def read_manifest(raw: bytes) -> Manifest:
    """The manifest of an archive this version can read.

    Raises:
        ArchiveError: not an archive, or one of a newer format.
    """
    try:
        head = msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArchiveError(f"{MANIFEST} cannot be read: {error}") from error
    if head.get("format") != FORMAT:
        raise ArchiveError(f"{MANIFEST} does not say that this is a {FORMAT}")
    version = head.get("version")
    if not isinstance(version, int) or version < 1:
        raise ArchiveError(f"{MANIFEST} has no version")
    if version > VERSION:
        raise ArchiveError(
            f"the archive has format version {version}, this Twinlens ({VERSION} at most) is too old for it: upgrade"
        )
    try:
        manifest = msgspec.convert(head, Manifest)
    except msgspec.ValidationError as error:
        raise ArchiveError(f"{MANIFEST} is damaged: {error}") from error
    for entry in manifest.files:
        check_name(entry.path)
    return manifest


# --- columns ---------------------------------------------------------------------------------------------------------
_PLAIN: dict[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


class Columns:
    """A struct type as Parquet columns: one per field, plain ones as they are, all others as JSON text."""

    def __init__(self, type: Any) -> None:
        self.type = type
        self._plain: set[str] = set()
        fields: list[pa.Field] = []
        for field in msgspec.structs.fields(type):
            said = str(field.type)
            plain = next(
                (t for t in (str, bool, int, float) if said in (f"<class '{t.__name__}'>", f"{t.__name__} | None")),
                None,
            )
            if plain is not None:
                self._plain.add(field.name)
            fields.append(pa.field(field.name, _PLAIN[plain or str]))
        self.schema = pa.schema(fields)

    def row(self, value: Any) -> dict[str, Any]:
        """A struct as a row; fields at their default are null."""
        found: dict[str, Any] = msgspec.to_builtins(value)
        return {
            name: item if name in self._plain else msgspec.json.encode(item).decode() for name, item in found.items()
        }

    def value(self, row: dict[str, Any]) -> Any:
        """The struct of a row.

        Raises:
            ArchiveError: a cell that does not fit.
        """
        try:
            found = {
                name: item if name in self._plain else msgspec.json.decode(item)
                for name, item in row.items()
                if item is not None
            }
            return msgspec.convert(found, self.type)
        except (msgspec.MsgspecError, TypeError, RecursionError) as error:
            raise ArchiveError(f"a row is damaged: {error}") from error


class MetricRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One point of one metric. ``value`` may be NaN or infinite: Parquet has them."""

    run_id: str
    name: str
    value: float
    timestamp_ms: int
    step: int = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


COLUMNS: dict[str, Columns] = {
    "trace": Columns(TraceSummary), "span": Columns(Span), "score": Columns(Score), "metric": Columns(MetricRow),
}  # fmt: skip
