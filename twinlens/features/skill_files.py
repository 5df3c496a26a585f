"""Files of skills as artifacts: MLflow's client reads them below ``mlflow-artifacts:/skills/[@organization/]<name>/<token>``.

They are no artifacts: every version has them there, whoever made it. Nobody may write there, because a version never changes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Literal

from twinlens.domain.artifact import PROXY_SCHEME
from twinlens.domain.errors import NotFound
from twinlens.domain.skill import SkillFile, SkillVersion
from twinlens.features.artifacts import Artifact
from twinlens.features.skills import Skills
from twinlens.store.blobs.interface import BlobInfo
from twinlens.store.catalog.skills import PIECE

_PATH = re.compile(r"skills/((?:@[^/]+/)?[^/@]+)/([0-9a-f]{32})(?:/(.+))?\Z")


def skill_path(row: SkillVersion) -> str:
    """The artifact path below which a version's files are read."""
    return f"skills/{row.name}/{row.token}"


def skill_uri(row: SkillVersion) -> str | None:
    """Where MLflow's client reads a version's files; None when they are elsewhere, or there are none."""
    return f"{PROXY_SCHEME}:/{skill_path(row)}" if row.file_count else None


def skill_of(path: str) -> str | None:
    """The skill that an artifact's path may belong to."""
    found = _PATH.match(path.strip("/"))
    return found[1] if found else None


class SkillFiles:
    """See the module's text; what ``Artifacts`` asks before it looks among its own."""

    def __init__(self, skills: Skills) -> None:
        self._skills = skills

    async def keeps(self, project_id: str, path: str) -> bool:
        """Whether a path is that of a version or inside of it."""
        return await self._find(project_id, path) is not None

    async def open(self, project_id: str, path: str) -> Artifact | None:
        """A file; None when the path is not one of a skill.

        Raises:
            NotFound: the version has no such file.
        """
        found = await self._find(project_id, path)
        if found is None:
            return None
        row, inner = found
        for file in row.files:
            if file.path == inner:
                return Artifact(store=_Content(self._skills, project_id, file), key=file.path, size=file.length)
        raise NotFound(f"No such artifact: '{inner}'")

    async def list(self, project_id: str, path: str) -> list[BlobInfo] | None:
        """What a folder holds, by plain names; None when the path is not one of a skill."""
        found = await self._find(project_id, path)
        if found is None:
            return None
        row, inner = found
        prefix = inner + "/" if inner else ""
        entries: dict[str, BlobInfo] = {}
        for file in row.files:
            if file.path.startswith(prefix):
                name, below, _ = file.path[len(prefix) :].partition("/")
                entries[name] = BlobInfo(path=name, is_dir=bool(below), size=None if below else file.length)
        return [entries[name] for name in sorted(entries)]

    async def _find(self, project_id: str, path: str) -> tuple[SkillVersion, str] | None:
        match = _PATH.match(path.strip("/"))
        if match is None:
            return None
        row = await asyncio.to_thread(self._skills.by_token, project_id, match[1], match[2])
        return None if row is None else (row, match[3] or "")


class _Content:
    """A file's bytes as a blob that can be read."""

    def __init__(self, skills: Skills, project_id: str, file: SkillFile) -> None:
        self._skills = skills
        self._project = project_id
        self._file = file

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of ``[start, end)``."""
        digest, last = self._file.sha256, self._file.length if end is None else min(end, self._file.length)
        if self._file.text:
            texts = await asyncio.to_thread(self._skills.texts, self._project, [digest])
            yield texts[digest].encode()[start:last]
            return
        for number in range(start // PIECE, -(-last // PIECE)):
            piece = await asyncio.to_thread(self._skills.piece, self._project, digest, number)
            if piece is None:
                raise NotFound(f"'{key}' has been deleted")
            yield piece[max(0, start - number * PIECE) : last - number * PIECE]

    async def sign(self, method: Literal["GET", "PUT"], key: str, seconds: int) -> str | None:
        """There are no addresses."""
        return None
