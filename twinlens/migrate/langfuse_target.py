"""A Langfuse project as a target, over its public API: events for traces, observations and scores, single calls for the rest.
A server of version 4 refuses events of traces and observations; it gets spans over OTLP (``langfuse_otlp``).

Ids of traces, observations, scores and dataset items are the client's there, so writing again changes nothing; other
things are found by name. A run becomes a trace with its params as metadata and its last metrics as scores; the run itself, and
all else that Langfuse has no place for, is kept whole as items of the dataset ``twinlens ledger``.
"""

from __future__ import annotations

import base64
import hashlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import IO, Any
from urllib.parse import quote

import msgspec
import requests

from twinlens.domain.clock import iso_ms, now_ns
from twinlens.domain.ids import hex_id
from twinlens.domain.prompt import LATEST
from twinlens.domain.record import (
    KINDS,
    AnyRecord,
    ArtifactRecord,
    CommentRecord,
    DatasetItemRecord,
    DatasetRecord,
    DatasetRunItemRecord,
    DatasetRunRecord,
    MediaRecord,
    MetricsRecord,
    PriceRecord,
    PromptRecord,
    RunRecord,
    ScoreConfigRecord,
    ScoreRecord,
    SpansRecord,
    TraceRecord,
)
from twinlens.domain.score import Score
from twinlens.domain.trace import Span
from twinlens.features.prompt_composition import dependencies_of
from twinlens.migrate import langfuse_otlp
from twinlens.migrate.errors import MigrationError
from twinlens.migrate.essence import key_of
from twinlens.migrate.http import Http
from twinlens.migrate.langfuse_source import (
    API,
    LEDGER,
    PROMPT,
    SCORE,
    SHOWN,
    SPAN,
    TRACE,
    LangfuseSource,
    item_metadata,
    price_of,
)
from twinlens.migrate.notes import Notes
from twinlens.migrate.system import Content, Source

#: Langfuse refuses bodies above 3.5 MB or so.
_BATCH = 2_000_000
#: By these a server of version 4 knows spans that say of themselves what their trace is, and shows them at once.
_LIKE_SDK_5 = {
    "Content-Type": "application/json", "x-langfuse-ingestion-version": "4", "X-Langfuse-Sdk-Name": "python",
    "X-Langfuse-Sdk-Version": "5.0.4",
}  # fmt: skip
#: Longest wait for what was written last, in seconds.
_READABLE_S = 60.0
_TYPES = frozenset({
    "generation", "span", "event", "agent", "tool", "chain", "retriever", "embedding", "evaluator", "guardrail",
})  # fmt: skip
#: Fields that an observation and a trace have a place for; the others are carried.
_SPAN_NATIVE = frozenset({
    "trace_id", "span_id", "parent_id", "name", "input", "output", "model", "model_parameters", "usage", "cost", "metadata",
    "level", "version", "environment", "created_ns", "updated_ns", "input_preview", "output_preview", "partial", "given",
})  # fmt: skip
_TRACE_CARRIED = (
    "experiment_id", "run_ids", "tag_values", "prompts", "client_request_id", "start_ns", "end_ns", "status", "client_fields",
    "final", "input_preview", "output_preview", "bookmarked", "source",
)  # fmt: skip


class LangfuseTarget:
    """One project: the one its keys open."""

    def __init__(self, http: Http, notes: Notes | None = None) -> None:
        self._http = http
        self._source = LangfuseSource(http)
        self._notes = notes or Notes()  #: of dataset runs, by id: Langfuse makes them with their first item
        self._newest: bytes | None = None  #: the span sent last
        self._turn = threading.Lock()
        self.kinds = KINDS

    def write(self, records: list[AnyRecord]) -> None:
        """See ``Target.write``."""
        events: list[dict[str, Any]] = []
        spans: list[dict[str, Any]] = []
        kept: list[AnyRecord] = []
        otlp = self._source.spans_only
        for record in records:
            match record:
                case TraceRecord() if otlp:
                    spans.extend(langfuse_otlp.trace_spans(record))
                case SpansRecord() if otlp:
                    spans.extend(langfuse_otlp.more_spans(record.spans))
                case TraceRecord():
                    events.append(_trace_event(record))
                    events.extend(_span_event(span) for span in record.spans)
                case SpansRecord():
                    events.extend(_span_event(span) for span in record.spans)
                case ScoreRecord():
                    s = record.score
                    events.append(_score_event(s, self._trace_id(s.trace_id), self._span_id(s.span_id)))
                case PromptRecord():
                    self._prompt(record)
                case DatasetRecord():
                    self._dataset(record)
                    kept.append(record)
                case DatasetItemRecord() if record.valid_to_ns is None:
                    self._item(record)
                    if record.item.status != "ACTIVE":  # not in Langfuse's lists
                        kept.append(record)
                case DatasetRunRecord():
                    self._notes.put("dataset run", [(record.key, msgspec.json.encode(record))])
                    kept.append(record)
                case DatasetRunItemRecord():
                    self._run_item(record)
                    kept.append(record)
                case ScoreConfigRecord():
                    self._config(record)
                    kept.append(record)
                case CommentRecord():
                    self._comment(record)
                    kept.append(record)
                case PriceRecord():
                    self._price(record)
                    kept.append(record)
                case MediaRecord() | ArtifactRecord():
                    pass  # written with their bytes
                case RunRecord() if otlp:
                    spans.append(_run_span(record))
                    kept.append(record)
                case RunRecord():
                    events.extend(_run_events(record))
                    kept.append(record)
                case MetricsRecord():
                    events.extend(_metric_events(record, self._trace_id(SHOWN + record.run_id)))
                    kept.append(record)
                case _:
                    kept.append(record)
        self._send(events, self._post)
        self._send(spans, self._post_spans)
        for record in kept:
            self._keep(record)

    # --- events ------------------------------------------------------------------------------------------------------------
    def _trace_id(self, trace_id: str | None) -> str | None:
        """The id that a trace has there."""
        return hex_id(trace_id, 32) if trace_id and self._source.spans_only else trace_id

    def _span_id(self, span_id: str | None) -> str | None:
        return hex_id(span_id, 16) if span_id and self._source.spans_only else span_id

    def _send(self, events: list[dict[str, Any]], post: Callable[[list[bytes]], None]) -> None:
        part: list[bytes] = []
        size = 0
        for event in events:
            line = msgspec.json.encode(event)
            if part and (size + len(line) > _BATCH or len(part) >= 500):
                post(part)
                part, size = [], 0
            part.append(line)
            size += len(line)
        if part:
            post(part)

    def _post(self, events: list[bytes]) -> None:
        body = b'{"batch":[' + b",".join(events) + b"]}"
        answer = self._http.request("POST", f"{API}/ingestion", data=body, headers={"Content-Type": "application/json"})
        errors = msgspec.json.decode(answer.content).get("errors") or []
        if errors:
            raise MigrationError(
                f"the target refused {len(errors)} events: {msgspec.json.encode(errors[0]).decode()[:500]}"
            )

    def _post_spans(self, spans: list[bytes]) -> None:
        self._http.request(
            "POST", f"{API}/otel/v1/traces", data=langfuse_otlp.request(spans), headers=_LIKE_SDK_5,
        )  # fmt: skip
        self._newest = spans[-1]

    # --- prompts, datasets, small kinds --------------------------------------------------------------------------------------
    def _prompt(self, record: PromptRecord) -> None:
        prompt = record.prompt
        path = f"{API}/v2/prompts/{quote(prompt.name, safe='')}"
        listed = self._http.get(f"{API}/v2/prompts", params={"name": prompt.name, "limit": 100})["data"]
        known = {number for item in listed if item["name"] == prompt.name for number in item["versions"]}
        newest = max(known, default=0)
        for version in record.versions:
            labels = [label for label, at in prompt.labels.items() if at == version.version and label != LATEST]
            if version.version in known:
                self._label(path, version.version, labels)
                continue
            while newest < version.version - 1:  # a version that was deleted: its number stays taken
                body = {"name": prompt.name, "type": version.type, "prompt": version.template, "labels": []}
                newest = self._http.post(f"{API}/v2/prompts", body)["version"]
                self._http.request("DELETE", path, params={"version": newest})
            plain = msgspec.to_builtins(version)
            own: dict[str, Any] = {
                k: plain[k]
                for k in ("version_id", "config", "version_tags", "response_format", "model_config", "created_by", "created_ns", "updated_ns")
            }  # fmt: skip
            head = msgspec.to_builtins(prompt)
            own["prompt"] = {k: head[k] for k in ("properties", "description", "created_ns", "updated_ns")}
            config = dict(version.config) if isinstance(version.config, dict) else {}
            body = {
                "name": prompt.name, "type": version.type, "prompt": version.template, "tags": prompt.tags, "labels": labels,
                "config": config | {PROMPT: msgspec.json.encode(own).decode()}, "commitMessage": version.commit_message,
            }  # fmt: skip
            answer = self._http.request("POST", f"{API}/v2/prompts", json=body, allow=(400,))
            if answer.status_code == 400 and dependencies_of(version.template):
                # it includes a prompt that is gone: shown with tokens that nothing reads, carried as it is
                own["template"] = plain["template"]
                shown = msgspec.json.encode(plain["template"]).replace(b"@@@langfusePrompt:", b"@@langfusePrompt:")
                body |= {"prompt": msgspec.Raw(shown), "config": config | {PROMPT: msgspec.json.encode(own).decode()}}
                answer = self._http.request("POST", f"{API}/v2/prompts", json=body)
            elif answer.status_code == 400:
                raise MigrationError(f"prompt {prompt.name}, version {version.version}: {answer.text[:500]}")
            newest = msgspec.json.decode(answer.content)["version"]

    def _label(self, path: str, version: int, labels: list[str]) -> None:
        """Labels that have moved to a version which is there already."""
        if labels:
            there = self._http.get(path, params={"version": version, "resolve": "false"})["labels"]
            if not set(labels) <= set(there):
                kept = [label for label in there if label != LATEST and label not in labels]
                self._http.request("PATCH", f"{path}/versions/{version}", json={"newLabels": kept + labels})

    def _dataset(self, record: DatasetRecord) -> None:
        d = record.dataset
        body = {
            "name": d.name, "description": d.description, "metadata": d.metadata, "inputSchema": d.input_schema,
            "expectedOutputSchema": d.expected_output_schema,
        }  # fmt: skip
        self._http.post(f"{API}/v2/datasets", {k: v for k, v in body.items() if v is not None})

    def _item(self, record: DatasetItemRecord) -> None:
        i = record.item
        body = {
            "datasetName": i.dataset_name, "id": i.item_id, "input": i.input, "expectedOutput": i.expected_output,
            "metadata": item_metadata(i), "sourceTraceId": self._trace_id(i.source_trace_id),
            "sourceObservationId": self._span_id(i.source_observation_id),
            "status": i.status,
        }  # fmt: skip
        self._http.post(f"{API}/dataset-items", {k: v for k, v in body.items() if v is not None})

    def _run_item(self, record: DatasetRunItemRecord) -> None:
        item = record.item
        said = self._notes.get("dataset run", item.run_id)
        run = msgspec.json.decode(said, type=DatasetRunRecord) if said else None
        body = {
            "runName": item.run_name, "datasetItemId": item.item_id, "traceId": self._trace_id(item.trace_id),
            "observationId": self._span_id(item.observation_id), "runDescription": run.run.description if run else None,
            "metadata": run.run.metadata if run else None,
        }  # fmt: skip
        self._http.post(f"{API}/dataset-run-items", {k: v for k, v in body.items() if v is not None})

    def _config(self, record: ScoreConfigRecord) -> None:
        c = record.config
        known = {said["name"]: said for said in self._source.all("/score-configs")}
        body = {
            "name": c.name, "dataType": c.data_type, "minValue": c.min_value, "maxValue": c.max_value, "description": c.description,
            "categories": c.categories if c.data_type == "CATEGORICAL" else None,
        }  # fmt: skip
        body = {k: v for k, v in body.items() if v is not None}
        there = known.get(c.name)
        if there is None:
            there = self._http.post(f"{API}/score-configs", body)
            body = {}
        body = {k: v for k, v in msgspec.to_builtins(body | {"isArchived": c.archived}).items() if there.get(k) != v}
        if body:
            self._http.request("PATCH", f"{API}/score-configs/{there['id']}", json=body)

    def _comment(self, record: CommentRecord) -> None:
        c = record.comment
        about = self._trace_id(c.object_id) if c.object_type == "TRACE" else c.object_id
        about = self._span_id(c.object_id) if c.object_type == "OBSERVATION" else about
        params = {"objectType": c.object_type, "objectId": about}
        with self._turn:  # people say the same thing twice: as often as it has been said there, it is said here
            same = f"{c.object_type} {about} {hashlib.sha256(c.content.encode()).hexdigest()}"
            carried = set((self._notes.get("comment", same) or b"").decode().split())
            if c.comment_id in carried:
                return
            there = sum(said["content"] == c.content for said in self._source.all("/comments", **params))
            if there <= len(carried):
                self._http.post(f"{API}/comments", {"projectId": self._project, **params, "content": c.content})
            self._notes.put("comment", [(same, " ".join([*sorted(carried), c.comment_id]).encode())])

    @cached_property
    def _project(self) -> str:
        return self._http.get(f"{API}/projects")["data"][0]["id"]

    def _price(self, record: PriceRecord) -> None:
        p = record.price
        own = (m for m in self._source.all("/models") if not m.get("isLangfuseManaged"))
        if any(key_of(PriceRecord(price=price_of(m))) == key_of(record) for m in own):
            return
        prices = next((t.prices for t in p.tiers if t.is_default), {})
        body = {
            "modelName": p.model_name, "matchPattern": p.match_pattern, "unit": p.unit, "inputPrice": prices.get("input"),
            "outputPrice": prices.get("output"), "totalPrice": prices.get("total"), "tokenizerId": p.tokenizer,
            "startDate": iso_ms(p.start_ns) if p.start_ns else None,
        }  # fmt: skip
        self._http.post(f"{API}/models", {k: v for k, v in body.items() if v is not None})

    # --- the ledger and files ------------------------------------------------------------------------------------------------
    @cached_property
    def _ledger(self) -> str:
        """The name of the ledger, which exists then."""
        self._http.post(f"{API}/v2/datasets", {"name": LEDGER, "description": "records of other products; do not edit"})
        return LEDGER

    def _keep(self, record: AnyRecord, **metadata: Any) -> None:
        kind = str(record.__struct_config__.tag)
        item_id = hashlib.sha256(f"twinlens ledger {kind} {record.key}".encode()).hexdigest()[:32]
        body = {"datasetName": self._ledger, "id": item_id, "input": record, "metadata": {"kind": kind, **metadata}}
        self._http.post(f"{API}/dataset-items", body)

    def store(self, record: Content, chunks: Iterable[bytes]) -> None:
        """See ``Target.store``. Langfuse wants length and hash first, so the bytes wait in a temporary file."""
        with tempfile.SpooledTemporaryFile(8 << 20) as held:
            digest, size = hashlib.sha256(), 0
            for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                held.write(chunk)
            said: dict[str, Any] = {"contentLength": size, "sha256Hash": base64.b64encode(digest.digest()).decode()}
            if isinstance(record, MediaRecord):
                for link in record.links:
                    where = {
                        "traceId": self._trace_id(link.trace_id), "observationId": self._span_id(link.observation_id), "field": link.field,
                        "contentType": record.media.content_type, "datasetId": link.dataset_id, "datasetItemId": link.dataset_item_id,
                    }  # fmt: skip
                    self._upload(said | {k: v for k, v in where.items() if v is not None}, held)
                self._keep(record)
                return
            record.sha256, record.size = digest.hexdigest(), size
            media_id = ""
            if size:
                where = {
                    "traceId": self._trace_id(SHOWN + record.owner_id),
                    "field": "metadata",
                    "contentType": "application/octet-stream",
                }
                media_id = self._upload(said | where, held)
        self._keep(record, media=media_id)

    def _upload(self, said: dict[str, Any], held: IO[bytes]) -> str:
        answer = self._http.post(f"{API}/media", said)
        url = answer.get("uploadUrl")
        if url:  # none: the bytes are there already
            headers = {"Content-Type": said["contentType"], "x-amz-checksum-sha256": said["sha256Hash"]}
            held.seek(0)
            sent = requests.put(
                url, data=held, headers={**headers, "Content-Length": str(said["contentLength"])}, timeout=300
            )
            if sent.status_code >= 300:
                raise MigrationError(f"the upload of a file was refused: {sent.status_code} {sent.text[:300]}")
            done = {"uploadedAt": iso_ms(now_ns()), "uploadHttpStatus": sent.status_code}
            self._http.request("PATCH", f"{API}/media/{answer['mediaId']}", json=done)
        return str(answer["mediaId"])

    def reader(self) -> Source:
        """See ``Target.reader``."""
        return LangfuseSource(self._http)

    def close(self) -> None:
        """Wait for what was sent last to be there: Langfuse acknowledges before it can be read."""
        if self._newest is None:
            return
        span = msgspec.json.decode(self._newest)
        until = time.monotonic() + _READABLE_S
        while time.monotonic() < until:
            params = {"traceId": span["traceId"], "limit": 1000, "fields": "core"}
            rows = self._http.get(f"{API}/v2/observations", params=params)["data"]
            if any(row["id"] == span["spanId"] for row in rows):
                return
            time.sleep(1)


def _event(type: str, key: str, at_ns: int, body: dict[str, Any]) -> dict[str, Any]:
    """An event; the same content has the same id, so that it is known when it comes again."""
    body = {k: v for k, v in body.items() if v is not None}
    digest = hashlib.sha256(msgspec.json.encode([type, key, body])).hexdigest()[:32]
    return {"id": digest, "type": type, "timestamp": iso_ms(at_ns), "body": body}


def _trace_event(record: TraceRecord) -> dict[str, Any]:
    t = record.trace
    root = next((span for span in record.spans if span.span_id == t.root_span_id), None)
    plain = msgspec.to_builtins(t)
    carried = {name: plain[name] for name in _TRACE_CARRIED if name in plain}
    body = {
        "id": t.trace_id, "timestamp": iso_ms(t.start_ns), "name": t.name, "userId": t.user_id, "sessionId": t.session_id,
        "input": _raw(t.input) if root is None or t.input != root.input else None,
        "output": _raw(t.output) if root is None or t.output != root.output else None,
        "release": t.release, "version": t.version, "environment": t.environment, "public": t.public or None, "tags": t.tags or None,
        "metadata": {**t.metadata, TRACE: msgspec.json.encode(carried).decode()},
    }  # fmt: skip
    return _event("trace-create", t.trace_id, t.start_ns, body)


def _span_event(s: Span) -> dict[str, Any]:
    kind = s.kind if s.kind in _TYPES else "span"
    plain = msgspec.to_builtins(s)
    carried = {k: v for k, v in plain.items() if k not in _SPAN_NATIVE}
    body: dict[str, Any] = {
        "id": s.span_id, "traceId": s.trace_id, "parentObservationId": s.parent_id, "name": s.name, "startTime": iso_ms(s.start_ns),
        "input": _raw(s.input), "output": _raw(s.output), "level": s.level, "version": s.version, "environment": s.environment,
        "statusMessage": s.status_message or None, "metadata": {**s.metadata, SPAN: msgspec.json.encode(carried).decode()},
    }  # fmt: skip
    if kind != "event":
        body["endTime"] = iso_ms(s.end_ns) if s.end_ns is not None else None
    if kind not in ("span", "event"):
        body |= {
            "model": s.model, "modelParameters": s.model_parameters or None, "usageDetails": s.usage or None,
            "costDetails": s.cost if s.cost_source == "client" and s.cost else None,
            "completionStartTime": iso_ms(s.completion_start_ns) if s.completion_start_ns else None,
            "promptName": s.prompt_name, "promptVersion": s.prompt_version,
        }  # fmt: skip
    return _event(f"{kind}-create", s.span_id, s.start_ns, body)


def _score_event(s: Score, trace_id: str | None, span_id: str | None) -> dict[str, Any]:
    kind = s.data_type if s.data_type in ("NUMERIC", "CATEGORICAL", "BOOLEAN", "TEXT", "CORRECTION") else "CATEGORICAL"
    value: Any = s.value if kind in ("NUMERIC", "BOOLEAN") else s.string_value
    if value is None:
        value = s.json_value or ""
    body = {
        "id": s.score_id, "traceId": trace_id, "observationId": span_id, "sessionId": s.session_id, "datasetRunId": s.dataset_run_id,
        "name": s.name or "unnamed", "value": value, "dataType": kind, "comment": s.comment, "environment": s.environment,
        "metadata": {**s.metadata, SCORE: msgspec.json.encode(s).decode()},
    }  # fmt: skip
    return _event("score-create", s.score_id, s.timestamp_ns, body)


def _run_events(record: RunRecord) -> Iterator[dict[str, Any]]:
    """A run as people see it in Langfuse: a trace with one span."""
    run = record.run
    start = (run.start_ms or 0) * 1_000_000
    trace_id = SHOWN + run.run_id
    metadata = {"params": run.params, "tags": run.tags, "status": run.status, "run_id": run.run_id}
    body = {
        "id": trace_id, "timestamp": iso_ms(start), "name": run.name, "userId": run.user_id or None, "metadata": metadata,
        "tags": ["mlflow run"],
    }  # fmt: skip
    yield _event("trace-create", trace_id, start, body)
    end = iso_ms(run.end_ms * 1_000_000) if run.end_ms else None
    level = "ERROR" if run.status in ("FAILED", "KILLED") else "DEFAULT"
    body = {
        "id": f"{trace_id}.span", "traceId": trace_id, "name": run.name, "startTime": iso_ms(start), "endTime": end, "level": level,
    }  # fmt: skip
    yield _event("span-create", f"{trace_id}.span", start, body)


def _run_span(record: RunRecord) -> dict[str, Any]:
    run = record.run
    metadata = {"params": run.params, "tags": run.tags, "status": run.status, "run_id": run.run_id}
    start, end = ((ms or 0) * 1_000_000 for ms in (run.start_ms, run.end_ms or run.start_ms))
    return langfuse_otlp.shown(SHOWN + run.run_id, run.name, start, end, metadata, ["mlflow run"])


def _metric_events(record: MetricsRecord, trace_id: str | None) -> Iterator[dict[str, Any]]:
    """The last finite point as a score of the run's trace; later pages of points overwrite it."""
    finite = [p for p in record.points if isinstance(p.value, float | int)]
    if not finite:
        return
    point = max(finite, key=lambda p: (p.step, p.timestamp_ms))
    name = hashlib.sha256(record.name.encode()).hexdigest()[:12]
    score_id = f"{SHOWN}{record.run_id}.{name}"
    body = {
        "id": score_id, "traceId": trace_id, "name": record.name, "value": point.value, "dataType": "NUMERIC",
        "comment": f"step {point.step}",
    }  # fmt: skip
    yield _event("score-create", score_id, point.timestamp_ms * 1_000_000, body)


def _raw(text: str | None) -> Any:
    """JSON text as it is."""
    return None if text is None else msgspec.Raw(text.encode())
