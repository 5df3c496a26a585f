"""Ids: one canonical form is stored, faces add and strip their own prefixes.

Canonical trace id: whatever the writer sent, except that MLflow's ``tr-`` prefix in front of 32 hex digits is taken
off, and 32 hex digits are lower case. So the same OTel trace has one id on every face. Ids are free strings of at
most 800 characters without control characters (Langfuse's documented limit).
"""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid

from twinlens.domain.errors import InvalidArgument

MAX_ID = 800
_HEX32 = re.compile(r"[0-9a-fA-F]{32}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def canonical_trace_id(text: str) -> str:
    """The stored form of a trace id that any face was given."""
    if text.startswith("tr-") and _HEX32.match(text[3:]):
        return text[3:].lower()
    return text.lower() if _HEX32.match(text) else text


def possible_trace_ids(text: str) -> tuple[str, ...]:
    """The stored ids that an id from an MLflow client may mean, likeliest first.

    MLflow's face shows every id behind ``tr-``. Behind 32 hex digits that prefix is never stored; behind a free id of
    another protocol it may or may not be part of it.
    """
    canonical = canonical_trace_id(text)
    return (canonical, canonical[3:]) if canonical.startswith("tr-") and len(canonical) > 3 else (canonical,)


def check_id(text: str, what: str = "id") -> str:
    """Return ``text`` if it may serve as an id.

    Raises:
        InvalidArgument: empty, longer than 800 characters, or with control characters.
    """
    if not text or len(text) > MAX_ID or _CONTROL.search(text):
        raise InvalidArgument(f"{what} must be 1 to {MAX_ID} characters without line breaks or control characters")
    return text


def mlflow_trace_id(canonical: str) -> str:
    """The id MLflow clients expect: ``tr-`` + the canonical id."""
    return canonical if canonical.startswith("tr-") else "tr-" + canonical


def hex_id(text: str, digits: int) -> str:
    """An id as so many hex digits, as OpenTelemetry has them: itself if it is one, else a stable hash."""
    if re.fullmatch(f"[0-9a-f]{{{digits}}}", text) and text.strip("0"):
        return text
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=digits // 2).hexdigest()


def new_hex() -> str:
    """32 random hex digits (run ids, trace ids)."""
    return uuid.uuid4().hex


def new_span_id() -> str:
    """16 random hex digits."""
    return secrets.token_hex(8)


def new_uuid() -> str:
    """A dashed random UUID."""
    return str(uuid.uuid4())
