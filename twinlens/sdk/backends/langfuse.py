"""Langfuse servers (3 and 4, cloud) and Twinlens' Langfuse face: OTLP for spans, ``/ingestion`` for scores."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from twinlens.sdk.backends.base import JSON, PROTOBUF, Draft, Remote, basic, tag_list
from twinlens.sdk.delivery import Refused
from twinlens.sdk.wire import Unreachable

if TYPE_CHECKING:
    from twinlens.sdk.batch import Batch
    from twinlens.sdk.score import Score

#: The Langfuse SDK's own default.
CLOUD = "https://cloud.langfuse.com"


class Langfuse(Remote):
    """The guide's ``langfuse:`` options."""

    name = "langfuse"

    def __init__(self, options: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        url = options.get("host") or options.get("base_url")
        url = url or environ.get("LANGFUSE_BASE_URL") or environ.get("LANGFUSE_HOST") or CLOUD
        public = options.get("public_key") or environ.get("LANGFUSE_PUBLIC_KEY") or ""
        secret = options.get("secret_key") or environ.get("LANGFUSE_SECRET_KEY") or ""
        if not public or not secret:
            raise ValueError("needs public_key and secret_key (or LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY)")
        super().__init__(url, public, basic(public, secret))
        self._project = options.get("project")
        self._environment = options.get("environment") or environ.get("LANGFUSE_TRACING_ENVIRONMENT")
        self._release = options.get("release") or environ.get("LANGFUSE_RELEASE")
        self._tags = tag_list(options.get("tags"))

    def parcels(self, batch: Batch) -> Iterator[Draft]:
        if batch.request.resource_spans:
            head = {
                "path": "/api/public/otel/v1/traces",
                "type": PROTOBUF,
                "headers": {"x-langfuse-ingestion-version": "4"},
            }
            yield head, self._said(batch.request).SerializeToString()
        if batch.scores:
            yield scores_draft(batch.scores)

    def deliver(self, head: dict[str, Any], body: bytes) -> None:
        if head["path"].endswith("/ingestion"):
            check_ingestion(self.post(head["path"], body, {"Content-Type": head["type"]}).body)
        else:
            super().deliver(head, body)

    def _said(self, request: Any) -> Any:
        """A copy that says what the options say."""
        from twinlens.sdk.encode import set_text, spans_of

        if not (self._project or self._environment or self._release or self._tags):
            return request
        copy = type(request)()
        copy.CopyFrom(request)
        for span in spans_of(copy):
            if self._environment:
                set_text(span, "langfuse.environment", self._environment)
            if span.parent_span_id:
                continue
            if self._release:
                set_text(span, "langfuse.release", self._release)
            if self._project:
                set_text(span, "langfuse.trace.metadata.project", self._project)
            if self._tags:
                merge_tags(span, self._tags)
        return copy


def merge_tags(span: Any, tags: list[str]) -> None:
    """Add to the tags of a root span, keeping what is there."""
    for attribute in span.attributes:
        if attribute.key == "langfuse.trace.tags":
            values = attribute.value.array_value.values
            have = {v.string_value for v in values}
            for tag in tags:
                if tag not in have:
                    values.add().string_value = tag
            return
    from twinlens.sdk.encode import set_texts

    set_texts(span, "langfuse.trace.tags", tags)


def scores_draft(scores: list[Score]) -> Draft:
    """Scores as one batch for ``/api/public/ingestion``. Ids are ours, so a batch that arrives twice changes nothing."""
    events = [score.langfuse_event() for score in scores]
    return {"path": "/api/public/ingestion", "type": JSON}, json.dumps({"batch": events}).encode()


def check_ingestion(body: bytes) -> None:
    """Read the 207 answer.

    Raises:
        Unreachable: it is none, so nobody took the batch.
        Refused: something in the batch was.
    """
    try:
        found = json.loads(body)
        taken, errors = found["successes"], found["errors"]
        if not isinstance(taken, list):
            raise TypeError
    except (ValueError, AttributeError, LookupError, TypeError) as error:
        raise Unreachable(f"/api/public/ingestion answered {body[:40]!r}, so it is no langfuse server") from error
    if errors:
        raise Refused(f"scores: {json.dumps(errors)[:300]}")
