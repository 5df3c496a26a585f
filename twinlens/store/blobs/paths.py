"""Blob keys: the one place that decides whether a path may name anything at all."""

from __future__ import annotations

import re
from urllib.parse import unquote

from twinlens.domain.errors import InvalidArgument

#: S3's limit on a key, in bytes of UTF-8; folder engines have a lower one per segment (255).
MAX_KEY_BYTES = 1024
MAX_SEGMENT_BYTES = 255
#: First segment under which engines keep unfinished writes; never part of a key.
TEMP = ".tmp"
_DRIVE = re.compile(r"[A-Za-z]:")
_DECODE_ROUNDS = 5  #: more layers of percent-encoding than any proxy chain adds


def check_key(key: str) -> str:
    """Return ``key`` when it is a relative POSIX path that names something inside a root.

    A path that only becomes a traversal after percent-decoding (``%2e%2e``) is refused as well, because some proxy or
    client between two services may decode once more than we do.

    Raises:
        InvalidArgument: empty, absolute, with ``.``/``..``/empty segments, NUL, control characters, backslash or a
            drive letter, or too long.
    """
    form = key
    for _ in range(_DECODE_ROUNDS):
        _check_once(form, key)
        decoded = unquote(form)
        if decoded == form:
            break
        form = decoded
    if key.split("/", 1)[0] == TEMP:
        raise InvalidArgument(f"Invalid path: '{key}': the name {TEMP} is reserved")
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        raise InvalidArgument("Invalid path: not valid Unicode") from None
    if len(encoded) > MAX_KEY_BYTES or any(len(part.encode()) > MAX_SEGMENT_BYTES for part in key.split("/")):
        raise InvalidArgument(
            f"Invalid path: longer than {MAX_KEY_BYTES} bytes, or a name in it longer than {MAX_SEGMENT_BYTES}"
        )
    return key


def check_prefix(prefix: str) -> str:
    """Like ``check_key``, but the empty text (the root) is allowed and trailing slashes are dropped."""
    prefix = prefix.rstrip("/")
    return check_key(prefix) if prefix else ""


def join(*parts: str) -> str:
    """Join non-empty parts by slashes."""
    return "/".join(part.strip("/") for part in parts if part.strip("/"))


def basename(key: str) -> str:
    """The last segment."""
    return key.rsplit("/", 1)[-1]


def _check_once(form: str, key: str) -> None:
    if not form:
        raise InvalidArgument("Invalid path: it is empty")
    if "\\" in form or any(ord(c) < 32 or ord(c) == 127 for c in form):
        raise InvalidArgument(f"Invalid path: {key!r}: backslashes and control characters are not allowed")
    if form.startswith("/") or (_DRIVE.match(form) and form[2:3] in ("/", "")):
        raise InvalidArgument(f"Invalid path: {key!r}: it must be relative")
    if any(part in ("", ".", "..") for part in form.split("/")):
        raise InvalidArgument(f"Invalid path: {key!r}: empty, '.' and '..' segments are not allowed")
