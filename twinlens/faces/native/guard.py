"""Judges a caller before a request's body is read, so that no handler can forget to.

Reading needs ``read``; everything else needs a right to change something, and the handler says which.
"""

from __future__ import annotations

from typing import Any, cast

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from twinlens.domain.errors import PermissionDenied
from twinlens.faces.http import principal, project_principal
from twinlens.faces.native.reply import whole_id

#: ``opt={ACCESS: "public"}``: no credentials at all; ``"known"``: any.
ACCESS = "access"
_CHANGING = frozenset({"ingest", "score", "write", "manage", "organization"})


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
    if cast("dict[str, Any]", connection.scope)["method"] in ("GET", "HEAD"):
        who.require("read")
    elif not who.scopes & _CHANGING:
        raise PermissionDenied("these credentials may read only")
