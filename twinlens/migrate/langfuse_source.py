"""A Langfuse project as a source, over its public API (v3 and v4 servers; also Twinlens, through its Langfuse face).

What a migration had carried there comes back as it was: metadata under ``twinlens.carried.`` and the dataset
``twinlens ledger``, whose items are records of kinds that Langfuse has no place for.
"""

from __future__ import annotations

import base64
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, cast
from urllib.parse import quote

import msgspec

from twinlens.domain.clock import parse_iso
from twinlens.domain.comment import Comment
from twinlens.domain.dataset import Dataset, DatasetItem, DatasetRun, DatasetRunItem
from twinlens.domain.ids import hex_id
from twinlens.domain.media import Media, MediaLink, references
from twinlens.domain.patch import apply_patch
from twinlens.domain.price import Price, PriceTier
from twinlens.domain.prompt import Prompt, PromptVersion
from twinlens.domain.record import (
    CARRIED,
    KINDS,
    AnyRecord,
    ArtifactRecord,
    CommentRecord,
    DatasetItemRecord,
    DatasetRecord,
    DatasetRunItemRecord,
    DatasetRunRecord,
    MediaRecord,
    PriceRecord,
    PromptRecord,
    ScoreConfigRecord,
    ScoreRecord,
    TraceRecord,
)
from twinlens.domain.score import Score
from twinlens.domain.score_config import ScoreCategory, ScoreConfig
from twinlens.domain.summary import add_spans, new_summary, note_reporters
from twinlens.domain.trace import Span, TracePatch
from twinlens.migrate.essence import key_of, sums
from twinlens.migrate.http import Http
from twinlens.migrate.langfuse_otlp import ONLY_SHOWN, SPAN, TRACE
from twinlens.migrate.langfuse_v3 import V3
from twinlens.migrate.langfuse_v4 import V4
from twinlens.migrate.restore import restore_span, restore_trace
from twinlens.migrate.system import Content, Page

API = "/api/public"
LEDGER = "twinlens ledger"
SCORE, PROMPT, ITEM = (f"{CARRIED}langfuse.{name}" for name in ("score", "prompt", "item"))
#: Ids of traces and scores that only show a run; the run itself is in the ledger.
SHOWN = f"{CARRIED}run."
NATIVE = frozenset({
    "price", "score_config", "prompt", "dataset", "dataset_item", "trace", "dataset_run", "dataset_run_item", "score", "comment",
    "media",
})  # fmt: skip
#: Kinds whose records are in the ledger too, for what the API has no field for.
_SMALL = ("price", "score_config", "dataset", "dataset_run", "dataset_run_item", "comment")
_STATUS = {"ERROR": "error"}
#: Digits of OpenTelemetry's ids, by what has them.
DIGITS = {"TRACE": 32, "OBSERVATION": 16}


class LangfuseSource:
    """One project: the one its keys open."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._v3 = V3(http)
        self._links: dict[str, MediaLink] | None = None  #: files that traces refer to, once all traces have been read
        self.kinds = tuple(kind for kind in KINDS if kind in NATIVE or kind in self._ledger)

    @property
    def spans_only(self) -> bool:
        """It is a server of version 4, which keeps spans and no traces."""
        return self._v4 is not None

    @cached_property
    def _v4(self) -> V4 | None:
        """For a server of version 4, which has no list of traces any more."""
        old = self._http.get(f"{API}/traces", params={"page": 1, "limit": 1}, allow=(404, 410))
        return V4(self._http) if old is None else None

    def count(self, kind: str) -> int | None:
        """What the server says of large kinds; small ones are read."""
        if kind in ("trace", "score") and self._v4 is not None:
            return None
        if kind in ("trace", "score"):
            path = {"trace": "/traces", "score": "/v2/scores"}[kind]
            return self._http.get(API + path, params={"page": 1, "limit": 1})["meta"]["totalItems"]
        if kind == "media":
            return None
        return sum(len(page.records) for page in self.read(kind))

    def all(self, path: str, **params: Any) -> Iterator[Any]:
        """All items of a list."""
        for items, _ in self._v3.pages(path, **params):
            yield from items

    def read(self, kind: str, after: Any = None) -> Iterator[Page]:
        """See ``Source.read``."""
        match kind:
            case "trace":
                yield from self._traces(after)
            case "score" if self._v4 is not None:
                for found, cursor in self._v4.scores(after):
                    records: list[AnyRecord] = [
                        ScoreRecord(score=score_of(s)) for s in found if not s["id"].startswith(SHOWN)
                    ]
                    yield Page(records, cursor, part=cursor is None)
            case "score":
                for items, number in self._v3.pages("/v2/scores", after or 1):
                    records = [ScoreRecord(score=score_of(s)) for s in items if not s["id"].startswith(SHOWN)]
                    yield Page(records, number)
            case "prompt":
                for item in self.all("/v2/prompts"):
                    yield Page([self._prompt(item)], part=True)
            case "dataset" | "dataset_item" | "dataset_run" | "dataset_run_item":
                for said in self._datasets:
                    yield Page(list(self._as_kept(self._of_dataset(kind, said))), part=True)
                yield Page(list(self._only_kept(kind)))
            case "score_config":
                found = [ScoreConfigRecord(config=config_of(c)) for c in self.all("/score-configs")]
                yield Page(list(self._as_kept(found)))
            case "comment":
                found = (self._comment(c) for items, _ in self._v3.pages("/comments") for c in items)
                for record in self._as_kept(found):
                    yield Page([record], part=True)
            case "price":
                own = (m for m in self.all("/models") if not m.get("isLangfuseManaged"))
                yield Page(list(self._as_kept(PriceRecord(price=price_of(m)) for m in own)))
            case "media":
                yield from self._media()
            case "row":  # one page, for a row may be a part of another
                yield Page(list(self._ledger.get("row", [])), part=True)
            case _:
                for record in self._ledger.get(kind, []):
                    yield Page([record], part=True)

    # --- traces ----------------------------------------------------------------------------------------------------------
    def _traces(self, after: Any) -> Iterator[Page]:
        links: dict[str, MediaLink] = {}
        for found, position in (self._v4 or self._v3).traces(after):
            read = [self._record_of(said) for said in found if not said["id"].startswith(SHOWN)]
            records = [record for record in read if record is not None]
            for record in records:
                for media_id, link in _links(record):
                    links.setdefault(media_id, link)
            yield Page(list[AnyRecord](records), position, part=position is None)
        if after is None:
            self._links = links

    def _record_of(self, said: dict[str, Any]) -> TraceRecord | None:
        """A trace; None where it only shows a run."""
        trace_id: str = said["id"]
        spans = [span_of(o, trace_id) for o in said["observations"]]
        metadata = said.get("metadata")
        kept: dict[str, Any] = (
            dict(metadata) if isinstance(metadata, dict) else {"metadata": metadata} if metadata else {}
        )  # pyright: ignore[reportUnknownArgumentType]
        carried = kept.pop(TRACE, None)
        for span in spans:
            carried = span.metadata.pop(TRACE, carried)
        back: dict[str, Any] = msgspec.json.decode(carried) if isinstance(carried, str) else {}
        if ONLY_SHOWN in back:
            if "trace_id" not in back:
                return None
            spans = []
        trace_id = back.get("trace_id", trace_id)
        patch = TracePatch(
            trace_id=trace_id, name=said.get("name"), start_ns=parse_iso(said["timestamp"]), user_id=said.get("userId"),
            session_id=said.get("sessionId"), input=_text(said.get("input")), output=_text(said.get("output")),
            release=said.get("release"), version=said.get("version"), environment=said.get("environment"),
            public=said.get("public"), tags=said.get("tags") or None, metadata=kept or None, authority="client", said_ns=1,
        )  # fmt: skip
        trace = new_summary(trace_id, 0)
        apply_patch(trace, patch, 1)
        changes: list[Any] = [(None, span) for span in spans]
        note_reporters(trace, changes)
        add_spans(trace, changes)
        restore_trace(trace, back)
        return TraceRecord(trace=trace, spans=spans)

    # --- prompts and datasets ----------------------------------------------------------------------------------------------
    def _prompt(self, item: dict[str, Any]) -> PromptRecord:
        name = item["name"]
        versions: list[PromptVersion] = []
        carried: dict[str, Any] = {}
        for number in sorted(item["versions"]):
            path = f"{API}/v2/prompts/{quote(name, safe='')}"
            said = self._http.get(path, params={"version": number, "resolve": "false"})
            config = said.get("config")
            own: dict[str, Any] = {}
            if isinstance(config, dict) and PROMPT in config:
                own = msgspec.json.decode(config.pop(PROMPT))
                carried = own.pop("prompt", carried)
            version = PromptVersion(
                version_id=said.get("id") or f"{name}/{number}", name=name, version=number, type=said["type"],
                template=said["prompt"], config=config, labels=said.get("labels") or [], tags=said.get("tags") or [],
                commit_message=said.get("commitMessage"), created_by=said.get("createdBy") or "API",
                created_ns=_ns(said.get("createdAt")), updated_ns=_ns(said.get("updatedAt")),
            )  # fmt: skip
            versions.append(msgspec.convert(msgspec.to_builtins(version) | own, PromptVersion))
        labels = {label: v.version for v in versions for label in v.labels}
        prompt = Prompt(
            name=name, type=versions[-1].type, versions=[v.version for v in versions], labels=labels, tags=item.get("tags") or [],
            created_ns=versions[0].created_ns, updated_ns=_ns(item.get("lastUpdatedAt")),
        )  # fmt: skip
        if carried:
            prompt = msgspec.convert(msgspec.to_builtins(prompt) | carried, Prompt)
        return PromptRecord(prompt=prompt, versions=versions, last_version=versions[-1].version)

    @cached_property
    def _datasets(self) -> list[dict[str, Any]]:
        return [said for said in self.all("/v2/datasets") if said["name"] != LEDGER]

    def _of_dataset(self, kind: str, said: dict[str, Any]) -> Iterator[AnyRecord]:
        name = said["name"]
        if kind == "dataset":
            yield DatasetRecord(
                dataset=Dataset(
                    dataset_id=said["id"], name=name, description=said.get("description"), metadata=said.get("metadata"),
                    input_schema=said.get("inputSchema"), expected_output_schema=said.get("expectedOutputSchema"),
                    created_ns=_ns(said["createdAt"]), updated_ns=_ns(said["updatedAt"]),
                )
            )  # fmt: skip
        elif kind == "dataset_item":
            for item in self.all("/dataset-items", datasetName=name):
                yield DatasetItemRecord(item=_item_of(item, name))
        else:
            path = f"/datasets/{quote(name, safe='')}/runs"
            for run in self.all(path) if self._v4 is None else self._v4.runs(said):
                if kind == "dataset_run":
                    yield DatasetRunRecord(run=_run_of(run, said))
                    continue
                if self._v4 is not None:
                    items: Iterable[Any] = self._v4.run_items(run)
                else:
                    items = self._http.get(f"{API}{path}/{quote(run['name'], safe='')}")["datasetRunItems"]
                for item in items:
                    yield DatasetRunItemRecord(item=self._run_item(run, item))

    def _run_item(self, run: dict[str, Any], said: dict[str, Any]) -> DatasetRunItem:
        found = DatasetRunItem(
            run_item_id=said["id"], run_id=run["id"], run_name=run["name"], item_id=said["datasetItemId"],
            trace_id=self._first(said["traceId"]) or "", observation_id=self._first(said.get("observationId")),
            created_ns=_ns(said["createdAt"]), updated_ns=_ns(said["updatedAt"]),
        )  # fmt: skip
        if self._v4 is not None:  # which always names one
            kept = self._by_key.get(_named(DatasetRunItemRecord(item=found)), [None])[0]
            if isinstance(kept, DatasetRunItemRecord) and kept.item.observation_id is None:
                found.observation_id = None
        return found

    # --- what had been carried here comes back as it was ------------------------------------------------------------------
    def _as_kept(self, records: Iterable[AnyRecord]) -> Iterator[AnyRecord]:
        """Each as the ledger has it, unless it has been changed since. Of several with one name each comes once."""
        met: Counter[tuple[str, str]] = Counter()
        for record in records:
            name = _named(record)
            kept = self._by_key.get(name, ())
            at = met[name]
            met[name] += 1
            yield kept[at] if at < len(kept) and _same(kept[at], record) else record

    def _only_kept(self, kind: str) -> Iterator[AnyRecord]:
        """What Langfuse does not show: past states of items, archived ones, runs without items."""
        if kind not in ("dataset_item", "dataset_run"):
            return
        names = {said["name"] for said in self._datasets}
        shown: set[str] = set()
        if kind == "dataset_run":
            shown = {_named(r)[1] for said in self._datasets for r in self._of_dataset(kind, said)}
        for record in self._ledger.get(kind, []):
            dataset = getattr(record, "item" if kind == "dataset_item" else "run").dataset_name
            if dataset in names and _named(record)[1] not in shown:
                yield record

    def _comment(self, said: dict[str, Any]) -> CommentRecord:
        found = comment_of(said)
        return CommentRecord(
            comment=msgspec.structs.replace(found, object_id=self._first(found.object_id) or found.object_id)
        )

    def _first(self, there: str | None) -> str | None:
        """The id that a trace or span had before it became a hash (see ``langfuse_otlp``)."""
        return None if there is None else self._hashes.get(there, there)

    @cached_property
    def _hashes(self) -> dict[str, str]:
        if self._v4 is None:
            return {}
        found: dict[str, str] = {}
        for record in self._ledger.get("dataset_run_item", []) + self._ledger.get("comment", []):
            if isinstance(record, DatasetRunItemRecord):
                found[hex_id(record.item.trace_id, 32)] = record.item.trace_id
                if record.item.observation_id:
                    found[hex_id(record.item.observation_id, 16)] = record.item.observation_id
            elif isinstance(record, CommentRecord) and record.comment.object_type in DIGITS:
                about = record.comment.object_id
                found[hex_id(about, DIGITS[record.comment.object_type])] = about
        return found

    @cached_property
    def _by_key(self) -> dict[tuple[str, str], Sequence[AnyRecord]]:
        found: defaultdict[tuple[str, str], list[AnyRecord]] = defaultdict(list)
        for kind in _SMALL:
            for record in self._ledger.get(kind, []):
                found[_named(record)].append(record)
        return dict(found)

    # --- files and the ledger --------------------------------------------------------------------------------------------
    def _media(self) -> Iterator[Page]:
        """Files of the ledger, and those that a token in some trace refers to: the API has no list of them."""
        kept = self._ledger.get("media", [])
        yield Page(list(kept), part=True)
        seen = {record.key for record in kept}
        if self._links is None:  # the traces have been read before this one went on
            for _ in self.read("trace"):
                pass
        links = self._links or {}
        for record in self._http.each(self._media_of, (link for link in links.items() if link[0] not in seen)):
            if record is not None:
                yield Page([record], part=True)

    def _media_of(self, link: tuple[str, MediaLink]) -> MediaRecord | None:
        said = self._http.get(f"{API}/media/{link[0]}", allow=(404,))
        if said is None:
            return None
        digest = _sha256(self._http.stream(said["url"]))  # the API does not tell the whole hash
        media = Media(
            media_id=link[0], sha256=digest, content_type=said["contentType"],
            content_length=said["contentLength"], uploaded_ns=_ns(said.get("uploadedAt")) or 1,
        )  # fmt: skip
        return MediaRecord(media=media, links=[link[1]])

    def content(self, record: Content) -> Iterator[bytes]:
        """See ``Source.content``."""
        if isinstance(record, ArtifactRecord):
            return self._bytes_of(self._media_ids[record.key])
        return self._bytes_of(record.key)

    def _bytes_of(self, media_id: str) -> Iterator[bytes]:
        if not media_id:  # an empty file has no media
            return iter(())
        return self._http.stream(self._http.get(f"{API}/media/{media_id}")["url"])

    @cached_property
    def _ledger_items(self) -> list[dict[str, Any]]:
        known = any(said["name"] == LEDGER for said in self.all("/v2/datasets"))
        found = list(self.all("/dataset-items", datasetName=LEDGER)) if known else []
        found.reverse()
        return sorted(found, key=lambda item: item.get("createdAt") or "")  # as they were written

    @cached_property
    def _ledger(self) -> dict[str, list[AnyRecord]]:
        found: dict[str, list[AnyRecord]] = {}
        for item in self._ledger_items:
            record = msgspec.convert(item["input"], AnyRecord)
            found.setdefault(str(record.__struct_config__.tag), []).append(record)
        return found

    @cached_property
    def _media_ids(self) -> dict[str, str]:
        """Media that hold artifacts, by the artifacts' keys."""
        found: dict[str, str] = {}
        for item in self._ledger_items:
            if (item.get("metadata") or {}).get("kind") == "artifact":
                found[msgspec.convert(item["input"], AnyRecord).key] = item["metadata"].get("media", "")
        return found


def _links(record: TraceRecord) -> Iterator[tuple[str, MediaLink]]:
    """Files that a trace refers to, and where."""
    texts = [(None, record.trace.input, record.trace.output)]
    texts += [(span.span_id, span.input, span.output) for span in record.spans]
    for span_id, *fields in texts:
        for field, text in zip(("input", "output"), fields, strict=True):
            for found in references(text or ""):
                yield found.media_id, MediaLink(field=field, trace_id=record.trace.trace_id, observation_id=span_id)


def _named(record: AnyRecord) -> tuple[str, str]:
    """Kind and key by which a thing is known in every system."""
    return str(record.__struct_config__.tag), key_of(record)


def _same(one: AnyRecord, other: AnyRecord) -> bool:
    return list(sums(one, exact=False)) == list(sums(other, exact=False))


def span_of(said: dict[str, Any], trace_id: str) -> Span:
    """An observation."""
    metadata = said.get("metadata")
    kept: dict[str, Any] = dict(metadata) if isinstance(metadata, dict) else {"metadata": metadata} if metadata else {}  # pyright: ignore[reportUnknownArgumentType]
    carried = kept.pop(SPAN, None)
    usage = {k: int(v) for k, v in (said.get("usageDetails") or {}).items()}
    cost = {k: float(v) for k, v in (said.get("costDetails") or {}).items()}
    level = said.get("level") or "DEFAULT"
    span = Span(
        trace_id=trace_id, span_id=said["id"], parent_id=said.get("parentObservationId"), name=said.get("name") or "",
        kind=str(said.get("type", "SPAN")).lower(), start_ns=_ns(said["startTime"]), end_ns=_ns(said.get("endTime")) or None,
        status=_STATUS.get(level, "ok" if said.get("endTime") else "unset"), status_message=said.get("statusMessage") or "",
        level=level, completion_start_ns=_ns(said.get("completionStartTime")) or None, model=said.get("model"),
        model_parameters=said.get("modelParameters") or {}, usage=usage, cost=cost,
        usage_source="client" if usage else "none", cost_source="client" if cost else "none", input=_text(said.get("input")),
        output=_text(said.get("output")), metadata=kept, prompt_name=said.get("promptName"),
        prompt_version=said.get("promptVersion"), environment=said.get("environment"), version=said.get("version"),
        source="langfuse",
    )  # fmt: skip
    if isinstance(carried, str):
        span = restore_span(span, msgspec.json.decode(carried))
    return span


def score_of(said: dict[str, Any]) -> Score:
    """A score."""
    metadata: Any = said.get("metadata")
    kept: dict[str, Any] = dict(metadata) if isinstance(metadata, dict) else {}
    carried = kept.pop(SCORE, None)
    if isinstance(carried, str):
        return msgspec.json.decode(carried, type=Score)
    kind = said["dataType"]
    value = said.get("value")
    return Score(
        score_id=said["id"], name=said["name"], data_type=kind, trace_id=said.get("traceId"), span_id=said.get("observationId"),
        session_id=said.get("sessionId"), dataset_run_id=said.get("datasetRunId"),
        value=float(value) if isinstance(value, int | float) else None, string_value=said.get("stringValue"),
        source=str(said.get("source", "API")).lower(), comment=said.get("comment"), metadata=kept,
        config_id=said.get("configId"), queue_id=said.get("queueId"), author_user_id=said.get("authorUserId"),
        environment=said.get("environment") or "default", timestamp_ns=_ns(said["timestamp"]), created_ns=_ns(said.get("createdAt")),
        updated_ns=_ns(said.get("updatedAt")),
    )  # fmt: skip


def config_of(said: dict[str, Any]) -> ScoreConfig:
    """A score config."""
    categories = said.get("categories")
    return ScoreConfig(
        config_id=said["id"], name=said["name"], data_type=said["dataType"], min_value=said.get("minValue"),
        max_value=said.get("maxValue"), description=said.get("description"), archived=bool(said.get("isArchived")),
        categories=None if categories is None else [ScoreCategory(c["label"], c["value"]) for c in categories],
        created_ns=_ns(said.get("createdAt")), updated_ns=_ns(said.get("updatedAt")),
    )  # fmt: skip


def comment_of(said: dict[str, Any]) -> Comment:
    """A comment."""
    return Comment(
        comment_id=said["id"], object_type=said["objectType"], object_id=said["objectId"], content=said["content"],
        author_user_id=said.get("authorUserId"), created_ns=_ns(said.get("createdAt")), updated_ns=_ns(said.get("updatedAt")),
    )  # fmt: skip


def price_of(said: dict[str, Any]) -> Price:
    """A model definition of the project's own."""
    prices = {usage: float(p["price"]) for usage, p in (said.get("prices") or {}).items()}
    for usage in ("input", "output", "total"):
        if said.get(f"{usage}Price") is not None:
            prices.setdefault(usage, float(said[f"{usage}Price"]))
    return Price(
        id=said["id"], model_name=said["modelName"], match_pattern=said["matchPattern"], unit=said.get("unit") or "TOKENS",
        start_ns=_ns(said.get("startDate")) or None, tokenizer=said.get("tokenizerId"),
        tokenizer_config=said.get("tokenizerConfig") or None, tiers=(PriceTier(name="Standard", is_default=True, prices=prices),),
        created_ns=_ns(said.get("createdAt")),
    )  # fmt: skip


def _item_of(said: dict[str, Any], dataset: str) -> DatasetItem:
    at = _ns(said.get("updatedAt"))
    metadata: Any = said.get("metadata")
    carried: Any = None
    if isinstance(metadata, dict) and ITEM in metadata:
        metadata = dict(cast("dict[str, Any]", metadata))
        carried = msgspec.json.decode(metadata.pop(ITEM))
        metadata = metadata or None
    item = DatasetItem(
        item_id=said["id"], dataset_id=said["datasetId"], dataset_name=dataset, input=said.get("input"),
        expected_output=said.get("expectedOutput"), metadata=metadata, source_trace_id=said.get("sourceTraceId"),
        source_observation_id=said.get("sourceObservationId"), status=said.get("status", "ACTIVE"), valid_from_ns=at,
        created_ns=_ns(said.get("createdAt")), updated_ns=at,
    )  # fmt: skip
    if carried is None:
        return item
    kept = msgspec.convert(carried, DatasetItem)
    if (kept.input, kept.expected_output, _wrapped(kept.metadata)) == (item.input, item.expected_output, metadata):
        return kept
    return msgspec.structs.replace(item, output=kept.output, source=kept.source, created_ns=kept.created_ns)


def _wrapped(metadata: Any) -> dict[str, Any] | None:
    """Metadata as an object, to which something can be added."""
    return (metadata if isinstance(metadata, dict) else {"metadata": metadata}) if metadata else None


def item_metadata(item: DatasetItem) -> dict[str, Any]:
    """An item's metadata with all that Langfuse has no field for."""
    return {**(_wrapped(item.metadata) or {}), ITEM: msgspec.json.encode(item).decode()}


def _run_of(said: dict[str, Any], dataset: dict[str, Any]) -> DatasetRun:
    return DatasetRun(
        run_id=said["id"], dataset_id=dataset["id"], dataset_name=dataset["name"], name=said["name"],
        description=said.get("description"), metadata=said.get("metadata"), created_ns=_ns(said.get("createdAt")),
        updated_ns=_ns(said.get("updatedAt")),
    )  # fmt: skip


def _ns(text: Any) -> int:
    return parse_iso(str(text).replace("Z", "+00:00")) if text else 0


def _text(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _sha256(chunks: Iterator[bytes]) -> str:
    import hashlib

    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return base64.b64encode(digest.digest()).decode()
