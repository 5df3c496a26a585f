"""``twinlens deployment``: what serves where, over HTTP against a running server."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

deployment = App(name="deployment", help="What serves in which environment, since when, by whom.")

Server = Annotated[
    str | None,
    Parameter(
        name=["--server", "--tracking-uri"],
        help="Address of the server. [default: TWINLENS_URL, MLFLOW_TRACKING_URI, http://127.0.0.1:5001]",
    ),
]
Name = Annotated[str, Parameter(help="Id, or name@environment (name alone: in production).")]
Json = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON.")]
Note = Annotated[str, Parameter(help="Why, for the history.")]
Kind = Literal["model", "prompt", "agent"]


@deployment.command(name="list")
def list_(
    *, environment: str | None = None, kind: Kind | None = None, subject: str | None = None,
    retired: Annotated[bool, Parameter(negative=(), help="Also what serves no more.")] = False, server: Server = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """List deployments."""
    from twinlens.sdk import deployments

    found = deployments.list(environment=environment, kind=kind, subject=subject, retired=retired, server=server)
    if as_json:
        _print_json(found)
        return
    rows: list[tuple[str, ...]] = []
    for row in found:
        release = row["release"]
        what = row["kind"] if row["subject"] == row["name"] else f"{row['kind']} {row['subject']}"
        rows.append((
            row["environment"], row["name"], what, release["version"], _when(release["at_ms"]), release["by"],
            "retired" if row["retired"] else row["health"] + (f", observed {row['drift']['version']}" if row["drift"] else ""),
        ))  # fmt: skip
    _print_table("Environment", "Name", "Kind", "Version", "Since", "By", "Health", rows=rows)


@deployment.command
def show(name: Name, /, *, server: Server = None, as_json: Json = False) -> None:
    """Show one deployment."""
    from twinlens.sdk import deployments

    _show(deployments.get(name, server=server), as_json)


@deployment.command
def create(
    name: str, /, *, environment: str = "production", version: str | None = None, model_uri: str | None = None,
    kind: Kind | None = None, subject: str | None = None, run_id: str | None = None, url: str | None = None,
    note: Note = "", server: Server = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Deploy something new: `twinlens deployment create churn --model-uri models:/churn/3 --environment staging`."""
    from twinlens.sdk import deployments

    made = deployments.create(
        name, environment=environment, version=version, model_uri=model_uri, kind=kind, subject=subject, run_id=run_id,
        url=url, note=note, server=server,
    )  # fmt: skip
    _show(made, as_json)


@deployment.command
def update(
    name: Name, /, *, version: str | None = None, model_uri: str | None = None, run_id: str | None = None,
    url: str | None = None, note: Note = "", server: Server = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Deploy another version, or change the address."""
    from twinlens.sdk import deployments

    changed = deployments.update(
        name, version=version, model_uri=model_uri, run_id=run_id, url=url, note=note, server=server
    )
    _show(changed, as_json)


@deployment.command
def promote(
    name: Name, /, *, to: Annotated[str, Parameter(help="Environment.")] = "production", url: str | None = None,
    note: Note = "", server: Server = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Let the same version serve in another environment too."""
    from twinlens.sdk import deployments

    _show(deployments.promote(name, to, url=url, note=note, server=server), as_json)


@deployment.command
def rollback(
    name: Name, /, *, to: Annotated[int | None, Parameter(help="Number of a release.")] = None, note: Note = "",
    server: Server = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Bring back an earlier release; again, and it goes further back."""
    from twinlens.sdk import deployments

    _show(deployments.rollback(name, to=to, note=note, server=server), as_json)


@deployment.command
def retire(name: Name, /, *, server: Server = None) -> None:
    """Say that it serves no more. Its history stays."""
    from twinlens.sdk import deployments

    deployments.retire(name, server=server)


@deployment.command
def health(
    name: Name, state: Literal["healthy", "degraded", "down", "unknown"], /, *, message: str = "", server: Server = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Report the health of what serves now."""
    from twinlens.sdk import deployments

    _show(deployments.report_health(name, state, message, server=server), as_json)


@deployment.command
def history(name: Name, /, *, server: Server = None, as_json: Json = False) -> None:
    """Every release, newest first."""
    from twinlens.sdk import deployments

    found = deployments.history(name, server=server)
    if as_json:
        _print_json(found)
        return
    rows: list[tuple[str, ...]] = []
    for row in found:
        action = row["action"]
        if row["from_environment"]:
            action += f" from {row['from_environment']}"
        if row["restores"]:
            action += f" to #{row['restores']}"
        rows.append((
            str(row["number"]), action, row["version"], _when(row["at_ms"]),
            _when(row["until_ms"]) if row["until_ms"] else "now", row["by"], (row["run_id"] or "")[:8], row["note"],
        ))  # fmt: skip
    _print_table("#", "Action", "Version", "From", "Until", "By", "Run", "Note", rows=rows)


def _show(row: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _print_json(row)
        return
    release = row["release"]
    facts = {
        "id": row["deployment_id"], row["kind"]: row["subject"], "version": release["version"],
        "since": f"{_when(release['at_ms'])} ({release['action']}{' by ' + release['by'] if release['by'] else ''})",
        "release": f"#{release['number']}", "run": release["run_id"], "url": release["url"], "note": release["note"],
        "health": f"{row['health']} {row['health_message']}".strip(),
    }  # fmt: skip
    print(f"{row['name']}@{row['environment']}{' (retired)' if row['retired'] else ''}")
    if row["observed"]:
        seen = row["observed"]
        facts["calls"] = f"{seen['calls']:,} ({seen['errors']:,} failed), last {_when(seen['last_ms'])}"
    if row["drift"]:
        also = "also " if row["drift"]["both"] else ""
        facts["drift"] = (
            f"declared {release['version']}, {also}observed {row['drift']['version']} since {_when(row['drift']['since_ms'])}"
        )
    for label, value in facts.items():
        if value:
            print(f"  {label:<8} {value}")


def _print_table(*columns: str, rows: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console(highlight=False).print(table)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2))


def _when(ms: float) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
