"""``twinlens spool``: what agents could not deliver."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twinlens.sdk.backends.base import Remote
    from twinlens.sdk.block import Block
    from twinlens.sdk.spool import Spool

spool = App(name="spool", help="Telemetry that agents could not deliver and keep on disk.")

#: The option that holds the address, and the one that tells accounts apart, per backend.
_ADDRESS = {"twinlens": "url", "mlflow": "tracking_uri", "langfuse": "host", "otlp": "endpoint"}
_ACCOUNT = {"twinlens": "public_key", "mlflow": "username", "langfuse": "public_key"}


Folder = Annotated[
    Path | None, Parameter(help="Folder of the spool (else the block's, TWINLENS_SPOOL, or the default).")
]
Playbook = Annotated[
    Path | None, Parameter(help="Playbook whose observability: block holds the credentials (else the environment).")
]


@spool.command(name="list")
def list_(*, config: Playbook = None, path: Folder = None) -> None:
    """Say what waits: how much, since when, for whom."""
    root, _ = _place(config, path)
    empty = True
    for where, waiting in _folders(root):
        sizes = [(stat.st_mtime, stat.st_size) for stat in _stats(waiting)] if waiting else []
        if sizes:
            empty = False
            since = datetime.fromtimestamp(min(sizes)[0]).astimezone()
            size = sum(size for _, size in sizes) / 1024
            print(
                f"{where['backend']} {where['url']}: {len(sizes):,} parcels, {size:,.0f} KiB, the oldest of {since:%F %T}"
            )
    print(f"nothing waits in {root}" if empty else "`twinlens spool push` delivers them; so does the next agent")


@spool.command
def push(*, config: Playbook = None, path: Folder = None) -> None:
    """Deliver what agents left in the spool: after a crash, or when a backend was away.

    Exit status 1 when something is left.
    """
    from twinlens.sdk.delivery import Courier

    root, block = _place(config, path)
    left = found = 0
    for where, waiting in _folders(root):
        if waiting is None:
            left += 1
            continue
        waiting.tidy()
        if not waiting.names():
            continue
        found += 1
        said = f"{where['backend']} {where['url']}"
        try:
            courier = Courier(_backend(where, block.backend(where["backend"])), waiting)
        except ValueError as error:
            print(f"{said}: {error}", file=sys.stderr)
            left += len(waiting.names())
            continue
        courier.round()
        remaining = len(waiting.names())
        left += remaining
        print(f"{said}: {courier.delivered} delivered, {courier.refused} refused, {remaining} left")
    if not found and not left:
        print(f"nothing waits in {root}")
    sys.exit(1 if left else 0)


def _place(config: Path | None, path: Path | None) -> tuple[Path, Block]:
    """The folder of all spools, and the block with the credentials. Ends the command when the playbook cannot be read."""
    from twinlens.sdk.block import Block, BlockError, read
    from twinlens.sdk.spool import default_root

    try:
        block = read(config) if config or os.environ.get("TWINLENS_CONFIG") else Block()
    except BlockError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    return Path(path or block.spool.get("path") or default_root()), block


def _stats(waiting: Spool) -> Iterator[os.stat_result]:
    """Of the parcels in a folder, also those that a process has claimed."""
    for file in waiting.folder.glob("*.parcel*"):
        with contextlib.suppress(FileNotFoundError):
            yield file.stat()


def _folders(root: Path) -> Iterator[tuple[dict[str, Any], Spool | None]]:
    """Where each folder's parcels go, and the folder; no folder where its marker is damaged, which is said."""
    from twinlens.sdk.spool import Spool

    for marker in sorted(root.glob("*/destination.json")):
        try:
            destination = json.loads(marker.read_text("utf-8"))["destination"]
            yield json.loads(destination), Spool(root, destination)
        except (ValueError, KeyError, TypeError):
            print(f"{marker}: is damaged, so nobody knows where {marker.parent} goes", file=sys.stderr)
            yield {}, None


def _backend(where: dict[str, Any], choice: Any) -> Remote:
    """The backend that a spool folder belongs to, with credentials from the block or the environment.

    Raises:
        ValueError: they are missing, or belong to another account.
    """
    from twinlens.sdk.backends import build
    from twinlens.sdk.backends.base import Remote

    name = where["backend"]
    options = dict(choice.options) if choice else {}
    options[_ADDRESS[name]] = where["url"]
    if where["account"] and name in _ACCOUNT:
        options.setdefault(_ACCOUNT[name], where["account"])
    backend = build(name, options, os.environ)
    if not isinstance(backend, Remote) or backend.account != where["account"]:
        raise ValueError(f"these are of account {where['account'] or 'none'}; the credentials found are of another")
    return backend
