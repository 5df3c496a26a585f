"""``twinlens gc``: remove for good what was deleted, on a running server."""

from __future__ import annotations

import re
import sys
from typing import Annotated

from cyclopts import Parameter

from twinlens.cli.deployment import Server

_AGE = re.compile(r"(\d+(?:\.\d+)?)(d|h|m|s)")
_DAYS = {"d": 1.0, "h": 1 / 24, "m": 1 / 1_440, "s": 1 / 86_400}


def gc(
    *,
    older_than: Annotated[str, Parameter(help="Deleted at least so long ago: 30d, 12h, 1d12h.")] = "0s",
    run_ids: Annotated[str | None, Parameter(help="Only these runs, separated by commas.")] = None,
    experiment_ids: Annotated[str | None, Parameter(help="Only these experiments, separated by commas.")] = None,
    dry_run: Annotated[bool, Parameter(negative=(), help="Only count.")] = False,
    server: Server = None,
) -> None:
    """Remove for good what was deleted: runs, logged models, experiments, with artifacts, metric points and traces.

    `mlflow gc` over HTTP: only what is in the state "deleted" goes. Stopped half-way, it goes on when started again.
    """
    from twinlens.sdk.server import Server as Connection

    days = _days(older_than)
    if days is None:
        print(f"error: {older_than!r} is not an age; write 30d, 12h or 1d12h", file=sys.stderr)
        sys.exit(2)
    body = {
        "older_than_days": days, "run_ids": _ids(run_ids), "experiment_ids": _ids(experiment_ids), "dry_run": dry_run
    }  # fmt: skip
    done = Connection(server, timeout=3_600).ask("POST", "/gc", body)
    counts = ", ".join(
        f"{done[key]:,} {key.replace('_', ' ')}" for key in ("runs", "logged_models", "experiments", "traces", "files")
    )
    freed = f", {done['payload_bytes'] / (1 << 20):,.1f} MiB of payloads" if done["payload_bytes"] else ""
    print(f"{'would remove' if dry_run else 'removed'} {counts}{freed}")


def _days(text: str) -> float | None:
    parts = _AGE.findall(text)
    if not parts or "".join(n + unit for n, unit in parts) != text:
        return None
    return sum(float(n) * _DAYS[unit] for n, unit in parts)


def _ids(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]
