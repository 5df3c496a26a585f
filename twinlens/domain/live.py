"""What the live stream carries: small notices of what has just been committed. Readers fetch details themselves."""

from __future__ import annotations

from typing import Any

import msgspec


class Notice(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One committed change.

    ``kind`` is ``trace`` (``data``: the list row), ``span`` (ids only), ``score``, ``metric`` (run id and keys),
    ``run``, ``experiment``, ``model``, ``prompt`` …; ``data`` is what the reader needs to decide whether to look.
    """

    kind: str
    project_id: str
    id: str
    data: dict[str, Any] = {}
