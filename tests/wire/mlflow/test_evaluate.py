"""``mlflow.genai.evaluate`` end to end with the unmodified client, and evaluation runs read as dataset runs and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.judge_stub import JudgeStub
from tests.servers import LiveServer
from tests.wire.langfuse.clients import api, run_json
from tests.wire.mlflow.peer import MlflowPeer

pytestmark = pytest.mark.peer

EVALUATE = """
import os
os.environ["OPENAI_API_KEY"] = "sk-judge"
os.environ["OPENAI_API_BASE"] = os.environ["OPENAI_BASE_URL"] = {url!r}
from mlflow.genai import datasets as ds
from mlflow.genai.judges import make_judge
from mlflow.genai.scorers import scorer
e = mlflow.set_experiment("evaluated").experiment_id
d = ds.create_dataset(name="capitals", experiment_id=e)
d.merge_records([
    {{"inputs": {{"country": "France"}}, "expectations": {{"expected_response": "Paris"}}}},
    {{"inputs": {{"country": "Spain"}}, "expectations": {{"expected_response": "Madrid"}}}},
])
known = {{"France": "Paris", "Spain": "Barcelona"}}

@mlflow.trace(span_type="AGENT")
def predict(country):
    return known[country]

@scorer
def exact(outputs, expectations):
    return outputs == expectations["expected_response"]

polite = make_judge(name="polite", instructions="Is {{{{ outputs }}}} polite?", model="openai:/gpt-4o-mini",
    feedback_value_type=bool)
done = mlflow.genai.evaluate(data=d, predict_fn=predict, scorers=[exact, polite])
traces = mlflow.search_traces(run_id=done.run_id, return_type="list")
result = {{
    "run": done.run_id, "dataset": d.dataset_id, "experiment": e, "metrics": done.metrics,
    "traces": {{t.info.trace_id: {{a.name: a.value for a in t.info.assessments}} for t in traces}},
    "found": mlflow.search_runs([e], "tags.`mlflow.runType` = 'genai_evaluate'", output_format="list")[0].to_dictionary(),
    "judge": next(a.source.to_dictionary() for a in traces[0].info.assessments if a.name == "polite"),
    "name": mlflow.get_run(done.run_id).info.run_name,
}}
"""


@pytest.fixture(scope="module")
def judge() -> Iterator[JudgeStub]:
    rules = [
        ("Paris", {"result": True, "rationale": "kind words"}),
        ("Barcelona", {"result": False, "rationale": "rude"}),
    ]
    with JudgeStub(rules) as stub:
        yield stub


@pytest.fixture(scope="module")
def evaluated(mlflow: MlflowPeer, judge: JudgeStub) -> dict[str, Any]:
    return mlflow.run(EVALUATE.format(url=judge.url))


def test_results_are_read_back_by_mlflow(evaluated: dict[str, Any], judge: JudgeStub) -> None:
    assert evaluated["metrics"] == {"exact/mean": 0.5, "polite/mean": 0.5}
    values = {v["expected_response"]: (v["exact"], v["polite"]) for v in evaluated["traces"].values()}
    assert values == {"Paris": (True, True), "Madrid": (False, False)}
    assert evaluated["judge"]["source_type"] == "LLM_JUDGE"
    assert len(judge.asked) == 2
    (dataset,) = evaluated["found"]["inputs"]["dataset_inputs"]
    assert dataset["dataset"]["name"] == "capitals"
    assert evaluated["dataset"] in dataset["dataset"]["source"]
    assert set(evaluated["found"]["data"]["metrics"]) == {"exact/mean", "polite/mean"}


def test_the_run_is_a_dataset_run_to_langfuse(evaluated: dict[str, Any], live_server: LiveServer) -> None:
    with api(live_server.url) as http:
        (run,) = http.get("/datasets/capitals/runs").json()["data"]
        assert (run["id"], run["name"], run["datasetName"]) == (evaluated["run"], evaluated["name"], "capitals")
        items = http.get("/dataset-items", params={"datasetName": "capitals"}).json()["data"]
        inputs = {item["id"]: item["input"]["country"] for item in items}
        whole = http.get(f"/datasets/capitals/runs/{run['name']}").json()
        linked = {inputs[item["datasetItemId"]]: item["traceId"] for item in whole["datasetRunItems"]}
        assert set(linked) == {"France", "Spain"}
        assert {"tr-" + trace for trace in linked.values()} == set(evaluated["traces"])
        since = {"fromStartTime": "2020-01-01T00:00:00Z"}
        listed = http.get("/experiments", params=since | {"id": evaluated["run"]}).json()["data"]
        assert [(e["name"], e["itemCount"], e["datasetId"]) for e in listed] == [
            (evaluated["name"], 2, evaluated["dataset"])
        ]
        told = http.get(
            "/experiment-items", params=since | {"experimentId": evaluated["run"], "fields": "core,io,scores"}
        ).json()["data"]
        found = {row["experimentItemId"]: row for row in told}
        assert set(found) == set(inputs)
        france = next(found[item_id] for item_id, country in inputs.items() if country == "France")
        assert france["output"] in ("Paris", '"Paris"')
        assert france["expectedOutput"] == {"expected_response": "Paris"}
        values = {score["name"]: score["value"] for score in france["scores"]}
        assert (values["exact"], values["polite"]) == (True, True)


READ = """
import json
from langfuse import get_client
api = get_client().api
run = api.datasets.get_run("capitals", {run!r})
scores = {{}}
for item in run.dataset_run_items:
    found = api.score_v_2.get(trace_id=item.trace_id).data
    scores[item.trace_id] = {{score.name: score.string_value for score in found if score.data_type == "BOOLEAN"}}
print(json.dumps({{"id": run.id, "names": [r.name for r in api.datasets.get_runs("capitals").data], "scores": scores}}))
"""


def test_langfuses_client_reads_the_run_and_its_assessments(evaluated: dict[str, Any], live_server: LiveServer) -> None:
    read = run_json("langfuse3", READ.format(run=evaluated["name"]), live_server.url)
    assert (read["id"], evaluated["name"] in read["names"]) == (evaluated["run"], True)
    assert read["scores"] == {
        trace_id.removeprefix("tr-"): {name: str(values[name]) for name in ("exact", "polite")}
        for trace_id, values in evaluated["traces"].items()
    }


EXPERIMENT = """
import json
from langfuse import Evaluation, get_client
langfuse = get_client()
name = "folder/questions & answers"
langfuse.create_dataset(name=name)
for n in range(3):
    langfuse.create_dataset_item(dataset_name=name, id=f"item-{n}", input={"n": n}, expected_output=n * 2)
def task(*, item, **_):
    return item.input["n"] * 2
def right(*, output, expected_output, **_):
    return Evaluation(name="right", value=float(output == expected_output))
dataset = langfuse.get_dataset(name)
done = dataset.run_experiment(name="exp", run_name="run / one", task=task, evaluators=[right])
langfuse.flush()
print(json.dumps({"dataset_id": dataset.id, "run_id": done.dataset_run_id, "traces": [i.trace_id for i in done.item_results]}))
"""


def test_a_langfuse_run_is_an_evaluation_run_to_mlflow(mlflow: MlflowPeer, live_server: LiveServer) -> None:
    made = run_json("langfuse3", EXPERIMENT, live_server.url)
    found = mlflow.run(f"""
    runs = mlflow.search_runs(search_all_experiments=True, output_format="list",
        filter_string="tags.`mlflow.runType` = 'genai_evaluate' AND run_id = {made["run_id"]!r}")
    traces = mlflow.search_traces(locations=["0"], run_id={made["run_id"]!r}, return_type="list", include_spans=False)
    result = {{"runs": [r.to_dictionary() for r in runs], "traces": [t.info.trace_id for t in traces]}}
    """)
    (run,) = found["runs"]
    assert (run["info"]["run_name"], run["info"]["status"]) == ("run / one", "FINISHED")
    (dataset,) = run["inputs"]["dataset_inputs"]
    assert dataset["dataset"]["name"] == "folder/questions & answers"
    assert made["dataset_id"] in dataset["dataset"]["source"]
    assert sorted(found["traces"]) == sorted("tr-" + trace for trace in made["traces"])
    with api(live_server.url) as http:
        assert len(http.get("/datasets/folder%2Fquestions%20%26%20answers/runs").json()["data"]) == 1
        path = "/datasets/folder%2Fquestions%20%26%20answers/runs/run%20%2F%20one"
        assert http.delete(path).status_code == 200
        assert http.get(path).status_code == 404
    assert mlflow.run(f"result = client.get_run({made['run_id']!r}).info.lifecycle_stage") == "deleted"


def test_feedback_is_overridden_and_comes_back(mlflow: MlflowPeer, evaluated: dict[str, Any]) -> None:
    trace_id = next(iter(evaluated["traces"]))
    found = mlflow.run(f"""
    from mlflow.entities import AssessmentSource
    t = {trace_id!r}
    human = AssessmentSource(source_type="HUMAN", source_id="ada")
    one = mlflow.log_feedback(trace_id=t, name="tone", value="flat", source=human, rationale="dull")
    two = mlflow.override_feedback(trace_id=t, assessment_id=one.assessment_id, value="warm", rationale="kind", source=human)
    def seen():
        return {{a.assessment_id: (a.value, a.valid, a.overrides) for a in mlflow.get_trace(t).info.assessments if a.name == "tone"}}
    both = seen()
    mlflow.delete_assessment(trace_id=t, assessment_id=two.assessment_id)
    after = seen()
    mlflow.update_assessment(trace_id=t, assessment_id=one.assessment_id, assessment=mlflow.entities.Feedback(name="tone", value="plain"))
    x = mlflow.log_expectation(trace_id=t, name="facts", value=["a", {{"b": 1}}], source=human)
    result = {{"one": one.assessment_id, "two": two.assessment_id, "both": both, "after": after, "updated": seen(),
              "expectation": mlflow.get_assessment(t, x.assessment_id).value}}
    """)
    one, two = found["one"], found["two"]
    assert found["both"] == {one: ["flat", False, None], two: ["warm", True, one]}
    assert found["after"] == {one: ["flat", True, None]}
    assert found["updated"] == {one: ["plain", True, None]}
    assert found["expectation"] == ["a", {"b": 1}]
