"""Error bodies of Langfuse's public API (server v4.16): ``{message, error}``.

``error`` is a class-like name; Langfuse's own helpers retry a 404 only when it says ``LangfuseNotFoundError``. Validation
errors list issues instead of a name. Generated clients retry 408, 409, 429 and 5xx, so 409 is used only where a retry is
harmless.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from twinlens.domain import errors as domain
from twinlens.faces.http import problem

_NAMES: dict[type[domain.TwinlensError], str] = {
    domain.InvalidArgument: "InvalidRequestError",
    domain.InvalidState: "InvalidRequestError",
    domain.Unauthenticated: "UnauthorizedError",
    domain.PermissionDenied: "ForbiddenError",
    domain.NotFound: "LangfuseNotFoundError",
    domain.AlreadyExists: "LangfuseConflictError",
    domain.Conflict: "LangfuseConflictError",
    domain.TooLarge: "PayloadTooLargeError",
    domain.Busy: "TooManyRequestsError",
    domain.StoreUnavailable: "ServiceUnavailableError",
}
_BY_STATUS = {400: "InvalidRequestError", 503: "ServiceUnavailableError"}
_AT = re.compile(r" - at `\$?(.*?)`$")


class BadRequest(Exception):
    """The request does not have the shape the endpoint wants. ``issues`` go to the client as they are."""

    def __init__(self, *issues: dict[str, Any]) -> None:
        super().__init__("Invalid request data")
        self.issues = list(issues)


class MethodNotAllowed(Exception):
    """The path exists, the method does not."""


def issue(message: str, *path: str | int, code: str = "custom") -> dict[str, Any]:
    """One validation issue in the form of Langfuse's validator (Zod): code, path, message."""
    return {"code": code, "path": list(path), "message": message}


def issue_of(error: msgspec.ValidationError | msgspec.DecodeError) -> dict[str, Any]:
    """A decoder's complaint as an issue: ``Expected `str`, got `int` - at `$.a[0]``` becomes path ``["a", 0]``."""
    text = str(error)
    match = _AT.search(text)
    if match is None:
        return issue(text, code="invalid_type" if isinstance(error, msgspec.ValidationError) else "invalid_json")
    path: list[str | int] = [int(p) if p.isdigit() else p for p in re.findall(r"[^.\[\]]+", match[1]) if p != "..."]
    return issue(text[: match.start()], *path, code="invalid_type")


#: Paths whose errors carry a code: clients refuse to read them without.
CODED = ("/unstable/", "/v2/evaluators", "/v2/evaluation-rules")
#: ``code`` of those errors (``PublicApiErrorCode`` of SDK 5) by status.
_CODES = {
    400: "invalid_request", 401: "authentication_failed", 403: "access_denied", 404: "resource_not_found",
    405: "method_not_allowed", 409: "conflict", 429: "rate_limited",
}  # fmt: skip


def coded(status: int, body: dict[str, Any]) -> dict[str, Any]:
    """An error body as the endpoints of ``CODED`` have it: with ``code``, and issues in ``details``."""
    issues = body.get("error")
    if isinstance(issues, list):
        return {**body, "code": "invalid_body", "details": {"issues": issues}}
    return {**body, "code": _CODES.get(status, "internal_error")}


def answer(error: Exception) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status, body and extra headers for anything a handler may raise."""
    if isinstance(error, BadRequest):
        return 400, {"message": "Invalid request data", "error": error.issues}, {}
    if isinstance(error, msgspec.DecodeError):  # ValidationError is one too
        return 400, {"message": "Invalid request data", "error": [issue_of(error)]}, {}
    if isinstance(error, MethodNotAllowed):
        return 405, {"message": "Method not allowed"}, {}
    found = problem(error)
    name = next((n for kind, n in _NAMES.items() if isinstance(error, kind)), _BY_STATUS.get(found.status))
    return found.status, {"message": found.message, "error": name or "InternalServerError"}, found.headers
