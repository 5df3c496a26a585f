"""Datasets over the native API: files in and out, history, runs side by side."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.servers import LiveServer
from tests.wire.langfuse.clients import api


@pytest.fixture(scope="module")
def http(live_server: LiveServer) -> Iterator[httpx.Client]:
    with live_server.client() as client:
        yield client


BASE = "/api/twinlens/v1/projects/default/datasets"


def make(http: httpx.Client, name: str, **fields: Any) -> str:
    answer = http.post(BASE, json={"name": name, **fields})
    assert answer.status_code == 200, answer.text
    return f"{BASE}/{answer.json()['id']}"


def items(http: httpx.Client, dataset: str, **query: Any) -> list[dict[str, Any]]:
    return http.get(f"{dataset}/items", params=query).json()["items"]


MEDIA = "@@@langfuseMedia:type=image/png|id=abc|source=bytes@@@"
ROWS = [
    {"id": "one", "input": {"q": "a,b\n\"c\""}, "expected_output": "12", "metadata": {"m": [1, None]}},
    {"id": "two", "input": "plain, text", "expected_output": 12, "metadata": None, "source_trace_id": "t" * 8},
    {"id": "three", "input": MEDIA, "expected_output": "", "metadata": "true"},
    {"id": "four", "input": "ünïcode 漢字", "expected_output": [True, {"a": 0.5}], "metadata": {}},
]  # fmt: skip


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_a_file_comes_back_as_it_went_in(http: httpx.Client, format: str) -> None:
    source, target = make(http, f"source-{format}"), make(http, f"target-{format}")
    lines = "".join(json.dumps(row | {"id": f"{format}-{row['id']}"}) + "\n" for row in ROWS)
    report = http.post(f"{source}/import", params={"format": "jsonl"}, content=lines).json()
    assert report == {"created": 4, "updated": 0, "failed": 0, "errors": []}
    exported = http.get(f"{source}/export", params={"format": format})
    assert exported.headers["content-disposition"] == f'attachment; filename="source-{format}.{format}"'
    moved = exported.content.replace(f"{format}-".encode(), f"copy-{format}-".encode())
    assert http.post(f"{target}/import", params={"format": format}, content=moved).json()["created"] == 4
    keys = ("input", "expected_output", "metadata", "source_trace_id")
    assert [[i[k] for k in keys] for i in items(http, target)] == [[i[k] for k in keys] for i in items(http, source)]
    assert [[i.get(k) for k in keys] for i in reversed(items(http, source))] == [[r.get(k) for k in keys] for r in ROWS]
    again = http.post(f"{target}/import", params={"format": format}, content=moved).json()
    assert (again["created"], again["updated"]) == (0, 4)


def test_bad_rows_are_named_and_good_ones_kept(http: httpx.Client) -> None:
    schema = {"type": "object", "required": ["q"]}
    dataset, other = make(http, "strict", input_schema=schema), make(http, "other")
    assert http.post(f"{other}/items", json={"id": "taken", "input": 1}).status_code == 200
    lines = ['{"input": {"q": 1}}', "{", '{"expectedOutput": 1}', '{"input": {"x": 1}}', "[]", "",
             '{"id": "taken", "input": {"q": 2}}', '{"input": {"q": 3}, "status": "LOST"}', '{"inputs": {"q": 4}}']  # fmt: skip
    report = http.post(f"{dataset}/import", params={"format": "jsonl"}, content="\n".join(lines)).json()
    assert (report["created"], report["failed"]) == (2, 6)
    assert [error["row"] for error in report["errors"]] == [2, 3, 4, 5, 6, 7]
    assert "'q' is a required property" in report["errors"][2]["message"]
    assert [i["input"] for i in items(http, dataset)] == [{"q": 4}, {"q": 1}]
    refused = http.post(f"{dataset}/items", json={"input": {"x": 1}})
    assert refused.status_code == 400 and "required" in refused.json()["message"]
    for body, text in ((b"a,b\n1,2\n", "'input'"), (b"", "empty"), (b"input\n\xff\n", "UTF-8")):
        answer = http.post(f"{dataset}/import", params={"format": "csv"}, content=body)
        assert answer.status_code == 400 and text in answer.json()["message"]
    assert http.post(f"{BASE}/none/import", content=b"").status_code == 404


def test_many_rows_stream_through(http: httpx.Client) -> None:
    dataset = make(http, "many")
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["input", "expected_output"])
    writer.writerows([json.dumps({"n": n}), n] for n in range(2_345))
    report = http.post(f"{dataset}/import", params={"format": "csv"}, content=table.getvalue()).json()
    assert report["created"] == 2_345
    rows = [json.loads(line) for line in http.get(f"{dataset}/export").text.splitlines()]
    assert [row["input"]["n"] for row in rows] == list(range(2_345))
    assert http.get(dataset).json()["items"] == 2_345


def test_versions_and_history(http: httpx.Client) -> None:
    dataset = make(http, "told")
    first = http.post(f"{dataset}/items", json={"id": "h", "input": "old"}).json()
    http.post(f"{dataset}/items", json={"id": "h", "input": "new"})
    http.delete(f"{dataset}/items/h")
    assert [i["input"] for i in http.get(f"{dataset}/items/h/history").json()["items"]] == ["new", "old"]
    assert len(http.get(f"{dataset}/versions").json()["versions"]) == 2
    at = {"at_ms": first["valid_from_ms"]}
    assert [i["input"] for i in items(http, dataset, **at)] == ["old"]
    assert json.loads(http.get(f"{dataset}/export", params=at).text)["input"] == "old"
    assert items(http, dataset) == []
    assert http.get(f"{dataset}/items/none/history").status_code == 404
    assert http.delete(dataset).status_code in (200, 204)
    assert http.get(dataset).status_code == 404


def test_runs_stand_side_by_side(http: httpx.Client, live_server: LiveServer) -> None:
    dataset = make(http, "raced")
    with api(live_server.url) as langfuse:
        for n in range(3):
            http.post(f"{dataset}/items", json={"id": f"race-{n}", "input": {"n": n}, "expected_output": n * 2})
        for run, factor in (("good", 2), ("bad", 3)):
            for n in range(3 if run == "good" else 2):
                trace = f"{run}-{n}"
                body = {"id": trace, "name": "task", "timestamp": "2026-11-25T10:00:00Z", "output": n * factor}
                score = {
                    "traceId": trace,
                    "name": "right",
                    "value": float(factor == 2 or n == 0),
                    "dataType": "NUMERIC",
                }
                events = [{"id": trace, "type": "trace-create", "timestamp": "2026-11-25T10:00:00Z", "body": body},
                          {"id": trace + "s", "type": "score-create", "timestamp": "2026-11-25T10:00:01Z", "body": score}]  # fmt: skip
                assert langfuse.post("/ingestion", json={"batch": events}).json()["errors"] == []
                link = {"runName": run, "datasetItemId": f"race-{n}", "traceId": trace}
                assert langfuse.post("/dataset-run-items", json=link).status_code == 200
    runs = {run["name"]: run for run in http.get(f"{dataset}/runs").json()["runs"]}
    assert (runs["good"]["items"], runs["good"]["scores"]) == (3, {"right": 1.0})
    assert (runs["bad"]["items"], runs["bad"]["scores"]) == (2, {"right": 0.5})
    ids = ",".join((runs["good"]["id"], runs["bad"]["id"]))
    found = http.get(f"{dataset}/compare", params={"runs": ids}).json()
    assert [run["name"] for run in found["runs"]] == ["good", "bad"]
    assert [i["input"]["n"] for i in found["items"]] == [0, 1, 2]
    assert [[c and [c["output"], c["scores"]["right"]] for c in i["cells"]] for i in found["items"]] == [
        [[0, 1.0], [0, 1.0]], [[2, 1.0], [3, 0.0]], [[4, 1.0], None],
    ]  # fmt: skip
    place = http.get(f"/api/twinlens/v1/projects/default/dataset-runs/{runs['bad']['id']}").json()
    assert place["dataset_id"] == found["dataset_id"]
    assert http.get(f"{dataset}/compare", params={"runs": "none"}).status_code == 404
