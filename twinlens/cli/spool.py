"""``twinlens spool``: what agents could not deliver."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

if TYPE_CHECKING:
    from twinlens.sdk.backends.base import Remote

spool = App(name="spool", help="Telemetry that agents could not deliver and keep on disk.")

#: The option that holds the address, and the one that tells accounts apart, per backend.
_ADDRESS = {"twinlens": "url", "mlflow": "tracking_uri", "langfuse": "host", "otlp": "endpoint"}
_ACCOUNT = {"twinlens": "public_key", "mlflow": "username", "langfuse": "public_key"}


@spool.command
def push(
    *,
    config: Annotated[
        Path | None, Parameter(help="Playbook whose observability: block holds the credentials (else the environment).")
    ] = None,
    path: Annotated[
        Path | None, Parameter(help="Folder of the spool (else the block's, TWINLENS_SPOOL, or the default).")
    ] = None,
) -> None:
    """Deliver what agents left in the spool: after a crash, or when a backend was away.

    Exit status 1 when something is left.
    """
    from twinlens.sdk.block import Block, BlockError, read
    from twinlens.sdk.delivery import Courier
    from twinlens.sdk.spool import Spool, default_root

    try:
        block = read(config) if config or os.environ.get("TWINLENS_CONFIG") else Block()
    except BlockError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    root = Path(path or block.spool.get("path") or default_root())
    left = found = 0
    for marker in sorted(root.glob("*/destination.json")):
        try:
            destination = json.loads(marker.read_text("utf-8"))["destination"]
            where: dict[str, Any] = json.loads(destination)
        except (ValueError, KeyError, TypeError):
            print(f"{marker}: is damaged, so nobody knows where {marker.parent} goes", file=sys.stderr)
            left += 1
            continue
        waiting = Spool(root, destination)
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
