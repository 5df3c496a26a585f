"""JSON as clients really write it.

JavaScript cuts texts in the middle of a character and then writes half of it (``"\\ud83d"``); Python writes ``NaN``. Both parse
in the languages that wrote them, and what one event says must not cost the other events of its request.
"""

from __future__ import annotations

import re

_PAIR_OR_HALF = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|([89a-fA-F][0-9a-fA-F]{2}))"
)
_TEXT_OR_NO_NUMBER = re.compile(rb'"(?:[^"\\]|\\.)*+"|(-?\b(?:NaN|Infinity)\b)', re.DOTALL)


def mended(raw: bytes) -> bytes:
    """The body with lone surrogates as the replacement character and numbers that are none as ``null``.

    A body without any of them is returned as it is; to see that takes a few searches at memory speed.
    """
    if b"\\ud" in raw or b"\\uD" in raw:

        def whole(found: re.Match[bytes]) -> bytes:
            before = raw[max(0, found.start() - 1_024) : found.start()]
            escaped = (len(before) - len(before.rstrip(b"\\"))) % 2  # a backslash, and then the text "ud83d"
            if found[1] is None:
                return found[0][:6] + rb"\ufffd" if escaped else found[0]
            return found[0] if escaped else rb"\ufffd"

        raw = _PAIR_OR_HALF.sub(whole, raw)
    if b"NaN" in raw or b"Infinity" in raw:
        raw = _TEXT_OR_NO_NUMBER.sub(lambda found: b"null" if found[1] else found[0], raw)
    return raw
