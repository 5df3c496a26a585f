"""Typed access to the parameters of one request, with MLflow's wording for everything that is wrong with them.

Rules (MLflow 3.18, ``server/handlers.py`` and protobuf's JSON parsing): a field may be spelled in snake or camel case but
not both; whole numbers may come as text; an empty text is an absent one where a parameter is required; unknown fields
are ignored. Unlike MLflow, a wrong type is always an error, never silently a default.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from twinlens.faces.mlflow.errors import MlflowError, invalid

_DOCS = " See the API docs for more information about request parameters."
_NUMBER_NAMES = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_INT64 = 1 << 63


def missing(path: str) -> MlflowError:
    """The error for an absent required parameter."""
    return invalid(f"Missing value for required parameter '{path}'.{_DOCS}")


def wrong(path: str, value: Any) -> MlflowError:
    """The error for a value of the wrong type or outside its range."""
    shown = msgspec.json.encode(value, order="sorted").decode()
    kind = {"NoneType": "NoneType"}.get(type(value).__name__, type(value).__name__)
    return invalid(f"Invalid value {shown} for parameter '{path}' supplied:  Hint: Value was of type '{kind}'.{_DOCS}")


def as_int(value: Any, path: str) -> int:
    """A whole number of 64 bits, also as text or as a float without fraction."""
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif (isinstance(value, float) and value.is_integer()) or (
        isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,19}", value.strip())
    ):
        number = int(value)
    else:
        raise wrong(path, value)
    if not -_INT64 <= number < _INT64:
        raise wrong(path, value)
    return number


def as_float(value: Any, path: str) -> float:
    """A double, also as text; ``"NaN"``, ``"Infinity"`` and ``"-Infinity"`` are values. Booleans are not numbers."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise wrong(path, value) from None
    if isinstance(value, str):
        if value in _NUMBER_NAMES:
            return _NUMBER_NAMES[value]
        try:
            number = float(value)
        except ValueError:
            raise wrong(path, value) from None
        if math.isfinite(number):
            return number
    raise wrong(path, value)


def camel(name: str) -> str:
    """The JSON name protobuf gives a field: ``page_token`` -> ``pageToken``."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


class Params:
    """The parameters of a request, or of one object inside it (then ``path`` is its name: ``metrics[3]``)."""

    __slots__ = ("_path", "_values")

    def __init__(self, values: Mapping[str, Any], path: str = "") -> None:
        self._values = values
        self._path = path

    def _named(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def raw(self, name: str) -> Any:
        """The value as sent, or None. Raises when both spellings are there."""
        other = camel(name)
        if other != name and other in self._values:
            if name in self._values:
                raise invalid(f"Request specifies both '{name}' and '{other}'; provide only one of them.")
            return self._values[other]
        return self._values.get(name)

    def has(self, name: str) -> bool:
        """Whether the field was sent with a value other than null."""
        return self.raw(name) is not None

    def text(self, name: str, *aliases: str) -> str | None:
        """Optional text; ``aliases`` are older names of the field."""
        for candidate in (name, *aliases):
            value = self.raw(candidate)
            if value is not None:
                if not isinstance(value, str):
                    raise wrong(self._named(candidate), value)
                return value
        return None

    def required(self, name: str, *aliases: str) -> str:
        """Text that must be there and not be empty."""
        value = self.text(name, *aliases)
        if not value:
            raise missing(self._named(name))
        return value

    def integer(self, name: str) -> int | None:
        """Optional whole number."""
        value = self.raw(name)
        return None if value is None else as_int(value, self._named(name))

    def required_integer(self, name: str) -> int:
        """Whole number that must be there."""
        value = self.integer(name)
        if value is None:
            raise missing(self._named(name))
        return value

    def number(self, name: str) -> float | None:
        """Optional double."""
        value = self.raw(name)
        return None if value is None else as_float(value, self._named(name))

    def required_number(self, name: str) -> float:
        """Double that must be there."""
        value = self.raw(name)
        if value is None or value == "":
            raise missing(self._named(name))
        return as_float(value, self._named(name))

    def boolean(self, name: str) -> bool | None:
        """Optional truth value; in a query only ``true`` and ``false`` of any case."""
        value = self.raw(name)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            if value.lower() not in ("true", "false"):
                raise invalid(f"Invalid boolean value: {value}, must be 'true' or 'false'.")
            return value.lower() == "true"
        raise wrong(self._named(name), value)

    def enum(self, name: str, names: tuple[str, ...]) -> str | None:
        """Optional name of an enumeration; ``names`` are in the order of their protobuf numbers from 1."""
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value, str) and value in names:
            return value
        if isinstance(value, int | str) and not isinstance(value, bool) and str(value).isdigit():
            number = int(value)
            if 1 <= number <= len(names):
                return names[number - 1]
        raise wrong(self._named(name), value)

    def texts(self, name: str) -> list[str]:
        """List of texts; empty when absent. A repeated query parameter arrives as one."""
        value = self.raw(name)
        if value is None:
            return []
        if isinstance(value, str) and isinstance(self._values, QueryValues):
            return [value]
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise wrong(self._named(name), value)
        return value

    def objects(self, name: str) -> list[Params]:
        """List of objects; empty when absent."""
        value = self.raw(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise wrong(self._named(name), value)
        found: list[Params] = []
        for index, item in enumerate(value):
            if not isinstance(item, dict):
                raise wrong(self._named(name), value)
            found.append(Params(item, self._named(f"{name}[{index}]")))
        return found

    def object(self, name: str) -> Params | None:
        """Optional object."""
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise wrong(self._named(name), value)
        return Params(value, self._named(name))

    def pairs(self, name: str) -> list[tuple[str, str]]:
        """List of ``{"key", "value"}`` objects (tags, params); an absent value is an empty text."""
        return [(item.required("key"), item.text("value") or "") for item in self.objects(name)]

    def max_results(self, default: int, maximum: int) -> int:
        """``max_results`` between 1 and ``maximum``."""
        value = self.integer("max_results")
        if value is None:
            return default
        if value > maximum:
            raise invalid(f"Invalid value {value} for parameter 'max_results' supplied. It must be at most {maximum}.")
        if value < 1:
            raise invalid(f"Invalid value {value} for parameter 'max_results' supplied. It must be a positive integer.")
        return value


class QueryValues(dict[str, Any]):
    """Values of a query string: text, or a list of texts where a name is repeated."""
