"""Semantic versions: what is one, and which of two is newer (https://semver.org, 2.0.0)."""

from __future__ import annotations

import re

from twinlens.domain.errors import InvalidArgument

MAX_LENGTH = 128
_MAX_NUMBER = 2_147_483_647
_NUMBER = r"(0|[1-9][0-9]*)"
_IDENTIFIER = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)

#: Compares as the versions do: core numbers, then releases behind prereleases, then the prerelease's parts.
Precedence = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]


def precedence(version: str) -> Precedence:
    """The place of a version among others; build metadata does not count.

    Raises:
        InvalidArgument: no semantic version, or one that is too long.
    """
    found = _VERSION.fullmatch(version) if len(version) <= MAX_LENGTH else None
    if found is None or any(len(part) > 10 or int(part) > _MAX_NUMBER for part in found.groups()[:3]):
        raise InvalidArgument(
            f"Invalid semantic version '{version[:MAX_LENGTH]}': expected one like '1.4.0' or '2.0.0-rc.1',"
            f" of at most {MAX_LENGTH} characters"
        )
    parts: list[tuple[bool, int, str]] = []
    for part in (found[4] or "").split(".") if found[4] else ():
        parts.append((False, int(part), "") if part.isdigit() else (True, 0, part))  # numbers before words
    return int(found[1]), int(found[2]), int(found[3]), not parts, tuple(parts)
