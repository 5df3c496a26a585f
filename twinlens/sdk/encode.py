"""Finished spans to OTLP, masked. Runs on the export thread only, which pays for importing protobuf."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue
    from opentelemetry.sdk.trace import ReadableSpan

    from twinlens.sdk.span import Span

#: Built-in detectors for ``mask:``.
DETECTORS = {
    "email": r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+",
    "phone": r"(?<![\w.])\+?\d{1,3}[ .-]?\(?\d{2,4}\)?(?:[ .-]\d{2,4}){2,3}(?![\w.])",
    "card": r"(?<!\d)(?:\d[ -]?){13,18}\d(?!\d)",
    "key": r"\b(?:sk|pk|rk|ghp|gho|xox[abp])[-_][A-Za-z0-9_-]{8,}|\bAKIA[0-9A-Z]{16}\b|\beyJ[\w-]{10,}\.[\w-]+\.[\w-]+",
}
MASKED = "***"
#: Attributes that carry what people and models said, in the dialects that agents write.
_CONTENT = re.compile(
    r"^(langfuse\.(observation|trace)\.(input|output)$|mlflow\.span(Inputs|Outputs)$|(input|output)\.value$"
    r"|gen_ai\.(input\.messages|output\.messages|system_instructions|prompt($|\.\d)|completion($|\.\d)"
    r"|content\.|tool\.call\.(arguments|result)|retrieval\.(query|documents))"
    r"|llm\.(input_messages|output_messages|prompts|prompt_template|invocation_parameters)|retrieval\.documents"
    r"|traceloop\.entity\.(input|output)|pydantic_ai\.all_messages|all_messages_events|events$|ai\.(prompt|response\.)"
    r"|gcp\.vertex\.agent\.(llm_request|llm_response|tool_call_args|tool_response|data)|tool\.parameters)"
)


class Masker:
    """Blanks out matches of regular expressions and detectors, and drops content altogether when asked.

    Args:
        mask: names of ``DETECTORS`` or regular expressions; ones that do not compile are in ``wrong``.
        capture_content: False drops prompts and answers.
        hook: the program's own; gets every text after the patterns. What it cannot mask is left out altogether.
    """

    def __init__(
        self, mask: Sequence[str], capture_content: bool = True, hook: Callable[[str], Any] | None = None
    ) -> None:
        self.hook = hook
        self.wrong: list[str] = []
        self._patterns: list[re.Pattern[str]] = []
        self._content = capture_content
        for entry in mask:
            try:
                self._patterns.append(re.compile(DETECTORS.get(entry, entry)))
            except re.error:
                self.wrong.append(entry)

    def text(self, value: str) -> str:
        """The text with every match replaced."""
        for pattern in self._patterns:
            value = pattern.sub(MASKED, value)
        if self.hook is not None and value:
            try:
                masked = self.hook(value)
                value = masked if isinstance(masked, str) else json.dumps(masked, default=str)
            except Exception:
                return MASKED
        return value

    def apply(self, request: ExportTraceServiceRequest) -> None:
        """Change the request in place."""
        if self._content and not self._patterns and self.hook is None:
            return
        for span in spans_of(request):
            for holder in (span, *span.events):
                if not self._content:
                    kept = [a for a in holder.attributes if not _CONTENT.match(a.key)]
                    if len(kept) != len(holder.attributes):
                        del holder.attributes[:]
                        holder.attributes.extend(kept)
                for attribute in holder.attributes:
                    self._value(attribute.value)
            span.status.message = self.text(span.status.message)

    def _value(self, value: AnyValue) -> None:
        kind = value.WhichOneof("value")
        if kind == "string_value":
            masked = self.text(value.string_value)
            if masked != value.string_value:
                value.string_value = masked
        elif kind == "array_value":
            for item in value.array_value.values:
                self._value(item)
        elif kind == "kvlist_value":
            for item in value.kvlist_value.values:
                self._value(item.value)


def encode(spans: Sequence[ReadableSpan | Span]) -> ExportTraceServiceRequest:
    """The spans as one request. A span that cannot be encoded is left out rather than taking the others with it."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        return encode_spans(spans)  # pyright: ignore[reportArgumentType] - ours has all that is read
    except Exception:
        whole = ExportTraceServiceRequest()
        for span in spans:
            try:
                whole.MergeFrom(encode_spans([span]))  # pyright: ignore[reportArgumentType]
            except Exception:  # noqa: S112 - one broken span must not stop the rest
                continue
        return whole


def spans_of(request: ExportTraceServiceRequest) -> Iterator[Any]:
    """Every span of the request."""
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            yield from scope.spans


def decode(value: AnyValue) -> Any:
    """An attribute's value as Python's."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [decode(v) for v in value.array_value.values]
    if kind == "kvlist_value":
        return {p.key: decode(p.value) for p in value.kvlist_value.values}
    if kind == "bytes_value":
        return value.bytes_value.hex()
    return getattr(value, kind) if kind else None


def attributes_of(holder: Any) -> dict[str, Any]:
    """Attributes of a span, event or resource."""
    return {a.key: decode(a.value) for a in holder.attributes}


def set_text(span: Any, key: str, value: str) -> None:
    """Add a text attribute."""
    span.attributes.add(key=key).value.string_value = value


def set_texts(span: Any, key: str, values: Sequence[str]) -> None:
    """Add an attribute that is a list of texts."""
    array = span.attributes.add(key=key).value.array_value
    for value in values:
        array.values.add().string_value = value


def loads(text: Any) -> Any:
    """JSON text as its value, any other value as it is."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def plain_span(span: Any, resource: dict[str, Any] | None = None) -> dict[str, Any]:
    """A span as JSON-ready values: ids in hex, times in Unix nanoseconds, attributes as they are."""
    found: dict[str, Any] = {
        "trace_id": span.trace_id.hex(), "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex() or None, "name": span.name,
        "start_time_unix_nano": span.start_time_unix_nano, "end_time_unix_nano": span.end_time_unix_nano,
        "status": ("UNSET", "OK", "ERROR")[span.status.code], "status_message": span.status.message or None,
        "attributes": attributes_of(span),
        "events": [
            {"name": e.name, "time_unix_nano": e.time_unix_nano, "attributes": attributes_of(e)} for e in span.events
        ],
    }  # fmt: skip
    if resource:
        found["resource"] = resource
    return found


def fill(target: AnyValue, value: Any) -> None:
    """Make ``target`` hold a JSON-like value, structured."""
    if isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        target.int_value = value
    elif isinstance(value, (int, float)):
        target.double_value = float(value)
    elif isinstance(value, dict):
        target.kvlist_value.SetInParent()
        for key, item in value.items():
            fill(target.kvlist_value.values.add(key=str(key)).value, item)
    elif isinstance(value, list):
        target.array_value.SetInParent()
        for item in value:
            fill(target.array_value.values.add(), item)
    elif value is not None:
        target.string_value = str(value)


def set_value(span: Any, key: str, value: Any) -> None:
    """Add an attribute of any JSON-like value."""
    fill(span.attributes.add(key=key).value, value)
