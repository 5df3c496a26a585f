"""Bodies of MLflow's skill registry. As in its MCP registry, unset fields are null in answers, and unlike elsewhere unknown ones are
refused (reference: MLflow 3.18, ``server/skill_registry_api.py``)."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from twinlens.domain.lifecycle import Status
from twinlens.domain.skill import Skill, SkillVersion, split_identity
from twinlens.features.skill_files import skill_uri


class NewSkill(msgspec.Struct, forbid_unknown_fields=True):
    """Body of ``createSkill``."""

    name: str
    organization: str = ""
    description: str | None = None
    icons: list[dict[str, Any]] | None = None


class SkillChange(msgspec.Struct, forbid_unknown_fields=True):
    """Body of ``updateSkill``."""

    description: str | UnsetType | None = UNSET
    icons: list[dict[str, Any]] | UnsetType | None = UNSET


class NewSkillVersion(msgspec.Struct, forbid_unknown_fields=True):
    """Body of ``createSkillVersion``, or its part ``metadata`` when content is sent along."""

    name: str | None = None
    organization: str = ""
    source_type: str | None = None
    source: str | None = None
    ref: str | None = None
    subpath: str | None = None
    digest: str | None = None
    status: Status = "active"


class BulkSkill(msgspec.Struct, forbid_unknown_fields=True):
    """A skill of ``bulkRegisterSkills``."""

    name: str
    source: str
    digest: str
    source_type: str | None = None
    ref: str | None = None
    subpath: str | None = None
    status: Status = "active"


class BulkSkills(msgspec.Struct, forbid_unknown_fields=True):
    """Body of ``bulkRegisterSkills``."""

    skills: list[BulkSkill]
    organization: str = ""


class VersionChange(msgspec.Struct, forbid_unknown_fields=True):
    """Body of ``updateSkillVersion``."""

    status: Status | UnsetType = UNSET


class NewAlias(msgspec.Struct, forbid_unknown_fields=True):
    """Body of ``setSkillAlias``."""

    alias: str
    version: int


class NewTag(msgspec.Struct, forbid_unknown_fields=True):
    """Body of the calls that set tags."""

    key: str
    value: str


def skill_json(skill: Skill, workspace: str) -> dict[str, Any]:
    """A skill on the wire."""
    organization, name = split_identity(skill.name)
    current = skill.current
    aliases = [
        {"alias": alias, "version": version} for alias, version in skill.labels.items() if alias != "latest"
    ]  # fmt: skip
    return {
        "name": name, "organization": organization, "workspace": workspace, "description": skill.description,
        "icons": skill.head.icons, "status": current.status if current else None,
        "latest_version": current.version if current else None,
        "source_type": current.source_type if current else None, "aliases": aliases, "tags": skill.tags,
        "created_by": skill.head.created_by, "last_updated_by": skill.head.updated_by,
        "creation_timestamp": skill.head.created_ns // 1_000_000,
        "last_updated_timestamp": skill.head.updated_ns // 1_000_000,
    }  # fmt: skip


def version_json(row: SkillVersion, workspace: str) -> dict[str, Any]:
    """A version on the wire."""
    organization, name = split_identity(row.name)
    source = row.source
    return {
        "name": name, "version": row.version, "organization": organization, "workspace": workspace,
        "source_type": row.source_type, "source": source.location if source else skill_uri(row),
        "ref": source.ref if source else None, "subpath": source.subpath if source else None, "digest": row.digest,
        "status": row.status, "aliases": row.aliases, "tags": row.version_tags, "created_by": row.created_by,
        "last_updated_by": row.updated_by, "creation_timestamp": row.created_ns // 1_000_000,
        "last_updated_timestamp": row.updated_ns // 1_000_000,
    }  # fmt: skip
