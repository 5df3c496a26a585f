"""Two projects with a key pair each never see each other's rows, whatever ids they share."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twinlens.faces.langfuse.mcp_tools import TOOLS
from twinlens.faces.langfuse.router import tables
from twinlens.server import App, Instance
from twinlens.settings import Settings

IDS = ("one", "two")
SINCE = {"fromStartTime": "2020-01-01T00:00:00Z"}


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Any, tuple[str, str]]]]:
    """By project: the application and the project's key pair."""
    instance = Instance(Settings(data=tmp_path_factory.mktemp("data"), mode="secured"))
    try:
        app = App(instance)
        found: dict[str, tuple[Any, tuple[str, str]]] = {}
        for name in ("alpha", "beta"):
            instance.services.projects.create(name, project_id=name)
            key, secret = instance.services.projects.create_key(name)
            found[name] = (app, (key.public_key, secret))
        yield found
    finally:
        instance.close()


def _event(type: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"batch": [{"id": "e", "type": type, "timestamp": "2026-11-23T10:00:00Z", "body": body}]}


async def _write(http: httpx.AsyncClient, kind: str, id: str, mark: str) -> None:
    """Write something of a kind under an id that the other project uses too; everything of it carries the mark."""
    digest = base64.b64encode(hashlib.sha256(b"x").digest()).decode()
    match kind:
        case "trace":
            body = {"id": id, "name": mark, "userId": mark, "sessionId": id, "tags": [mark], "metadata": {"k": mark}}
            answer = await http.post("/ingestion", json=_event("trace-create", body | {"input": mark, "output": mark}))
        case "span":
            body = {"id": id, "traceId": id, "name": mark, "input": mark, "model": mark, "metadata": {"k": mark}}
            answer = await http.post("/ingestion", json=_event("generation-create", body))
        case "update":
            answer = await http.post("/ingestion", json=_event("span-update", {"id": id, "output": mark}))
        case "score":
            answer = await http.post(
                "/scores", json={"id": id, "traceId": id, "name": mark, "value": mark, "comment": mark}
            )
        case "prompt":
            answer = await http.post(
                "/v2/prompts", json={"name": id, "prompt": mark, "labels": ["production"], "tags": [mark]}
            )
        case "dataset":
            answer = await http.post("/v2/datasets", json={"name": id, "description": mark, "metadata": mark})
        case "item":
            await http.post("/v2/datasets", json={"name": id})
            answer = await http.post("/dataset-items", json={"datasetName": id, "id": id, "input": mark})
            run = {"runName": mark, "datasetItemId": id, "traceId": mark, "metadata": mark}
            answer = await http.post("/dataset-run-items", json=run)
        case "config":
            answer = await http.post("/score-configs", json={"name": id, "dataType": "TEXT", "description": mark})
        case "model":
            body = {"modelName": mark, "matchPattern": f"^{mark}$", "inputPrice": 1}
            answer = await http.post("/models", json=body)
        case "comment":
            await _write(http, "trace", id, mark)
            project = (await http.get("/projects")).json()["data"][0]["id"]
            body = {"projectId": project, "objectType": "TRACE", "objectId": id, "content": mark}
            answer = await http.post("/comments", json=body)
        case "queue":
            config = (
                await http.post("/score-configs", json={"name": f"q-{id}", "dataType": "TEXT", "description": mark})
            ).json()["id"]
            body = {"name": mark, "description": mark, "scoreConfigIds": [config]}
            answer = await http.post("/annotation-queues", json=body)
            await _write(http, "trace", id, mark)
            item = {"objectId": id, "objectType": "TRACE"}
            answer = await http.post(f"/annotation-queues/{answer.json()['id']}/items", json=item)
        case "skill":
            text = f"---\nname: {id}\ndescription: {mark}\n---\n{mark}"
            body = {"files": [{"path": "SKILL.md", "content": text}], "commitMessage": mark}
            answer = await http.post("/unstable/skills", json=body)
        case "dashboard":
            body = {
                "name": mark, "description": mark, "view": "observations", "dimensions": [], "filters": [],
                "metrics": [{"measure": "count", "agg": "count"}], "chartType": "NUMBER", "chartConfig": {"type": "NUMBER"},
            }  # fmt: skip
            widget = (await http.post("/unstable/dashboard-widgets", json=body)).json()
            placed = {"type": "widget", "widgetId": widget["id"]}
            board = (await http.post("/unstable/dashboards", json={"name": mark, "description": mark})).json()
            answer = await http.post(f"/unstable/dashboards/{board['id']}/placements", json=placed)
        case "evaluator":
            body = {
                "name": mark,
                "description": mark,
                "type": "code",
                "sourceCode": mark,
                "sourceCodeLanguage": "PYTHON",
            }
            made = (await http.post("/v2/evaluators", json=body)).json()
            body = {"name": mark, "enabled": False, "evaluatorAssignments": [{"evaluatorId": made["id"]}]}
            answer = await http.post("/v2/evaluation-rules", json=body)
        case "connection":
            body = {"provider": id, "adapter": "openai", "secretKey": f"sk-{mark}", "customModels": [mark]}
            answer = await http.put("/llm-connections", json=body)
        case "feedback":
            answer = await http.post("/feedback", json={"targetType": "docs", "target": mark, "feedback": mark})
        case _:
            body = {
                "traceId": id,
                "field": "input",
                "contentType": f"text/{mark}",
                "contentLength": 1,
                "sha256Hash": digest,
            }
            answer = await http.post("/media", json=body)
            if url := answer.json()["uploadUrl"]:
                assert (await http.put(url, content=b"x")).status_code == 200
    assert answer.status_code < 300, answer.text


METRICS = {
    "view": "observations", "dimensions": [{"field": "name"}, {"field": "model"}, {"field": "traceName"}],
    "metrics": [{"measure": "count", "aggregation": "count"}], "fromTimestamp": "2020-01-01T00:00:00Z",
    "toTimestamp": "2030-01-01T00:00:00Z",
}  # fmt: skip


async def _everything(http: httpx.AsyncClient) -> str:
    """All that a project's key can read, as one text."""
    media = base64.urlsafe_b64encode(hashlib.sha256(b"x").digest()).decode()[:22]
    all_fields = "core,basic,io,metadata,model,trace_context"
    paths: list[tuple[str, dict[str, Any]]] = [
        ("/projects", {}), ("/traces", {}), ("/observations", {}), ("/v2/observations", {"fields": all_fields}),
        ("/scores", {}), ("/v2/scores", {}), ("/v3/scores", {"fields": "core,details,subject"}), ("/sessions", {}),
        ("/v2/prompts", {}), ("/v2/datasets", {}), ("/dataset-items", {}), ("/score-configs", {}), ("/models", {}),
        ("/comments", {}), ("/metrics/daily", {}), ("/v2/metrics", {"query": json.dumps(METRICS)}), ("/experiments", SINCE),
        ("/experiment-items", SINCE), (f"/media/{media}", {}),
    ]  # fmt: skip
    for id in IDS:
        paths += [
            (f"/{path}/{id}", {})
            for path in (
                "traces", "observations", "scores", "v2/scores", "sessions", "v2/prompts", "v2/datasets", "datasets",
                "dataset-items",
            )
        ]  # fmt: skip
        paths += [
            (f"/datasets/{id}/runs", {}),
            ("/v2/scores", {"traceTags": "alpha"}),
            ("/traces", {"userId": "alpha"}),
        ]
    texts: list[str] = []
    for path, params in paths:
        answer = await http.get(path, params=params)
        assert answer.status_code in (200, 404), answer.text
        texts.append(answer.text)
    return "\n".join(texts)


KINDS = ("trace", "span", "update", "score", "prompt", "dataset", "item", "config", "model", "comment", "media")
WRITES = st.lists(
    st.tuples(st.sampled_from(["alpha", "beta"]), st.sampled_from(KINDS), st.sampled_from(IDS)), min_size=1, max_size=8
)


@settings(
    max_examples=8,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(writes=WRITES)
def test_no_row_crosses_the_border(
    clients: dict[str, tuple[Any, tuple[str, str]]], writes: list[tuple[str, str, str]]
) -> None:
    async def run() -> None:
        https = {
            name: httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1/api/public", auth=keys, timeout=60
            )
            for name, (app, keys) in clients.items()
        }
        for project, kind, id in writes:
            await _write(https[project], kind, id, f"mark-of-{project}")
        for project, other in (("alpha", "beta"), ("beta", "alpha")):
            seen = await _everything(https[project])
            assert f"mark-of-{other}" not in seen
        for http in https.values():
            await http.aclose()

    asyncio.run(run())


def test_deleting_touches_only_the_own_project(clients: dict[str, tuple[Any, tuple[str, str]]]) -> None:
    async def run() -> None:
        app, keys = clients["alpha"]
        transport = httpx.ASGITransport(app=app)
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1/api/public", auth=keys) as alpha,
            httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1/api/public", auth=clients["beta"][1]
            ) as beta,
        ):
            for http, mark in ((alpha, "mark-of-alpha"), (beta, "mark-of-beta")):
                for kind in ("trace", "span", "score", "prompt", "item"):
                    await _write(http, kind, "one", mark)
            for path in ("/traces/one", "/v2/prompts/one", "/dataset-items/one"):
                assert (await alpha.delete(path)).status_code < 300
                assert (await alpha.get(path)).status_code == 404
                assert (await beta.get(path)).status_code == 200
            assert (await beta.get("/v2/scores/one")).json()["comment"] == "mark-of-beta"

    asyncio.run(run())


#: What a route needs in its query to answer.
QUERIES: dict[str, dict[str, Any]] = {
    "/experiments": SINCE, "/experiment-items": SINCE | {"fields": "core,io,metadata"}, "/prompts": {"name": "one"},
    "/unstable/skills/{name}": {"label": "latest"},
    "/v2/observations": {"fields": "core,basic,io,metadata,model,trace_context"},
    "/v3/scores": {"fields": "core,details,subject,annotation"},
}  # fmt: skip
NEWER = ("queue", "skill", "dashboard", "evaluator", "connection", "feedback")
TOOLS_ASKED = {
    "getPrompt": {"name": "one"}, "getPromptUnresolved": {"name": "one"}, "getTrace": {"traceId": "one"},
    "getObservation": {"observationId": "one"}, "getDataset": {"datasetName": "one"}, "listDatasetItems": {"datasetName": "one"},
}  # fmt: skip


async def _rows(http: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    answer = await http.get(path, params=QUERIES.get(path, {}))
    found = answer.json() if answer.status_code == 200 else {}
    return found.get("data", found.get("queueItems", [])) if isinstance(found, dict) else []


async def _paths(template: str, mine: httpx.AsyncClient, other: httpx.AsyncClient) -> list[str]:
    """A route's path with everything in its place that either project calls its own."""
    before, brace, rest = template.partition("/{")
    if not brace:
        return [template]
    key, after = rest.split("}", 1)
    if before == "/media":
        found = {base64.urlsafe_b64encode(hashlib.sha256(b"x").digest()).decode()[:22]}
    else:
        field = "name" if key.rstrip("*") in ("name", "run") else "id"
        found = {quote(str(row[field]), safe="") for http in (mine, other) for row in await _rows(http, before)}
    return [path for value in sorted(found) for path in await _paths(f"{before}/{value}{after}", mine, other)]


def test_every_read_keeps_to_its_project(clients: dict[str, tuple[Any, tuple[str, str]]]) -> None:
    """Every route that reads, with the ids of both projects; and every tool of the MCP server."""
    templates = [r.path for table in tables() for r in table.routes if r.method == "GET" and r.scope == "read"]

    async def run() -> None:
        https = {
            name: httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1/api/public", auth=keys, timeout=60
            )
            for name, (app, keys) in clients.items()
        }
        for name, http in https.items():
            for kind in (*KINDS, *NEWER):
                await _write(http, kind, "one", f"mark-of-{name}")
        for name, other in (("alpha", "beta"), ("beta", "alpha")):
            silent: list[str] = []
            for template in templates:
                answers = []
                for path in await _paths(template, https[name], https[other]):
                    query = dict(QUERIES.get(template, {}))
                    if template in ("/metrics", "/v2/metrics"):
                        query = {"query": json.dumps(METRICS)}
                    elif template == "/dataset-run-items":
                        [dataset] = [row for row in await _rows(https[name], "/v2/datasets") if row["name"] == "one"]
                        query = {"datasetId": dataset["id"], "runName": f"mark-of-{name}"}
                    elif template == "/unstable/skills/files/content":
                        [skill] = await _rows(https[other], "/unstable/skills")
                        theirs = (await https[other].get(f"/unstable/skills/{skill['name']}?label=latest")).json()
                        query = {"sha256Hashes": theirs["files"][0]["sha256Hash"]}
                    answer = await https[name].get(path, params=query)
                    assert answer.status_code in (200, 404), (path, answer.text)
                    assert f"mark-of-{other}" not in answer.text, path
                    answers.append(answer.status_code)
                if 200 not in answers and template != "/unstable/skills/files/content":
                    silent.append(template)
            assert silent == []  # each was answered from the own project's rows
            for tool in TOOLS.values():
                if tool.method == "GET":
                    arguments = {"query": METRICS} if tool.name == "queryMetrics" else TOOLS_ASKED.get(tool.name, {})
                    call = {"name": tool.name, "arguments": arguments}
                    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
                    answer = await https[name].post("/mcp", json=message)
                    assert answer.json()["result"]["isError"] is False, (tool.name, answer.text)
                    assert f"mark-of-{other}" not in answer.text, tool.name
        for http in https.values():
            await http.aclose()

    asyncio.run(run())
