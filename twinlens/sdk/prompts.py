"""Managed prompts: fetched once, kept, refreshed in the background, replaced by a fallback when the server is away."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from twinlens.sdk.errors import ServerError
from twinlens.sdk.remote import server

#: Seconds that a fetched prompt is used without asking again. Langfuse's clients use the same.
TTL_S = 60.0
_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
Text = str | list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of a prompt. Pass it as ``prompt=`` to a generation, and the two are linked.

    ``prompt`` is text, or a list of messages. ``is_fallback``: it is the caller's own, because the server could not be asked; such
    a prompt is linked to nothing.
    """

    name: str
    version: int
    prompt: Text
    config: dict[str, Any] = field(default_factory=dict[str, Any])
    labels: list[str] = field(default_factory=list[str])
    tags: list[str] = field(default_factory=list[str])
    is_fallback: bool = False

    @property
    def variables(self) -> list[str]:
        """Names in double braces, in order of appearance."""
        texts = [self.prompt] if isinstance(self.prompt, str) else [str(m.get("content", "")) for m in self.prompt]
        return list(dict.fromkeys(name for text in texts for name in _VARIABLE.findall(text)))

    def compile(self, **values: Any) -> Any:
        """Fill ``{{name}}`` in; names without a value stay. For messages, a list as the value of a placeholder message
        (``{"type": "placeholder", "name": …}``) takes its place."""
        if isinstance(self.prompt, str):
            return _fill(self.prompt, values)
        found: list[dict[str, Any]] = []
        for message in self.prompt:
            if message.get("type") == "placeholder":
                found += values.get(str(message.get("name"))) or []
            else:
                rest = {k: v for k, v in message.items() if k != "type"}
                found.append({**rest, "content": _fill(str(message.get("content", "")), values)})
        return found


def _fill(text: str, values: Mapping[str, Any]) -> str:
    return _VARIABLE.sub(lambda m: str(values[m[1]]) if m[1] in values else m[0], text)


_lock = threading.Lock()
_kept: dict[str, tuple[float, Prompt]] = {}
_refreshing: set[str] = set()


def get_prompt(
    name: str, *, version: int | None = None, label: str | None = None, fallback: Text | None = None,
    cache_ttl_seconds: float = TTL_S,
) -> Prompt:  # fmt: skip
    """A prompt by name; the version labelled ``production`` unless told otherwise.

    Args:
        name: of the prompt.
        version: this one.
        label: the one that carries this label.
        fallback: text or messages to use when the server cannot be asked and nothing is kept.
        cache_ttl_seconds: how long a kept prompt is fresh; older ones are used once more while a thread fetches the next. 0 asks.

    Raises:
        ServerError: it is not there, or the server cannot be asked, and there is no fallback.
        ValueError: both version and label.
    """
    if version is not None and label is not None:
        raise ValueError("give version or label, not both")
    query = {"version": str(version)} if version is not None else {"label": label or "production"}
    path = f"/v2/prompts/{quote(name, safe='')}?{urlencode(query)}"
    with _lock:
        kept = _kept.get(path)
    if kept is not None and cache_ttl_seconds > 0:
        if time.monotonic() - kept[0] > cache_ttl_seconds:
            _refresh(path)
        return kept[1]
    try:
        return _fetch(path)
    except ServerError as error:
        if error.status == 0 and kept is not None:
            return kept[1]
        if fallback is None:
            raise
        return Prompt(name, version or 0, fallback, is_fallback=True)


def create_prompt(
    name: str, prompt: Text, *, labels: Sequence[str] = (), tags: Sequence[str] = (), config: Mapping[str, Any] | None = None,
    commit_message: str | None = None,
) -> Prompt:  # fmt: skip
    """Store a new version. Kept prompts of that name are forgotten.

    Raises:
        ServerError: the server cannot be asked, or refuses.
    """
    body = {
        "type": "text" if isinstance(prompt, str) else "chat", "name": name, "prompt": prompt, "labels": list(labels),
        "tags": list(tags), "config": dict(config or {}), "commitMessage": commit_message,
    }  # fmt: skip
    made = _prompt(server.call("POST", "/v2/prompts", {k: v for k, v in body.items() if v is not None}))
    with _lock:
        for path in [p for p in _kept if p.startswith(f"/v2/prompts/{quote(name, safe='')}?")]:
            del _kept[path]
    return made


def _fetch(path: str) -> Prompt:
    try:
        found = _prompt(server.call("GET", path))
    except ServerError as error:
        if error.status == 404:
            with _lock:
                _kept.pop(path, None)
        raise
    with _lock:
        _kept[path] = time.monotonic(), found
    return found


def _refresh(path: str) -> None:
    with _lock:
        if path in _refreshing:
            return
        _refreshing.add(path)

    def work() -> None:
        try:
            _fetch(path)
        except ServerError:
            pass  # what is kept stays in use
        finally:
            with _lock:
                _refreshing.discard(path)

    threading.Thread(target=work, name="twinlens-prompt", daemon=True).start()


def _prompt(row: Mapping[str, Any]) -> Prompt:
    return Prompt(
        row["name"],
        int(row["version"]),
        row["prompt"],
        row.get("config") or {},
        row.get("labels") or [],
        row.get("tags") or [],
    )
