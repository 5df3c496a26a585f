"""MLflow's error bodies: ``{"error_code", "message", "sqlstate", "error_class"}``.

Codes, statuses and classes are those of MLflow 3.18 (``mlflow.exceptions``, ``mlflow.error_classification``), but for
``INVALID_STATE``, which is 400 here: MLflow's server answers 500, upon which clients ask again for minutes.
"""

from __future__ import annotations

import msgspec

from twinlens.domain import errors

#: error_code -> HTTP status.
STATUS: dict[str, int] = {
    "BAD_REQUEST": 400,
    "INVALID_PARAMETER_VALUE": 400,
    "RESOURCE_ALREADY_EXISTS": 400,
    "INVALID_STATE": 400,
    "UNAUTHENTICATED": 401,
    "CUSTOMER_UNAUTHORIZED": 401,
    "PERMISSION_DENIED": 403,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "NOT_FOUND": 404,
    "ENDPOINT_NOT_FOUND": 404,
    "RESOURCE_CONFLICT": 409,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "REQUEST_LIMIT_EXCEEDED": 429,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL_ERROR": 500,
    "NOT_IMPLEMENTED": 501,
    "TEMPORARILY_UNAVAILABLE": 503,
}

#: error_code -> (sqlstate, error_class); both are optional to clients.
_CLASSES: dict[str, tuple[str, str]] = {
    "BAD_REQUEST": ("KAM00", "INVALID_PARAMETER_VALUE"),
    "INVALID_PARAMETER_VALUE": ("KAM00", "INVALID_PARAMETER_VALUE"),
    "RESOURCE_ALREADY_EXISTS": ("KAM00", "RESOURCE_ALREADY_EXISTS"),
    "INVALID_STATE": ("XXM00", "CLIENT_INTERNAL_ERROR"),
    "CUSTOMER_UNAUTHORIZED": ("KAM00", "PERMISSION_DENIED"),
    "PERMISSION_DENIED": ("KAM00", "PERMISSION_DENIED"),
    "RESOURCE_DOES_NOT_EXIST": ("KAM00", "RESOURCE_NOT_FOUND"),
    "NOT_FOUND": ("KAM00", "RESOURCE_NOT_FOUND"),
    "ENDPOINT_NOT_FOUND": ("KAM00", "RESOURCE_NOT_FOUND"),
    "INTERNAL_ERROR": ("XXM00", "CLIENT_INTERNAL_ERROR"),
    "TEMPORARILY_UNAVAILABLE": ("XXM00", "CLIENT_INTERNAL_ERROR"),
}

#: What the layers below raise -> error_code. The most specific class decides.
_CODES: dict[type[errors.TwinlensError], str] = {
    errors.InvalidArgument: "INVALID_PARAMETER_VALUE",
    errors.TooLarge: "INVALID_PARAMETER_VALUE",
    errors.Unauthenticated: "UNAUTHENTICATED",
    errors.PermissionDenied: "PERMISSION_DENIED",
    errors.NotFound: "RESOURCE_DOES_NOT_EXIST",
    errors.AlreadyExists: "RESOURCE_ALREADY_EXISTS",
    errors.Conflict: "RESOURCE_CONFLICT",
    errors.InvalidState: "INVALID_STATE",
    errors.Busy: "REQUEST_LIMIT_EXCEEDED",
    errors.NotSupported: "NOT_IMPLEMENTED",
    errors.StoreUnavailable: "TEMPORARILY_UNAVAILABLE",
}


class MlflowError(Exception):
    """An answer that only MLflow's protocol asks for: a rule of the wire, or another code than the domain error's.

    Args:
        code: a key of ``STATUS``.
        message: shown to the user as it is.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> MlflowError:
    """``INVALID_PARAMETER_VALUE``."""
    return MlflowError("INVALID_PARAMETER_VALUE", message)


def error_reply(error: Exception) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and extra headers for an error; anything unexpected is an ``INTERNAL_ERROR`` without details."""
    headers: dict[str, str] = {}
    if isinstance(error, MlflowError):
        code, message = error.code, error.message
        status = STATUS[code]
    elif isinstance(error, errors.TwinlensError):
        code = next((c for t, c in _CODES.items() if isinstance(error, t)), "INTERNAL_ERROR")
        message, status = error.message, STATUS[code]
        if isinstance(error, errors.TooLarge):
            status = error.status
        if isinstance(error, errors.Busy | errors.StoreUnavailable):
            headers["Retry-After"] = str(max(1, round(error.retry_after)))
        if isinstance(error, errors.Unauthenticated):
            headers["WWW-Authenticate"] = 'Basic realm="mlflow"'
    else:
        code, message, status = "INTERNAL_ERROR", "The server met an unexpected error; its log says more.", 500
    body: dict[str, str] = {"error_code": code, "message": message}
    if code in _CLASSES:
        body["sqlstate"], body["error_class"] = _CLASSES[code]
    return status, msgspec.json.encode(body), headers
