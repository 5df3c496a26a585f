"""Evaluation datasets with the unmodified MLflow client, and the same rows seen by Langfuse's."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.servers import LiveServer
from tests.wire.langfuse.clients import api, run_json
from tests.wire.mlflow.peer import ClientError, MlflowPeer

pytestmark = pytest.mark.peer


def test_a_dataset_lives_through_the_client(mlflow: MlflowPeer) -> None:
    found = mlflow.run("""
    from mlflow.genai import datasets as ds
    e = mlflow.create_experiment("with-data")
    other = mlflow.create_experiment("with-data-2")
    d = ds.create_dataset(name="qa", experiment_id=e, tags={"team": "geo", "stage": "draft"})
    empty = {"schema": d.schema, "profile": d.profile, "digest": d.digest, "ids": d.experiment_ids}
    d.merge_records([
        {"inputs": {"q": "capital of France", "n": 1}, "expectations": {"expected_response": "Paris"}, "tags": {"k": "v"}},
        {"inputs": {"n": 2, "q": "capital of Spain"}, "outputs": ["Madrid"]},
    ])
    d.merge_records([{"inputs": {"n": 1, "q": "capital of France"}, "expectations": {"facts": ["Seine"]}, "tags": {"l": "w"}}])
    d = ds.get_dataset(name="qa")
    rows = d.to_df().to_dict("records")
    ds.set_dataset_tags(dataset_id=d.dataset_id, tags={"stage": "final", "size": "2"})
    ds.delete_dataset_tag(dataset_id=d.dataset_id, key="team")
    ds.add_dataset_to_experiments(dataset_id=d.dataset_id, experiment_ids=[other])
    both = ds.get_dataset(dataset_id=d.dataset_id).experiment_ids
    ds.remove_dataset_from_experiments(dataset_id=d.dataset_id, experiment_ids=[e])
    after = ds.get_dataset(dataset_id=d.dataset_id)
    gone = d.delete_records([rows[1]["dataset_record_id"], "dr-unknown"])
    result = {
        "empty": empty, "experiments": [e, other], "both": both, "after": after.experiment_ids, "tags": after.tags,
        "schema": json.loads(d.schema), "profile": json.loads(d.profile), "changed": d.digest != empty["digest"],
        "rows": [{k: r[k] for k in ("inputs", "outputs", "expectations", "tags", "source_type")} for r in rows],
        "gone": gone, "left": len(ds.get_dataset(name="qa").to_df()), "by": d.created_by,
    }
    """)
    assert found["empty"] | {"digest": None} == {
        "schema": None, "profile": None, "digest": None, "ids": [found["experiments"][0]],
    }  # fmt: skip
    assert found["both"] == found["experiments"]
    assert found["after"] == found["experiments"][1:]
    assert {k: v for k, v in found["tags"].items() if k != "mlflow.user"} == {"stage": "final", "size": "2"}
    assert found["by"] == found["tags"]["mlflow.user"]
    assert found["changed"] is True
    assert found["schema"] == {
        "inputs": {"q": "string", "n": "integer"}, "outputs": "array",
        "expectations": {"expected_response": "string", "facts": "array"}, "version": "1.0",
    }  # fmt: skip
    assert found["profile"] == {"num_records": 2}
    first, second = found["rows"]
    assert first["inputs"] == {"q": "capital of France", "n": 1}
    assert first["expectations"] == {"expected_response": "Paris", "facts": ["Seine"]}
    assert (first["tags"]["k"], first["tags"]["l"], first["source_type"]) == ("v", "w", "HUMAN")
    assert (second["outputs"], second["expectations"], second["source_type"]) == (["Madrid"], None, "CODE")
    assert (found["gone"], found["left"]) == (1, 1)


def test_search_and_pages(mlflow: MlflowPeer, live_server: LiveServer) -> None:
    found = mlflow.run("""
    from mlflow.genai import datasets as ds
    e = mlflow.create_experiment("search-data")
    for i in range(5):
        ds.create_dataset(name=f"find-{i}", experiment_id=e if i < 3 else [], tags={"odd": str(i % 2), "i": str(i)})
    def names(text, **more):
        return [d.name for d in ds.search_datasets(filter_string=text, **more)]
    d = ds.get_dataset(name="find-0")
    d.merge_records([{"inputs": {"i": i}} for i in range(1203)])
    ids = [inputs["i"] for inputs in ds.get_dataset(name="find-0").to_df()["inputs"]]
    result = {
        "like": names("name LIKE 'find-%' AND tags.odd = '1'", order_by=["name ASC"]),
        "in": names("name IN ('find-1', 'find-4')", order_by=["name DESC"]),
        "or": names("(tags.i = '2' OR tags.i = '3') AND NOT name = 'find-3'"),
        "experiment": sorted(names("name ILIKE 'FIND-%'", experiment_ids=[e])),
        "newest": names("name LIKE 'find-%'", max_results=2),
        "past": names("created_time < 5"),
        "records": ids == list(range(1203)),
        "of": [ds.get_dataset(name="find-0").experiment_ids == [e], ds.get_dataset(name="find-4").experiment_ids],
    }
    """)
    assert found["like"] == ["find-1", "find-3"]
    assert found["in"] == ["find-4", "find-1"]
    assert found["or"] == ["find-2"]
    assert found["experiment"] == ["find-0", "find-1", "find-2"]
    assert found["newest"] == ["find-4", "find-3"]
    assert found["past"] == []
    assert found["records"] is True
    assert found["of"] == [True, []]
    with live_server.client() as http:
        path, query = "/api/3.0/mlflow/datasets/search", {"filter_string": "name LIKE 'find-%'", "max_results": 3}
        first = http.get(path, params=query).json()
        rest = http.get(path, params=query | {"page_token": first["next_page_token"]}).json()
        assert [d["name"] for d in first["datasets"] + rest["datasets"]] == [f"find-{i}" for i in range(4, -1, -1)]
        assert "next_page_token" not in rest
        for wrong in ({"page_token": "no"}, {"filter_string": "colour = 'red'"}, {"order_by": "tags.odd"}):
            answer = http.get(path, params=query | wrong)
            assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_langfuse_and_mlflow_see_one_dataset(mlflow: MlflowPeer, live_server: LiveServer) -> None:
    mlflow.run("""
    from mlflow.genai import datasets as ds
    d = ds.create_dataset(name="shared", tags={"team": "geo"})
    d.merge_records([{"inputs": {"q": "one"}, "expectations": {"expected_response": "1"}, "tags": {"level": "easy"}}])
    """)
    seen = run_json("langfuse3", _LANGFUSE, live_server.url)
    assert {k: v for k, v in seen["metadata"].items() if k != "mlflow.user"} == {"team": "geo"}
    (item,) = seen["items"]
    assert (item["input"], item["expected"]) == ({"q": "one"}, {"expected_response": "1"})
    assert item["metadata"]["level"] == "easy"
    found = mlflow.run("""
    from mlflow.genai import datasets as ds
    d = ds.get_dataset(name="from-langfuse")
    d.merge_records([{"inputs": {"input": "two?"}, "expectations": {"facts": ["even"]}}])
    rows = ds.get_dataset(name="from-langfuse").to_df().to_dict("records")
    result = {r["dataset_record_id"]: {**{k: r[k] for k in ("inputs", "expectations", "tags", "source_id")},
                  "source": r["source"].to_dict() if r["source"] else None} for r in rows}
    """)
    assert set(found) == {"lf-1", "lf-2"}
    assert found["lf-1"]["inputs"] == {"input": "two?"}
    assert found["lf-1"]["expectations"] == {"expected_response": "2", "facts": ["even"]}
    assert found["lf-1"]["source"] is None
    trace = "tr-" + "ab" * 16
    assert found["lf-2"]["source"] == {"source_type": "TRACE", "source_data": {"trace_id": trace, "span_id": "cd" * 8}}
    assert (found["lf-2"]["source_id"], found["lf-2"]["tags"]["deep"]) == (trace, '{"a":1}')
    with api(live_server.url) as http:
        assert http.get("/dataset-items/lf-1").json()["expectedOutput"] == {"expected_response": "2", "facts": ["even"]}


_LANGFUSE = """
import json
from langfuse import Langfuse
client = Langfuse()
shared = client.get_dataset("shared")
client.create_dataset(name="from-langfuse", metadata={"team": "geo"})
client.create_dataset_item(dataset_name="from-langfuse", id="lf-1", input="two?", expected_output="2")
client.create_dataset_item(dataset_name="from-langfuse", id="lf-2", input={"q": 3}, metadata={"deep": {"a": 1}},
    source_trace_id="ab" * 16, source_observation_id="cd" * 8)
print(json.dumps({"metadata": shared.metadata, "items": [
    {"input": i.input, "expected": i.expected_output, "metadata": i.metadata} for i in shared.items]}))
"""


def test_traces_become_records(mlflow: MlflowPeer, live_server: LiveServer) -> None:
    found = mlflow.run("""
    from mlflow.genai import datasets as ds
    mlflow.set_experiment("to-records")
    @mlflow.trace
    def answer(question):
        return {"answer": question.upper()}
    answer("hello")
    trace_id = mlflow.get_last_active_trace_id()
    mlflow.flush_trace_async_logging()
    mlflow.log_expectation(trace_id=trace_id, name="expected_response", value="HELLO")
    traces = mlflow.search_traces(return_type="list")
    d = ds.create_dataset(name="of-traces")
    d.merge_records(traces)
    d.merge_records(mlflow.search_traces())
    (r,) = ds.get_dataset(name="of-traces").to_df().to_dict("records")
    result = {"trace": trace_id, "source": r["source"].to_dict(), **{k: r[k] for k in ("inputs", "outputs", "expectations")}}
    """)
    assert (found["inputs"], found["outputs"]) == ({"question": "hello"}, {"answer": "HELLO"})
    assert found["expectations"] == {"expected_response": "HELLO"}
    assert found["source"] == {"source_type": "TRACE", "source_data": {"trace_id": found["trace"]}}
    with api(live_server.url) as http:
        (item,) = http.get("/dataset-items", params={"sourceTraceId": found["trace"][3:]}).json()["data"]
        assert (item["datasetName"], item["input"]) == ("of-traces", {"question": "hello"})


def test_what_is_wrong_is_said_and_nothing_is_written(mlflow: MlflowPeer, live_server: LiveServer) -> None:
    with live_server.client() as http, api(live_server.url) as langfuse:
        made = langfuse.post(
            "/v2/datasets", json={"name": "strict", "inputSchema": {"type": "object", "required": ["q"]}}
        ).json()
        records = f"/api/3.0/mlflow/datasets/{made['id']}/records"

        def refused(body: dict[str, Any], verb: str = "POST", path: str = records) -> tuple[int, str, str]:
            answer: httpx.Response = http.request(verb, path, json=body)
            return answer.status_code, answer.json()["error_code"], answer.json()["message"]

        for text, what in (
            ('[{"inputs": {"q": 1}}, {"inputs": {"x": 1}}]', "record 2"),
            ('[{"inputs": {"q": 1}, "source": {"source_type": "DREAM"}}]', "DREAM"),
            ('[{"inputs": "text"}]', "records[0]"), ("[1]", "records[0]"), ("{}", "list"), ("[", "not JSON"),
        ):  # fmt: skip
            status, code, message = refused({"records": text})
            assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
            assert what in message
        assert "records" in refused({})[2]
        assert http.get(records).json() == {"records": "[]"}
        assert refused({"name": "x", "experiment_ids": ["999"]}, path="/api/3.0/mlflow/datasets/create")[:2] == (
            404, "RESOURCE_DOES_NOT_EXIST",
        )  # fmt: skip
        for path in ("/api/3.0/mlflow/datasets/d-none", "/api/3.0/mlflow/datasets/d-none/records"):
            answer = http.get(path)
            assert (answer.status_code, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
        assert http.request("DELETE", "/api/3.0/mlflow/datasets/d-none", json={}).json() == {}
    with pytest.raises(ClientError):
        mlflow.run("mlflow.genai.datasets.get_dataset(name='never-made')")
    mlflow.run("""
    d = mlflow.genai.datasets.get_dataset(name="strict")
    mlflow.genai.datasets.delete_dataset(dataset_id=d.dataset_id)
    """)
    with api(live_server.url) as langfuse:
        assert langfuse.get("/v2/datasets/strict").status_code == 404
