"""One call, one model span: LLM spans around LLM spans (LlamaIndex reports three for each call) become steps. Export thread only."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from twinlens.sdk.encode import spans_of

_KIND = "openinference.span.kind"
_TOKENS = "llm.token_count."
#: Spans around model calls that are remembered until they end.
REMEMBERED = 4_096


class Wrappers:
    """Knows which spans have a model call right below them; children end, and so arrive, before their parents."""

    def __init__(self) -> None:
        self._around: OrderedDict[bytes, None] = OrderedDict()

    def apply(self, request: Any) -> None:
        """Turn OpenInference's LLM spans without tokens that hold another one into CHAIN spans, in place."""
        for span in sorted(spans_of(request), key=lambda s: s.end_time_unix_nano):
            kind = next((a for a in span.attributes if a.key == _KIND), None)
            if kind is None or kind.value.string_value != "LLM":
                continue
            if span.span_id in self._around and not any(a.key.startswith(_TOKENS) for a in span.attributes):
                kind.value.string_value = "CHAIN"
            if span.parent_span_id:
                self._around[span.parent_span_id] = None
                if len(self._around) > REMEMBERED:
                    self._around.popitem(last=False)
