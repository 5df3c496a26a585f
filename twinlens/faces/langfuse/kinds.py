"""Span kinds as Langfuse's observation types (server v4.16: ten)."""

from __future__ import annotations

from twinlens.query.langfuse_filter import KINDS_OF

_TYPE_OF = {kind: type for type, kinds in KINDS_OF.items() for kind in kinds}


def type_of(kind: str) -> str:
    """The observation type of a span kind."""
    return _TYPE_OF.get(kind, "SPAN")
