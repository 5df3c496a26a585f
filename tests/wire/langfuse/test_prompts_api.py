"""Prompts and datasets by hand: encoded names, label moves, deletions, item versions."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest


def test_names_with_folders_spaces_and_odd_characters(http: httpx.Client) -> None:
    for name, path in (
        ("folder/p 1", "folder%2Fp%201"), ("versions/1", "versions%2F1"), ("a?b#c%d", "a%3Fb%23c%25d"), ("ünï", "%C3%BCn%C3%AF"),
    ):  # fmt: skip
        assert http.post("/v2/prompts", json={"name": name, "prompt": "x", "labels": ["production"]}).status_code == 201
        assert http.get(f"/v2/prompts/{path}").json()["name"] == name
        changed = http.patch(f"/v2/prompts/{path}/versions/1", json={"newLabels": ["moved"]})
        assert sorted(changed.json()["labels"]) == ["latest", "moved", "production"]
        assert http.delete(f"/v2/prompts/{path}").status_code == 204
        missing = http.get(f"/v2/prompts/{path}")
        assert (missing.status_code, missing.json()["error"]) == (404, "LangfuseNotFoundError")
    http.post("/v2/prompts", json={"name": "plain/slash", "prompt": "x"})
    assert http.get("/v2/prompts/plain/slash?label=latest").json()["name"] == "plain/slash"


def test_an_unchanged_prompt_is_not_sent_again(http: httpx.Client) -> None:
    http.post("/v2/prompts", json={"name": "part", "prompt": "calm", "labels": ["production"]})
    text = "Be @@@langfusePrompt:name=part|label=production@@@."
    http.post("/v2/prompts", json={"name": "tagged", "prompt": text, "labels": ["production"]})
    first = http.get("/v2/prompts/tagged")
    tag = first.headers["etag"]
    assert first.json()["prompt"] == "Be calm."
    for sent in (tag, f'"other", W/{tag}', "*"):
        again = http.get("/v2/prompts/tagged", headers={"If-None-Match": sent})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert http.get("/v2/prompts/tagged", headers={"If-None-Match": '"other"'}).status_code == 200
    http.post("/v2/prompts", json={"name": "part", "prompt": "kind", "labels": ["production"]})
    changed = http.get("/v2/prompts/tagged", headers={"If-None-Match": tag})
    assert (changed.status_code, changed.json()["prompt"]) == (200, "Be kind.")  # through the prompt it includes
    http.patch("/v2/prompts/tagged/versions/1", json={"newLabels": ["staging"]})
    assert http.get("/v2/prompts/tagged", headers={"If-None-Match": changed.headers["etag"]}).status_code == 200


def test_a_version_as_clients_read_it(http: httpx.Client) -> None:
    body = {
        "name": "whole", "type": "chat", "prompt": [{"role": "user", "content": "{{x}}"}, {"type": "placeholder", "name": "h"}],
        "labels": ["production"], "tags": ["t"], "config": {"a": 1}, "commitMessage": "m",
    }  # fmt: skip
    made = http.post("/v2/prompts", json=body).json()
    assert made == http.get("/v2/prompts/whole").json()
    assert made | {"labels": sorted(made["labels"])} == {
        **{key: value for key, value in body.items() if key != "labels"},
        "id": made["id"], "version": 1, "labels": ["latest", "production"], "isActive": True, "projectId": "default",
        "createdBy": "API", "createdAt": made["createdAt"], "updatedAt": made["updatedAt"], "resolutionGraph": None,
    }  # fmt: skip
    assert http.get("/prompts", params={"name": "whole"}).json()["id"] == made["id"]
    old = http.post("/prompts", json={"name": "old", "prompt": "x", "isActive": True}).json()
    assert "production" in old["labels"]


def test_lists(http: httpx.Client) -> None:
    for n in range(12):
        http.post(
            "/v2/prompts", json={"name": f"list/{n:02d}", "prompt": "x", "tags": ["many"], "labels": ["l"] if n else []}
        )
    page = http.get("/v2/prompts", params={"tag": "many"}).json()
    assert (len(page["data"]), page["meta"]["totalItems"], page["meta"]["totalPages"]) == (10, 12, 2)
    assert http.get("/v2/prompts", params={"name": "list/"}).json()["meta"]["totalItems"] == 12
    assert http.get("/v2/prompts", params={"name": "list/03"}).json()["data"][0]["versions"] == [1]
    assert http.get("/v2/prompts", params={"label": "l"}).json()["meta"]["totalItems"] == 11
    future = {"fromUpdatedAt": "2100-01-01T00:00:00Z"}
    assert http.get("/v2/prompts", params=future).json()["data"] == []


#: (type, column, operator, value, key) and the versions of ``f/One`` and ``f/two`` that it leaves.
PROMPT_FILTERS: list[tuple[tuple[Any, ...], dict[str, list[int]]]] = [
    (("string", "name", "contains", "ONE"), {"f/One": [1, 2]}),
    (("string", "name", "does not contain", "o_e"), {"f/two": [1]}),
    (("string", "name", "ends with", "\\_wo"), {}),
    (("string", "type", "=", "text"), {"f/One": [1, 2], "f/two": [1]}),
    (("stringOptions", "name", "none of", ["f/One"]), {"f/two": [1]}),
    (("number", "version", ">", 1), {"f/One": [2]}),
    (("datetime", "updatedAt", "<", "2020-01-01T00:00:00Z"), {}),
    (("arrayOptions", "labels", "any of", ["a", "b"]), {"f/One": [1], "f/two": [1]}),
    (("arrayOptions", "tags", "all of", ["x", "y"]), {"f/two": [1]}),
    (("stringObject", "config", "=", "0.5", "temperature"), {"f/One": [2]}),
    (("stringObject", "config", "is not set", "", "temperature"), {"f/One": [1], "f/two": [1]}),
]


def test_lists_by_filter(http: httpx.Client) -> None:
    for body in (
        {"name": "f/One", "labels": ["a"]}, {"name": "f/One", "tags": ["x"], "config": {"temperature": 0.5}},
        {"name": "f/two", "labels": ["b"], "tags": ["x", "y"]},
    ):  # fmt: skip
        http.post("/v2/prompts", json={"prompt": "x", **body})
    names = ("type", "column", "operator", "value", "key")
    mine = dict(zip(names, ("string", "name", "starts with", "f/"), strict=False))
    for condition, expected in PROMPT_FILTERS:
        text = json.dumps([mine, dict(zip(names, condition, strict=False))])
        found = http.get("/v2/prompts", params={"filter": text, "name": "ignored"}).json()
        assert {row["name"]: row["versions"] for row in found["data"]} == expected, condition
        assert found["meta"]["totalItems"] == len(expected)
    [row] = http.get("/v2/prompts", params={"filter": text, "limit": 1}).json()["data"]
    assert (row["labels"], row["lastConfig"]) == (["a"], {})  # of the version that matches
    for bad in ("{", '[{"type": "string", "column": "nope", "operator": "=", "value": "x"}]',
                '[{"type": "number", "column": "version", "operator": "~", "value": 1}]'):  # fmt: skip
        assert http.get("/v2/prompts", params={"filter": bad}).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {}, {"name": "x"}, {"name": "x", "prompt": 5}, {"name": "x", "prompt": "x", "type": "nope"},
        {"name": "x", "prompt": "x", "type": "chat"}, {"name": "x", "prompt": [{"content": "x"}], "type": "chat"},
        {"name": "x|y", "prompt": "x"}, {"name": "x", "prompt": "x", "labels": ["UPPER"]},
        {"name": "x", "prompt": "x", "commitMessage": "x" * 501},
    ],
)  # fmt: skip
def test_bad_prompts(http: httpx.Client, body: dict[str, Any]) -> None:
    assert http.post("/v2/prompts", json=body).status_code == 400
    assert http.get("/v2/prompts/x?label=latest").status_code == 404


def test_datasets_by_hand(http: httpx.Client) -> None:
    name, path = "sets/one two", "sets%2Fone%20two"
    schema = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
    made = http.post("/v2/datasets", json={"name": name, "description": "d", "inputSchema": schema}).json()
    assert http.post("/v2/datasets", json={"name": name, "description": "e"}).json()["id"] == made["id"]
    assert http.get(f"/v2/datasets/{path}").json()["description"] == "e"
    assert http.get(f"/v2/datasets/{path}").json()["inputSchema"] == schema
    item = {"datasetName": name, "id": "i", "input": {"q": "a"}, "expectedOutput": 1}
    first = http.post("/dataset-items", json=item).json()
    assert (first["status"], first["datasetName"], first["mediaReferences"]) == ("ACTIVE", name, [])
    http.post("/dataset-items", json=item | {"input": {"q": "b"}})
    assert http.get("/dataset-items/i").json()["input"] == {"q": "b"}
    then = http.get("/dataset-items", params={"datasetName": name, "version": first["version"]}).json()
    assert [row["input"] for row in then["data"]] == [{"q": "a"}]
    bad = http.post("/dataset-items", json=item | {"input": {}})
    assert (bad.status_code, "required" in bad.json()["message"]) == (400, True)
    assert http.post("/dataset-items", json={"datasetName": "nothing"}).status_code == 404
    linked = http.post("/dataset-run-items", json={"runName": "r 1", "datasetItemId": "i", "traceId": "t"})
    assert linked.json()["datasetRunName"] == "r 1"
    whole = http.get(f"/datasets/{path}/runs/r%201").json()
    assert [row["traceId"] for row in whole["datasetRunItems"]] == ["t"]
    old = http.get("/datasets/sets%2Fone%20two").json()
    assert ([row["id"] for row in old["items"]], old["runs"]) == (["i"], ["r 1"])
    assert http.delete(f"/datasets/{path}/runs/r%201").status_code == 200
    assert http.get(f"/datasets/{path}/runs/r%201").status_code == 404
    assert http.delete("/dataset-items/i").status_code == 200
    assert http.get("/dataset-items/i").status_code == 404
    assert http.post("/dataset-run-items", json={"runName": "r", "datasetItemId": "i"}).status_code == 400
    # runs of items that were fetched before they were archived, or as of a time before they were deleted
    link = {"runName": "r 2", "datasetItemId": "i", "traceId": "t"}
    assert http.post("/dataset-run-items", json=link).status_code == 404
    linked = http.post("/dataset-run-items", json=link | {"datasetVersion": first["version"]})
    http.post("/dataset-items", json=item | {"id": "put away", "status": "ARCHIVED"})
    archived = http.post("/dataset-run-items", json=link | {"datasetItemId": "put away"})
    assert (linked.status_code, archived.status_code) == (200, 200)
    runs = http.get(f"/datasets/{path}/runs").json()["data"]
    assert [run["id"] for run in runs] == [linked.json()["datasetRunId"]] == [archived.json()["datasetRunId"]]


def test_items_show_the_media_they_refer_to(http: httpx.Client) -> None:
    import base64
    import hashlib

    data = b"0123456789"
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    http.post("/v2/datasets", json={"name": "pictures"})
    body = {"datasetId": "d", "field": "input", "contentType": "image/png", "contentLength": 10, "sha256Hash": digest}
    media = http.post("/media", json=body).json()
    httpx.put(media["uploadUrl"], content=data)
    token = f"@@@langfuseMedia:type=image/png|id={media['mediaId']}|source=bytes@@@"
    item = http.post("/dataset-items", json={"datasetName": "pictures", "input": {"it's": [1, token]}}).json()
    [reference] = item["mediaReferences"]
    assert (reference["field"], reference["jsonPath"]) == ("input", "$['it\\'s'][1]")
    assert reference["referenceString"] == token
    assert httpx.get(reference["media"]["url"]).content == data
