"""Deployments through every door: MLflow's deployments client, our SDK, the command line, the native API."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

import twinlens
from tests.plugin import installed
from tests.servers import LiveServer, eventually
from tests.servers import run_command as command
from tests.wire.mlflow.peer import ClientError, MlflowPeer

pytestmark = pytest.mark.peer
NATIVE = "/api/twinlens/v1/projects/default"


@pytest.fixture(scope="module")
def mlflow(live_server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowPeer]:
    """MLflow's client with Twinlens installed beside it, two versions of a model registered."""
    folder = tmp_path_factory.mktemp("peer")
    live_server.port = int(live_server.url.rsplit(":", 1)[1])  # the same after a restart
    with MlflowPeer(live_server.url, folder, PYTHONPATH=installed(folder)) as peer:
        peer.run(f"""
        from mlflow.deployments import get_deploy_client
        target = "twinlens://{live_server.url.removeprefix("http://")}"
        deploy = get_deploy_client(target)
        with mlflow.start_run() as run:
            mlflow.log_metric("accuracy", 0.9)
        client.create_registered_model("churn")
        for _ in range(2):
            client.create_model_version("churn", f"runs:/{{run.info.run_id}}/model", run.info.run_id)
        client.set_registered_model_alias("churn", "champion", 2)
        """)
        yield peer


@pytest.fixture
def scorer() -> Iterator[str]:
    """The address of a model server that answers with how many rows it was sent."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            good = self.path == "/invocations" and ("inputs" in sent or "dataframe_split" in sent)
            rows = len(sent.get("inputs") or sent["dataframe_split"]["data"])
            body = json.dumps({"predictions": [rows]}).encode()
            self.send_response(200 if good else 400)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_mlflows_deployments_client(mlflow: MlflowPeer, scorer: str) -> None:
    found = mlflow.run(f"""
    import pandas
    made = deploy.create_deployment("churn", "models:/churn/1", endpoint="staging", config={{"replicas": 2}})
    moved = deploy.update_deployment("churn", "models:/churn@champion", config={{"url": "{scorer}"}}, endpoint="staging")
    live = deploy.create_deployment("churn", f"runs:/{{run.info.run_id}}/model", flavor="sklearn")
    result = {{
        "made": made, "moved": moved, "live": live, "run": run.info.run_id,
        "all": [(d["name"], d["endpoint"]) for d in deploy.list_deployments()],
        "staging": [d["version"] for d in deploy.list_deployments(endpoint="staging")],
        "same": deploy.get_deployment("churn@staging") == deploy.get_deployment("churn", endpoint="staging"),
        "frame": deploy.predict("churn", pandas.DataFrame({{"x": [1, 2, 3]}}), endpoint="staging")["predictions"],
        "list": deploy.predict("churn", [1, 2], endpoint="staging")["predictions"],
        "help": "environment" in __import__("twinlens.sdk.mlflow_deployments").sdk.mlflow_deployments.target_help(),
    }}
    """)
    made, moved, live = found["made"], found["moved"], found["live"]
    assert (made["name"], made["kind"], made["version"], made["release"]["run_id"]) == (
        "churn",
        "model",
        "1",
        found["run"],
    )
    assert made["release"]["config"] == {"replicas": 2}
    assert (moved["version"], moved["model_uri"], moved["release"]["number"]) == ("2", "models:/churn@champion", 2)
    assert moved["release"]["config"] == {"replicas": 2}  # a new address does not take the configuration away
    assert (live["environment"], live["version"], live["flavor"]) == ("production", found["run"][:8], "sklearn")
    assert found["all"] == [["churn", "production"], ["churn", "staging"]]
    assert (found["staging"], found["same"], found["help"]) == (["2"], True, True)
    assert (found["frame"], found["list"]) == ([3], [2])


def test_mlflows_client_gets_mlflows_errors(mlflow: MlflowPeer) -> None:
    for program, code in (
        ('deploy.get_deployment("nobody")', "RESOURCE_DOES_NOT_EXIST"),
        ('deploy.create_deployment("x", "models:/churn/9")', "RESOURCE_DOES_NOT_EXIST"),
        ('deploy.create_deployment("x", "models:/churn/1", endpoint="a b")', "INVALID_PARAMETER_VALUE"),
        ('[deploy.create_deployment("twice", "models:/churn/1") for _ in "ab"]', "RESOURCE_ALREADY_EXISTS"),
        ('deploy.predict("twice", [1])', "INVALID_PARAMETER_VALUE"),
        ('[deploy.create_endpoint("eu") for _ in "ab"]', "RESOURCE_ALREADY_EXISTS"),
        ('get_deploy_client("twinlens://127.0.0.1:9").list_deployments()', "TEMPORARILY_UNAVAILABLE"),
    ):
        with pytest.raises(ClientError) as caught:
            mlflow.run(program)
        assert caught.value.code == code, program
    assert "has no URL" in _message(mlflow, 'deploy.predict("twice", [1])')
    found = mlflow.run("""
    deploy.update_endpoint("eu", {"region": "eu-1"})
    before = deploy.get_endpoint("eu")["config"]
    deploy.delete_endpoint("eu")
    deploy.delete_deployment("twice")
    deploy.delete_deployment("twice")
    result = [before, "eu" in [e["name"] for e in deploy.list_endpoints()]]
    """)
    assert found == [{"region": "eu-1"}, False]


def _message(mlflow: MlflowPeer, program: str) -> str:
    with pytest.raises(ClientError) as caught:
        mlflow.run(program)
    return caught.value.message


def test_sdk_and_command_line_tell_the_same_story(live_server: LiveServer) -> None:
    here = live_server.url
    made = twinlens.deployments.create("bot", environment="staging", version="1.0", note="first", server=here)
    assert (made["kind"], made["subject"], made["release"]["by"]) == ("agent", "bot", made["release"]["by"]) != ""
    env = {"TWINLENS_URL": here}
    live = json.loads(command("deployment", "promote", "bot@staging", "--json", env=env).stdout)
    assert (live["environment"], live["release"]["from_environment"]) == ("production", "staging")
    twinlens.deployments.update("bot", version="1.1", url="http://bot.internal:80", server=here)
    back = command("deployment", "rollback", "bot", "--note", "broke", env=env)
    assert back.returncode == 0 and "1.0" in back.stdout and "rollback" in back.stdout
    history = twinlens.deployments.history("bot", server=here)
    assert [(r["action"], r["version"]) for r in history] == [
        ("rollback", "1.0"),
        ("update", "1.1"),
        ("promote", "1.0"),
    ]
    assert "broke" in command("deployment", "history", "bot", "--tracking-uri", here).stdout
    command("deployment", "health", "bot", "down", "--message", "disk full", env=env)
    assert "down disk full" in command("deployment", "show", "bot", env=env).stdout
    listed = command("deployment", "list", "--kind", "agent", env=env).stdout
    assert "staging" in listed and "production" in listed
    wrong = command("deployment", "show", "nobody", env=env)
    assert wrong.returncode == 1 and "name@environment" in wrong.stderr and "Traceback" not in wrong.stderr
    away = command("deployment", "list", "--server", "http://127.0.0.1:9")
    assert away.returncode == 1 and "cannot be reached" in away.stderr and "Traceback" not in away.stderr


def test_prompts_are_deployed_by_label(live_server: LiveServer) -> None:
    with live_server.client(auth=("pk-lf-any", "sk-lf-any")) as client:
        for text in ("one", "two"):
            body = {"name": "greet", "type": "text", "prompt": text, "labels": ["fresh"]}
            client.post("/api/public/v2/prompts", json=body).raise_for_status()
        new = {"name": "greeting", "model_uri": "prompts:/greet@fresh"}
        made = client.post(f"{NATIVE}/deployments", json=new).raise_for_status().json()
        assert (made["kind"], made["subject"], made["release"]["version"]) == ("prompt", "greet", "2")
        for edit, status in (
            ({"version": "7"}, 404), ({"version": "x"}, 400), ({"model_uri": "prompts:/other/1"}, 400), ({}, 400),
            ({"version": "1", "expected_release": 5}, 409), ({"version": 3}, 400),
        ):  # fmt: skip
            answer = client.patch(f"{NATIVE}/deployments/greeting", json=edit)
            assert answer.status_code == status, (edit, answer.text)
            assert answer.json()["message"]
        assert _history(client, "greeting") == [("create", "2")]


def _history(client: httpx.Client, name: str) -> list[tuple[str, str]]:
    page = client.get(f"{NATIVE}/deployments/{name}/history").raise_for_status().json()
    return [(r["action"], r["version"]) for r in page["releases"]]


def spans(service: str, version: str, *traces: str) -> dict[str, object]:
    """One finished span per trace, as an OTLP exporter sends them."""
    now = time.time_ns()
    about = {"service.name": service, "service.version": version, "deployment.environment.name": "production"}
    return {
        "resourceSpans": [{
            "resource": {"attributes": [{"key": k, "value": {"stringValue": v}} for k, v in about.items()]},
            "scopeSpans": [{"spans": [
                {"traceId": trace, "spanId": trace[:16], "name": "answer", "startTimeUnixNano": str(now),
                 "endTimeUnixNano": str(now + 5_000_000), "status": {"code": 1}}
                for trace in traces
            ]}],
        }]
    }  # fmt: skip


def soon(client: httpx.Client, path: str, good: Callable[[Any], bool]) -> Any:
    """The first answer that is good; what traces show follows their commit within moments."""
    return eventually(lambda: client.get(path).raise_for_status().json(), good)


def test_declared_and_observed_versions_are_compared(live_server: LiveServer) -> None:
    path = f"{NATIVE}/deployments/desk@production"
    with live_server.client() as client:
        twinlens.deployments.create("desk", version="3", server=live_server.url)
        client.post("/v1/traces", json=spans("desk", "3", "a" * 32)).raise_for_status()
        found = soon(client, path, lambda row: row["observed"] is not None)
        assert (found["observed"]["calls"], found["drift"]) == (1, None)
        client.post("/v1/traces", json=spans("desk", "4", "b" * 32, "c" * 32)).raise_for_status()
        found = soon(client, path, lambda row: row["drift"] is not None)
        assert (found["drift"]["version"], found["drift"]["both"]) == ("4", True)
        shown = command("deployment", "show", "desk", "--server", live_server.url).stdout
        assert "observed 4 since" in shown
        seen = client.get(f"{NATIVE}/observed-versions", params={"subject": "desk"}).json()["observed"]
        assert sorted((o["version"], o["calls"], o["declared"]) for o in seen) == [("3", 1, True), ("4", 2, False)]
        assert {o["deployment_id"] for o in seen} == {found["deployment_id"]}
        points = client.get(f"{path}/timeline").json()["points"]
        assert sum(p["calls"] for p in points if p["version"] == "4") == 2
        live_server.restart()
    with live_server.client() as client:
        assert client.get(path).json()["drift"]["version"] == "4"


def test_lineage_reads_both_ways(live_server: LiveServer, mlflow: MlflowPeer) -> None:
    made = mlflow.run(f"""
    import pandas
    mlflow.set_tracking_uri("{live_server.url}")
    data = mlflow.data.from_pandas(pandas.DataFrame({{"x": [1, 2]}}), name="orders")
    with mlflow.start_run(run_name="train") as run:
        mlflow.log_input(data, context="training")
        model = mlflow.create_external_model(name="net")
    client.create_registered_model("price")
    version = mlflow.MlflowClient("{live_server.url}").create_model_version(
        "price", "runs:/" + run.info.run_id + "/m", run.info.run_id)
    result = {{"run": run.info.run_id, "digest": data.digest}}
    """)
    trace = "d" * 32
    twinlens.deployments.create("price", model_uri="models:/price/1", environment="production", server=live_server.url)
    with live_server.client() as client:
        client.post("/v1/traces", json=spans("price", "1", trace)).raise_for_status()
        score = {"trace_id": trace, "name": "quality", "value": 0.5}
        client.post(f"{NATIVE}/scores", json=score).raise_for_status()
        ask = lambda **query: client.get(f"{NATIVE}/lineage", params=query)  # noqa: E731
        down = ask(node=f"dataset:orders@{made['digest']}", direction="down").raise_for_status().json()
        types = [n["type"] for n in down["nodes"]]
        assert types == ["dataset", "run", "logged_model", "model", "deployment", "traces", "scores"], down["nodes"]
        by_type = {n["type"]: n for n in down["nodes"]}
        assert by_type["run"]["id"] == f"run:{made['run']}"
        assert (by_type["traces"]["details"]["count"], by_type["scores"]["details"]["average"]) == (1, 0.5)
        filtered = client.get(f"{NATIVE}/traces", params={"filter": by_type["traces"]["details"]["filter"]}).json()
        assert [t["trace_id"] for t in filtered["traces"]] == [trace]
        chain = [(e["source"].split(":")[0], e["type"], e["target"].split(":")[0]) for e in down["edges"]]
        assert ("run", "registered as", "model") in chain and ("model", "serves in", "deployment") in chain
        up = ask(node=by_type["deployment"]["id"], direction="up").json()
        assert [n["type"] for n in up["nodes"]] == ["deployment", "model", "run", "dataset"]
        both = ask(node="model:price/1").json()
        assert {n["type"] for n in both["nodes"]} >= {"dataset", "run", "model", "deployment", "traces", "scores"}
        for node, status in (("nonsense", 400), ("run:none", 404), ("model:price/9", 404), ("deployment:x", 404)):
            assert ask(node=node).status_code == status


def test_lineage_of_traces_that_only_name_their_model(live_server: LiveServer, mlflow: MlflowPeer) -> None:
    made = mlflow.run(f"""
    mlflow.set_tracking_uri("{live_server.url}")
    model = mlflow.initialize_logged_model(name="ranker")
    mlflow.finalize_logged_model(model.model_id, "READY")
    client = mlflow.MlflowClient("{live_server.url}")
    client.create_registered_model("ranking")
    client.create_model_version("ranking", f"models:/{{model.model_id}}", model_id=model.model_id)
    mlflow.set_active_model(model_id=model.model_id)
    with mlflow.start_span("rank"):
        pass
    mlflow.flush_trace_async_logging()
    mlflow.clear_active_model()
    result = {{"model": model.model_id, "trace": mlflow.get_last_active_trace_id()}}
    """)
    twinlens.deployments.create("ranking", model_uri="models:/ranking/1", environment="default", server=live_server.url)
    with live_server.client() as client:
        ask = lambda **query: client.get(f"{NATIVE}/lineage", params=query).raise_for_status().json()  # noqa: E731
        (place,) = [n for n in ask(node="model:ranking/1")["nodes"] if n["type"] == "deployment"]
        for node in (place["id"], f"logged_model:{made['model']}", "model:ranking/1"):
            counts = [n["details"] for n in ask(node=node, direction="down")["nodes"] if n["type"] == "traces"]
            assert counts and all(details["count"] == 1 for details in counts), node
            shown = client.get(f"{NATIVE}/traces", params={"filter": counts[0]["filter"]}).json()["traces"]
            assert [t["trace_id"] for t in shown] == [made["trace"].removeprefix("tr-")]
        up = {n["id"] for n in ask(node=f"trace:{made['trace']}", direction="up", depth=1)["nodes"]}
        assert {f"logged_model:{made['model']}", place["id"]} <= up


def test_lineage_pages(live_server: LiveServer, mlflow: MlflowPeer) -> None:
    digest = mlflow.run(f"""
    import pandas
    mlflow.set_tracking_uri("{live_server.url}")
    data = mlflow.data.from_pandas(pandas.DataFrame({{"x": [7]}}), name="shared")
    for n in range(5):
        with mlflow.start_run():
            mlflow.log_input(data)
    result = data.digest
    """)
    node = f"dataset:shared@{digest}"
    seen: list[str] = []
    with live_server.client() as client:
        query: dict[str, Any] = {"node": node, "direction": "down", "depth": 1, "limit": 2}
        while True:
            found = client.get(f"{NATIVE}/lineage", params=query).raise_for_status().json()
            seen += [n["id"] for n in found["nodes"][1:]]
            if not found["more"]:
                break
            assert (found["more"][0]["node"], found["more"][0]["direction"]) == (node, "down")
            query["cursor"] = found["more"][0]["cursor"]
        assert len(seen) == len(set(seen)) == 5
        assert client.get(f"{NATIVE}/lineage", params=query | {"cursor": "read by:junk"}).status_code == 400
