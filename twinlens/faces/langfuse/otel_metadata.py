"""Metadata of observations that came over OpenTelemetry from anything but a Langfuse SDK.

Langfuse has no other place for them, so what such a span says beyond the fields it knows stands in its metadata: ``attributes``
(those that did not become input or output), ``resourceAttributes`` and ``scope``.
"""

from __future__ import annotations

from typing import Any

from twinlens.domain.trace import Span
from twinlens.ingest.dialects.plan import in_family

_SDK = "langfuse-sdk"
_EVENTS = "langfuse-ingestion"  # the dialect of spans that came as events, without attributes
#: Observations of one trace up to which its answer has them; a client waits five seconds for the whole.
MOST_IN_A_TRACE = 5_000


def speaks_for_itself(span: Span) -> bool:
    """Whether a span is not of Langfuse's making, so that its metadata has more than what was called metadata."""
    return span.dialect != _EVENTS and not span.scope.name.startswith(_SDK)


def metadata_of(span: Span) -> dict[str, Any]:
    """Metadata of an observation; ``span`` was read with its attributes, or is shown without them."""
    if not speaks_for_itself(span) or not (span.attributes or span.resource):
        return span.metadata
    used = [rule.partition(":")[2] for field in ("input", "output") if (rule := span.rules.get(field))]
    return {
        "attributes": {key: value for key, value in span.attributes.items() if not _one_of(used, key)},
        "resourceAttributes": span.resource,
        "scope": {"name": span.scope.name, "version": span.scope.version, "attributes": span.scope.attributes},
        **span.metadata,
    }


def _one_of(patterns: list[str], key: str) -> bool:
    return any(in_family(pattern, key) if pattern.endswith("*") else pattern == key for pattern in patterns)
