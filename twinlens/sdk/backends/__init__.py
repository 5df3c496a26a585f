"""Where telemetry goes. ``build`` makes a backend from its options in the block; credentials come from there or from the
environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twinlens.sdk.backends.base import Backend


def build(name: str, options: Mapping[str, Any], environ: Mapping[str, str], source: str = "") -> Backend:
    """Make the backend.

    Args:
        name: one of ``block_keys.BACKENDS``.
        options: as the block gives them.
        environ: for what the options leave out.
        source: path of the playbook.

    Raises:
        ValueError: an option cannot be used (no address, no keys); the text says which.
    """
    if name == "mlflow":
        from twinlens.sdk.backends.mlflow import Mlflow

        return Mlflow(options, environ, source)
    if name == "langfuse":
        from twinlens.sdk.backends.langfuse import Langfuse

        return Langfuse(options, environ)
    if name == "twinlens":
        from twinlens.sdk.backends.twinlens import Twinlens

        return Twinlens(options, environ, source)
    if name == "otlp":
        from twinlens.sdk.backends.otlp import Otlp

        return Otlp(options, environ)
    from twinlens.sdk.backends.local import Console, Jsonl

    if name == "jsonl":
        return Jsonl(options)
    if name == "console":
        return Console(options)
    raise ValueError(f"unknown backend {name!r}")
