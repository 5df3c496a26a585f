"""``twinlens.deployments``: say and ask what serves where.

    twinlens.deployments.create("support-agent", environment="staging", version="1.4.0")
    twinlens.deployments.promote("support-agent@staging", "production")
    twinlens.deployments.rollback("support-agent@production")

Deployments are named by id or as ``name@environment``. Every function takes ``server=`` (an address or a ``Server``);
without it the environment says where (see ``twinlens.sdk.server.Server``). All raise ``ServerError``.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from typing import Any

from twinlens.sdk.server import Server, ServerError, part

__all__ = [
    "Server", "ServerError", "create", "get", "history", "list", "promote", "report_health", "retire", "rollback",
    "update",
]  # fmt: skip

_list = list
Where = str | Server | None


def create(
    name: str, *, environment: str = "production", version: str | int | None = None, model_uri: str | None = None,
    kind: str | None = None, subject: str | None = None, run_id: str | None = None, url: str | None = None,
    config: dict[str, Any] | None = None, note: str = "", server: Where = None,
) -> dict[str, Any]:  # fmt: skip
    """Deploy something new.

    Args:
        name: of the deployment, free in its environment.
        version: a number, ``latest`` or ``@alias`` of a model or prompt; any text for an agent.
        model_uri: instead of a version: ``models:/name/3``, ``models:/name@alias``, ``prompts:/name/2``, ``runs:/id/path``.
        kind: ``model``, ``prompt`` or ``agent``; as the URI says, else ``agent``.
        subject: name of the model, prompt or agent, if it is not ``name``.
        run_id: the run that made the version, if the registry does not know.
        url: where it answers.
        config: anything worth keeping with the release.

    Returns:
        The deployment with its release.
    """
    body = {
        "name": name, "environment": environment, "version": _text(version), "model_uri": model_uri, "kind": kind,
        "subject": subject, "run_id": run_id, "url": url, "config": config or {}, "note": note, "by": _me(),
    }  # fmt: skip
    return _server(server).ask("POST", "/deployments", body)


def get(deployment: str, *, server: Where = None) -> dict[str, Any]:
    """One deployment."""
    return _server(server).ask("GET", f"/deployments/{part(deployment)}")


def list(
    *, environment: str | None = None, kind: str | None = None, subject: str | None = None, retired: bool = False,
    server: Where = None,
) -> _list[dict[str, Any]]:  # fmt: skip
    """All deployments that fit, by environment and name."""
    at = _server(server)
    return [*_pages(
        at, "/deployments", "deployments", environment=environment, kind=kind, subject=subject, retired=retired
    )]  # fmt: skip


def history(deployment: str, *, server: Where = None) -> _list[dict[str, Any]]:
    """Every release, newest first."""
    return [*_pages(_server(server), f"/deployments/{part(deployment)}/history", "releases")]


def update(
    deployment: str, *, version: str | int | None = None, model_uri: str | None = None, run_id: str | None = None,
    url: str | None = None, config: dict[str, Any] | None = None, note: str = "", server: Where = None,
) -> dict[str, Any]:  # fmt: skip
    """Deploy another version, or change address or configuration."""
    body = {
        "version": _text(version), "model_uri": model_uri, "run_id": run_id, "url": url, "config": config,
        "note": note, "by": _me(),
    }  # fmt: skip
    return _server(server).ask("PATCH", f"/deployments/{part(deployment)}", body)


def promote(
    deployment: str, environment: str = "production", *, name: str | None = None, url: str | None = None,
    note: str = "", server: Where = None,
) -> dict[str, Any]:  # fmt: skip
    """Let the same version serve in ``environment`` too; the deployment there."""
    body = {"environment": environment, "name": name, "url": url, "note": note, "by": _me()}
    return _server(server).ask("POST", f"/deployments/{part(deployment)}/promote", body)


def rollback(deployment: str, *, to: int | None = None, note: str = "", server: Where = None) -> dict[str, Any]:
    """Bring back release ``to``, by default the newest one with another version; again, and it goes further back."""
    body = {"to": to, "note": note, "by": _me()}
    return _server(server).ask("POST", f"/deployments/{part(deployment)}/rollback", body)


def retire(deployment: str, *, server: Where = None) -> None:
    """Say that it serves no more. Its history stays."""
    _server(server).ask("DELETE", f"/deployments/{part(deployment)}")


def report_health(deployment: str, health: str, message: str = "", *, server: Where = None) -> dict[str, Any]:
    """``healthy``, ``degraded``, ``down`` or ``unknown``, for the version that serves now."""
    return _server(server).ask("PUT", f"/deployments/{part(deployment)}/health", {"health": health, "message": message})


def _pages(server: Server, path: str, key: str, **query: Any) -> Iterator[dict[str, Any]]:
    cursor = None
    while True:
        page = server.ask("GET", path, limit=500, cursor=cursor, **query)
        yield from page[key]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _server(where: Where) -> Server:
    return where if isinstance(where, Server) else Server(where)


def _text(version: str | int | None) -> str | None:
    return None if version is None else str(version)


def _me() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in a bare container
        return ""
