"""The native API: what the browser, the SDK and the command line speak."""

from __future__ import annotations

from twinlens.faces.native.router import router

__all__ = ["router"]
