"""The skill registry (API 3.0): every route with ``@organization/`` before the name and without."""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import UNSET

from twinlens.domain.errors import TooLarge
from twinlens.domain.skill import check_identity, identity
from twinlens.domain.skill_source import read_source
from twinlens.faces.http import in_thread
from twinlens.faces.mlflow import skills_json as wire
from twinlens.faces.mlflow.errors import invalid
from twinlens.faces.mlflow.mcp_json import given, read
from twinlens.faces.mlflow.pages import offset_of, token_behind
from twinlens.faces.mlflow.skill_upload import read_upload
from twinlens.faces.mlflow.wire import Body, Call, Handler, Reply, RpcTable
from twinlens.faces.mlflow.workspaces import workspace_name
from twinlens.features.skill_registry import MAX_BULK, NewVersion, SkillSearch

rpcs = RpcTable()
_plain = RpcTable()  # without organization: behind the others, whose second segment it would take for its own words

_ALL = "/mlflow/skills"
_ORGANIZED, _ONE = _ALL + "/@{organization}/{name}", _ALL + "/{name}"
_VERSION = "/versions/{version}"
_ALIAS = "/aliases/{alias}"
_MAX_ROWS = 1_000
_MAX_VERSION = 2_147_483_647
_DIGEST = re.compile(r"[0-9a-f]{64}")


def _rpc(verb: str, rest: str, body: Body = "json") -> Callable[[Handler], Handler]:
    """Declare a handler of one skill, in both forms."""

    def declare(handler: Handler) -> Handler:
        rpcs.rpc(verb, "3.0", _ORGANIZED + rest, body=body)(handler)
        return _plain.rpc(verb, "3.0", _ONE + rest, body=body)(handler)

    return declare


def skill_name(call: Call) -> str:
    """What the skill of a request is called here.

    Raises:
        InvalidArgument: a name that no skill can have.
    """
    return identity(call.path["name"], call.path.get("organization", ""))


def _number(call: Call) -> int:
    text = call.path["version"]
    if not text.isdecimal() or not 1 <= int(text[:11]) <= _MAX_VERSION:
        raise invalid(f"Skill version must be a positive integer <= {_MAX_VERSION}, got {text[:100]!r}.")
    return int(text)


def _digest(digest: str | None) -> str | None:
    if digest is not None and not _DIGEST.fullmatch(digest):
        raise invalid("'digest' must be a SHA-256 digest of 64 lowercase hex characters.")
    return digest


def _uploaded(call: Call, body: wire.NewSkillVersion) -> NewVersion:
    _check_names(call, body)
    if body.source is not None:
        raise invalid(
            "A registration with a remote 'source' must use an application/json body; it cannot also carry uploaded content."
        )
    for field in ("source_type", "ref", "subpath"):
        if getattr(body, field) is not None:
            raise invalid(f"'{field}' does not apply to uploaded content; the whole uploaded tree is the skill.")
    return NewVersion(name=skill_name(call), digest=_digest(body.digest), status=body.status)


def _remote(call: Call, body: wire.NewSkillVersion) -> NewVersion:
    _check_names(call, body)
    if body.source is None:
        raise invalid(
            "A registration without a 'source' uploads the skill content and requires a multipart/form-data body with a"
            " 'content' part. To register a remote skill, set 'source' to its git, oci, or zip location."
        )
    source = read_source(body.source_type, body.source, body.ref, body.subpath)
    return NewVersion(name=skill_name(call), source=source, digest=_digest(body.digest), status=body.status)


def _check_names(call: Call, body: wire.NewSkillVersion) -> None:
    if body.name not in (None, call.path["name"]) or body.organization not in ("", call.path.get("organization", "")):
        raise invalid("Registration metadata 'name' and 'organization' must match the path.")


async def _json_body(call: Call) -> bytes:
    assert call.stream is not None
    body, limit = bytearray(), call.services.settings.max_body
    async for chunk in call.stream:
        body += chunk
        if len(body) > limit:
            raise TooLarge(f"The request body is larger than {limit} bytes.")
    return bytes(body)


def _search(call: Call, **more: object) -> SkillSearch:
    params = call.params
    return SkillSearch(
        filter=params.text("filter_string"), order=params.texts("order_by"), limit=params.max_results(100, _MAX_ROWS),
        offset=offset_of(params.text("page_token")), **more,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip


def _page(field: str, rows: list[dict[str, object]], search: SkillSearch, total: int) -> Reply:
    return {field: rows, "next_page_token": token_behind(search.offset, len(rows), total)}


def _workspace(call: Call) -> str:
    return workspace_name(call, call.project_id)


# --- versions -------------------------------------------------------------------------------------------------------
@_rpc("POST", _VERSION + "/tags", body="bytes")
def set_version_tag(call: Call) -> Reply:
    """Put or change a tag of a version."""
    tag = read(call.body, wire.NewTag)
    call.services.skill_registry.set_tag(call.project_id, skill_name(call), tag.key, tag.value, _number(call))
    return None


@_rpc("DELETE", _VERSION + "/tags/{key:path}")
def delete_version_tag(call: Call) -> Reply:
    """Remove a tag of a version."""
    call.services.skill_registry.delete_tag(call.project_id, skill_name(call), call.path["key"], _number(call))
    return None


@_rpc("GET", _VERSION)
def get_version(call: Call) -> Reply:
    """One version."""
    row = call.services.skill_registry.version(call.project_id, skill_name(call), _number(call))
    return wire.version_json(row, _workspace(call))


@_rpc("PATCH", _VERSION, body="bytes")
def update_version(call: Call) -> Reply:
    """Change the state, if one is sent."""
    status = read(call.body, wire.VersionChange).status
    registry, name, number = call.services.skill_registry, skill_name(call), _number(call)
    if status is UNSET:
        row = registry.version(call.project_id, name, number)
    else:
        row = registry.set_status(call.project_id, name, number, status, call.user or None)
    return wire.version_json(row, _workspace(call))


@_rpc("DELETE", _VERSION)
def delete_version(call: Call) -> Reply:
    """Remove a version."""
    call.services.skill_registry.set_status(
        call.project_id, skill_name(call), _number(call), "deleted", call.user or None
    )
    return None


@_rpc("POST", "/versions", body="raw")
async def create_version(call: Call) -> Reply:
    """Add a version, and the skill if it is new: with its files as an archive, or with the place where they are."""
    assert call.stream is not None
    header = call.request.headers.get("content-type") or ""
    kind = header.split(";")[0].strip().lower()
    registry = call.services.skill_registry
    if kind == "multipart/form-data":
        length = call.request.headers.get("content-length")
        metadata, archive = await read_upload(header, length, call.stream)
        with archive:
            new = _uploaded(call, read(metadata, wire.NewSkillVersion))
            row = await in_thread(registry.upload, call.project_id, new, archive, call.user or None)
    elif kind == "application/json":
        new = _remote(call, read(await _json_body(call), wire.NewSkillVersion))
        row = await in_thread(registry.register, call.project_id, new, call.user or None)
    else:
        raise invalid("Skill registration requires an application/json or multipart/form-data request.")
    return wire.version_json(row, await in_thread(_workspace, call))


@_rpc("GET", "/versions")
def search_versions(call: Call) -> Reply:
    """A page of a skill's versions."""
    search = _search(call)
    found, total = call.services.skill_registry.search_versions(call.project_id, skill_name(call), search)
    workspace = _workspace(call)
    return _page("skill_versions", [wire.version_json(row, workspace) for row in found], search, total)


# --- tags and aliases -----------------------------------------------------------------------------------------------
@_rpc("POST", "/tags", body="bytes")
def set_tag(call: Call) -> Reply:
    """Put or change a tag of a skill."""
    tag = read(call.body, wire.NewTag)
    call.services.skill_registry.set_tag(call.project_id, skill_name(call), tag.key, tag.value)
    return None


@_rpc("DELETE", "/tags/{key:path}")
def delete_tag(call: Call) -> Reply:
    """Remove a tag of a skill."""
    call.services.skill_registry.delete_tag(call.project_id, skill_name(call), call.path["key"])
    return None


@_rpc("POST", "/aliases", body="bytes")
def set_alias(call: Call) -> Reply:
    """Put or move an alias."""
    body = read(call.body, wire.NewAlias)
    call.services.skill_registry.set_alias(call.project_id, skill_name(call), body.alias, body.version)
    return None


@_rpc("GET", _ALIAS)
def get_version_by_alias(call: Call) -> Reply:
    """The version that an alias, or ``latest``, points to."""
    row = call.services.skill_registry.version_by_alias(call.project_id, skill_name(call), call.path["alias"])
    return wire.version_json(row, _workspace(call))


@_rpc("DELETE", _ALIAS)
def delete_alias(call: Call) -> Reply:
    """Remove an alias."""
    call.services.skill_registry.delete_alias(call.project_id, skill_name(call), call.path["alias"])
    return None


# --- skills ---------------------------------------------------------------------------------------------------------
@_rpc("GET", "")
def get(call: Call) -> Reply:
    """One skill."""
    return wire.skill_json(call.services.skill_registry.get(call.project_id, skill_name(call)), _workspace(call))


@_rpc("PATCH", "", body="bytes")
def update(call: Call) -> Reply:
    """Change what is sent."""
    body = read(call.body, wire.SkillChange)
    changes = given(description=body.description, icons=body.icons)
    made = call.services.skill_registry.update(call.project_id, skill_name(call), call.user or None, **changes)
    return wire.skill_json(made, _workspace(call))


@_rpc("DELETE", "")
def delete(call: Call) -> Reply:
    """Remove a skill with its versions."""
    call.services.skill_registry.delete(call.project_id, skill_name(call))
    return None


@rpcs.rpc("POST", "3.0", _ALL, body="bytes")
def create(call: Call) -> Reply:
    """Add a skill without versions."""
    body = read(call.body, wire.NewSkill)
    made = call.services.skill_registry.create(
        call.project_id, identity(body.name, body.organization), call.user or None, description=body.description,
        icons=body.icons,
    )  # fmt: skip
    return wire.skill_json(made, _workspace(call))


@rpcs.rpc("GET", "3.0", _ALL)
def search(call: Call) -> Reply:
    """A page of skills: all, or those that are named (an empty name names none)."""
    named = call.params.texts("include_skill_identities")
    only = None if not named else frozenset(check_identity(name) for name in named if name)
    wanted = _search(call, only=only, visible=call.visible("skill"))
    found, total = call.services.skill_registry.search(call.project_id, wanted)
    workspace = _workspace(call)
    return _page("skills", [wire.skill_json(row, workspace) for row in found], wanted, total)


@rpcs.rpc("POST", "3.0", _ALL + "/bulk-register", body="bytes")
def bulk_register(call: Call) -> Reply:
    """Add a version of each of many skills of one Git repository, or none; those that are there already are answered."""
    body = read(call.body, wire.BulkSkills)
    if not 1 <= len(body.skills) <= MAX_BULK:
        raise invalid(f"Bulk registration takes 1 to {MAX_BULK} skills.")
    new = [
        NewVersion(
            name=identity(each.name, body.organization), digest=_digest(each.digest), status=each.status,
            source=read_source(each.source_type, each.source, each.ref, each.subpath),
        )
        for each in body.skills
    ]  # fmt: skip
    made = call.services.skill_registry.register_all(call.project_id, new, call.user or None)
    workspace = _workspace(call)
    return {"skill_versions": [wire.version_json(row, workspace) for row in made]}


rpcs.rpcs += _plain.rpcs
