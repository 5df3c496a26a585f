"""Traces, V3: info, spans, search, deletion, tags, links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from twinlens.domain.errors import InvalidArgument, NotFound
from twinlens.domain.run import Experiment
from twinlens.domain.trace import TraceSummary
from twinlens.faces.http import in_thread, json_array
from twinlens.faces.mlflow import trace_json as tj
from twinlens.faces.mlflow.artifacts import stream
from twinlens.faces.mlflow.assessment_json import score_from
from twinlens.faces.mlflow.errors import invalid
from twinlens.faces.mlflow.otel_json import span_file_json, span_json
from twinlens.faces.mlflow.wire import Call, Raw, Reply, RpcTable, present
from twinlens.features.assessments import prepared
from twinlens.query.mlflow_trace_filter import trace_filter, trace_order
from twinlens.store.telemetry.query import Cmp, all_of

rpcs = RpcTable()

_TRACE = "/mlflow/traces/{trace_id}"
MAX_PAGE = 500
MAX_LINKED = 100
#: How long ``get`` waits for spans that are on their way, in seconds (MLflow's server sleeps 1 + 2).
WAIT = 3.0


class Locations:
    """Artifact locations of experiments, looked up once per request."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._known: dict[str, str] = {}

    def of(self, summary: TraceSummary) -> str:
        """The location of the trace's experiment."""
        found = self._known.get(summary.experiment_id)
        if found is None:
            services, project = self._call.services, self._call.project_id
            try:
                found = services.experiments.get(project, summary.experiment_id).artifact_location
            except (NotFound, InvalidArgument):  # OTLP may name an experiment that MLflow could not have made
                found = services.artifacts.location(project, summary.experiment_id)
            self._known[summary.experiment_id] = found
        return found


def infos_json(call: Call, summaries: Sequence[TraceSummary]) -> list[dict[str, Any]]:
    """TraceInfos with their assessments. Blocks."""
    locations = Locations(call)
    scores = call.services.traces.scores_of(call.project_id, summaries)
    return [tj.info_json(each, scores.get(each.trace_id, ()), locations.of(each)) for each in summaries]


def traces_json(call: Call, summaries: Sequence[TraceSummary]) -> list[dict[str, Any]]:
    """Whole traces. Blocks."""
    locations = Locations(call)
    return [
        {
            "trace_info": tj.info_json(each.summary, each.scores, locations.of(each.summary)),
            "spans": json_array(span_json(span) for span in each.spans),
        }
        for each in call.services.traces.details(call.project_id, summaries)
    ]


def check_experiment(call: Call, experiment_id: str) -> Experiment:
    """The experiment; refuses to write into one that is not there or deleted. Blocks."""
    found = call.services.experiments.get(call.project_id, experiment_id)
    if found.lifecycle != "active":
        raise InvalidArgument(f"The experiment {experiment_id} must be in the 'active' state.")
    return found


@rpcs.rpc("POST", "3.0", "/mlflow/traces", scope="ingest")
def start_trace(call: Call) -> Reply:
    """Take a TraceInfo ("StartTraceV3"; clients send it when the trace ends). Spans come over OTLP, in any order."""
    trace = call.params.object("trace")
    info = trace.object("trace_info") if trace else None
    if info is None:
        raise invalid("Missing value for required parameter 'trace'.")
    patch = tj.patch_from(info)
    assert patch.experiment_id is not None
    experiment = check_experiment(call, patch.experiment_id)
    now = patch.start_ns or 0
    scores = [prepared(score_from(item), patch.trace_id, now) for item in info.objects("assessments")]
    call.services.traces.patch(call.project_id, [patch], scores)
    summary = call.services.traces.summary(call.project_id, patch.trace_id)
    return {"trace": {"trace_info": tj.info_json(summary, scores, experiment.artifact_location)}}


@rpcs.rpc("GET", "3.0", "/mlflow/traces/get")
async def get_trace(call: Call) -> Reply:
    """Info and spans of one trace. Without ``allow_partial`` waits until all announced spans are stored."""
    trace_id = call.params.required("trace_id")
    traces = call.services.traces
    summary = await in_thread(traces.summary, call.project_id, trace_id)
    expected = tj.expected_spans(summary)
    if not call.params.boolean("allow_partial") and expected is not None and summary.span_count < expected:
        if not await traces.wait_for_spans(call.project_id, summary.trace_id, expected, WAIT):
            raise NotFound(
                f"Trace with ID '{trace_id}' is not fully exported yet: its spans are still on their way. Try again later."
            )
        summary = await in_thread(traces.summary, call.project_id, trace_id)
    return {"trace": (await in_thread(traces_json, call, [summary]))[0]}


@rpcs.rpc("GET", "3.0", "/mlflow/traces/batchGet")
def batch_get(call: Call) -> Reply:
    """Whole traces by id; unknown ones are left out."""
    found = traces_json(call, _chosen(call))
    return {"traces": found} if found else {}


@rpcs.rpc("POST", "3.0", "/mlflow/traces/batchGetInfos", scope="read")
@rpcs.rpc("GET", "3.0", "/mlflow/traces/batchGetInfos")
def batch_get_infos(call: Call) -> Reply:
    """TraceInfos by id; unknown ones are left out."""
    found = infos_json(call, _chosen(call))
    return {"trace_infos": found} if found else {}


def _chosen(call: Call) -> list[TraceSummary]:
    trace_ids = call.params.texts("trace_ids")
    if not trace_ids:
        raise invalid("Missing value for required parameter 'trace_ids'.")
    if len(trace_ids) > MAX_PAGE:
        raise invalid(f"At most {MAX_PAGE} trace_ids are allowed per request, got {len(trace_ids)}.")
    experiments = call.params.texts("experiment_ids")
    found = call.services.traces.summaries(call.project_id, trace_ids)
    return [each for each in found if not experiments or each.experiment_id in experiments]


@rpcs.rpc("POST", "3.0", "/mlflow/traces/search", scope="read")
def search(call: Call) -> Reply:
    """Find traces of some experiments."""
    params = call.params
    locations = params.objects("locations")
    if params.has("locations") and not locations:
        return None
    experiment_ids = [tj.experiment_of(location) for location in locations]
    page = find(call, experiment_ids)
    infos = infos_json(call, page[0])
    return present(traces=infos or None, next_page_token=page[1])


def find(call: Call, experiment_ids: list[str]) -> tuple[list[TraceSummary], str | None]:
    """A page of traces by the request's filter, order, page size and token. Blocks."""
    params = call.params
    if not experiment_ids:
        raise invalid("Missing value for required parameter 'locations': at least one experiment is needed.")
    page = call.services.traces.search(
        call.project_id, all_of(Cmp("experiment_id", "in", experiment_ids), trace_filter(params.text("filter"))),
        trace_order(params.texts("order_by")), params.max_results(100, MAX_PAGE), params.text("page_token") or None,
    )  # fmt: skip
    return page.rows, page.next_cursor


@rpcs.rpc("POST", "2.0", "/mlflow/traces/delete-traces")
@rpcs.rpc("POST", "3.0", "/mlflow/traces/delete-traces")
def delete_traces(call: Call) -> Reply:
    """Delete by ids, or everything of an experiment up to a time."""
    params = call.params
    experiment_id = params.required("experiment_id")
    ids, before, limit = (
        params.texts("request_ids"),
        params.integer("max_timestamp_millis"),
        params.integer("max_traces"),
    )
    if ids and (before is not None or limit is not None):
        raise invalid("Either `max_timestamp_millis` or `trace_ids` must be specified, but not both.")
    if not ids and before is None:
        raise invalid("Either `max_timestamp_millis` or `trace_ids` must be specified.")
    traces = call.services.traces
    if ids:
        if len(ids) > MAX_LINKED:
            raise invalid(f"At most {MAX_LINKED} traces can be deleted by id in one request.")
        return {"traces_deleted": traces.delete(call.project_id, ids, experiment_id)}
    assert before is not None
    # The millisecond counts as a whole.
    upto = min((before + 1) * 1_000_000 - 1, (1 << 63) - 1)
    return {"traces_deleted": traces.delete_older(call.project_id, experiment_id, upto, limit)}


@rpcs.rpc("PATCH", "2.0", _TRACE + "/tags", scope="ingest")
@rpcs.rpc("PATCH", "3.0", _TRACE + "/tags", scope="ingest")
def set_tag(call: Call) -> Reply:
    """Set one tag; tags of the server are left as they are."""
    key, value = tj.check_tag_key(call.params.required("key")), call.params.text("value") or ""
    traces, trace_id = call.services.traces, call.path["trace_id"]
    if key in tj.SERVER_TAGS:
        traces.summary(call.project_id, trace_id)
    elif key == tj.NAME_TAG:
        traces.rename(call.project_id, trace_id, value[: tj.MAX_TAG_VALUE])
    else:
        traces.set_tag(call.project_id, trace_id, key, value[: tj.MAX_TAG_VALUE])
    return None


@rpcs.rpc("DELETE", "2.0", _TRACE + "/tags")
@rpcs.rpc("DELETE", "3.0", _TRACE + "/tags")
def delete_tag(call: Call) -> Reply:
    """Remove one tag."""
    key = call.params.required("key")
    if key in tj.SERVER_TAGS | {tj.NAME_TAG}:
        raise invalid(f"Tag '{key}' is set by the server and cannot be deleted.")
    call.services.traces.set_tag(call.project_id, call.path["trace_id"], key, None)
    return None


@rpcs.rpc("POST", "2.0", "/mlflow/traces/link-to-run", scope="ingest")
def link_to_run(call: Call) -> Reply:
    """Link traces to a run."""
    trace_ids, run_id = call.params.texts("trace_ids"), call.params.required("run_id")
    if len(trace_ids) > MAX_LINKED:
        raise invalid(
            f"Cannot link more than {MAX_LINKED} traces to a run in a single request. Provided {len(trace_ids)} traces."
        )
    call.services.runs.get(call.project_id, run_id)
    if trace_ids:
        call.services.traces.link_run(call.project_id, trace_ids, run_id)
    return None


@rpcs.rpc("POST", "2.0", "/mlflow/traces/link-prompts", scope="ingest")
def link_prompts(call: Call) -> Reply:
    """Link prompt versions to a trace."""
    trace_id = call.params.required("trace_id")
    versions = [(item.required("name"), item.required("version")) for item in call.params.objects("prompt_versions")]
    call.services.traces.link_prompts(call.project_id, trace_id, versions)
    return None


@rpcs.rpc("GET", "3.0", _TRACE)
def get_info(call: Call) -> Reply:
    """TraceInfo of one trace."""
    summary = call.services.traces.summary(call.project_id, call.path["trace_id"])
    return {"trace": {"trace_info": infos_json(call, [summary])[0]}}


@rpcs.rpc("GET", "2.0", "/mlflow/get-trace-artifact", ajax_only=True)
@rpcs.rpc("GET", "3.0", "/mlflow/get-trace-artifact", ajax_only=True)
async def get_trace_artifact(call: Call) -> Reply:
    """Spans as the browser reads them, or one attachment of the trace."""
    trace_id = call.params.required("request_id", "trace_id")
    summary = await in_thread(call.services.traces.summary, call.project_id, trace_id)
    path = call.params.text("path")
    if path:
        location = await in_thread(lambda: Locations(call).of(summary))
        root = tj.trace_tags(summary, location)[tj.ARTIFACT_TAG]
        return stream(call, await call.services.artifacts.open_at(call.project_id, root, f"attachments/{path}"))
    found = await in_thread(call.services.traces.details, call.project_id, [summary])
    headers = {"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment; filename=traces.json"}
    return Raw(msgspec.json.encode({"spans": [span_file_json(span) for span in found[0].spans]}), headers=headers)
