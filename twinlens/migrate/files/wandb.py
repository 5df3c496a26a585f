"""W&B's offline runs: ``wandb/offline-run-*/run-<id>.wandb`` (LevelDB's log format around protobuf records) and the files beside it.

Record and field numbers are those of ``wandb_internal.proto``. A project is an experiment; config becomes params, history metrics, numbers
of the summary that have no history too; files, media and artifacts become artifacts of the run. What is neither number nor file is kept
in ``wandb-history.jsonl`` and ``wandb-summary.json``.
"""

from __future__ import annotations

import base64
import hashlib
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from twinlens.domain.record import ArtifactRecord, RunRecord
from twinlens.domain.run import Run
from twinlens.migrate.errors import MigrationError
from twinlens.migrate.files.reading import MAX_RECORD, bare_name, files_of, is_inside, parse, plain, stable_id
from twinlens.migrate.files.runs import json_lines, key, number, params
from twinlens.migrate.files.spool import Spool
from twinlens.migrate.files.wire import Message

_MAGIC = b":W&B\xe1\xbe"
_BLOCK = 32_768
_HEADER = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


class _Run:
    """What the records of one run said."""

    def __init__(self) -> None:
        self.id = self.given = self.name = self.project = self.entity = ""
        self.start_ms = self.end_ms = 0
        self.exit_code: int | None = None
        self.config: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}
        self.tags: dict[str, str] = {}
        self.seen: set[str] = set()  #: metrics with a history
        self.other: list[dict[str, Any]] = []
        self.files: dict[str, Path] = {}
        self.last_step = 0


def read(root: Path, spool: Spool) -> None:
    """All runs below a folder, or one ``.wandb`` file. A run that was resumed in several folders is one run."""
    runs: dict[str, _Run] = {}
    for path in files_of(root):
        if bare_name(path).endswith(".wandb"):
            _file(path, runs, spool)
    for run in runs.values():
        _keep(run, spool)


def records(path: Path, spool: Spool) -> Iterator[bytes]:
    """The records of a log, checked. A torn end is noted.

    Raises:
        MigrationError: it is not such a log, or damaged inside.
    """
    with path.open("rb") as file:
        if file.read(7)[:6] != _MAGIC:
            raise MigrationError(f"{path} is not a W&B run")
        at, held = 7, bytearray()
        while True:
            left = _BLOCK - at % _BLOCK
            if left < _HEADER.size:
                file.read(left)
                at += left
                continue
            head = file.read(_HEADER.size)
            if not head:
                return
            if len(head) < _HEADER.size or len(data := file.read((parts := _HEADER.unpack(head))[1])) < parts[1]:
                spool.note(f"{path}: the last record is incomplete and was left out")
                return
            checksum, length, kind = parts
            at += _HEADER.size + length
            if zlib.crc32(data, zlib.crc32(bytes([kind]))) != checksum:
                raise MigrationError(f"{path} is damaged near byte {at}")
            if kind in (_FULL, _FIRST):
                held = bytearray()
            held += data
            if len(held) > MAX_RECORD:
                raise MigrationError(f"{path}: a record is longer than {MAX_RECORD >> 20} MiB")
            if kind in (_FULL, _LAST):
                yield bytes(held)


def _file(path: Path, runs: dict[str, _Run], spool: Spool) -> None:
    run = _Run()
    for data in records(path, spool):
        try:
            record = Message(data)
            if 17 in record:
                run = _said(record.message(17), runs)
            elif not run.id:
                continue  # the header
            elif 2 in record:
                _history(record.message(2), run, spool)
            elif 3 in record:
                _items(record.message(3), run.summary)
            elif 5 in record:
                _items(record.message(5), run.config)
            elif 7 in record:
                _stats(record.message(7), run, spool)
            elif 8 in record:
                _artifact(record.message(8), path.parent, run, spool)
            elif 18 in record:
                run.exit_code = record.message(18).int(1)
        except ValueError as error:
            raise MigrationError(f"{path} holds a damaged record: {error}") from error
    folder = path.parent / "files"
    for file in files_of(folder) if folder.is_dir() else ():
        run.files[str(file.relative_to(folder))] = file
    for link in folder.rglob("*") if folder.is_dir() else ():
        if link.is_symlink() and not is_inside(link, folder):
            spool.note(f"{link} leads out of the folder of its run and was left out")


def _said(said: Message, runs: dict[str, _Run]) -> _Run:
    run_id = said.text(1)
    place = f"{said.text(2)}/{said.text(3)}/{run_id}"
    run = runs.setdefault(place, _Run())
    taken = any(other.id == run_id for known, other in runs.items() if known != place)
    run.id = stable_id("wandb", place) if taken else run_id
    run.given, run.entity, run.project = run_id, said.text(2), said.text(3) or "uncategorized"
    run.name = said.text(8) or run.name or run_id
    start = said.message(17)
    start_ms = start.int(1) * 1_000 + start.int(2) // 1_000_000
    run.start_ms = min(run.start_ms or start_ms, start_ms)
    run.end_ms = max(run.end_ms, start_ms)
    if 4 in said:
        _items(said.message(4), run.config)
    texts = {
        "mlflow.note.content": said.text(9), "wandb.group": said.text(6), "wandb.job_type": said.text(7),
        "wandb.sweep_id": said.text(12), "wandb.host": said.text(13), "wandb.entity": run.entity,
        "wandb.tags": ", ".join(tag.decode("utf-8", "replace") for tag in said.all(10) if isinstance(tag, bytes)),
    }  # fmt: skip
    git = said.message(21)
    texts |= {"mlflow.source.git.repoURL": git.text(1), "mlflow.source.git.commit": git.text(2)}
    run.tags |= {name: text for name, text in texts.items() if text}
    return run


def _value(item: Message) -> Any:
    return parse(item.data(16)) if 16 in item else None


def _path(item: Message) -> list[str]:
    nested = [part.decode("utf-8", "replace") for part in item.all(2) if isinstance(part, bytes)]
    return nested or [item.text(1)]


def _items(said: Message, into: dict[str, Any]) -> None:
    """Updates and removals of a config or summary."""
    for item in said.messages(1):
        place: dict[str, Any] = into
        *folders, last = _path(item)
        for folder in folders:
            inner = place.get(folder)
            place[folder] = place = inner if isinstance(inner, dict) else {}  # pyright: ignore[reportUnknownVariableType]
        place[last] = _value(item)
    for item in said.messages(2):
        into.pop(_path(item)[0], None)


def _history(said: Message, run: _Run, spool: Spool) -> None:
    row: dict[str, Any] = {}
    for item in said.messages(1):
        place: dict[str, Any] = row
        *folders, last = _path(item)
        for folder in folders:
            inner = place.get(folder)
            place[folder] = place = inner if isinstance(inner, dict) else {}  # pyright: ignore[reportUnknownVariableType]
        place[last] = _history_value(item)
    step = int(row.pop("_step", said.message(2).int(1)) or 0)
    at = number(row.pop("_timestamp", None))
    at_ms = int(at * 1_000) if at else run.start_ms
    row.pop("_runtime", None)
    run.end_ms, run.last_step = max(run.end_ms, at_ms), max(run.last_step, step)
    other: dict[str, Any] = {}
    for name, value in _numbers(row, "", other):
        run.seen.add(name)
        spool.points(run.id, key(name), [(value, at_ms, step)])
    if other:
        run.other.append({"_step": step, "_timestamp": at_ms / 1_000, **other})


def _history_value(item: Message) -> Any:
    """Older programs write JSON, newer ones may write the value itself."""
    if 16 in item:
        return parse(item.data(16))
    if 4 in item:
        return bool(item.int(4))
    if 5 in item:
        raw = item.int(5)
        return (raw >> 1) ^ -(raw & 1)  # sint64
    if 6 in item:
        return item.double(6)
    if 7 in item:
        return item.text(7)
    return parse(item.data(8)) if 8 in item else None


def _numbers(row: dict[str, Any], before: str, other: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers of a row, nested ones as ``a.b``; media and other values go into ``other``."""
    for name, value in row.items():
        found = number(value)
        if found is not None:
            yield before + name, found
        elif isinstance(value, dict) and "_type" not in value:
            yield from _numbers(value, f"{before}{name}.", other)  # pyright: ignore[reportUnknownArgumentType]
        elif value is not None:
            other[before + name] = value


def _stats(said: Message, run: _Run, spool: Spool) -> None:
    at = said.message(2)
    at_ms = at.int(1) * 1_000 + at.int(2) // 1_000_000
    for item in said.messages(3):
        value = number(_value(item))
        if value is not None:
            name = "system/" + key(item.text(1).removeprefix("system."))
            spool.points(run.id, name, [(value, at_ms, max(0, at_ms - run.start_ms) // 1_000)])


def _artifact(said: Message, folder: Path, run: _Run, spool: Spool) -> None:
    """Files of an artifact, as far as they are here and are what the manifest says."""
    name = f"{said.text(4) or 'artifact'}/{said.text(5)}"
    for entry in said.message(12).messages(4):
        path, local = entry.text(1), Path(entry.text(6))
        if entry.text(3):
            spool.note(f"artifact {said.text(5)}: references to {entry.text(3).partition(':')[0]} are not carried")
        elif not local.is_file() or not (is_inside(local, folder) or is_inside(local, _staging())):
            spool.note(f"artifact {said.text(5)}: {path} is not on this machine any more")
        elif base64.b64encode(_md5(local)).decode() != entry.text(2):
            spool.note(f"artifact {said.text(5)}: {path} is not the file that was logged and was left out")
        else:
            run.files[f"{name}/{path}"] = local


def _staging() -> Path:
    """Where W&B keeps the files of artifacts until they are uploaded. Nothing else outside the run's folder is read."""
    own = os.environ.get("WANDB_DATA_DIR")
    share = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return (Path(own) if own else Path(share) / "wandb") / "artifacts" / "staging"


def _md5(path: Path) -> bytes:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.digest()


def _keep(run: _Run, spool: Spool) -> None:
    project = f"{run.entity}/{run.project}" if run.entity else run.project
    status = "RUNNING" if run.exit_code is None else "FINISHED" if run.exit_code == 0 else "FAILED"
    made = Run(
        run_id=run.id, experiment_id=spool.experiment(project, created_ms=run.start_ms), name=run.name, status=status,
        start_ms=run.start_ms, end_ms=None if run.exit_code is None else run.end_ms, params=params(run.config),
        tags=run.tags | {"wandb.run_id": run.given, "wandb.project": run.project},
    )  # fmt: skip
    spool.put(RunRecord(run=made))
    summary: dict[str, Any] = {}
    for name, value in _numbers({k: v for k, v in run.summary.items() if not k.startswith("_")}, "", summary):
        if name not in run.seen:
            spool.points(run.id, key(name), [(value, run.end_ms, run.last_step)])
    contents: dict[str, bytes | Path] = dict(run.files)
    if summary:
        contents["wandb-summary.json"] = msgspec.json.encode(plain(summary))
    if run.other:
        contents["wandb-history.jsonl"] = json_lines(run.other)
    for path, content in contents.items():
        spool.file(ArtifactRecord(owner="run", owner_id=run.id, path=path), content)
