"""``/v2/prompts`` and the v1 form ``/prompts``."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Literal

import msgspec

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.prompt import PRODUCTION, Prompt, PromptVersion
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse.errors import BadRequest, issue
from twinlens.faces.langfuse.wire import Call, PageQuery, Reply, Result, RouteTable, iso, time_of
from twinlens.features.prompts import PromptFilter
from twinlens.query import langfuse_prompt_filter

routes = RouteTable()


def prompt_row(row: PromptVersion, project_id: str) -> dict[str, Any]:
    """A version as clients read it."""
    return {
        "id": row.version_id,
        "createdAt": iso(row.created_ns),
        "updatedAt": iso(row.updated_ns),
        "projectId": project_id,
        "createdBy": row.created_by,
        "name": row.name,
        "version": row.version,
        "type": row.type,
        "isActive": PRODUCTION in row.labels,
        "prompt": row.template,
        "config": row.config,
        "labels": row.labels,
        "tags": row.tags,
        "commitMessage": row.commit_message,
        "resolutionGraph": row.resolution,
    }


def meta_row(prompt: Prompt) -> dict[str, Any]:
    """A prompt in a list (PromptMeta)."""
    return {
        "name": prompt.name,
        "type": prompt.type,
        "versions": prompt.versions,
        "labels": sorted(prompt.labels),
        "tags": prompt.tags,
        "lastUpdatedAt": iso(prompt.updated_ns),
        "lastConfig": prompt.last_config if prompt.last_config is not None else {},
    }


class GetPrompt(msgspec.Struct, rename="camel"):
    """Which version, and whether inclusions are replaced."""

    name: str | None = None
    version: int | None = None
    label: str | None = None
    resolve: bool = True


class _Answers:
    """Answers as bytes with their entity tags, for as long as ``Prompts`` hands out the same object.

    A moved label, a new version or a changed inclusion makes ``Prompts`` read anew, so the object differs and the answer is
    made again. Used on the event loop alone.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], tuple[PromptVersion, bytes, dict[str, str]]] = {}

    def of(self, row: PromptVersion, key: tuple[Any, ...]) -> tuple[bytes, dict[str, str]]:
        """Body and headers for a version; ``key`` says which project's and how it was asked for."""
        found = self._known.get(key)
        if found is None or found[0] is not row:
            if len(self._known) >= _MOST_ANSWERS:
                self._known.clear()
            body = msgspec.json.encode(prompt_row(row, key[0]))
            tag = f'"{sha256(body).hexdigest()[:32]}"'
            found = self._known[key] = (row, body, {"ETag": tag, "Cache-Control": "private, no-cache"})
        return found[1], found[2]


_MOST_ANSWERS = 10_000
_answers = _Answers()


def _has(tags: str, tag: str) -> bool:
    """Whether ``If-None-Match`` names a tag (RFC 9110 13.1.2: weak comparison, ``*`` is any)."""
    return tags.strip() == "*" or any(one.strip().removeprefix("W/") == tag for one in tags.split(","))


async def _get(call: Call, name: str, query: GetPrompt) -> Result:
    prompts, project = call.services.prompts, call.project_id
    which: dict[str, Any] = {"version": query.version, "label": query.label, "resolve": query.resolve}
    if query.version is not None and query.label is not None:
        raise InvalidArgument("Cannot specify both version and label")
    row = prompts.cached(project, name, **which) or await in_thread(prompts.get, project, name, **which)
    body, headers = _answers.of(row, (project, name, query.version, query.label, query.resolve))
    known = call.request.headers.get("if-none-match")
    if known is not None and _has(known, headers["ETag"]):
        return Reply(status=304, headers=headers)
    return Reply(body, headers=headers)


@routes.on("GET", "/v2/prompts/{name*}", scope="read")
async def get_prompt(call: Call) -> Result:
    """One version: by number, by label, or the one labelled production."""
    return await _get(call, call.path["name"], call.query(GetPrompt))


@routes.on("GET", "/prompts", scope="read")
async def get_prompt_v1(call: Call) -> Result:
    """The v1 form: the name is a query parameter."""
    query = call.query(GetPrompt)
    if not query.name:
        raise BadRequest(issue("Required", "name", code="invalid_type"))
    return await _get(call, query.name, query)


class NewPrompt(msgspec.Struct, rename="camel", kw_only=True):
    """Body of a create call; ``is_active`` is the v1 spelling of the label production."""

    name: str
    prompt: str | list[dict[str, Any]]
    type: Literal["text", "chat"] | None = None
    config: Any = None
    labels: list[str] | None = None
    tags: list[str] | None = None
    commit_message: str | None = None
    is_active: bool = False


async def _create(call: Call) -> Result:
    """A new version of a prompt, and the prompt if it is new."""
    body = await call.json(NewPrompt)
    kind = body.type or "text"  # the type may be left out for text prompts only
    labels = [*(body.labels or ()), *([PRODUCTION] if body.is_active else ())]

    def create() -> PromptVersion:
        return call.services.prompts.create_version(
            call.project_id, body.name, body.prompt, type=kind, config=body.config, labels=labels, tags=body.tags,
            commit_message=body.commit_message, who=call.principal,
        )  # fmt: skip

    return Reply(prompt_row(await in_thread(create), call.project_id), 201)


for _path in ("/v2/prompts", "/prompts"):
    routes.on("POST", _path, scope="write")(_create)


class ListPrompts(PageQuery, rename="camel", kw_only=True):
    """Parameters of the list; the default page has 10 prompts."""

    limit: int = 10
    name: str | None = None
    label: str | None = None
    tag: str | None = None
    version: int | None = None
    from_updated_at: str | None = None
    to_updated_at: str | None = None
    filter: str | None = None


@routes.on("GET", "/v2/prompts", scope="read", listed=True)
async def list_prompts(call: Call) -> Result:
    """A page of prompts by name. A name that ends in ``/`` means the folder; ``filter`` takes the place of the other conditions."""
    query = call.query(ListPrompts)
    limit, offset = query.window()
    if query.filter is not None:
        fits, seen = langfuse_prompt_filter.parse(query.filter), call.visible("registered_model", "prompt")

        def matches(version: PromptVersion) -> bool:
            return (seen is None or version.name in seen) and fits(version)

        found, total = await in_thread(
            call.services.prompts.search, call.project_id, matches, limit=limit, offset=offset
        )
        return _page(query, found, total)
    folder = query.name is not None and query.name.endswith("/")
    chosen = PromptFilter(
        name=None if folder else query.name, name_prefix=query.name if folder else None, label=query.label,
        tags=(query.tag,) if query.tag else (), version=query.version,
        from_updated_ns=time_of(query.from_updated_at, "fromUpdatedAt"),
        to_updated_ns=time_of(query.to_updated_at, "toUpdatedAt"), visible=call.visible("registered_model", "prompt"),
    )  # fmt: skip
    found, total = await in_thread(call.services.prompts.list, call.project_id, chosen, limit=limit, offset=offset)
    return _page(query, found, total)


def _page(query: PageQuery, found: list[Prompt], total: int) -> dict[str, Any]:
    meta = query.meta(total)
    data = [meta_row(prompt) for prompt in found]
    return {"data": data, "meta": meta, "pagination": meta}  # SDK 2's first versions read ``pagination``


class NewLabels(msgspec.Struct, rename="camel"):
    """Body of a label change."""

    new_labels: list[str]


@routes.on("PATCH", "/v2/prompts/{name*}/versions/{version}", scope="write")
async def patch_labels(call: Call) -> Result:
    """Put labels on a version, taking them from the others."""
    body = await call.json(NewLabels)
    if not call.path["version"].isdigit():
        raise BadRequest(issue("Expected number", "promptVersion", code="invalid_type"))
    version = int(call.path["version"])
    name = call.path["name"]
    move = call.services.prompts.add_labels
    row = await in_thread(move, call.project_id, name, version, body.new_labels, who=call.principal)
    return prompt_row(row, call.project_id)


@routes.on("DELETE", "/v2/prompts/{name*}", scope="write")
async def delete_prompt(call: Call) -> Result:
    """Delete a prompt, or only the version that ``version`` or ``label`` names."""
    query = call.query(GetPrompt)
    delete = call.services.prompts.delete
    await in_thread(
        delete, call.project_id, call.path["name"], version=query.version, label=query.label, who=call.principal
    )
    return Reply(status=204)
