"""``/unstable/skills`` (Langfuse server v4.59, SDK 5)."""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.skill import Skill, SkillVersion
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse.errors import BadRequest, issue
from twinlens.faces.langfuse.wire import Call, PageQuery, Result, RouteTable, iso, time_of
from twinlens.features.skills import SkillFilter

routes = RouteTable()
_SKILLS = "/unstable/skills"
MAX_HASHES = 50


def version_row(row: SkillVersion, project_id: str) -> dict[str, Any]:
    """A version on the wire."""
    return {
        "id": row.version_id, "createdAt": iso(row.created_ns), "updatedAt": iso(row.updated_ns),
        "projectId": project_id, "createdBy": row.created_by or "API", "name": row.name, "description": row.description,
        "frontmatter": row.frontmatter, "version": row.version, "tags": row.tags, "labels": row.labels,
        "commitMessage": row.commit_message,
        "files": [
            {
                "id": file.file_id, "path": file.path, "blobId": file.sha256, "sha256Hash": file.sha256,
                "contentType": file.content_type, "contentLength": file.length,
            }
            for file in row.files
        ],
    }  # fmt: skip


def meta_row(skill: Skill) -> dict[str, Any]:
    """A skill in a list (SkillMeta), which has a version."""
    row = skill.newest
    assert row is not None
    return {
        "name": row.name, "description": skill.description or "", "tags": row.tags, "latestVersion": row.version,
        "latestVersionCreatedAt": iso(row.created_ns), "latestVersionLastUpdatedAt": iso(row.updated_ns),
        "productionVersion": skill.production,
    }  # fmt: skip


class ListSkills(PageQuery, rename="camel", kw_only=True):
    """Parameters of the list."""

    name: str | None = None
    search: str | None = None
    tag: str | None = None
    from_updated_at: str | None = None
    to_updated_at: str | None = None


@routes.on("GET", _SKILLS, scope="read", listed=True)
async def list_skills(call: Call) -> Result:
    """A page of skills by name."""
    query = call.query(ListSkills)
    limit, offset = query.window()
    chosen = SkillFilter(
        name=query.name, search=query.search, tag=query.tag,
        from_updated_ns=time_of(query.from_updated_at, "fromUpdatedAt"),
        to_updated_ns=time_of(query.to_updated_at, "toUpdatedAt"),
    )  # fmt: skip
    skills = await in_thread(call.services.skills.list, call.project_id, chosen)
    seen = call.visible("skill")
    # MLflow's may have no version yet
    found = [skill for skill in skills if skill.newest is not None and (seen is None or skill.name in seen)]
    meta = {**query.meta(len(found)), "hasNextPage": offset + limit < len(found)}
    return {"data": [meta_row(skill) for skill in found[offset : offset + limit]], "meta": meta}


class NewFile(msgspec.Struct, rename="camel", kw_only=True):
    """A file with its text, or with the hash of a text that is there."""

    path: str
    content: str | None = None
    sha256_hash: str | None = None


class NewSkillVersion(msgspec.Struct, rename="camel", kw_only=True):
    """Body of a create call."""

    files: list[NewFile]
    commit_message: str | None = None


@routes.on("POST", _SKILLS, scope="write")
async def create_skill_version(call: Call) -> Result:
    """A new version of the skill that ``SKILL.md`` names."""
    body = await call.json(NewSkillVersion)
    for at, file in enumerate(body.files):
        if (file.content is None) == (file.sha256_hash is None):
            raise BadRequest(issue("a file has either 'content' or 'sha256Hash'", "files", at))
    files = [(file.path, file.content, file.sha256_hash) for file in body.files]
    row = await in_thread(call.services.skills.create_version, call.project_id, files, body.commit_message)
    return version_row(row, call.project_id)


class WhichSkill(msgspec.Struct):
    """A version by number or label."""

    version: int | None = None
    label: str | None = None


@routes.on("GET", f"{_SKILLS}/{{name}}", scope="read")
async def get_skill(call: Call) -> Result:
    """One version: by number, by label, or the one labelled production."""
    query = call.query(WhichSkill)
    get = call.services.skills.get
    row = await in_thread(get, call.project_id, call.path["name"], version=query.version, label=query.label)
    return version_row(row, call.project_id)


class SkillChange(msgspec.Struct):
    """Body of a change."""

    tags: list[str]


@routes.on("PATCH", f"{_SKILLS}/{{name}}", scope="write")
async def change_skill(call: Call) -> Result:
    """Replace the tags."""
    body = await call.json(SkillChange)
    row = await in_thread(call.services.skills.set_tags, call.project_id, call.path["name"], body.tags)
    return version_row(row, call.project_id)


class SkillLabels(msgspec.Struct):
    """Body of a label change."""

    labels: list[str]


@routes.on("PATCH", f"{_SKILLS}/{{name}}/versions/{{version}}", scope="write")
async def set_skill_labels(call: Call) -> Result:
    """Replace the labels of a version."""
    body = await call.json(SkillLabels)
    change = call.services.skills.set_labels
    row = await in_thread(change, call.project_id, call.path["name"], _number(call), body.labels)
    return version_row(row, call.project_id)


@routes.on("DELETE", f"{_SKILLS}/{{name}}/versions/{{version}}", scope="write")
async def delete_skill_version(call: Call) -> Result:
    """Remove a version."""
    await in_thread(call.services.skills.delete_version, call.project_id, call.path["name"], _number(call))
    return {"deleted": True}


class WhichFiles(msgspec.Struct):
    """Hashes, separated by commas."""

    sha256_hashes: str = msgspec.field(default="", name="sha256Hashes")


@routes.on("GET", f"{_SKILLS}/files/content", scope="read")
async def skill_file_contents(call: Call) -> Result:
    """Texts of files by hash."""
    wanted = list(dict.fromkeys(part for part in call.query(WhichFiles).sha256_hashes.split(",") if part))
    if not 1 <= len(wanted) <= MAX_HASHES:
        raise InvalidArgument(f"sha256Hashes must list 1 to {MAX_HASHES} hashes")
    found = await in_thread(call.services.skills.texts, call.project_id, wanted)
    return {"data": [{"sha256Hash": digest, "content": text} for digest, text in found.items()]}


def _number(call: Call) -> int:
    if not call.path["version"].isdecimal():
        raise BadRequest(issue("Expected number", "version", code="invalid_type"))
    return int(call.path["version"])
