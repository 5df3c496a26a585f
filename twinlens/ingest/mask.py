"""Server-side masking: replaces what must not be stored, before anything is stored. Off unless patterns are configured.

Patterns apply to every text in input, output, metadata, attributes, events and status messages of spans, to what patches say
about traces, and to content of log records. Keys of maps are left alone. Masked texts are marked in no other way than by the
replacement itself, which ``ingest.tokens`` knows as a redaction marker.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.otlp import RawLog
from twinlens.domain.trace import Span, TracePatch

DEFAULT_REPLACEMENT = "<REDACTED>"
_PATCH_TEXTS = ("name", "user_id", "session_id", "input_preview", "output_preview")


class Masker:
    """Applies one set of patterns.

    Args:
        patterns: regular expressions of what to replace.
        replacement: plain text put in its place (no group references).

    Raises:
        InvalidArgument: a pattern is not a regular expression, or matches the empty string.
    """

    def __init__(self, patterns: Sequence[str], replacement: str = DEFAULT_REPLACEMENT) -> None:
        compiled: list[str] = []
        for pattern in patterns:
            try:
                if re.compile(pattern).match("") is not None:
                    raise InvalidArgument(f"mask pattern {pattern!r} matches the empty string")
            except re.error as error:
                raise InvalidArgument(f"mask pattern {pattern!r} is not a regular expression: {error}") from None
            compiled.append(f"(?:{pattern})")
        self._patterns = [re.compile(p) for p in compiled]
        self._replacement = replacement

    @property
    def active(self) -> bool:
        """False when there is nothing to look for."""
        return bool(self._patterns)

    def text(self, text: str) -> str:
        """``text`` with every match replaced; the same object when nothing matches."""
        for pattern in self._patterns:
            if pattern.search(text) is not None:
                text = pattern.sub(lambda _: self._replacement, text)
        return text

    def value(self, value: Any) -> Any:
        """A plain value with all its texts masked; the same object when nothing matches."""
        if isinstance(value, str):
            masked = self.text(value)
            if masked is not value and value[:1] in ("{", "["):
                return self.json(value) or masked
            return masked
        if isinstance(value, list):
            items = [self.value(x) for x in value]
            return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
        if isinstance(value, dict):
            found = {k: self.value(v) for k, v in value.items()}
            return found if any(found[k] is not v for k, v in value.items()) else value
        return value

    def json(self, text: str | None) -> str | None:
        """JSON text with its strings masked. Matches are searched in the strings, not across JSON's punctuation."""
        if text is None:
            return None
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return self.text(text)
        masked = self.value(value)
        return text if masked is value else msgspec.json.encode(masked).decode()

    def spans(self, spans: Iterable[Span]) -> None:
        """Mask spans in place. Shared objects (resource, scope) are not changed."""
        if not self._patterns:
            return
        for span in spans:
            span.input = self.json(span.input)
            span.output = self.json(span.output)
            span.status_message = self.text(span.status_message)
            span.metadata = self.value(span.metadata)
            span.model_parameters = self.value(span.model_parameters)
            span.attributes = self.value(span.attributes)
            for name in ("user_id", "session_id"):
                found = getattr(span, name)
                if found is not None:
                    setattr(span, name, self.text(found))
            span.name = self.text(span.name)
            for event in span.events:
                event.attributes = self.value(event.attributes)
            for link in span.links:
                link.attributes = self.value(link.attributes)

    def patches(self, patches: Iterable[TracePatch]) -> None:
        """Mask trace patches in place."""
        if not self._patterns:
            return
        for patch in patches:
            patch.input = self.json(patch.input)
            patch.output = self.json(patch.output)
            patch.metadata = self.value(patch.metadata)
            patch.tags = self.value(patch.tags)
            patch.tag_values = self.value(patch.tag_values)
            for name in _PATCH_TEXTS:
                found = getattr(patch, name)
                if found is not None:
                    setattr(patch, name, self.text(found))

    def logs(self, logs: Iterable[RawLog]) -> None:
        """Mask log records in place."""
        if not self._patterns:
            return
        for log in logs:
            log.body = self.value(log.body)
            log.attributes = self.value(log.attributes)
