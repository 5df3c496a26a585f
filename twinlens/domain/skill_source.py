"""Where the files of a skill's version are when they are not here: a Git repository, an image or an archive.

The server keeps such a place and never goes there: MLflow's client fetches it with its own user's credentials. So a place holds no
credentials, and is none on somebody's disk (rules of MLflow 3.18's server).
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

import msgspec

from twinlens.domain.errors import InvalidArgument

SourceType = Literal["git", "oci", "zip"]
MAX_LENGTH = 2_048
_KNOWN: dict[str, SourceType] = {"git": "git", "oci": "oci", "zip": "zip"}
_OCI = "oci://"
_SCHEMES: dict[str, SourceType] = {"oci": "oci", "git": "git"}
_INSIDE = ("mlflow-artifacts:/", "runs:/", "models:/")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_SSH = re.compile(r"(?:[\w.-]+@[\w.-]+|[\w-]+(?:\.[\w-]+)+):")  # user@host:path, host.name:path
_BLANK = re.compile(r"[\s\x00-\x1f\x7f]")
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:[A-Za-z0-9.-]+(?::\d+)?/)?{_PART}(?:/{_PART})*(?::\w[\w.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?\Z"
)
#: Parameters of signed addresses.
_SECRET = frozenset(
    {
        "access_token", "googleaccessid", "sig", "signature", "token", "x-amz-credential", "x-amz-security-token",
        "x-amz-signature", "x-goog-credential", "x-goog-signature",
    }
)  # fmt: skip


class SkillSource(msgspec.Struct, kw_only=True, frozen=True):
    """A place; ``ref`` (branch, tag or commit) is Git's only, ``subpath`` the skill's folder in it."""

    type: SourceType
    location: str
    ref: str | None = None
    subpath: str | None = None


def read_source(type: str | None, location: str, ref: str | None, subpath: str | None) -> SkillSource:
    """A place as a client names it.

    Args:
        type: None lets the location tell.

    Raises:
        InvalidArgument: none that a client could fetch from anywhere, or one that holds credentials.
    """
    found = location.strip()
    lowered = found.lower()
    if lowered.startswith(_INSIDE):
        raise InvalidArgument(
            f"'source' {location[:200]!r} names content inside MLflow; a remote source must be a git, oci, or zip location."
            " Upload local content instead of pointing at it."
        )
    if type is not None and type not in _KNOWN:
        raise InvalidArgument(f"Unknown 'source_type' {type[:100]!r}; expected one of {list(_KNOWN)}.")
    if type != "oci" and _is_path(found):
        raise InvalidArgument(
            f"'source' must be a remote git, oci, or zip location, got {location[:200]!r}. The server never reads a path on its"
            " own filesystem; local content is uploaded instead."
        )
    scheme = _SCHEMES.get(lowered.split("://")[0]) if "://" in lowered else None
    if type is not None and scheme is not None and scheme != type:
        raise InvalidArgument(f"'source_type' {type!r} contradicts the scheme of 'source' {location[:200]!r}.")
    kind = _KNOWN[type] if type is not None else scheme or _guess(found)
    if ref is not None and kind != "git":
        raise InvalidArgument("'ref' applies to git sources only.")
    if kind == "oci":
        found = found[len(_OCI) :] if lowered.startswith(_OCI) else found
        _check(found, "OCI image reference")
        if not _IMAGE.match(found):
            raise InvalidArgument(f"OCI image reference '{found[:200]}' is malformed.")
    elif kind == "git":
        _check_git(found, ref)
    else:
        _check_zip(found)
    return SkillSource(type=kind, location=found, ref=ref, subpath=_subpath(subpath))


def _is_path(location: str) -> bool:
    if _DRIVE.match(location):
        return True
    return "://" not in location and not _SSH.match(location)


def _guess(location: str) -> SourceType:
    try:
        path = urlsplit(location).path.removesuffix("/")
    except ValueError:
        path = ""
    if path.endswith(".git"):
        return "git"
    if path.endswith(".zip"):
        return "zip"
    raise InvalidArgument(
        f"Cannot infer the source type of '{location[:200]}'. Say 'source_type', or use a URL that ends in '.git' or '.zip', or"
        " starts with 'git://' or 'oci://'."
    )


def _check(value: str, what: str) -> None:
    if not value or value.startswith("-") or _BLANK.search(value) or len(value) > MAX_LENGTH:
        raise InvalidArgument(f"{what} must have 1 to {MAX_LENGTH} characters without spaces and not begin with '-'")


def _check_git(url: str, ref: str | None) -> None:
    _check(url, "Git URL")
    if ref is not None:
        _check(ref, "Git ref")
    if "://" in url:
        scheme, user, password = _parts(url)
        # the user of an SSH address is part of it; of any other it is a credential
        if password or (user and scheme in ("http", "https")):
            raise InvalidArgument("Git URL must not contain credentials; they would be stored with the skill version.")


def _check_zip(url: str) -> None:
    _check(url, "ZIP URL")
    scheme, user, password = _parts(url)
    if scheme not in ("http", "https"):
        raise InvalidArgument("ZIP source must be an http(s) URL.")
    if (
        user
        or password
        or {name.lower() for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)} & _SECRET
    ):
        raise InvalidArgument("ZIP sources must be publicly accessible and must not contain credentials.")


def _parts(url: str) -> tuple[str, str | None, str | None]:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise InvalidArgument(f"'{url[:200]}' is not an address") from None
    return parts.scheme, parts.username, parts.password


def _subpath(subpath: str | None) -> str | None:
    found = (subpath or "").strip()
    if not found:
        return None
    parts = found.rstrip("/").split("/")
    if len(found) > MAX_LENGTH or "\\" in found or ":" in found or any(part in ("", ".", "..") for part in parts):
        raise InvalidArgument(f"Subpath '{found[:200]}' must lead to a folder inside the source")
    return "/".join(parts)
