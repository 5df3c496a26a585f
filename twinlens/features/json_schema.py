"""JSON Schema checks for dataset items. References to other documents are never fetched."""

from __future__ import annotations

from typing import Any

from twinlens.domain.errors import InvalidArgument

_MOST = 5  # violations that a message lists


def check_schema(schema: Any, what: str) -> None:
    """Raise ``InvalidArgument`` unless ``schema`` is a JSON Schema."""
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    if not isinstance(schema, dict):
        raise InvalidArgument(f"{what} must be a JSON Schema object")
    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        raise InvalidArgument(f"{what} is not a valid JSON Schema: {error.message}") from None


def violations(schema: dict[str, Any], value: Any) -> list[str]:
    """What is wrong with ``value``, as ``path: message``; empty when it fits.

    Raises:
        InvalidArgument: the schema refers to another document.
    """
    from jsonschema.validators import validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        validator = validator_for(schema)(schema, registry=Registry())
        found = [
            f"{error.json_path}: {error.message[:200]}"
            for _, error in zip(range(_MOST), validator.iter_errors(value), strict=False)
        ]
    except Unresolvable as error:
        raise InvalidArgument(f"the schema refers to something that is not in it: {error}") from None
    return found
