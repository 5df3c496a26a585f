"""The built-in observer of LiteLLM: ``completion``, ``responses``, ``embedding`` and their asynchronous forms."""

from __future__ import annotations

from importlib import import_module

from twinlens.sdk.instrument.calls import wrap


def install() -> None:
    """Observe every call that goes through the module's functions."""
    litellm = import_module("litellm")
    for name, kind in (("completion", "generation"), ("responses", "generation"), ("embedding", "embedding")):
        wrap(litellm, name, "litellm", kind=kind)
        wrap(litellm, f"a{name}", "litellm", kind=kind, asynchronous=True)
