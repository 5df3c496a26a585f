"""Judges a caller before a request's body is read, so that no handler can forget to.

Reading needs ``read``; everything else needs a right to change something, and the handler says which. Where a path or query names a
run, experiment, trace, model, prompt or MCP server, the grants of a user count for that thing (``features.permissions``); lists of
experiments, models, prompts, traces, sessions and MCP servers, and the overview, leave out what the user may not read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from twinlens.domain.errors import PermissionDenied
from twinlens.domain.grant import Visible
from twinlens.domain.project import Principal
from twinlens.faces.http import in_thread, principal, project_principal, services
from twinlens.faces.native.reply import whole_id
from twinlens.features.resources import Kind, Target
from twinlens.query.visible import within
from twinlens.store.telemetry.query import Expr

#: ``opt={ACCESS: "public"}``: no credentials at all; ``"known"``: any.
ACCESS = "access"
_CHANGING = frozenset({"ingest", "score", "write", "manage", "organization"})
#: First word of a path behind the project, its parameter, and what that names.
_NAMED: dict[str, tuple[str, Kind]] = {
    "experiments": ("experiment_id", "experiment"), "runs": ("run_id", "run"), "traces": ("trace_id", "trace"),
    "models": ("name", "model"), "prompts": ("name", "model"), "mcp-servers": ("name", "mcp_server"),
    "skills": ("name", "skill"),
}  # fmt: skip
#: Words whose query may say what the answer is about.
_ASKED = frozenset({"runs", "traces", "metrics"})
_QUERY: dict[str, Kind] = {"run_id": "run", "experiment_id": "experiment"}
_LISTED = frozenset(
    {
        "experiments", "models", "prompts", "mcp-servers", "skills", "traces", "traces/count", "traces/histogram",
        "traces/fields", "overview", "sessions",
    }
)  # fmt: skip
_ASKER = "twinlens_asker"  #: in the request's scope: the caller as signed in, before a grant admitted it


async def permit(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Litestar guard of the whole native API.

    Raises:
        Unauthenticated, PermissionDenied: not with these credentials.
        NotFound: the project in the path is not there for this caller.
    """
    access = handler.opt.get(ACCESS)
    if access == "public":
        return
    project_id = connection.path_params.get("project_id")
    if project_id is None:
        who = await principal(connection)
    else:
        who = await project_principal(connection, whole_id(project_id))
    if access == "known":
        return
    if who.grants and project_id is not None:
        who = await _by_grants(connection, handler, who)
    if cast("dict[str, Any]", connection.scope)["method"] in ("GET", "HEAD"):
        who.require("read")
    elif not who.scopes & _CHANGING:
        raise PermissionDenied("these credentials may read only")


async def _by_grants(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler, who: Principal
) -> Principal:
    """The caller as what grants make of it for what this request names.

    Raises:
        PermissionDenied: not with these things.
        NotFound: a run that is named is not there.
    """
    words = next(iter(handler.paths)).split("/")[3:]
    method = cast("dict[str, Any]", connection.scope)["method"]
    word = words[0] if words else ""
    known = services(connection)
    names: list[tuple[Kind, str]] = []
    if word in _NAMED and _NAMED[word][0] in connection.path_params:
        parameter, kind = _NAMED[word]
        if kind == "mcp_server" and "version" in connection.path_params:
            kind = "mcp_server_version"
        names = [(kind, whole_id(connection.path_params[parameter]))]
    elif word in _ASKED and method == "GET":
        query = connection.query_params
        names = [(kind, value) for name, kind in _QUERY.items() for value in query.getall(name, [])]
    reads = method in ("GET", "HEAD")
    if not names and not (reads and "/".join(words) in _LISTED):
        return who  # ``require`` says whether the whole project is this caller's

    def judge() -> Principal:
        targets: list[Target] = [known.resources.target(who.project_id, kind, id) for kind, id in dict.fromkeys(names)]
        return known.permissions.admit(who, "read" if reads else "write", targets, deleting=method == "DELETE")

    scope = cast("dict[str, Any]", connection.scope)
    scope[_ASKER] = who
    admitted = await in_thread(judge) if names else known.permissions.lister(who)
    scope["twinlens_principal"] = admitted
    return admitted


def shown(connection: ASGIConnection[Any, Any, Any, Any], kind: Kind) -> Callable[[str], bool]:
    """Whether a list may show a thing of this kind to the caller."""
    asker: Principal | None = cast("dict[str, Any]", connection.scope).get(_ASKER)
    if asker is None:
        return lambda _id: True
    known = services(connection)
    return lambda id: known.permissions.may_read(asker, known.resources.target(asker.project_id, kind, id))


def visible(connection: ASGIConnection[Any, Any, Any, Any], *resource_types: str) -> Visible | None:
    """What a search may show the caller (see ``features.permissions``); None: everything."""
    asker: Principal | None = cast("dict[str, Any]", connection.scope).get(_ASKER)
    return None if asker is None else services(connection).permissions.visible(asker, *resource_types)


def shown_traces(connection: ASGIConnection[Any, Any, Any, Any]) -> Expr:
    """Only what belongs to traces of experiments that the caller may read: a condition on traces, spans and scores."""
    return within(visible(connection, "experiment", "trace"), "experiment_id")
