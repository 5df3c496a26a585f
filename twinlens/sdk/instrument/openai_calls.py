"""The built-in observer of the OpenAI client (1 to 3): chat, responses, embeddings; sync, async, streams."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from twinlens.sdk.instrument.calls import wrap

_PLACES = (
    ("openai.resources.chat.completions", "Completions", "generation"),
    ("openai.resources.responses", "Responses", "generation"),
    ("openai.resources.completions", "Completions", "generation"),
    ("openai.resources.embeddings", "Embeddings", "embedding"),
)


def install() -> None:
    """Observe every client of this process, those that exist already too."""
    for module, name, kind in _PLACES:
        try:
            home: Any = import_module(module)
        except ImportError:  # an older client without that API
            continue
        wrap(getattr(home, name), "create", "openai", kind=kind)
        wrap(getattr(home, f"Async{name}"), "create", "openai", kind=kind, asynchronous=True)
