"""Payloads on their way in (deduplicated, numbered, compressed) and out (loaded by number, put together)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import zstandard

from twinlens.store.telemetry.duckdb import cells
from twinlens.store.telemetry.duckdb.payload_cache import PayloadCache

RAW = 0
ZSTD = 1
_LEVEL = 3
_RAW_BELOW = 160  #: bytes; shorter content does not get smaller
_LARGEST = 1 << 30


class PayloadSink:
    """Collects the new payloads of one commit. Whoever holds the tables only.

    ``rows`` are ready for the table in locator order after ``finish``. Locators are consecutive numbers from ``start``;
    those of a commit that fails are skipped for good.
    """

    def __init__(self, cache: PayloadCache, start: int) -> None:
        self._cache = cache
        self.next_locator = start
        self.slots: list[int] = []
        self._ids: list[int] = []
        self._projects: list[str] = []
        self._kinds: list[int] = []
        self._data: list[bytes] = []
        self._refs: list[list[int] | None] = []
        self._project = ""
        self._key = b""
        self.used: list[int] = []  #: locators named since the caller last cleared it
        self._memo: dict[str, tuple[str, list[int]]] = {}
        self._forms: dict[str, Any] = {}

    def project(self, project_id: str) -> None:
        """Payloads from here on belong to this project."""
        self._project = project_id
        self._key = self._cache.project_key(project_id)
        self._memo.clear()
        self._forms.clear()

    def put(self, data: bytes) -> int:
        """Locator of a text, stored once per project."""
        found, place = self._cache.find(self._key, data, cells.TEXT_KIND)
        if not found:
            found = self._add(cells.TEXT_KIND, data, None)
            self._cache.remember(place, found)
            self.slots.append(place[0])
        self.used.append(found)
        return found

    def put_chunk(self, whole: bytes, make: Callable[[], Any]) -> int:
        """Locator of a chunk of array items, stored once per project."""
        found, place = self._cache.find(self._key, whole, cells.CHUNK_KIND)
        if not found:
            outer, self.used = self.used, []
            items = make()
            refs, self.used = self.used, outer
            found = self._add(cells.CHUNK_KIND, msgspec.json.encode(items), refs or None)
            self._cache.remember(place, found)
            self.slots.append(place[0])
        self.used.append(found)
        return found

    def cell(self, text: str) -> str:
        """Cell of a text: itself when short, else a form. The same text is worked out once per commit."""
        if len(text) <= cells.INLINE and not text.startswith(cells.MARK):
            return text
        known = self._memo.get(text)
        if known is None:
            outer, self.used = self.used, []
            cell = cells.encode_cell(text, self)
            known = self._memo[text] = (cell, self.used)
            self.used = outer
        self.used.extend(known[1])
        return known[0]

    def form(self, text: str) -> Any:
        """Like ``cell`` for a long text, but the bare form."""
        cell = self.cell(text)
        found = self._forms.get(cell)
        if found is None:
            found = self._forms[cell] = cells.form_of(cell) if cell.startswith(cells.MARK) else cell
        return found

    def _add(self, kind: int, data: bytes, refs: list[int] | None) -> int:
        locator = self.next_locator
        self.next_locator += 1
        self._ids.append(locator)
        self._projects.append(self._project)
        self._kinds.append(kind)
        self._data.append(data)
        self._refs.append(refs)
        return locator

    def __len__(self) -> int:
        return len(self._ids)

    def columns(self) -> dict[str, list[Any]]:
        """The new rows by column, compressed."""
        data, codecs = compress(self._data)
        return {
            "id": self._ids, "project": self._projects, "kind": self._kinds, "codec": codecs,
            "size": [len(d) for d in self._data], "data": data, "refs": self._refs,
        }  # fmt: skip


def compress(items: list[bytes]) -> tuple[list[bytes], list[int]]:
    """Each item compressed where that helps, with its codec."""
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=False)
    data: list[bytes] = []
    codecs: list[int] = []
    for item in items:
        if len(item) >= _RAW_BELOW:
            small = compressor.compress(item)
            if len(small) < len(item):
                data.append(small)
                codecs.append(ZSTD)
                continue
        data.append(item)
        codecs.append(RAW)
    return data, codecs


class PayloadSource:
    """Payloads needed to answer one read. ``load`` fetches what forms name, ``text`` puts a value together."""

    def __init__(self, connection: Any, project_id: str) -> None:
        self._connection = connection
        self._project = project_id
        self._texts: dict[int, bytes] = {}
        self._chunks: dict[int, list[Any]] = {}

    def load(self, forms: Iterable[Any]) -> None:
        """Fetch everything the forms need, also what chunks name in turn."""
        wanted: set[int] = set()
        for form in forms:
            cells.locators(form, wanted)
        while wanted := wanted - self._texts.keys() - self._chunks.keys():
            inner: set[int] = set()
            decompressor = zstandard.ZstdDecompressor()
            for locator, kind, codec, data in self._fetch(wanted):
                content = decompressor.decompress(data, max_output_size=_LARGEST) if codec == ZSTD else data
                if kind == cells.CHUNK_KIND:
                    items = self._chunks[locator] = msgspec.json.decode(content)
                    for item in items:
                        cells.locators(item, inner)
                else:
                    self._texts[locator] = content
            wanted = inner

    def load_cells(self, cells_: Iterable[str | None]) -> None:
        """Fetch what cells name."""
        self.load([cells.form_of(c) for c in cells_ if c is not None and c.startswith(cells.MARK)])

    def _fetch(self, wanted: set[int]) -> list[tuple[int, int, int, bytes]]:
        """A join reads only the vectors that hold the rows; a list of numbers in ``IN`` reads all in between (ADR 0002)."""
        return self._connection.execute(
            "SELECT p.id, p.kind, p.codec, p.data FROM (SELECT unnest($ids::BIGINT[]) AS id) wanted "
            "JOIN payloads p ON p.id = wanted.id WHERE p.project = $project",
            {"ids": sorted(wanted), "project": self._project},
        ).fetchall()

    def bytes_of(self, form: Any) -> bytes | None:
        """The value, or None when retention has dropped it."""
        return cells.decode_form(form, self._texts, self._chunks)

    def text(self, cell: str | None) -> str | None:
        """The value of a cell whose form has been loaded."""
        if cell is None or not cell.startswith(cells.MARK):
            return cell
        data = self.bytes_of(cells.form_of(cell))
        return None if data is None else data.decode("utf-8", "surrogatepass")
