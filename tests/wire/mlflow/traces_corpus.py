"""Requests about traces (V3 and V2), assessments, links and evaluation datasets; continues ``models_corpus``."""

from __future__ import annotations

from typing import Any

from tests.wire.mlflow.models_corpus import delete, patch
from tests.wire.mlflow.tracking_corpus import get, post

V3 = "//api/3.0/mlflow"
FIRST, SECOND = "tr-" + "a1" * 16, "tr-" + "b2" * 16
LIVE, QUICK = "tr-" + "d4" * 16, "tr-" + "e5" * 16


def info(trace_id: str, minute: int, **fields: Any) -> dict[str, Any]:
    """The body of StartTraceV3."""
    found = {
        "trace_id": trace_id,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "{e1}"}},
        "request_time": f"2026-01-01T00:{minute:02}:00Z", "execution_duration": "0.250s", "state": "OK",
        "request_preview": '{"q": 1}', "response_preview": '"a"',
        "trace_metadata": {"mlflow.trace_schema.version": "3", "mlflow.trace.user": "ada"},
        "tags": {"mlflow.traceName": "agent", "team": "a"},
    }  # fmt: skip
    return {"trace": {"trace_info": found | fields}}


def search(**fields: Any) -> Any:
    """A search in the first experiment."""
    where = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "{e1}"}}]
    return post(f"{V3}/traces/search", {"locations": where} | fields)


TRACES = [
    post(f"{V3}/traces", info(FIRST, 1)),
    post(f"{V3}/traces", info(SECOND, 2, state="ERROR", client_request_id="c-2", trace_metadata={"mlflow.trace_schema.version": "3", "mlflow.sourceRun": "{r1}"}, tags={"mlflow.traceName": "other"})),
    post(f"{V3}/traces", info(LIVE, 0, state="IN_PROGRESS", execution_duration=None, tags={"mlflow.traceName": "live"})),
    post(f"{V3}/traces", info(QUICK, 1, request_time="2026-01-01T00:01:30Z", execution_duration="0s")),
    search(filter="execution_time_ms < 0.5"),
    search(filter="execution_time_ms < -0.5"),
    search(filter="timestamp_ms <= 9223372036854775807"),
    search(filter="status = 'IN_PROGRESS'"),
    search(order_by=["status"]),
    search(order_by=["status DESC", "timestamp_ms"]),
    search(order_by=["run_id"]),
    *(post(f"{V3}/traces/metrics", {"experiment_ids": ["{e1}"], "view_type": "TRACES", **asked}) for asked in (
        {"metric_name": "trace_count", "aggregations": [{"aggregation_type": "COUNT"}], "dimensions": ["trace_status"]},
        *({"metric_name": "latency", "aggregations": [{"aggregation_type": "PERCENTILE", "percentile_value": value}]}
            for value in (0, 37.5, 99.9, 100, 101, -1, None)),
        {"metric_name": "latency", "aggregations": [{"aggregation_type": "AVG", "percentile_value": 5}]})),
    post("/traces/delete-traces", {"experiment_id": "{e1}", "request_ids": [LIVE, QUICK]}),
    post(f"{V3}/traces", {}),
    get(f"{V3}/traces/{FIRST}"),
    get(f"{V3}/traces/tr-nope"),
    get(f"{V3}/traces/get", {"trace_id": "tr-nope"}),
    search(),
    search(max_results=1),
    search(max_results=501),
    search(max_results=0),
    search(page_token="garbage"),
    search(filter="status = 'OK'"),
    search(filter="trace.status != 'OK'"),
    search(filter="attributes.name = 'other'"),
    search(filter="name LIKE 'ag%'"),
    search(filter="name IN ('agent', 'x')"),
    search(filter="tags.team = 'a'"),
    search(filter="tags.team IS NULL"),
    search(filter="tag.team IS NOT NULL"),
    search(filter="metadata.`mlflow.trace.user` = 'ada'"),
    search(filter="request_metadata.`mlflow.sourceRun` = '{r1}'"),
    search(filter="client_request_id = 'c-2'"),
    search(filter=f"request_id = '{FIRST}'"),
    search(filter="request_id LIKE 'tr-a1%'"),
    search(filter="request_id RLIKE '^tr-b'"),
    search(filter="run_id != 'x'"),
    search(filter="run_id IS NULL"),
    search(filter="run_id LIKE '%'"),
    search(filter="execution_time_ms > 200"),
    search(filter="execution_time > 300"),
    search(filter="timestamp_ms > 1767225660000"),
    search(filter="run_id = '{r1}'"),
    search(filter="bogus.x = 'a'"),
    search(filter="status > 'OK'"),
    search(filter="name ="),
    search(filter="prompt = 'x'"),
    search(filter="span.bogus = 'x'"),
    search(order_by=["timestamp_ms ASC"]),
    search(order_by=["execution_time DESC"]),
    search(order_by=["bogus"]),
    post(f"{V3}/traces/search", {"locations": []}),
    post(f"{V3}/traces/batchGetInfos", {"trace_ids": [FIRST, SECOND, "tr-nope"]}),
    get(f"{V3}/traces/batchGet", {"trace_ids": ["tr-nope"]}),
    patch(f"/traces/{FIRST}/tags", {"key": "k", "value": "v"}),
    patch("/traces/tr-nope/tags", {"key": "k", "value": "v"}),
    patch(f"{V3}/traces/{FIRST}/tags", {"key": "k3", "value": "v"}),
    patch(f"/traces/{FIRST}/tags", {"value": "v"}),
    delete(f"/traces/{FIRST}/tags", {"key": "k"}),
    delete(f"/traces/{FIRST}/tags", {"key": "k"}),
    post("/traces/link-to-run", {"trace_ids": [FIRST], "run_id": "{r1}"}),
    post("/traces/link-to-run", {"trace_ids": [f"tr-{i}" for i in range(101)], "run_id": "{r1}"}),
    search(filter="run_id = '{r1}'"),
    post("/traces/link-prompts", {"trace_id": FIRST, "prompt_versions": [{"name": "greet", "version": "1"}]}),
    search(filter="prompt = 'greet/1'"),
    search(filter="prompt = 'greet/2'"),
    post(f"{V3}/traces/metrics", {"experiment_ids": ["{e1}"], "view_type": "TRACES", "metric_name": "trace_count", "aggregations": [{"aggregation_type": "COUNT"}]}),
    post(f"{V3}/traces/metrics", {"experiment_ids": ["{e1}"], "view_type": "TRACES", "metric_name": "latency", "aggregations": [{"aggregation_type": "AVG"}], "dimensions": ["trace_name"]}),
    post(f"{V3}/traces/metrics", {"experiment_ids": ["{e1}"], "view_type": "TRACES", "metric_name": "bogus", "aggregations": [{"aggregation_type": "COUNT"}]}),
    post(f"{V3}/traces/calculate-filter-correlation", {"experiment_ids": ["{e1}"], "filter_string1": "status = 'ERROR'", "filter_string2": "name = 'other'"}),
    post(f"{V3}/traces/calculate-filter-correlation", {"experiment_ids": ["{e1}"], "filter_string1": "status = 'ERROR'", "filter_string2": "name = 'agent'"}),
    post(f"{V3}/traces/calculate-filter-correlation", {"experiment_ids": ["{e1}"], "filter_string1": "status = 'OK'", "filter_string2": "status != 'ERROR'", "base_filter": "tags.team = 'a'"}),
    post(f"{V3}/traces/metrics", {"experiment_ids": ["{e1}"], "view_type": "TRACES", "metric_name": "trace_count", "aggregations": [{"aggregation_type": "AVG"}]}),
    post(f"{V3}/traces/metrics", {"experiment_ids": ["{e1}"], "view_type": "TRACES", "metric_name": "trace_count", "aggregations": [{"aggregation_type": "COUNT"}], "dimensions": ["bogus"]}),
    post(f"{V3}/traces/metrics", {"experiment_ids": ["{e1}"], "view_type": "TRACES", "metric_name": "trace_count", "aggregations": [{"aggregation_type": "COUNT"}], "filters": ["trace.status != 'OK'"]}),
    post(f"{V3}/traces/calculate-filter-correlation", {"experiment_ids": ["{e1}"], "filter_string1": "bogus"}),
]  # fmt: skip


def feedback(name: str, **fields: Any) -> dict[str, Any]:
    """The body of CreateAssessment."""
    return {
        "assessment": {
            "assessment_name": name,
            "trace_id": FIRST,
            "source": {"source_type": "HUMAN", "source_id": "me"},
        }
        | fields
    }


_ASSESSMENTS = f"{V3}/traces/{FIRST}/assessments"
ASSESSMENTS = [
    post(_ASSESSMENTS, feedback("good", feedback={"value": True}, rationale="r"), a1="assessment.assessment_id"),
    post(_ASSESSMENTS, feedback("answer", expectation={"value": "Paris"}), a2="assessment.assessment_id"),
    post(_ASSESSMENTS, feedback("score", feedback={"value": 0.5}, metadata={"k": "v"})),
    post(_ASSESSMENTS, feedback("broken", feedback={"error": {"error_code": "E", "error_message": "m"}})),
    post(_ASSESSMENTS, {}),
    post(f"{V3}/traces/tr-nope/assessments", feedback("good", trace_id="tr-nope", feedback={"value": True})),
    get(_ASSESSMENTS + "/{a1}"),
    get(f"{_ASSESSMENTS}/a-nope"),
    patch(_ASSESSMENTS + "/{a1}", {"assessment": {"feedback": {"value": False}}, "update_mask": "feedback"}),
    patch(_ASSESSMENTS + "/{a1}", {"assessment": {"assessment_name": "better"}, "update_mask": "assessmentName"}),
    patch(_ASSESSMENTS + "/{a1}", {"assessment": {"expectation": {"value": "x"}}, "update_mask": "expectation"}),
    patch(_ASSESSMENTS + "/{a2}", {"assessment": {"feedback": {"value": "x"}}, "update_mask": "feedback"}),
    patch(f"{_ASSESSMENTS}/a-nope", {"assessment": {"assessment_name": "better"}, "update_mask": "assessmentName"}),
    search(filter="feedback.better = 'false'"),
    search(filter="feedback.score > 0.4"),
    search(filter="expectation.answer = 'Paris'"),
    search(filter="feedback.nope = 'x'"),
    post(_ASSESSMENTS, feedback("facts", feedback={"value": ["one", {"two": 2}]})),
    search(filter="feedback.facts LIKE '%two%'"),
    search(filter="feedback.facts LIKE 'two%'"),
    delete(_ASSESSMENTS + "/{a2}"),
    get(_ASSESSMENTS + "/{a2}"),
    delete(f"{_ASSESSMENTS}/a-nope"),
]  # fmt: skip

OLD_TRACES = [
    post("/traces", {"experiment_id": "{e2}", "timestamp_ms": 1767225600000, "request_metadata": [{"key": "mlflow.source.name", "value": "x"}],
        "tags": [{"key": "mlflow.traceName", "value": "old"}]}, v2="trace_info.request_id"),
    patch("/traces/{v2}", {"timestamp_ms": 1767225601000, "status": "OK", "request_metadata": [{"key": "mlflow.traceInputs", "value": "1"}], "tags": [{"key": "t", "value": "v"}]}),
    get("/traces/{v2}/info"),
    get("/traces/tr-nope/info"),
    get("/traces", {"experiment_ids": "{e2}", "max_results": 5}),
    post("/traces", {"experiment_id": "nope", "timestamp_ms": 1}),
    post("/traces/delete-traces", {"experiment_id": "{e2}", "request_ids": ["{v2}"]}),
    post("/traces/delete-traces", {"experiment_id": "{e2}", "request_ids": ["{v2}"]}),
    post("/traces/delete-traces", {"experiment_id": "{e1}"}),
    post("/traces/delete-traces", {"experiment_id": "{e1}", "max_timestamp_millis": 1767225660000, "max_traces": 5}),
    search(),
]  # fmt: skip

DATASETS = [
    post(
        f"{V3}/datasets/create",
        {"name": "set", "experiment_ids": ["{e1}"], "tags": '{"team": "a"}'},
        d1="dataset.dataset_id",
    ),
    post(f"{V3}/datasets/create", {}),
    post(f"{V3}/datasets/search", {"experiment_ids": ["{e1}"]}),
    post(f"{V3}/datasets/search", {"filter_string": "name = 'nope'"}),
    post(f"{V3}/datasets/search", {"filter_string": "bogus"}),
    patch(V3 + "/datasets/{d1}/tags", {"tags": '{"team": null, "lang": "en"}'}),
    post(
        f"{V3}/datasets/search", {"experiment_ids": ["{e1}"], "filter_string": "tags.team = 'a' AND tags.lang = 'en'"}
    ),
    get(V3 + "/datasets/{d1}/experiment-ids"),
    get(f"{V3}/datasets/d-nope"),
    get(V3 + "/datasets/{d1}/records"),
    delete(V3 + "/datasets/{d1}"),
    delete(V3 + "/datasets/{d1}"),
]

ENDS = [
    post("/experiments/delete", {"experiment_id": "{e2}"}),
    post("/experiments/update", {"experiment_id": "{e2}", "new_name": "dead"}),
    post(f"{V3}/traces", info("tr-" + "c3" * 16, 3, trace_location={"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "{e2}"}})),
    post("/logged-models", {"experiment_id": "{e2}", "name": "late"}),
    post("/traces", {"experiment_id": "{e2}", "timestamp_ms": 1}),
]  # fmt: skip
