"""Prompts: list, versions, labels, usage."""

from __future__ import annotations

from typing import Annotated

from litestar import delete, get, post, put
from litestar.params import FromPath, JSONBody, QueryParameter

from twinlens.domain.clock import now_ns
from twinlens.domain.prompt import Prompt, PromptVersion
from twinlens.faces.http import AnyRequest, in_thread, project_principal, services
from twinlens.faces.native import prompt_schemas as s
from twinlens.faces.native.administration import managing
from twinlens.faces.native.guard import shown
from twinlens.faces.native.reply import FromMs, ToMs, reading, time_range, whole_id, writer
from twinlens.features.prompt_usage import DAY_NS
from twinlens.features.prompts import PromptFilter

_MOST = 2_000
_RECENT_NS = 7 * DAY_NS


def _ms(ns: int) -> float:
    return ns / 1e6


def _row(prompt: Prompt, calls: int) -> s.PromptRow:
    return s.PromptRow(
        name=prompt.name, type=prompt.type, description=prompt.description, versions=len(prompt.versions),
        latest_version=prompt.versions[-1] if prompt.versions else 0, labels=prompt.labels, tags=prompt.tags,
        calls=calls, created_ms=_ms(prompt.created_ns), updated_ms=_ms(prompt.updated_ns),
    )  # fmt: skip


def _version(row: PromptVersion) -> s.PromptVersionRow:
    return s.PromptVersionRow(
        version=row.version, template=row.template, config=row.config, labels=sorted(row.labels),
        commit_message=row.commit_message, created_by=row.created_by, created_ms=_ms(row.created_ns),
    )  # fmt: skip


@get("/projects/{project_id:str}/prompts", summary="List prompts")
async def list_prompts(
    request: AnyRequest,
    project_id: FromPath[str],
    folder: Annotated[str, QueryParameter(description="Only names below this folder, like `support/`.")] = "",
    label: Annotated[str | None, QueryParameter(description="Only prompts with this label.")] = None,
    tag: Annotated[str | None, QueryParameter(description="Only prompts with this tag.")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=_MOST)] = _MOST,
) -> s.PromptList:
    """By name."""
    allowed = await reading(request, whole_id(project_id))
    known = services(request)
    chosen = PromptFilter(name_prefix=folder or None, label=label, tags=(tag,) if tag else ())
    may_see = shown(request, "model")

    def read() -> s.PromptList:
        found, total = known.prompts.list(allowed, chosen, limit=limit)
        now = now_ns()
        calls = known.prompt_usage.calls(allowed, now - _RECENT_NS, now + DAY_NS)
        visible = [prompt for prompt in found if may_see(prompt.name)]
        rows = [_row(prompt, calls.get(prompt.name, 0)) for prompt in visible]
        return s.PromptList(prompts=rows, total=total - len(found) + len(visible))

    return await in_thread(read)


@post("/projects/{project_id:str}/prompts", summary="Add a version of a prompt")
async def add_version(
    request: AnyRequest, project_id: FromPath[str], data: JSONBody[s.NewPromptVersion]
) -> s.PromptVersionRow:
    """It takes `latest` and the given labels from the versions that had them."""
    who = await writer(request, whole_id(project_id))
    made = await in_thread(
        services(request).prompts.create_version, who.project_id, data.name, data.template, type=data.type,
        config=data.config, labels=data.labels, tags=data.tags, commit_message=data.commit_message or None, who=who,
    )  # fmt: skip
    return _version(made)


@get("/projects/{project_id:str}/prompts/{name:str}", summary="One prompt")
async def get_prompt(request: AnyRequest, project_id: FromPath[str], name: FromPath[str]) -> s.PromptDetail:
    """With all its versions, newest first."""
    who = await project_principal(request, whole_id(project_id))
    who.require("read")
    prompts, wanted = services(request).prompts, whole_id(name)

    def read() -> s.PromptDetail:
        head = prompts.head(who.project_id, wanted)
        versions = [_version(row) for row in reversed(prompts.versions(who.project_id, wanted))]
        return s.PromptDetail(
            prompt=_row(head, 0), versions=versions, protected_labels=prompts.protected(who.project_id),
            may_move_protected=who.moves_protected,
        )  # fmt: skip

    return await in_thread(read)


@delete("/projects/{project_id:str}/prompts/{name:str}", summary="Delete a prompt or a version", status_code=204)
async def delete_prompt(
    request: AnyRequest,
    project_id: FromPath[str],
    name: FromPath[str],
    version: Annotated[int | None, QueryParameter(description="Only this version.")] = None,
) -> None:
    """Refused while another prompt includes what would go."""
    who = await writer(request, whole_id(project_id))
    await in_thread(services(request).prompts.delete, who.project_id, whole_id(name), version=version, who=who)


@get("/projects/{project_id:str}/prompts/{name:str}/versions/{version:int}/resolved", summary="A prompt as fetched")
async def get_resolved(
    request: AnyRequest, project_id: FromPath[str], name: FromPath[str], version: FromPath[int]
) -> s.ResolvedPrompt:
    """With the prompts it includes put in, as clients get it."""
    allowed = await reading(request, whole_id(project_id))
    row = await in_thread(services(request).prompts.get, allowed, whole_id(name), version=version)
    graph = (row.resolution or {}).get("dependencies", {})
    own = f"{row.name} v{row.version}"
    named = {f"{one['name']} v{one['version']}" for found in graph.values() for one in found}
    return s.ResolvedPrompt(version=row.version, template=row.template, includes=sorted(named - {own}))


@put("/projects/{project_id:str}/prompts/{name:str}/labels/{label:str}", summary="Move a label")
async def move_label(
    request: AnyRequest, project_id: FromPath[str], name: FromPath[str], label: FromPath[str],
    data: JSONBody[s.LabelTarget],
) -> s.PromptVersionRow:  # fmt: skip
    """Put a label on a version; the version that had it loses it. The next read sees it."""
    who = await writer(request, whole_id(project_id))
    move = services(request).prompts.add_labels
    return _version(await in_thread(move, who.project_id, whole_id(name), data.version, [label], who=who))


@delete("/projects/{project_id:str}/prompts/{name:str}/labels/{label:str}", summary="Remove a label", status_code=204)
async def drop_label(request: AnyRequest, project_id: FromPath[str], name: FromPath[str], label: FromPath[str]) -> None:
    """Whoever asks for it then gets a 404, or the fallback of its code."""
    who = await writer(request, whole_id(project_id))
    await in_thread(services(request).prompts.delete_label, who.project_id, whole_id(name), label, who=who)


@get("/projects/{project_id:str}/prompts/{name:str}/usage", summary="Usage of a prompt")
async def get_usage(
    request: AnyRequest, project_id: FromPath[str], name: FromPath[str], from_ms: FromMs = None, to_ms: ToMs = None
) -> s.PromptUsageReport:
    """Calls, cost, latency and scores per version; by default of the last 30 days."""
    allowed = await reading(request, whole_id(project_id))
    usage, wanted = services(request).prompt_usage, whole_id(name)
    since, until = time_range(from_ms, to_ms, default_hours=30 * 24)

    def read() -> s.PromptUsageReport:
        versions = [
            s.PromptVersionUsage(
                version=one.version, calls=one.calls, errors=one.errors, input_tokens=one.input_tokens,
                output_tokens=one.output_tokens, cost=one.cost,
                p50_ms=None if one.p50_ns is None else one.p50_ns / 1e6,
                p95_ms=None if one.p95_ns is None else one.p95_ns / 1e6,
                scores=[s.ScoreMeanRow(name=m.name, mean=m.mean, count=m.count) for m in one.scores],
            )
            for one in usage.by_version(allowed, wanted, since, until)
        ]  # fmt: skip
        days = [
            s.PromptDay(day_ms=_ms(day.day_ns), version=day.version, calls=day.calls, cost=day.cost)
            for day in usage.by_day(allowed, wanted, since, until)
        ]
        return s.PromptUsageReport(versions=versions, days=days)

    return await in_thread(read)


@get("/projects/{project_id:str}/protected-labels", summary="Protected labels of prompts")
async def list_protected(request: AnyRequest, project_id: FromPath[str]) -> s.ProtectedLabels:
    """Labels that only owners, administrators and key pairs may move or delete."""
    allowed = await reading(request, whole_id(project_id))
    return s.ProtectedLabels(labels=await in_thread(services(request).prompts.protected, allowed))


@put("/projects/{project_id:str}/protected-labels/{label:str}", summary="Protect a label", status_code=204)
async def protect(request: AnyRequest, project_id: FromPath[str], label: FromPath[str]) -> None:
    """It counts for all prompts of the project."""
    who = await managing(request, project_id)
    await in_thread(services(request).prompts.protect, who.project_id, label)


@delete("/projects/{project_id:str}/protected-labels/{label:str}", summary="Stop protecting a label", status_code=204)
async def unprotect(request: AnyRequest, project_id: FromPath[str], label: FromPath[str]) -> None:
    """Everybody who may change prompts may then move it."""
    who = await managing(request, project_id)
    await in_thread(services(request).prompts.unprotect, who.project_id, label)


HANDLERS = [
    list_prompts, add_version, get_prompt, delete_prompt, get_resolved, move_label, drop_label, get_usage, list_protected,
    protect, unprotect,
]  # fmt: skip
