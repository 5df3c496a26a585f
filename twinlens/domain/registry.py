"""Registered models, their versions, aliases and stages. Times are milliseconds since the epoch.

Words, limits and values are MLflow's; nothing else in the field has a registry with a protocol of its own.
"""

from __future__ import annotations

import re

import msgspec

from twinlens.domain.errors import InvalidArgument

STAGES: tuple[str, ...] = ("None", "Staging", "Production", "Archived")
#: Stages of which a model may want to have one current version; only these can archive the ones before.
ACTIVE_STAGES: tuple[str, ...] = ("Staging", "Production")
_STAGES = {stage.lower(): stage for stage in STAGES}

LATEST = "latest"  #: the alias that always means the highest version; nobody may set it
MAX_NAME = 256
MAX_ALIAS = 255
MAX_TAG_KEY = 250
MAX_TAG_VALUE = 100_000
_ALIAS = re.compile(r"[\w\-]+\Z")
_VERSION_ALIAS = re.compile(r"[vV]\d+\Z")
#: What MLflow allows in the key of a tag, parameter or metric.
_KEY = re.compile(r"[/\w.\- :]+\Z")


class ModelVersion(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One version of a registered model: a pointer to artifacts, with what people say about it."""

    name: str
    version: int
    source: str = ""  #: as the client gave it: an artifact URI, ``runs:/…`` or ``models:/…``
    storage_location: str = ""  #: where the artifacts are: ``source`` with ``models:/`` references resolved
    run_id: str | None = None
    run_link: str | None = None
    model_id: str | None = None  #: the logged model it was registered from
    description: str = ""
    stage: str = "None"
    status: str = "READY"
    status_message: str = ""
    user_id: str = ""
    created_ms: int = 0
    updated_ms: int = 0
    tags: dict[str, str] = {}
    aliases: list[str] = []


class RegisteredModel(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A named series of model versions."""

    name: str
    description: str = ""
    created_ms: int = 0
    updated_ms: int = 0
    tags: dict[str, str] = {}
    aliases: dict[str, int] = {}  #: alias -> version
    latest_versions: list[ModelVersion] = []  #: the newest version of each stage, by version


class RegisteredModelPage(msgspec.Struct, kw_only=True):
    """Registered models in order, and the cursor of the next page or None on the last one."""

    models: list[RegisteredModel]
    next_cursor: str | None = None


class ModelVersionPage(msgspec.Struct, kw_only=True):
    """Model versions in order, and the cursor of the next page or None on the last one."""

    versions: list[ModelVersion]
    next_cursor: str | None = None


def canonical_stage(text: str) -> str:
    """``production`` in any case is ``Production``.

    Raises:
        InvalidArgument: no such stage.
    """
    try:
        return _STAGES[text.strip().lower()]
    except KeyError:
        raise InvalidArgument(
            f"Invalid Model Version stage: {text}. Value must be one of {', '.join(STAGES)}."
        ) from None


def check_model_name(name: str) -> str:
    """Return ``name`` if a registered model may be called so.

    Raises:
        InvalidArgument: blank, too long, or with ``/`` or ``:``, which would break ``models:/name/version`` URIs.
    """
    if not name or not name.strip():
        raise InvalidArgument("Registered model name cannot be empty.")
    if len(name) > MAX_NAME:
        raise InvalidArgument(f"Registered model name cannot be longer than {MAX_NAME} characters.")
    if "/" in name or ":" in name or "\x00" in name:
        raise InvalidArgument(f"Invalid model name '{name}'. Names cannot contain '/' or ':'.")
    return name


def check_alias(alias: str) -> str:
    """Return ``alias`` if it may be set.

    Raises:
        InvalidArgument: empty, too long, other characters than letters, digits, ``_`` and ``-``, or reserved
            (``latest`` and ``v1``-like names, which URIs already give a meaning).
    """
    if not alias or len(alias) > MAX_ALIAS or not _ALIAS.match(alias):
        raise InvalidArgument(
            f"Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores (_), and dashes (-)."
        )
    if alias.lower() == LATEST:
        raise InvalidArgument("'latest' alias name (case insensitive) is reserved.")
    if _VERSION_ALIAS.match(alias):
        raise InvalidArgument(f"Version alias name '{alias}' is reserved.")
    return alias


def check_tag(key: str, value: str) -> None:
    """Refuse a tag of a model or version that breaks MLflow's limits.

    Raises:
        InvalidArgument: says which limit.
    """
    check_key(key, "tag")
    if len(value) > MAX_TAG_VALUE:
        raise InvalidArgument(f"Tag value '{value[:30]}…' of '{key}' is longer than {MAX_TAG_VALUE} characters.")
    if "\x00" in value:
        raise InvalidArgument(f"Tag value of '{key}' contains a NUL character.")


def check_key(key: str, what: str) -> str:
    """Return ``key`` if a tag, parameter or metric may be called so (MLflow's rule for all three).

    Raises:
        InvalidArgument: empty, longer than 250 characters, other characters than letters, digits, ``_-. :/``, or not a
            normal relative path.
    """
    parts = key.split("/")
    if not key or not _KEY.match(key):
        raise InvalidArgument(
            f"Invalid {what} name: '{key}'. Names may only contain alphanumerics, underscores (_), dashes (-), "
            "periods (.), spaces ( ), colons (:) and slashes (/)."
        )
    if any(part in ("", ".") for part in parts) or parts[0] == ".." or ".." in parts:
        raise InvalidArgument(f"Invalid {what} name: '{key}'. Names may be treated as files in certain cases, and must not "
                              "resolve to other names when treated as such.")  # fmt: skip
    if len(key) > MAX_TAG_KEY:
        raise InvalidArgument(f"{what.capitalize()} key '{key[:30]}…' is longer than {MAX_TAG_KEY} characters.")
    return key


def parse_version(text: str | int) -> int:
    """A version number as MLflow's JSON writes it (a string of digits).

    Raises:
        InvalidArgument: not a whole number.
    """
    if not re.fullmatch(r"-?\d{1,9}", str(text)):
        raise InvalidArgument(f"Parameter 'version' must be an integer, got '{text}'.")
    return int(text)
