"""``twinlens doctor``: checks what commonly goes wrong, and says how to fix it."""

from __future__ import annotations

import json
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from twinlens.cli.options import Config, Data, settings
from twinlens.settings import Settings

MIB = 1 << 20
_PARTS = ("litestar", "uvicorn", "msgspec", "sqlalchemy", "duckdb", "pyarrow", "argon2")


@dataclass(frozen=True)
class Finding:
    """One line of the report. ``level``: ok, warn or bad; ``fix`` says what to do."""

    level: str
    what: str
    fix: str = ""


def doctor(playbook: Path | None = None, /, *, data: Data = None, config: Config = None) -> None:
    """Check everything that commonly goes wrong, and say how to fix it.

    Looks at versions, settings, data folder, disk, ports and, when it runs, the server itself. With a playbook:
    explains each key of its observability: block, checks that its backends answer, what observes which library, and the
    traps that are known. Exit status 1 when something is broken.
    """
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True)
    marks = {"ok": "[green]ok  [/]", "warn": "[yellow]warn[/]", "bad": "[red]bad [/]"}
    bad = False
    if playbook is not None:
        from twinlens.cli.playbook import findings as of_playbook

        found = of_playbook(playbook)
    else:
        found = findings(settings(config, data=data))
    for finding in found:
        bad = bad or finding.level == "bad"
        console.print(f"{marks[finding.level]} {escape(finding.what)}")
        if finding.fix:
            console.print(f"     [dim]{escape(finding.fix)}[/]")
    if bad:
        sys.exit(1)


def findings(chosen: Settings) -> Iterator[Finding]:
    """All checks, in an order in which each makes sense of the next."""
    yield from _versions()
    folder = chosen.data.resolve()
    holder = _holder(folder)
    yield from _folder(folder)
    if holder is not None:
        yield from _running(holder)
    else:
        yield Finding("ok", "no server is running on this data folder")
        yield from _files(folder)
        yield from _ports(chosen)
    if not chosen.loopback_only:
        yield Finding("ok", f"listens on {chosen.host}: secured mode, users or keys are needed")


def _versions() -> Iterator[Finding]:
    yield Finding(
        "ok", f"twinlens {version('twinlens')}, Python {platform.python_version()}, {platform.platform(terse=True)}"
    )
    missing = [part for part in _PARTS if find_spec(part) is None]
    if missing:
        yield Finding("bad", f"server parts are missing: {', '.join(missing)}", "pip install 'twinlens[server]'")
        return
    import sqlite3

    known = ", ".join(f"{part} {_version(part)}" for part in ("litestar", "sqlalchemy", "duckdb"))
    yield Finding("ok", f"{known}, SQLite {sqlite3.sqlite_version}")
    web = Path(__file__).resolve().parent.parent / "web" / "index.html"
    if not web.exists():
        yield Finding("warn", "the browser UI is not built; the APIs work without it", "make ui")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "?"


def _holder(folder: Path) -> dict[str, Any] | None:
    from twinlens.store.lock import read_holder

    return read_holder(folder)


def _folder(folder: Path) -> Iterator[Finding]:
    if not folder.exists():
        yield Finding("ok", f"data folder {folder} does not exist yet; `twinlens serve` makes it")
        return
    probe = folder / ".doctor"
    try:
        probe.write_bytes(b"\0" * 4096)
        probe.unlink()
    except OSError as error:
        yield Finding(
            "bad",
            f"data folder {folder} cannot be written: {error.strerror}",
            f"check owner and rights: ls -ld {folder}",
        )
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    free = shutil.disk_usage(folder).free
    shown = f"data folder {folder}: {size / MIB:,.0f} MiB used, {free / MIB:,.0f} MiB free on its disk"
    if free < 512 * MIB:
        yield Finding("bad", shown, "free some space; below that writes are refused sooner or later (503)")
    else:
        yield Finding("ok", shown)


def _files(folder: Path) -> Iterator[Finding]:
    catalog = folder / "catalog.db"
    if not catalog.exists():
        return
    import sqlite3

    try:
        with sqlite3.connect(f"file:{catalog}?mode=ro", uri=True) as connection:
            (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        state, revision = str(error), "?"
    if state == "ok":
        yield Finding("ok", f"catalog is sound, at revision {revision}")
    else:
        yield Finding("bad", f"catalog {catalog} is damaged: {state}", "restore it from a backup")


def _ports(chosen: Settings) -> Iterator[Finding]:
    for port in (*chosen.port, *([chosen.grpc_port] if chosen.grpc_port else [])):
        with socket.socket(socket.AF_INET6 if ":" in chosen.host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((chosen.host, port))
            except OSError as error:
                yield Finding(
                    "bad",
                    f"port {port} cannot be used: {error.strerror}",
                    f"see who has it: ss -ltnp 'sport = :{port}'",
                )
            else:
                yield Finding("ok", f"port {port} is free")


def _running(holder: dict[str, Any]) -> Iterator[Finding]:
    who = f"process {holder.get('pid')} on {holder.get('host')} since {holder.get('since')}"
    url = holder.get("url")
    if not isinstance(url, str):
        yield Finding("warn", f"the data folder is held by {who}, which is not (yet) serving")
        return
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5):  # noqa: S310 - the address our own server wrote down
            yield Finding("ok", f"server {url} answers ({who})")
        with urllib.request.urlopen(f"{url}/api/twinlens/v1/stats", timeout=10) as answer:  # noqa: S310
            stats = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        if error.code == 401:
            yield Finding("ok", "it is secured, so its statistics are not shown here")
        else:
            yield Finding("bad", f"server {url} answers {error.code}", "look into its log")
        return
    except OSError as error:
        yield Finding(
            "bad",
            f"server {url} does not answer: {error}",
            f"is process {holder.get('pid')} hanging? look into its log",
        )
        return
    rows = stats["telemetry"].get("rows", {})
    counts = ", ".join(f"{rows.get(kind, 0):,} {kind}" for kind in ("traces", "spans", "scores", "metrics"))
    yield Finding("ok", f"{counts}; up for {stats['uptime_s']:,.0f} s")
