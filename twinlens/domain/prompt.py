"""Prompts: named templates with numbered versions and movable labels.

MLflow keeps prompts as registered models with reserved tags, Langfuse as prompts; here they are one thing. A Langfuse
label and an MLflow alias are the same pointer. Fields that only one of the two knows are optional.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from twinlens.domain.errors import InvalidArgument

PromptType = Literal["text", "chat"]
#: A text template, or chat messages: ``{role, content}`` and ``{type: "placeholder", name}``.
Template = str | list[dict[str, Any]]

LATEST = "latest"  #: always on the newest version; nobody may move it
PRODUCTION = "production"  #: what a fetch without version or label means

MAX_NAME = 255
MAX_COMMIT_MESSAGE = 500
_RESERVED_NAMES = frozenset({"new", "metrics", "prompt-detail"})  # routes of Langfuse's UI; its server refuses them too
_LABEL = re.compile(r"[a-z0-9_.\-]{1,36}\Z")
_ALIAS = re.compile(r"[\w.\-]{1,255}\Z")
_HTML = re.compile(r"<[^>]*>")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][\w.]*)\s*\}\}")


class Dependency(msgspec.Struct, frozen=True, kw_only=True):
    """One ``@@@langfusePrompt:…@@@`` token: another prompt by version or by label."""

    name: str
    version: int | None = None
    label: str | None = None

    @property
    def pointer(self) -> str:
        """How an error message names it."""
        return f"{self.name} - {'version ' + str(self.version) if self.version is not None else 'label ' + str(self.label)}"


class PromptVersion(msgspec.Struct, kw_only=True):
    """One immutable version; labels, tags and the MLflow tags are the only things about it that change."""

    version_id: str
    name: str
    version: int
    type: PromptType
    template: Template
    config: Any = msgspec.field(default_factory=dict[str, Any])
    labels: list[str] = []
    tags: list[str] = []  #: of the prompt, the same for all versions
    commit_message: str | None = None
    created_by: str = "API"
    created_ns: int = 0
    updated_ns: int = 0
    resolution: dict[str, Any] | None = None  #: Langfuse's ``resolutionGraph``, None without dependencies
    response_format: Any = None  #: MLflow only
    model_config: Any = None  #: MLflow only
    version_tags: dict[str, str] = {}  #: MLflow only: tags of this version


class Prompt(msgspec.Struct, kw_only=True):
    """A prompt as lists show it."""

    name: str
    type: PromptType
    versions: list[int]  #: ascending
    labels: dict[str, int]  #: label -> version
    tags: list[str] = []
    properties: dict[str, str] = {}  #: MLflow's key-value tags of the prompt
    description: str = ""
    last_config: Any = None
    created_ns: int = 0
    updated_ns: int = 0


def check_name(name: str) -> str:
    """Return ``name`` if a prompt may be called so (rules of Langfuse's server; MLflow's are narrower).

    Raises:
        InvalidArgument: says which rule is broken.
    """
    if not name or len(name) > MAX_NAME:
        raise InvalidArgument(f"Prompt name must be 1 to {MAX_NAME} characters")
    if "|" in name:
        raise InvalidArgument("Prompt name cannot contain '|' character")
    if _HTML.search(name):
        raise InvalidArgument("Prompt name cannot contain HTML tags")
    if _CONTROL.search(name):
        raise InvalidArgument("Prompt name cannot contain control characters")
    if name.startswith("/") or name.endswith("/") or "//" in name:
        raise InvalidArgument("Prompt name cannot start or end with a slash or contain an empty folder")
    if name in _RESERVED_NAMES:
        raise InvalidArgument(f"Prompt name cannot be '{name}'")
    return name


def check_label(label: str) -> str:
    """Return ``label`` if it may be set by a Langfuse client: 1–36 of ``a-z 0-9 _ . -``, not ``latest``.

    Raises:
        InvalidArgument: otherwise.
    """
    if label == LATEST:
        raise InvalidArgument("Label 'latest' is always assigned to the latest prompt version")
    if not _LABEL.match(label):
        raise InvalidArgument(
            "Label must be lowercase alphanumeric with optional underscores, hyphens, or periods, 1 to 36 characters"
        )
    return label


def check_alias(alias: str) -> str:
    """Return ``alias`` if it may be set by an MLflow client: letters of any case, not ``latest``, not like ``v1``.

    Raises:
        InvalidArgument: otherwise.
    """
    if alias.lower() == LATEST:
        raise InvalidArgument("'latest' alias name (case insensitive) is reserved")
    if re.fullmatch(r"[vV]\d+", alias):
        raise InvalidArgument(f"Version alias name '{alias}' is reserved")
    if not _ALIAS.match(alias):
        raise InvalidArgument(
            f"Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores, dashes and periods"
        )
    return alias


def check_template(type: PromptType, template: Template) -> None:
    """Check the shape of a template.

    Raises:
        InvalidArgument: a text prompt that is no text, a malformed message, or a placeholder named like a variable.
    """
    if type == "text":
        if not isinstance(template, str):
            raise InvalidArgument("prompt must be a string for type 'text'")
        return
    if not isinstance(template, list):
        raise InvalidArgument("prompt must be a list of messages for type 'chat'")
    placeholders: set[str] = set()
    variables: set[str] = set()
    for index, message in enumerate(template):
        if message.get("type") == "placeholder":
            name = message.get("name")
            if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
                raise InvalidArgument(
                    f"prompt.{index}: placeholder name must start with a letter and contain only alphanumeric "
                    "characters and underscores"
                )
            placeholders.add(name)
        elif not isinstance(message.get("role"), str) or "content" not in message:
            raise InvalidArgument(f"prompt.{index}: a message needs 'role' and 'content'")
        elif isinstance(message["content"], str):
            variables.update(_VARIABLE.findall(message["content"]))
    if both := placeholders & variables:
        raise InvalidArgument(f"Placeholder and variable names must be unique: {', '.join(sorted(both))}")
