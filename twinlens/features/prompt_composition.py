"""Prompts inside prompts: ``@@@langfusePrompt:name=X|version=N@@@`` or ``…|label=L@@@`` (Langfuse's token).

Only text prompts can be included, at most five deep and never in a circle (limits of Langfuse's server).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.prompt import Dependency, PromptVersion, Template

MAX_DEPTH = 5
_TOKEN = re.compile(r"@@@langfusePrompt:(.*?)@@@")
_PARTS = re.compile(r"name=(?P<name>[^|]+)\|(?:version=(?P<version>\d+)|label=(?P<label>[^|]+))\Z")


def _parse(body: str) -> Dependency | None:
    match = _PARTS.match(body)
    if match is None:
        return None
    version = match["version"]
    return Dependency(name=match["name"], version=int(version) if version else None, label=match["label"])


def dependencies_of(template: Template) -> list[Dependency]:
    """The inclusions a template asks for, each once, in order. Tokens that cannot be read stay plain text."""
    text = template if isinstance(template, str) else msgspec.json.encode(template).decode()
    found = (_parse(body) for body in _TOKEN.findall(text))
    return list(dict.fromkeys(d for d in found if d is not None))


def resolve(row: PromptVersion, fetch: Callable[[Dependency], PromptVersion]) -> PromptVersion:
    """A copy of ``row`` with every token replaced, and the graph of what went in.

    Args:
        row: the version to resolve.
        fetch: reads an included version; raises ``InvalidArgument`` when there is none.

    Raises:
        InvalidArgument: an included prompt is missing or a chat prompt, the nesting is too deep, or it turns in a circle.
    """
    if not dependencies_of(row.template):
        return row
    edges: dict[str, list[dict[str, Any]]] = {}
    texts: dict[str, str] = {}

    def expand(text: str, owner: PromptVersion, path: tuple[str, ...]) -> str:
        if len(path) > MAX_DEPTH + 1:
            raise InvalidArgument(f"Maximum nesting depth of prompts exceeded ({MAX_DEPTH})")

        def one(match: re.Match[str]) -> str:
            dependency = _parse(match[1])
            if dependency is None:
                return match[0]
            child = fetch(dependency)
            if child.version_id in path:
                raise InvalidArgument(f"Circular dependency detected involving prompt '{child.name}'")
            if not isinstance(child.template, str):
                raise InvalidArgument(f"Prompt dependency is not a text prompt: {dependency.pointer}")
            node = {"name": child.name, "version": child.version, "id": child.version_id}
            listed = edges.setdefault(owner.version_id, [])
            if node not in listed:
                listed.append(node)
            if child.version_id not in texts:
                texts[child.version_id] = expand(child.template, child, (*path, child.version_id))
            return texts[child.version_id]

        return _TOKEN.sub(one, text)

    path = (row.version_id,)
    template: Template
    if isinstance(row.template, str):
        template = expand(row.template, row, path)
    else:
        template = [
            {**m, "content": expand(m["content"], row, path)} if isinstance(m.get("content"), str) else m
            for m in row.template
        ]
    root = {"name": row.name, "version": row.version, "id": row.version_id}
    return msgspec.structs.replace(row, template=template, resolution={"root": root, "dependencies": edges})
