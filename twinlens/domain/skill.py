"""Agent skills: a folder of text files with a ``SKILL.md``, numbered versions, movable labels (Langfuse's unstable skills API).

``SKILL.md`` begins with YAML front matter that holds at least ``name`` and ``description``; the name is the skill's.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from typing import Any

import msgspec

from twinlens.domain.errors import InvalidArgument

SKILL_FILE = "SKILL.md"
MAX_FILES = 200
MAX_FILE = 1_000_000  #: bytes of one file
MAX_DESCRIPTION = 1_024
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
_FRONT = re.compile(r"\ufeff?---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(\r?\n|\Z)", re.DOTALL)


class SkillFile(msgspec.Struct, kw_only=True, frozen=True):
    """One file of a version; its text is kept by hash."""

    file_id: str
    path: str
    sha256: str  #: base64
    length: int  #: bytes of UTF-8
    content_type: str = "text/plain"


class SkillVersion(msgspec.Struct, kw_only=True):
    """One immutable version; labels and tags are all that changes."""

    version_id: str
    name: str
    version: int
    description: str
    frontmatter: dict[str, Any]
    files: list[SkillFile]
    labels: list[str] = []
    tags: list[str] = []  #: of the skill, the same for all versions
    commit_message: str | None = None
    created_by: str = "API"
    created_ns: int = 0
    updated_ns: int = 0


class Skill(msgspec.Struct, kw_only=True):
    """A skill in a list: its newest version, and the one labelled production."""

    latest: SkillVersion
    production: int | None = None


def hash_of(content: str) -> str:
    """The base64 SHA-256 of a text's UTF-8 bytes."""
    return b64encode(sha256(content.encode()).digest()).decode()


def check_path(path: str) -> str:
    """``path`` if it stays inside the skill's folder.

    Raises:
        InvalidArgument: absolute, leads out, or has an empty part.
    """
    parts = path.split("/")
    if not path or len(path) > 500 or "\\" in path or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise InvalidArgument(f"'{path[:100]}' is not a path inside the skill's folder")
    return path


def front_matter(text: str) -> str:
    """The YAML between the dashes at the start of a ``SKILL.md``.

    Raises:
        InvalidArgument: there is none.
    """
    found = _FRONT.match(text)
    if found is None:
        raise InvalidArgument(f"{SKILL_FILE} must begin with front matter between two lines of three dashes")
    return found[1]


def check_front_matter(values: Any) -> tuple[str, str]:
    """Name and description of a skill from its parsed front matter.

    Raises:
        InvalidArgument: one is missing or breaks a rule.
    """
    if not isinstance(values, dict):
        raise InvalidArgument(f"the front matter of {SKILL_FILE} must be a mapping with 'name' and 'description'")
    name, description = values.get("name"), values.get("description")  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    if not isinstance(name, str) or len(name) > 64 or not _NAME.match(name):
        raise InvalidArgument("a skill's name has 1 to 64 lower-case letters, digits and single hyphens")
    if not isinstance(description, str) or not description.strip() or len(description) > MAX_DESCRIPTION:
        raise InvalidArgument(f"a skill needs a description of 1 to {MAX_DESCRIPTION} characters")
    return name, description
