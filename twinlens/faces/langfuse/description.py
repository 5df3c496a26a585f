"""``/api/openapi.yaml`` and ``/api/openapi.json``: what this face serves, as OpenAPI 3.1.

The document beside this module is written by ``tools/langfuse_openapi.py`` from the route tables and their handlers.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import yaml
from litestar import MediaType, Response, get

_DOCUMENT = Path(__file__).with_name("openapi.json")


@cache
def _yaml() -> str:
    return yaml.safe_dump(json.loads(_DOCUMENT.read_text("utf-8")), sort_keys=False, allow_unicode=True)


@get("/api/openapi.yaml", sync_to_thread=True, include_in_schema=False)
def as_yaml() -> Response[str]:
    """The form Langfuse serves."""
    return Response(_yaml(), media_type="application/yaml")


@get("/api/openapi.json", sync_to_thread=True, include_in_schema=False)
def as_json() -> Response[bytes]:
    """The same as JSON."""
    return Response(_DOCUMENT.read_bytes(), media_type=MediaType.JSON)
