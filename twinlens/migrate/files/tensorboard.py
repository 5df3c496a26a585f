"""TensorBoard's event files: TFRecords around ``Event`` messages. Every folder with such files is a run of one experiment.

Scalars (both generations) become metrics, hyperparameters params, text, images, audio and histograms artifacts. Numbers of fields are those of
``event.proto``, ``summary.proto``, ``tensor.proto`` and the hparams plugin.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from twinlens.domain.record import ArtifactRecord, RunRecord
from twinlens.domain.run import Run
from twinlens.migrate.errors import MigrationError
from twinlens.migrate.files.reading import MAX_RECORD, bare_name, files_of, stable_id
from twinlens.migrate.files.runs import key, params
from twinlens.migrate.files.spool import Spool
from twinlens.migrate.files.wire import Message

#: Folders that PyTorch's ``add_hparams`` makes below a run: they are part of it.
_SESSION = re.compile(r"\d{9,11}(\.\d+)?")
_STRING = 7  #: DataType DT_STRING
_FORMATS: dict[int, tuple[str, int]] = {
    1: ("f", 5), 2: ("d", 6), 3: ("i", 7), 4: ("B", 7), 5: ("h", 7), 6: ("b", 7), 9: ("q", 10), 10: ("?", 11),
}  # fmt: skip
_IMAGES = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpg", b"GIF8": "gif", b"RIFF": "wav"}


class _Run:
    def __init__(self, name: str) -> None:
        self.name = name
        self.first = math.inf
        self.last = 0.0
        self.params: dict[str, Any] = {}
        self.status = "FINISHED"
        self.points: dict[str, list[tuple[float, int, int]]] = {}
        self.files: dict[str, bytes] = {}
        self.histograms: dict[str, list[dict[str, Any]]] = {}


def read(root: Path, spool: Spool) -> None:
    """All runs below a folder, or one event file."""
    home = (root.parent if root.is_file() else root).resolve()
    folders: dict[Path, list[Path]] = {}
    for path in files_of(root):
        if ".tfevents." in bare_name(path):
            folder = path.parent.resolve()
            while folder != home and _SESSION.fullmatch(folder.name):
                folder = folder.parent
            folders.setdefault(folder, []).append(path)
    for folder, paths in folders.items():
        relative = str(folder.relative_to(home))
        run = _Run(home.name if relative == "." else relative)
        run_id = ""
        for path in paths:
            for event in _events(path, spool):
                _take(event, run, spool)
                run_id = run_id or _id(home.name, run)
            for name, points in run.points.items():
                spool.points(run_id, name, points)
            run.points.clear()
        if run_id:
            _keep(run, run_id, home.name, spool)


def _id(experiment: str, run: _Run) -> str:
    return stable_id("tensorboard", experiment, run.name, run.first)


def _keep(run: _Run, run_id: str, experiment: str, spool: Spool) -> None:
    made = Run(
        run_id=run_id, experiment_id=spool.experiment(experiment, created_ms=int(run.first * 1_000)), name=run.name,
        status=run.status, start_ms=int(run.first * 1_000), end_ms=int(run.last * 1_000), params=params(run.params),
        tags={"tensorboard.run": run.name},
    )  # fmt: skip
    spool.put(RunRecord(run=made))
    for tag, rows in run.histograms.items():
        lines = [msgspec.json.encode(row) + b"\n" for row in sorted(rows, key=lambda row: (row["step"], row["time"]))]
        run.files[f"histograms/{_name(tag)}.jsonl"] = b"".join(lines)
    for path, content in run.files.items():
        spool.file(ArtifactRecord(owner="run", owner_id=run_id, path=path), content)


# --- TFRecord ------------------------------------------------------------------------------------------------------------
def _events(path: Path, spool: Spool) -> Iterator[Message]:
    with path.open("rb") as file:
        at = 0
        while head := file.read(12):
            if len(head) < 12:
                break
            size, checksum = struct.unpack("<QI", head)
            if _masked_crc(head[:8]) != checksum:
                raise MigrationError(f"{path} is damaged at byte {at}")
            if size > MAX_RECORD:
                raise MigrationError(f"{path}: a record is longer than {MAX_RECORD >> 20} MiB")
            data = file.read(size + 4)
            if len(data) < size + 4:
                break
            at += 16 + size
            try:
                yield Message(data[:size])
            except ValueError as error:
                raise MigrationError(f"{path} holds a damaged record before byte {at}: {error}") from error
        else:
            return
    spool.note(f"{path}: the last record is incomplete and was left out")


def _crc_table() -> list[int]:
    table: list[int] = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _crc_table()


def _masked_crc(data: bytes) -> int:
    """CRC-32C as TFRecord writes it. Only lengths are checked: without help from C more would take minutes."""
    crc = 0xFFFF_FFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFF_FFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFF_FFFF


# --- events --------------------------------------------------------------------------------------------------------------
def _take(event: Message, run: _Run, spool: Spool) -> None:
    at, step = event.double(1), event.int(2)
    if not math.isfinite(at):
        return
    run.first, run.last = min(run.first, at), max(run.last, at)
    for value in event.message(5).messages(1) if 5 in event else ():
        plugin = value.message(9).message(1)
        name, tag = plugin.text(1), value.text(1)
        if name == "hparams":
            _hparams(Message(plugin.data(2)), run)
        elif 2 in value:
            run.points.setdefault(key(tag), []).append((value.float(2), int(at * 1_000), step))
        elif 4 in value or 6 in value:
            _file(run, tag, step, value.message(4).data(4) or value.message(6).data(4))
        elif 8 in value:
            _tensor(Message(value.data(8)), name, tag, (at, step), run, spool)
        elif 5 in value:
            _histogram(run, tag, (at, step), _buckets(value.message(5)))


def _tensor(tensor: Message, plugin: str, tag: str, when: tuple[float, int], run: _Run, spool: Spool) -> None:
    at, step = when
    if tensor.int(1) == _STRING:
        texts = [value for value in tensor.all(8) if isinstance(value, bytes)]
        if plugin == "text":
            _put(run, f"text/{_name(tag)}/{step}.md", b"\n\n".join(texts))
        else:  # images: width, height, then the pictures; audio: pairs of sound and label
            for number, content in enumerate(text for text in texts if text[:4] in _IMAGES or text[:3] in _IMAGES):
                _file(run, f"{tag}/{number}" if number else tag, step, content)
        return
    numbers = _numbers(tensor)
    if plugin == "histograms" and len(numbers) % 3 == 0:
        triples = zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)
        _histogram(run, tag, when, [[left, right, count] for left, right, count in triples])
    elif len(numbers) == 1 and plugin in ("scalars", ""):
        run.points.setdefault(key(tag), []).append((numbers[0], int(at * 1_000), step))
    else:
        spool.note(f"{plugin or 'tensor'}s are not carried")


def _histogram(run: _Run, tag: str, when: tuple[float, int], buckets: list[list[float]]) -> None:
    """One line of the tag's file: when, and the buckets as beginning, end and count."""
    run.histograms.setdefault(tag, []).append({"step": when[1], "time": when[0], "buckets": buckets})


def _buckets(said: Message) -> list[list[float]]:
    """Of the older form, which tells ends only: the first bucket begins at the least value, the last one ends at the greatest."""
    ends, counts = (
        [v[0] for v in struct.iter_unpack("<d", said.data(n)[: len(said.data(n)) // 8 * 8])] for n in (6, 7)
    )
    found: list[list[float]] = []
    begin, most = said.double(1), said.double(2)
    for end, count in zip(ends, counts, strict=False):
        if count:
            found.append([min(begin, end), min(end, max(most, begin)), count])
        begin = max(end, said.double(1))
    return found


def _numbers(tensor: Message) -> list[float]:
    form, field = _FORMATS.get(tensor.int(1), ("", 0))
    if not form:
        return []
    raw = tensor.data(4)
    if not raw and field in (5, 6):
        raw = tensor.data(field) or b"".join(
            value.to_bytes(4 if field == 5 else 8, "little") for value in tensor.all(field) if isinstance(value, int)
        )
    if raw:
        size = struct.calcsize(form)
        return [float(v[0]) for v in struct.iter_unpack("<" + form, raw[: len(raw) // size * size])]
    return [float(tensor.int(field))] if field in tensor else []


def _hparams(said: Message, run: _Run) -> None:
    for entry in said.message(3).messages(1):
        value = entry.message(2)
        if 2 in value:
            number = value.double(2)
            run.params[entry.text(1)] = int(number) if number.is_integer() else number
        else:
            run.params[entry.text(1)] = value.text(3) if 3 in value else bool(value.int(4)) if 4 in value else None
    if 4 in said and said.message(4).int(1) == 2:  # STATUS_FAILURE
        run.status = "FAILED"


def _file(run: _Run, tag: str, step: int, content: bytes) -> None:
    ending = next((end for mark, end in _IMAGES.items() if content.startswith(mark)), "bin")
    folder = "audio" if ending == "wav" else "images"
    _put(run, f"{folder}/{_name(tag)}/{step}.{ending}", content)


def _put(run: _Run, path: str, content: bytes) -> None:
    run.files[path] = content


def _name(tag: str) -> str:
    """A tag as part of a path that stays where it is."""
    parts = [key(part) for part in tag.split("/") if part not in ("", ".", "..")]
    return "/".join(parts) or "_"
