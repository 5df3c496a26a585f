"""``twinlens doctor playbook.yaml``: what each key does, whether the backends answer, what observes what, known traps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twinlens.cli.doctor import Finding
from twinlens.sdk import redact
from twinlens.sdk.block import Backend, Block, BlockError, Written, read
from twinlens.sdk.block_keys import BACKENDS, BLOCK, Key

_PLACEHOLDERS = ("your-", "pk-lf-...", "sk-lf-...", "<")


def findings(path: Path) -> Iterator[Finding]:
    """All checks of one playbook."""
    from twinlens.cli.traps import traps

    try:
        block = read(path)
    except BlockError as error:
        yield Finding("bad", str(error), "the agent runs on, but nothing is recorded until this is mended")
        return
    if not block.found:
        yield Finding(
            "bad", f"{path} has no observability: block, so nothing is recorded", "add one at the top or under spec:"
        )
        return
    yield from _explained(block)
    for remark in block.remarks:
        yield Finding("warn", str(remark))
    if not block.enabled:
        yield Finding("warn", "the block is switched off, so nothing is recorded", "enabled: true")
    elif not block.backends:
        yield Finding("bad", "no backend is named, so nothing is recorded", "backends: [twinlens]")
    for backend in block.backends:
        yield from _reached(backend, block)
    yield _observed()
    yield from traps(block)


def _explained(block: Block) -> Iterator[Finding]:
    for written in block.written:
        key = _key(written.path)
        if key is None:
            continue  # a remark says so
        where = f"line {written.line}, " if written.line else ""
        idle = "" if key.state == "used" else " (accepted, changes nothing here)"
        yield Finding("ok", f"{where}{written.path}{_shown(written, key)}: {key.doc}{idle}")
        if key.secret and isinstance(written.value, str) and _literal(written.value):
            name = "LANGFUSE_SECRET_KEY" if written.path.startswith("langfuse") else key.name.upper()
            yield Finding(
                "warn", f"{where}{written.path} is written out; compiled specs and copies of this file carry it along",
                f"{key.name}: ${{{name}}}, and the value in the environment",
            )  # fmt: skip


def _key(path: str) -> Key | None:
    first, _, second = path.partition(".")
    return BACKENDS.get(first, {}).get(second) if second else BLOCK.get(first)


def _shown(written: Written, key: Key) -> str:
    if key.secret:
        return " = ***"
    return "" if isinstance(written.value, dict) else f" = {redact.text(str(redact.values(written.value)))}"


def _literal(value: str) -> bool:
    return bool(value) and "${" not in value and not value.startswith(_PLACEHOLDERS)


def _reached(choice: Backend, block: Block) -> Iterator[Finding]:
    from twinlens.sdk.backends import build
    from twinlens.sdk.backends.base import Remote
    from twinlens.sdk.wire import Unreachable

    try:
        backend = build(choice.name, choice.options, os.environ, block.source)
    except ValueError as error:
        yield Finding("bad", f"{choice.name}: {error}")
        return
    if not isinstance(backend, Remote):
        yield Finding("ok", f"{choice.name} needs no server")
        return
    try:
        yield from _asked(choice, backend)
    except Unreachable as error:
        yield Finding(
            "bad", f"{choice.name} {backend.url} cannot be used: {error}",
            "start it (twinlens serve --port …), or correct the address or the keys; meanwhile agents keep their spans in the spool",
        )  # fmt: skip


def _asked(choice: Backend, backend: Any) -> Iterator[Finding]:
    if choice.name == "langfuse":
        _, answer = backend.json("GET", "/api/public/projects")
        rows = answer.get("data") if isinstance(answer, dict) else None
        names = [str(row.get("name")) for row in rows or []]
        yield Finding("ok", f"langfuse {backend.url} takes these keys; they open project {', '.join(names) or '?'}")
        wanted = choice.options.get("project")
        if wanted and names and wanted not in names:
            yield Finding(
                "warn", f"langfuse.project is {wanted!r}, but the keys decide the project: {names[0]}",
                "traces carry the name as metadata; to separate them, use the keys of that project",
            )  # fmt: skip
        return
    if choice.name == "otlp":
        status = backend.call("POST", "/v1/traces", b"", {"Content-Type": "application/x-protobuf"}).status
        level = "ok" if status < 400 else "bad"
        yield Finding(level, f"otlp {backend.url} answered {status} to an empty request")
        return
    if choice.name == "mlflow":
        answer = backend.call("GET", "/version")
        version = answer.body.decode(errors="replace").strip() if answer.ok else ""
        yield Finding("ok", f"mlflow {backend.url} answers{f' (version {version})' if version else ''}")
        if version[:1].isdigit() and int(version.partition(".")[0]) < 3:
            yield Finding("bad", f"MLflow {version} takes no OpenTelemetry traces", "pip install 'mlflow>=3.6'")
    else:
        status = backend.call("GET", "/api/twinlens/v1/session").status
        if status == 404:
            yield Finding("bad", f"{backend.url} is no Twinlens server", "twinlens serve")
            return
        yield Finding("ok", f"twinlens {backend.url} answers")
    name = choice.options.get("experiment_name")
    if name:
        found = backend.find_experiment(name)
        said = f"has id {found}" if found else "is made with the first run"
        yield Finding("ok", f"experiment {name!r} {said}")


def _observed() -> Finding:
    from twinlens.sdk.instrument.choose import choose, summary

    chosen = choose()
    missing = [c.library.packages[0] for c in chosen if not c.observed]
    return Finding(
        "warn" if missing else "ok", f"twinlens run and the hook: {summary(chosen)}",
        f"pip install {' '.join(missing)}" if missing else "",
    )  # fmt: skip
