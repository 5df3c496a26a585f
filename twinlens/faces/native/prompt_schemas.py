"""Requests and answers about prompts. Conventions as in ``schemas``."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

PromptKind = Literal["text", "chat"]


class PromptRow(Struct, kw_only=True):
    """One prompt in a list. A name with slashes stands in folders."""

    name: str
    type: PromptKind
    description: str
    versions: int
    latest_version: int
    labels: dict[str, int]  #: label -> version
    tags: list[str]
    calls: int  #: of the last seven days
    created_ms: float
    updated_ms: float


class PromptList(Struct, kw_only=True):
    """All prompts of the project by name, at most ``limit``."""

    prompts: list[PromptRow]
    total: int


class PromptVersionRow(Struct, kw_only=True):
    """One version."""

    version: int
    template: str | list[dict[str, Any]]
    config: Any
    labels: list[str]
    commit_message: str | None
    created_by: str
    created_ms: float


class PromptDetail(Struct, kw_only=True):
    """A prompt with all its versions, newest first."""

    prompt: PromptRow
    versions: list[PromptVersionRow]
    protected_labels: list[str]  #: of the project
    may_move_protected: bool  #: whether the caller may move or delete those


class ProtectedLabels(Struct, kw_only=True):
    """Labels of a project that only owners, administrators and key pairs may move."""

    labels: list[str]


class NewPromptVersion(Struct, kw_only=True):
    """A version to add, and the prompt if it is new."""

    name: str
    template: str | list[dict[str, Any]]
    type: PromptKind | None = None  #: told from the template when absent
    config: Any = None
    labels: list[str] = field(default_factory=list)
    tags: list[str] | None = None
    commit_message: str | None = None


class ResolvedPrompt(Struct, kw_only=True):
    """A version with the prompts it includes put in."""

    version: int
    template: str | list[dict[str, Any]]
    includes: list[str]  #: ``name v3`` of everything that was put in


class LabelTarget(Struct, kw_only=True):
    """Where a label goes."""

    version: int


class ScoreMeanRow(Struct, kw_only=True):
    """A score's mean over a version's newest calls."""

    name: str
    mean: float
    count: int


class PromptVersionUsage(Struct, kw_only=True):
    """Calls of one version. Money is USD."""

    version: int
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cost: float
    p50_ms: float | None
    p95_ms: float | None
    scores: list[ScoreMeanRow]


class PromptDay(Struct, kw_only=True):
    """Calls of one version on one day (UTC)."""

    day_ms: float
    version: int
    calls: int
    cost: float


class PromptUsageReport(Struct, kw_only=True):
    """What the versions did: totals, newest version first, and by day."""

    versions: list[PromptVersionUsage]
    days: list[PromptDay]
