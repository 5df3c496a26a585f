"""Twinlens: observability for models and agents. The agent SDK's names are loaded when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twinlens.sdk import deployments
    from twinlens.sdk.api import (
        agent,
        flush,
        generation,
        observe,
        propagate,
        retriever,
        score,
        span,
        tool,
        update,
    )
    from twinlens.sdk.langfuse import Langfuse

    langfuse: Langfuse

__version__ = "0.1.0"

__all__ = [
    "Langfuse",
    "__version__",
    "agent",
    "deployments",
    "flush",
    "generation",
    "langfuse",
    "observe",
    "propagate",
    "retriever",
    "score",
    "span",
    "tool",
    "update",
]

_API = {
    "agent", "flush", "generation", "observe", "propagate", "retriever", "score", "span", "tool", "update",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _API:
        from twinlens.sdk import api

        value = getattr(api, name)
    elif name == "deployments":
        from twinlens.sdk import deployments as value
    elif name in ("Langfuse", "langfuse"):
        from twinlens.sdk import langfuse as module

        value = module.Langfuse if name == "Langfuse" else module.client()
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value
