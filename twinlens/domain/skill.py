"""Agent skills: a folder of files with a ``SKILL.md``, numbered versions, movable labels.

Langfuse's unstable skills API and MLflow's registry (3.18) keep the same thing, and here it is one. What meets: names, version
numbers, files, labels (MLflow's aliases), tags that are plain words. What only one of the two has:

* MLflow puts skills into organizations. Here, and for Langfuse, such a skill is called as MLflow's identities are: ``@acme/review``.
* MLflow's versions have a state, tags with values, and may point to a Git repository, an image or an archive elsewhere instead
  of holding files; its skills have a description and icons of their own, and may have no version yet. Langfuse sees such
  versions with the files they have, also when they are drafts, and skills once they have a version.
* ``latest`` is a label on the newest version for Langfuse; for MLflow it means the newest active version, if there is one.
* Langfuse reads files as text; others are listed, and their bytes are read through MLflow's artifacts.
* MLflow's deleted versions are gone for Langfuse too; the skill stays until it is deleted. Langfuse's skill goes with its last version.

``SKILL.md`` begins with YAML front matter that holds at least ``name`` and ``description``; the name is the skill's, unless
MLflow's client chose another.
"""

from __future__ import annotations

import re
import struct
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any
from unicodedata import normalize

import msgspec

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.lifecycle import Status
from twinlens.domain.prompt import LATEST, PRODUCTION
from twinlens.domain.skill_source import SkillSource

SKILL_FILE = "SKILL.md"
MAX_FILES = 10_000  #: of one version; MLflow 3.18 has the same limits
MAX_BYTES = 25 * 1024 * 1024  #: of all files of one version
MAX_TEXT = 1_000_000  #: bytes of a file that is still kept, and read by Langfuse, as text
MAX_DESCRIPTION = 1_024
MAX_DEPTH = 128
WORD = "true"  #: value of a tag that is a plain word, where tags have values
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
_ORGANIZATION = re.compile(r"[a-z0-9]+([-.][a-z0-9]+)*\Z")
_FRONT = re.compile(r"\ufeff?---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(\r?\n|\Z)", re.DOTALL)
_UNSAFE = re.compile(r"""[\x00-\x1f\x7f\ud800-\udfff\\:<>"|?*]""")
#: Names that Windows keeps for devices, whatever comes behind a dot.
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))})


class SkillFile(msgspec.Struct, kw_only=True, frozen=True):
    """One file of a version; its content is kept by hash."""

    file_id: str
    path: str
    sha256: str  #: base64
    length: int  #: bytes
    content_type: str = "text/plain"
    text: bool = True  #: whether it is kept as text


class SkillVersion(msgspec.Struct, kw_only=True):
    """One immutable version; labels, tags and the state are all that changes."""

    version_id: str
    name: str
    version: int
    description: str
    frontmatter: dict[str, Any]
    files: list[SkillFile] = []  #: lists of versions can do without them
    file_count: int = 0
    labels: list[str] = []
    tags: list[str] = []  #: words, of the skill, the same for all versions
    commit_message: str | None = None
    created_by: str | None = "API"
    updated_by: str | None = None
    created_ns: int = 0
    updated_ns: int = 0
    status: Status = "active"
    source: SkillSource | None = None  #: where its files are, if not here
    digest: str | None = None  #: of the files: see ``tree_digest``
    version_tags: dict[str, str] = {}

    @property
    def token(self) -> str:
        """The last part of where MLflow's client reads its files: 32 hex digits that no other version has."""
        return self.version_id.replace("-", "")

    @property
    def source_type(self) -> str | None:
        """What MLflow calls the place of its files; ``mlflow`` is this server."""
        return self.source.type if self.source else "mlflow" if self.file_count else None

    @property
    def aliases(self) -> list[str]:
        """Its labels without the one that nobody sets."""
        return [label for label in self.labels if label != LATEST]


class SkillHead(msgspec.Struct, kw_only=True):
    """What a skill itself has, apart from its versions and the words that tag it."""

    description: str | None = None
    icons: list[dict[str, Any]] | None = None
    properties: dict[str, str] = {}  #: tags with values
    created_by: str | None = None
    updated_by: str | None = None
    created_ns: int = 0
    updated_ns: int = 0


class Skill(msgspec.Struct, kw_only=True):
    """A skill: its newest version, and the one that MLflow calls its latest; both None before the first one."""

    name: str
    head: SkillHead = msgspec.field(default_factory=SkillHead)
    words: list[str] = []
    labels: dict[str, int] = {}
    newest: SkillVersion | None = None
    current: SkillVersion | None = None

    @property
    def production(self) -> int | None:
        """The version with this label."""
        return self.labels.get(PRODUCTION)

    @property
    def description(self) -> str | None:
        """Its own, else what its latest version says."""
        if self.head.description is not None:
            return self.head.description
        return (self.current.description or None) if self.current else None

    @property
    def tags(self) -> dict[str, str]:
        """All tags with their values."""
        return dict(sorted((dict.fromkeys(self.words, WORD) | self.head.properties).items()))


def identity(name: str, organization: str = "") -> str:
    """What a skill of an organization is called: ``@acme/review``, or ``review`` without one.

    Raises:
        InvalidArgument: a name that breaks a rule.
    """
    if len(name) > 64 or not _NAME.match(name):
        raise InvalidArgument(
            f"Invalid skill name {name[:100]!r}: it must have 1 to 64 lower-case letters, digits and single hyphens"
        )
    if organization and (len(organization) > 64 or not _ORGANIZATION.match(organization)):
        raise InvalidArgument(
            f"Invalid organization name {organization[:100]!r}: it must have 1 to 64 lower-case letters, digits, single hyphens"
            " and periods"
        )
    return f"@{organization}/{name}" if organization else name


def split_identity(name: str) -> tuple[str, str]:
    """Organization (may be empty) and name."""
    if not name.startswith("@"):
        return "", name
    organization, _, rest = name[1:].partition("/")
    return organization, rest


def check_identity(name: str) -> str:
    """``name`` if a skill may be called so, with or without organization.

    Raises:
        InvalidArgument: otherwise.
    """
    organization, rest = split_identity(name)
    if name.startswith("@") and not organization:
        raise InvalidArgument(f"'{name[:100]}' is not a skill: expected 'name' or '@organization/name'")
    return identity(rest, organization)


def latest(versions: Iterable[SkillVersion]) -> SkillVersion | None:
    """What MLflow means by it: the highest active version, else the highest."""
    return max(versions, key=lambda row: (row.status == "active", row.version), default=None)


def hash_of(content: bytes) -> str:
    """The base64 SHA-256 of a file."""
    return b64encode(sha256(content).digest()).decode()


def text_of(content: bytes) -> str | None:
    """A file's content as text; None where it is none, or so long that it is kept in pieces."""
    if len(content) > MAX_TEXT or b"\0" in content:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def tree_digest(contents: Mapping[str, bytes]) -> str:
    """The hash of a tree by which MLflow's clients check what they downloaded (reference: MLflow 3.18).

    SHA-256 over the files in the order of their paths' UTF-8: length of path, path, length of content, content; lengths are
    big-endian in 8 bytes.
    """
    found = sha256()
    for path in sorted(contents, key=str.encode):
        for part in (path.encode(), contents[path]):
            found.update(struct.pack(">Q", len(part)))
            found.update(part)
    return found.hexdigest()


def check_path(path: str) -> str:
    """``path``, in Unicode's composed form, if it stays inside the skill's folder on every system.

    Raises:
        InvalidArgument: absolute, leads out, has an empty part, or characters that some file systems refuse.
    """
    found = normalize("NFC", path)
    parts = found.split("/")
    if len(found) > 1_000 or len(parts) > MAX_DEPTH or _UNSAFE.search(found) or not all(map(_is_name, parts)):
        shown = path[:100].encode("utf-8", "backslashreplace").decode()
        raise InvalidArgument(f"'{shown}' is not a path inside the skill's folder that every system can hold")
    return found


def _is_name(part: str) -> bool:
    return (
        part not in ("", ".", "..")
        and part[-1] not in " ."
        and len(part.encode()) <= 255
        and part.split(".", 1)[0].lower() not in _DEVICES
    )


def check_tree(paths: Sequence[str]) -> None:
    """Raise ``InvalidArgument`` unless these checked paths can be files of one folder, also where case does not count."""
    files: dict[str, str] = {}
    for path in paths:
        folded = path.casefold()
        if folded in files:
            raise InvalidArgument(f"the paths of a skill's files must differ: '{files[folded]}' and '{path}'")
        files[folded] = path
    folders: dict[str, str] = {}
    for path in paths:
        at = path.rfind("/")
        # a folder that is known was looked at, with those above it
        while at > 0 and folders.get(path[:at].casefold()) != path[:at]:
            folder, folded = path[:at], path[:at].casefold()
            if folded in files:
                raise InvalidArgument(f"'{files[folded]}' is a file and the folder of '{path}'")
            if folded in folders:
                raise InvalidArgument(f"the folders '{folders[folded]}' and '{folder}' differ in case only")
            folders[folded] = folder
            at = path.rfind("/", 0, at)


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
    if not isinstance(name, str):
        raise InvalidArgument("a skill's name must be text")
    identity(name)
    if not isinstance(description, str) or not description.strip() or len(description) > MAX_DESCRIPTION:
        raise InvalidArgument(f"a skill needs a description of 1 to {MAX_DESCRIPTION} characters")
    return name, description
