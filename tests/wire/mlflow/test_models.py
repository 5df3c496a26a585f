"""Logged models, registry and prompts with the unmodified MLflow client."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.servers import LiveServer
from tests.wire.mlflow.peer import ClientError, MlflowPeer

pytestmark = pytest.mark.peer

API = "/api/2.0/mlflow"


def code_of(mlflow: MlflowPeer, program: str) -> str:
    with pytest.raises(ClientError) as caught:
        mlflow.run(program)
    return caught.value.code


# --- logged models ---------------------------------------------------------------------------------------------------


def test_logged_model_life(mlflow: MlflowPeer) -> None:
    found = mlflow.run("""
    e = mlflow.set_experiment("logged").experiment_id
    model = mlflow.initialize_logged_model(name="clf", model_type="agent", tags={"a": "1"}, params={f"p{i}": str(i) for i in range(250)})
    pending = str(model.status)
    mlflow.log_model_params({"late": "x"}, model_id=model.model_id)
    mlflow.set_logged_model_tags(model.model_id, {"b": "2", "c": "3"})
    mlflow.delete_logged_model_tag(model.model_id, "c")
    done = mlflow.finalize_logged_model(model.model_id, "READY")
    with mlflow.start_run() as run:
        mlflow.log_metric("acc", 0.5, step=1, model_id=model.model_id)
        mlflow.log_metric("acc", 0.7, step=2, model_id=model.model_id)
    got = mlflow.get_logged_model(model.model_id)
    result = {"id": model.model_id, "pending": pending, "status": str(done.status), "params": len(got.params), "late": got.params["late"],
              "tags": got.tags, "type": got.model_type, "location": got.artifact_location, "e": e,
              "metrics": [(m.key, m.value, m.step, m.run_id == run.info.run_id) for m in got.metrics]}
    """)
    assert found["id"].startswith("m-")
    assert (found["pending"], found["status"]) == ("PENDING", "READY")
    assert (found["params"], found["late"]) == (251, "x")
    assert found["tags"]["a"] == "1"
    assert found["tags"]["b"] == "2"
    assert "c" not in found["tags"]
    assert found["type"] == "agent"
    assert found["location"] == f"mlflow-artifacts:/default/{found['e']}/models/{found['id']}/artifacts"
    assert found["metrics"] == [["acc", 0.5, 1, True], ["acc", 0.7, 2, True]]


def test_logged_model_search(mlflow: MlflowPeer) -> None:
    found = mlflow.run("""
    e = mlflow.set_experiment("search-logged").experiment_id
    import pandas
    data = mlflow.data.from_pandas(pandas.DataFrame({"x": [1]}), name="dev")
    models = []
    with mlflow.start_run() as run:
        for i, acc in enumerate([0.5, 0.9, 0.7]):
            m = mlflow.create_external_model(name=f"m{i}", params={"depth": str(i)}, tags={"odd": str(i % 2)})
            mlflow.log_metric("acc", acc, model_id=m.model_id, dataset=data if i else None)
            models.append(m)
    names = lambda **kw: [m.name for m in mlflow.search_logged_models(experiment_ids=[e], output_format="list", **kw)]
    result = {
        "acc": names(filter_string="metrics.acc > 0.6", order_by=[{"field_name": "metrics.acc", "ascending": False}]),
        "data": names(filter_string="metrics.acc > 0.4", datasets=[{"dataset_name": "dev"}], order_by=[{"field_name": "name"}]),
        "params": names(filter_string="params.depth = '2'"),
        "tags": names(filter_string="tags.odd = '1' AND name LIKE 'm%'"),
        "status": names(filter_string="status = 'READY'", order_by=[{"field_name": "creation_timestamp", "ascending": True}]),
        "paged": names(max_results=2), "id": names(filter_string=f"model_id = '{models[0].model_id}'"),
    }
    client.delete_logged_model(models[0].model_id)
    result["left"] = names(order_by=[{"field_name": "name"}])
    """)
    assert found["acc"] == ["m1", "m2"]
    assert found["data"] == ["m1", "m2"]
    assert found["params"] == ["m2"]
    assert found["tags"] == ["m1"]
    assert found["status"] == ["m0", "m1", "m2"]
    assert len(found["paged"]) == 2
    assert found["id"] == ["m0"]
    assert found["left"] == ["m1", "m2"]


def test_logged_model_errors(mlflow: MlflowPeer) -> None:
    assert code_of(mlflow, "mlflow.get_logged_model('m-nope')") == "RESOURCE_DOES_NOT_EXIST"
    assert code_of(mlflow, "mlflow.initialize_logged_model(name='a/b')") == "INVALID_PARAMETER_VALUE"
    program = "mlflow.search_logged_models(experiment_ids=['0'], filter_string='nope = 1')"
    assert code_of(mlflow, program) == "INVALID_PARAMETER_VALUE"


# --- registry --------------------------------------------------------------------------------------------------------


def test_registered_model_life(mlflow: MlflowPeer) -> None:
    found = mlflow.run("""
    client.create_registered_model("reg", tags={"a": "1"}, description="first")
    client.update_registered_model("reg", "second")
    client.set_registered_model_tag("reg", "b", "2")
    client.delete_registered_model_tag("reg", "a")
    with mlflow.start_run() as run:
        mlflow.log_text("x", "model/MLmodel")
    source = run.info.artifact_uri + "/model"
    v1 = client.create_model_version("reg", source, run.info.run_id, tags={"q": "1"}, description="v one")
    v2 = client.create_model_version("reg", f"runs:/{run.info.run_id}/model", run.info.run_id)
    client.update_model_version("reg", 1, "changed")
    client.set_model_version_tag("reg", "1", "r", "2")
    client.delete_model_version_tag("reg", "1", "q")
    client.set_registered_model_alias("reg", "champion", 1)
    client.set_registered_model_alias("reg", "challenger", 2)
    client.transition_model_version_stage("reg", 1, "production")
    client.transition_model_version_stage("reg", 2, "Production", archive_existing_versions=True)
    m, one = client.get_registered_model("reg"), client.get_model_version("reg", "1")
    result = {
        "description": m.description, "tags": m.tags, "aliases": m.aliases, "one": [one.description, one.tags, list(one.aliases), one.current_stage, one.run_id == run.info.run_id],
        "numbers": [v1.version, v2.version], "status": v1.status, "uri": client.get_model_version_download_uri("reg", "2") == source,
        "latest": [(v.version, v.current_stage) for v in client.get_latest_versions("reg")],
        "production": [v.version for v in client.get_latest_versions("reg", ["Production"])],
        "alias": client.get_model_version_by_alias("reg", "champion").version,
        "newest": client.get_model_version_by_alias("reg", "latest").version,
    }
    client.delete_registered_model_alias("reg", "champion")
    client.delete_model_version("reg", "2")
    v3 = client.create_model_version("reg", source, run.info.run_id)
    result["third"] = v3.version
    result["search"] = [v.version for v in client.search_model_versions("name = 'reg'")]
    result["by_run"] = len(client.search_model_versions(f"run_id = '{run.info.run_id}'"))
    result["tagged"] = [v.version for v in client.search_model_versions("tags.r = '2'")]
    client.rename_registered_model("reg", "renamed")
    result["renamed"] = [m.name for m in client.search_registered_models("name LIKE 'ren%'")]
    client.delete_registered_model("renamed")
    result["gone"] = [m.name for m in client.search_registered_models("name = 'renamed'")]
    """)
    assert found["description"] == "second"
    assert found["tags"] == {"b": "2"}
    assert found["aliases"] == {"champion": 1, "challenger": 2} or found["aliases"] == {
        "champion": "1",
        "challenger": "2",
    }
    assert found["one"] == ["changed", {"r": "2"}, ["champion"], "Archived", True]
    assert [int(n) for n in found["numbers"]] == [1, 2]
    assert found["status"] == "READY"
    assert found["uri"] is True
    assert sorted((int(v), stage) for v, stage in found["latest"]) == [(1, "Archived"), (2, "Production")]
    assert [int(v) for v in found["production"]] == [2]
    assert (int(found["alias"]), int(found["newest"])) == (1, 2)
    assert int(found["third"]) == 3
    assert [int(v) for v in found["search"]] == [3, 1]
    assert found["by_run"] == 2
    assert [int(v) for v in found["tagged"]] == [1]
    assert found["renamed"] == ["renamed"]
    assert found["gone"] == []


def test_copy_model_version(mlflow: MlflowPeer) -> None:
    found = mlflow.run("""
    with mlflow.start_run() as run:
        mlflow.log_text("x", "model/MLmodel")
    client.create_registered_model("origin")
    v = client.create_model_version("origin", run.info.artifact_uri + "/model", run.info.run_id)
    client.set_registered_model_alias("origin", "best", v.version)
    copy = client.copy_model_version("models:/origin@best", "target")
    again = client.copy_model_version(f"models:/target/{copy.version}", "target2")
    result = [copy.source, copy.run_id == run.info.run_id, client.get_model_version_download_uri("target", copy.version) == v.source,
              client.get_model_version_download_uri("target2", again.version) == v.source]
    """)
    assert found == ["models:/origin/1", True, True, True]


def test_search_pages_and_order(mlflow: MlflowPeer) -> None:
    found = mlflow.run("""
    for i in range(5):
        client.create_registered_model(f"page{i}")
    first = client.search_registered_models("name LIKE 'page%'", max_results=2, order_by=["name DESC"])
    second = client.search_registered_models("name LIKE 'page%'", max_results=2, order_by=["name DESC"], page_token=first.token)
    third = client.search_registered_models("name LIKE 'page%'", max_results=2, order_by=["name DESC"], page_token=second.token)
    result = [[m.name for m in p] for p in (first, second, third)] + [third.token or None]
    """)
    assert found == [["page4", "page3"], ["page2", "page1"], ["page0"], None]


def test_registry_errors(mlflow: MlflowPeer) -> None:
    mlflow.run("client.create_registered_model('taken')")
    assert code_of(mlflow, "client.create_registered_model('taken')") == "RESOURCE_ALREADY_EXISTS"
    assert code_of(mlflow, "client.get_registered_model('nope')") == "RESOURCE_DOES_NOT_EXIST"
    assert code_of(mlflow, "client.get_model_version('taken', '7')") == "RESOURCE_DOES_NOT_EXIST"
    assert code_of(mlflow, "client.create_registered_model('a/b')") == "INVALID_PARAMETER_VALUE"
    assert code_of(mlflow, "client.get_model_version_by_alias('taken', 'nope')") == "INVALID_PARAMETER_VALUE"
    assert code_of(mlflow, "client.search_registered_models('metrics.x > 1')") == "INVALID_PARAMETER_VALUE"
    assert code_of(mlflow, "client.set_registered_model_alias('taken', 'v1', 1)") == "INVALID_PARAMETER_VALUE"


@pytest.fixture(scope="module")
def run(live_server: LiveServer) -> dict[str, Any]:
    with live_server.client() as http:
        return http.post(f"{API}/runs/create", json={"experiment_id": "0"}).json()["run"]["info"]


@pytest.mark.parametrize("source", [
    "", "/etc", "file:///etc/passwd", "../x", "runs:/other/model", "runs://host/{run}/model", "{uri}/../../other",
    "{uri}/%2e%2e/x", "{uri}%00", "mlflow-artifacts:/default/0/other/artifacts", "mlflow-artifacts:/", "models:/m-" + "0" * 32,
    "models:/nope/1", "models:/sources", "http://h/api/2.0/mlflow-artifacts/artifacts/../../x",
])  # fmt: skip
def test_bad_sources_are_refused(live_server: LiveServer, run: dict[str, Any], source: str) -> None:
    source = source.replace("{uri}", run["artifact_uri"]).replace("{run}", run["run_id"])
    with live_server.client() as http:
        http.post(f"{API}/registered-models/create", json={"name": "sources"})
        body = {"name": "sources", "source": source, "run_id": run["run_id"]}
        reply = http.post(f"{API}/model-versions/create", json=body)
        assert reply.status_code in (400, 404), reply.text
        found = http.get(f"{API}/model-versions/search", params={"filter": "name = 'sources'"}).json()
        assert found == {}


def test_foreign_stores_are_accepted_as_sources(live_server: LiveServer) -> None:
    with live_server.client() as http:
        http.post(f"{API}/registered-models/create", json={"name": "foreign"})
        for source in ("s3://bucket/model", "gs://bucket/a/b", "dbfs:/x"):
            reply = http.post(f"{API}/model-versions/create", json={"name": "foreign", "source": source})
            assert reply.status_code == 200, reply.text
            assert reply.json()["model_version"]["source"] == source


def test_model_version_file_download(live_server: LiveServer, run: dict[str, Any]) -> None:
    path = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
    with live_server.client() as http:
        http.put(f"/api/2.0/mlflow-artifacts/artifacts/{path}/m/MLmodel", content=b"flavors: {}")
        http.post(f"{API}/registered-models/create", json={"name": "files"})
        body = {"name": "files", "source": run["artifact_uri"] + "/m", "run_id": run["run_id"]}
        assert http.post(f"{API}/model-versions/create", json=body).status_code == 200
        got = http.get("/model-versions/get-artifact", params={"name": "files", "version": "1", "path": "MLmodel"})
        assert got.text == "flavors: {}"


# --- prompts ---------------------------------------------------------------------------------------------------------


def test_prompt_life(mlflow: MlflowPeer) -> None:
    found = mlflow.run("""
    p1 = mlflow.genai.register_prompt(name="greet", template="Hello {{name}}!", commit_message="first", tags={"team": "x"})
    p2 = mlflow.genai.register_prompt(name="greet", template="Hi {{name}}!", commit_message="second")
    mlflow.genai.set_prompt_alias("greet", alias="production", version=1)
    loaded = mlflow.genai.load_prompt("prompts:/greet/2")
    aliased = mlflow.genai.load_prompt("prompts:/greet@production")
    newest = mlflow.genai.load_prompt("prompts:/greet@latest")
    chat = mlflow.genai.register_prompt(name="talk", template=[{"role": "system", "content": "Be {{mood}}"}, {"role": "user", "content": "{{q}}"}],
        response_format={"type": "object"})
    talk = mlflow.genai.load_prompt("prompts:/talk/1")
    mlflow.genai.set_prompt_tag("greet", "owner", "ada")
    mlflow.genai.set_prompt_version_tag("greet", 2, "reviewed", "yes")
    result = {
        "versions": [p1.version, p2.version], "template": loaded.template, "text": loaded.format(name="Bob"), "message": loaded.commit_message,
        "alias": aliased.version, "newest": newest.version, "chat": talk.template, "format": talk.response_format,
        "aliases": list(mlflow.genai.load_prompt("prompts:/greet/1").aliases),
        "search": sorted(p.name for p in mlflow.genai.search_prompts()),
        "filtered": [p.name for p in mlflow.genai.search_prompts("name = 'greet'")],
        "all_versions": sorted(v.version for v in client.search_prompt_versions("greet")),
        "tags": mlflow.genai.get_prompt_tags("greet"), "version_tags": mlflow.genai.load_prompt("prompts:/greet/2").tags,
        "models": [m.name for m in client.search_registered_models("name IN ('greet', 'talk')")],
        "missing": mlflow.genai.load_prompt("prompts:/nope/1", allow_missing=True),
    }
    """)
    assert found["versions"] == [1, 2]
    assert found["template"] == "Hi {{name}}!"
    assert found["text"] == "Hi Bob!"
    assert found["message"] == "second"
    assert (found["alias"], found["newest"]) == (1, 2)
    assert found["chat"] == [{"role": "system", "content": "Be {{mood}}"}, {"role": "user", "content": "{{q}}"}]
    assert found["format"] == {"type": "object"}
    assert found["aliases"] == ["production"]
    assert {"greet", "talk"} <= set(found["search"])
    assert found["filtered"] == ["greet"]
    assert found["all_versions"] == [1, 2]
    assert found["tags"]["owner"] == "ada"
    assert found["version_tags"]["reviewed"] == "yes"
    assert found["models"] == []
    assert found["missing"] is None


def test_prompt_and_model_names_do_not_mix(mlflow: MlflowPeer) -> None:
    mlflow.run("""
    client.create_registered_model("amodel")
    mlflow.genai.register_prompt(name="aprompt", template="x")
    """)
    assert code_of(mlflow, "client.create_registered_model('aprompt')") == "RESOURCE_ALREADY_EXISTS"
    with pytest.raises(ClientError):
        mlflow.run("mlflow.genai.register_prompt(name='amodel', template='x')")
    with pytest.raises(ClientError):
        mlflow.run("mlflow.genai.load_prompt('prompts:/amodel/1')")


def test_prompt_deletion(mlflow: MlflowPeer) -> None:
    found = mlflow.run("""
    for text in ("a", "b"):
        mlflow.genai.register_prompt(name="short", template=text)
    client.delete_prompt_version("short", "2")
    left = [v.version for v in client.search_prompt_versions("short")]
    client.delete_prompt_version("short", "1")
    client.delete_prompt("short")
    result = [left, [p.name for p in mlflow.genai.search_prompts("name = 'short'")]]
    """)
    assert found == [[1], []]


def test_one_prompt_through_both_protocols(mlflow: MlflowPeer, live_server: LiveServer) -> None:
    auth = ("pk-lf-1", "sk-lf-1")
    mlflow.run("""
    mlflow.genai.register_prompt(name="shared", template="From MLflow {{x}}", commit_message="m1")
    mlflow.genai.set_prompt_alias("shared", alias="production", version=1)
    """)
    with httpx.Client(base_url=live_server.url, auth=auth) as http:
        seen = http.get("/api/public/v2/prompts/shared").json()
        assert seen["prompt"] == "From MLflow {{x}}"
        assert seen["version"] == 1
        assert "production" in seen["labels"]
        assert seen["commitMessage"] == "m1"
        made = http.post("/api/public/v2/prompts", json={
            "name": "shared", "type": "text", "prompt": "From Langfuse {{x}}", "labels": ["production"], "tags": ["lf"],
            "config": {"model": "gpt-4o"}, "commitMessage": "m2",
        })  # fmt: skip
        assert made.status_code in (200, 201), made.text
    found = mlflow.run("""
    p = mlflow.genai.load_prompt("prompts:/shared@production", cache_ttl_seconds=0)
    result = [p.version, p.template, p.commit_message, mlflow.genai.get_prompt_tags("shared").get("lf")]
    """)
    assert found == [2, "From Langfuse {{x}}", "m2", "true"]


def test_prompt_links_to_trace(mlflow: MlflowPeer) -> None:
    found = mlflow.run("""
    e = mlflow.set_experiment("prompted").experiment_id
    mlflow.genai.register_prompt(name="linked", template="Hi {{n}}")
    @mlflow.trace
    def answer():
        return mlflow.genai.load_prompt("prompts:/linked/1").format(n="x")
    answer()
    tid = mlflow.get_last_active_trace_id()
    mlflow.flush_trace_async_logging()
    t = client.get_trace(tid)
    hit = mlflow.search_traces(locations=[e], filter_string='prompt = "linked/1"', return_type="list")
    miss = mlflow.search_traces(locations=[e], filter_string='prompt = "linked/2"', return_type="list")
    mlflow.set_experiment(experiment_id="0")
    result = [t.info.tags.get("mlflow.linkedPrompts"), [x.info.trace_id for x in hit] == [tid], len(miss)]
    """)
    assert found[0] is not None
    assert '"linked"' in found[0]
    assert found[1:] == [True, 0]
