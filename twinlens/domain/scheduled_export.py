"""A project's scheduled export: what is written where, how often, and how far it has come.

The words are those of Langfuse's blob-storage integration (server v4.16), except for ``FOLDER``, which is ours.
"""

from __future__ import annotations

import re
from typing import Literal, get_args

import msgspec

from twinlens.domain.clock import iso_ms
from twinlens.domain.errors import InvalidArgument

StorageKind = Literal["S3", "S3_COMPATIBLE", "AZURE_BLOB_STORAGE", "GOOGLE_CLOUD_STORAGE", "FOLDER"]
Frequency = Literal["every_20_minutes", "hourly", "daily", "weekly"]
FileType = Literal["JSON", "CSV", "JSONL", "PARQUET"]
Mode = Literal["FULL_HISTORY", "FROM_TODAY", "FROM_CUSTOM_DATE"]
Source = Literal["LEGACY_TRACES_OBSERVATIONS", "OBSERVATIONS_V2", "LEGACY_TRACES_AND_ENRICHED_OBSERVATIONS"]
Status = Literal["idle", "running", "queued", "up_to_date", "disabled", "error"]
FIELD_GROUPS = (
    "core", "basic", "time", "io", "metadata", "model", "usage", "prompt", "metrics", "tools", "trace_context",
)  # fmt: skip
SECONDS: dict[str, int] = {"every_20_minutes": 1_200, "hourly": 3_600, "daily": 86_400, "weekly": 604_800}
FORMATS: dict[str, str] = {"JSON": "json", "CSV": "csv", "JSONL": "jsonl", "PARQUET": "parquet"}
_S = 1_000_000_000
_MONDAY_NS = 4 * 86_400 * _S  #: the first Monday after the epoch
#: A row is stamped shortly before it can be read, so a period is complete this long after its end.
LAG_NS = 30 * _S
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]\Z")
_REGION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z")
_MAX_PREFIX = 500


class ScheduledExport(msgspec.Struct, kw_only=True, frozen=True):
    """One per project. ``done_ns`` is the end of the last period that was written whole; times are nanoseconds."""

    export_id: str
    kind: StorageKind
    bucket: str
    endpoint: str | None = None
    region: str = "auto"
    access_key: str | None = None
    sealed: str | None = None  #: the secret, sealed
    prefix: str = ""
    frequency: Frequency = "daily"
    enabled: bool = True
    path_style: bool = False
    file_type: FileType = "JSONL"
    mode: Mode = "FULL_HISTORY"
    start_ns: int | None = None
    compressed: bool = True
    source: Source = "LEGACY_TRACES_OBSERVATIONS"
    field_groups: list[str] = []
    done_ns: int | None = None
    next_ns: int | None = None
    error: str | None = None
    error_ns: int | None = None
    created_ns: int = 0
    updated_ns: int = 0

    def check(self) -> None:
        """Refuse what cannot be exported.

        Raises:
            InvalidArgument: what is wrong.
        """
        for name, value, known in (
            ("type", self.kind, get_args(StorageKind)), ("exportFrequency", self.frequency, tuple(SECONDS)),
            ("fileType", self.file_type, tuple(FORMATS)), ("exportMode", self.mode, get_args(Mode)),
            ("exportSource", self.source, get_args(Source)),
        ):  # fmt: skip
            if value not in known:
                raise InvalidArgument(f"{name}: '{value}' is not one of {', '.join(known)}")
        if not _BUCKET.match(self.bucket) or ".." in self.bucket:
            raise InvalidArgument("bucketName: 3 to 255 letters, digits, dots, hyphens and underscores")
        if not _REGION.match(self.region):
            raise InvalidArgument("region: 1 to 63 letters, digits and hyphens")
        if self.prefix and (
            not self.prefix.endswith("/") or self.prefix.startswith("/") or len(self.prefix) > _MAX_PREFIX
        ):
            raise InvalidArgument("prefix: must end with a slash and not begin with one")
        if {"", ".", ".."} & set(self.prefix[:-1].split("/") if self.prefix else ()):
            raise InvalidArgument("prefix: must not have empty parts, '.' or '..'")
        if self.kind == "S3_COMPATIBLE" and not self.endpoint:
            raise InvalidArgument("endpoint: required for S3_COMPATIBLE")
        if self.endpoint and not self.endpoint.startswith(("http://", "https://")):
            raise InvalidArgument("endpoint: must begin with https:// or http://")
        if self.mode == "FROM_CUSTOM_DATE" and self.start_ns is None:
            raise InvalidArgument("exportStartDate: required when exportMode is FROM_CUSTOM_DATE")
        unknown = set(self.field_groups) - set(FIELD_GROUPS)
        if unknown:
            raise InvalidArgument(f"exportFieldGroups: unknown {', '.join(sorted(unknown))}")
        if self.field_groups and "core" not in self.field_groups:
            raise InvalidArgument("exportFieldGroups: must include core")

    def tables(self) -> tuple[str, ...]:
        """Which kinds of files are written."""
        legacy, enriched = ("traces", "observations"), ("observations_v2",)
        chosen = {"LEGACY_TRACES_OBSERVATIONS": legacy, "OBSERVATIONS_V2": enriched}.get(self.source, legacy + enriched)
        return (*chosen, "scores")

    def period(self, at_ns: int) -> tuple[int, int]:
        """Start and end of the period a time lies in. Weeks begin on Monday, all in UTC."""
        size = SECONDS[self.frequency] * _S
        offset = _MONDAY_NS if self.frequency == "weekly" else 0
        start = (at_ns - offset) // size * size + offset
        return start, start + size

    @property
    def packed(self) -> bool:
        """Whether files are gzipped. Parquet compresses inside."""
        return self.compressed and self.file_type != "PARQUET"

    def key(self, project_id: str, table: str, end_ns: int) -> str:
        """The file of a table and period: the same whenever the period is written."""
        stamp = iso_ms(end_ns).replace(":", "-").replace(".000Z", "Z")
        ending = FORMATS[self.file_type] + (".gz" if self.packed else "")
        return f"{self.prefix}{project_id}/{table}/{stamp}.{ending}"

    def status(self, now_ns: int, *, running: bool) -> Status:
        """What clients are told."""
        if not self.enabled:
            return "disabled"
        if running:
            return "running"
        if self.error is not None:
            return "error"
        if self.next_ns is not None and self.next_ns <= now_ns:
            return "queued"
        return "idle" if self.done_ns is None else "up_to_date"
