"""Langfuse's public API (``/api/public``), as its SDKs of all generations use it."""

from twinlens.faces.langfuse.router import router

__all__ = ["router"]
