"""Skills of agents: list, versions with their files, labels and tags, new versions."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from litestar import delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream
from msgspec import Struct

from twinlens.domain.errors import NotFound
from twinlens.domain.lifecycle import Status
from twinlens.domain.skill import Skill, SkillVersion
from twinlens.domain.skill_source import SourceType
from twinlens.faces.http import AnyRequest, in_thread, services
from twinlens.faces.native.guard import shown
from twinlens.faces.native.reply import reading, whole_id, writing
from twinlens.faces.native.rows import ms
from twinlens.features.skill_files import skill_path

_ALL = "/projects/{project_id:str}/skills"
_ONE = _ALL + "/{name:str}"
_VERSION = _ONE + "/versions/{version:int}"


class SkillRow(Struct, kw_only=True):
    """A skill with its newest version, which it may not have yet; ``production`` is the version with that label.

    ``tags`` are words, ``properties`` tags with values (MLflow's).
    """

    name: str
    description: str
    tags: list[str]
    properties: dict[str, str]
    latest_version: int | None
    status: Status | None
    production: int | None
    files: int
    updated_ms: float


class SkillList(Struct, kw_only=True):
    """By name."""

    skills: list[SkillRow]


class SkillFileRow(Struct, kw_only=True):
    """A file of a version; if it is text, that is asked for by path."""

    path: str
    sha256: str
    bytes: int
    text: bool


class SkillPlace(Struct, kw_only=True):
    """Where the files of a version are, if not here: ``type`` is ``git``, ``oci`` or ``zip``."""

    type: SourceType
    location: str
    ref: str | None
    subpath: str | None


class SkillVersionRow(Struct, kw_only=True):
    """One version. ``digest`` is the hash of its files by which MLflow's client checks them."""

    version: int
    status: Status
    description: str
    frontmatter: dict[str, Any]
    labels: list[str]
    properties: dict[str, str]
    files: list[SkillFileRow]
    source: SkillPlace | None
    digest: str | None
    commit_message: str | None
    created_by: str | None
    created_ms: float
    updated_ms: float


class SkillDetail(Struct, kw_only=True):
    """Its versions, newest first; none yet if MLflow's client has made it alone."""

    name: str
    description: str
    tags: list[str]
    properties: dict[str, str]
    versions: list[SkillVersionRow]


class SkillText(Struct, kw_only=True):
    """The text of a file."""

    path: str
    text: str


class NewSkillFile(Struct, kw_only=True):
    """A file with its text, or with the hash of a text that the project has."""

    path: str
    text: str | None = None
    sha256: str | None = None


class NewSkill(Struct, kw_only=True):
    """``POST /skills``: a version of the skill that is named, else of the one that the front matter of its ``SKILL.md`` names."""

    files: list[NewSkillFile]
    commit_message: str | None = None
    name: str | None = None


class SkillTags(Struct, kw_only=True):
    """``PATCH /skills/{name}``."""

    tags: list[str]


class SkillLabels(Struct, kw_only=True):
    """``PATCH /skills/{name}/versions/{version}``."""

    labels: list[str]


def _skill(skill: Skill) -> SkillRow:
    row = skill.newest
    return SkillRow(
        name=skill.name, description=skill.description or "", tags=skill.words, properties=skill.head.properties,
        latest_version=row.version if row else None, status=row.status if row else None, production=skill.production,
        files=row.file_count if row else 0, updated_ms=ms(row.updated_ns if row else skill.head.updated_ns),
    )  # fmt: skip


def _version(row: SkillVersion) -> SkillVersionRow:
    place = row.source
    return SkillVersionRow(
        version=row.version, status=row.status, description=row.description, frontmatter=row.frontmatter, labels=row.labels,
        properties=row.version_tags, digest=row.digest,
        files=[
            SkillFileRow(path=file.path, sha256=file.sha256, bytes=file.length, text=file.text) for file in row.files
        ],
        source=SkillPlace(type=place.type, location=place.location, ref=place.ref, subpath=place.subpath) if place else None,
        commit_message=row.commit_message, created_by=row.created_by, created_ms=ms(row.created_ns),
        updated_ms=ms(row.updated_ns),
    )  # fmt: skip


@get(_ALL, summary="List skills")
async def list_skills(request: AnyRequest, project_id: FromPath[str]) -> SkillList:
    """With what their newest versions say."""
    allowed = await reading(request, whole_id(project_id))
    may_show = shown(request, "skill")
    found = await in_thread(services(request).skills.list, allowed)
    return SkillList(skills=[_skill(skill) for skill in found if may_show(skill.name)])


@post(_ALL, summary="Add a version of a skill")
async def add_skill_version(
    request: AnyRequest, project_id: FromPath[str], data: JSONBody[NewSkill]
) -> SkillVersionRow:  # fmt: skip
    """And the skill if it is new. It takes the label ``latest``."""
    allowed = await writing(request, whole_id(project_id))
    files = [(file.path, file.text, file.sha256) for file in data.files]
    create = services(request).skills.create_version
    return _version(await in_thread(create, allowed, files, data.commit_message or None, name=data.name or None))


@get(_ONE, summary="One skill")
async def get_skill(request: AnyRequest, project_id: FromPath[str], name: FromPath[str]) -> SkillDetail:
    """With all its versions, newest first."""
    allowed = await reading(request, whole_id(project_id))
    skill, found = await in_thread(services(request).skills.versions, allowed, whole_id(name))
    return SkillDetail(
        name=skill.name, description=skill.description or "", tags=skill.words, properties=skill.head.properties,
        versions=[_version(row) for row in found],
    )  # fmt: skip


@patch(_ONE, summary="Tag a skill")
async def tag_skill(
    request: AnyRequest, project_id: FromPath[str], name: FromPath[str], data: JSONBody[SkillTags]
) -> SkillVersionRow:
    """These tags and no others."""
    allowed = await writing(request, whole_id(project_id))
    return _version(await in_thread(services(request).skills.set_tags, allowed, whole_id(name), data.tags))


@delete(_ONE, summary="Delete a skill")
async def delete_skill(request: AnyRequest, project_id: FromPath[str], name: FromPath[str]) -> None:
    """With its versions and their files."""
    allowed = await writing(request, whole_id(project_id))
    await in_thread(services(request).skill_registry.delete, allowed, whole_id(name))


@get(_VERSION + "/file", summary="A file of a skill")
async def get_skill_file(
    request: AnyRequest, project_id: FromPath[str], name: FromPath[str], version: FromPath[int],
    path: Annotated[str, QueryParameter(description="As the version lists it.")],
) -> SkillText:  # fmt: skip
    """Its text."""
    allowed = await reading(request, whole_id(project_id))
    skills, wanted = services(request).skills, whole_id(name)

    def read() -> SkillText:
        row = skills.get(allowed, wanted, version=version)
        digest = next((file.sha256 for file in row.files if file.path == path and file.text), None)
        if digest is None:
            raise NotFound(f"version {version} of '{wanted}' has no text file '{path}'")
        return SkillText(path=path, text=skills.texts(allowed, [digest])[digest])

    return await in_thread(read)


@get(_VERSION + "/download", summary="Download a file of a skill")
async def download_skill_file(
    request: AnyRequest, project_id: FromPath[str], name: FromPath[str], version: FromPath[int],
    path: Annotated[str, QueryParameter(description="As the version lists it.")],
) -> Stream:  # fmt: skip
    """Its bytes, whatever they are."""
    allowed = await reading(request, whole_id(project_id))
    row = await in_thread(services(request).skills.get, allowed, whole_id(name), version=version)
    artifact = await services(request).artifacts.open(allowed, f"{skill_path(row)}/{path}")
    headers = {
        "Content-Length": str(artifact.size), "X-Content-Type-Options": "nosniff",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(artifact.name, safe='')}",
    }  # fmt: skip
    return Stream(artifact.read(), media_type="application/octet-stream", headers=headers)


@patch(_VERSION, summary="Label a version of a skill")
async def label_skill(
    request: AnyRequest, project_id: FromPath[str], name: FromPath[str], version: FromPath[int],
    data: JSONBody[SkillLabels],
) -> SkillVersionRow:  # fmt: skip
    """These labels and no others; versions that had them lose them. ``latest`` stays where it is."""
    allowed = await writing(request, whole_id(project_id))
    change = services(request).skills.set_labels
    return _version(await in_thread(change, allowed, whole_id(name), version, data.labels))


@delete(_VERSION, summary="Delete a version of a skill")
async def delete_skill_version(
    request: AnyRequest, project_id: FromPath[str], name: FromPath[str], version: FromPath[int]
) -> None:
    """With the last version the skill goes."""
    allowed = await writing(request, whole_id(project_id))
    await in_thread(services(request).skills.delete_version, allowed, whole_id(name), version)


HANDLERS = [
    list_skills, add_skill_version, get_skill, tag_skill, delete_skill, get_skill_file, download_skill_file, label_skill, delete_skill_version,
]  # fmt: skip
