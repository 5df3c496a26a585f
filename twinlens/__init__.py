"""Twinlens: observability for models and agents. The agent SDK's names are loaded when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twinlens.sdk import deployments
    from twinlens.sdk.abtest import assign
    from twinlens.sdk.api import (
        agent,
        feedback,
        flush,
        generation,
        observe,
        propagate,
        retriever,
        score,
        set_mask,
        span,
        tool,
        update,
    )
    from twinlens.sdk.capture import capture
    from twinlens.sdk.datasets import add_item, create_dataset, get_dataset
    from twinlens.sdk.langfuse import Langfuse
    from twinlens.sdk.prompts import create_prompt, get_prompt
    from twinlens.sdk.run_log import log_artifact, log_metric, log_param

    langfuse: Langfuse

__version__ = "0.1.0"

__all__ = [
    "Langfuse",
    "__version__",
    "add_item",
    "agent",
    "assign",
    "capture",
    "create_dataset",
    "create_prompt",
    "deployments",
    "feedback",
    "flush",
    "generation",
    "get_dataset",
    "get_prompt",
    "langfuse",
    "log_artifact",
    "log_metric",
    "log_param",
    "observe",
    "propagate",
    "retriever",
    "score",
    "set_mask",
    "span",
    "tool",
    "update",
]

#: Where each name comes from, below ``twinlens.sdk``.
_HOMES = {
    "abtest": ("assign",),
    "api": (
        "agent", "feedback", "flush", "generation", "observe", "propagate", "retriever", "score", "set_mask", "span", "tool", "update",
    ),
    "datasets": ("add_item", "create_dataset", "get_dataset"),
    "langfuse": ("Langfuse",),
    "prompts": ("create_prompt", "get_prompt"),
    "run_log": ("log_artifact", "log_metric", "log_param"),
}  # fmt: skip


def __getattr__(name: str) -> Any:
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is not None:
        value = getattr(import_module(f"twinlens.sdk.{home}"), name)
    elif name == "capture":
        from twinlens.sdk.capture import capture as value
    elif name == "deployments":
        value = import_module("twinlens.sdk.deployments")
    elif name == "langfuse":
        value = import_module("twinlens.sdk.langfuse").client()
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value
