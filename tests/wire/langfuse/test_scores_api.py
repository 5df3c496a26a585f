"""Scores in every form a client sends and reads them, score configs, models, comments, media by hand."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import httpx
import pytest

from tests.servers import LiveServer
from tests.wire.langfuse.conftest import Send


def test_one_score_and_its_overwriting(http: httpx.Client) -> None:
    answer = http.post("/scores", json={"id": "one", "traceId": "x", "name": "n", "value": 0.25, "comment": "c"})
    assert (answer.status_code, answer.json()) == (200, {"id": "one"})
    first = http.get("/v2/scores/one").json()
    assert (first["value"], first["dataType"], first["source"], first["comment"]) == (0.25, "NUMERIC", "API", "c")
    http.post("/scores", json={"id": "one", "traceId": "x", "name": "n", "value": 0.75})
    again = http.get("/scores/one").json()
    assert (again["value"], again["createdAt"]) == (0.75, first["createdAt"])
    assert http.get("/v2/scores", params={"scoreIds": "one"}).json()["meta"]["totalItems"] == 1
    assert http.post("/scores", json={"traceId": "x", "name": "n", "value": 1}).json()["id"]


def test_an_array_of_scores(http: httpx.Client) -> None:
    good = {"traceId": "many", "name": "n", "value": 1}
    answer = http.post("/scores", json=[good, good | {"value": "text"}])
    assert (answer.status_code, answer.json()) == (202, {"message": "Accepted"})
    answer = http.post(
        "/scores",
        json=[good, {"name": "no target", "value": 1}, {"value": []}, 5, good | {"timestamp": "2026-11-23T10:00:00"}],
    )
    assert answer.status_code == 207
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (1, 4)
    assert len(answer.json()["errors"]) == 4
    assert http.get("/v3/scores", params={"traceId": "many"}).json()["meta"] == {"limit": 50}
    assert len(http.get("/v3/scores", params={"traceId": "many"}).json()["data"]) == 3
    big = [good | {"comment": "x" * 1000}] * 1000
    assert http.post("/scores", json=big).status_code == 413


TYPES = [
    ({"value": 0.5}, "NUMERIC", 0.5, 0.5, None),
    ({"value": True}, "BOOLEAN", 1, True, "True"),
    ({"value": 0, "dataType": "BOOLEAN"}, "BOOLEAN", 0, False, "False"),
    ({"value": "good"}, "CATEGORICAL", 0, "good", "good"),
    ({"value": "a text", "dataType": "TEXT"}, "TEXT", 0, "a text", "a text"),
    ({"value": "better", "dataType": "CORRECTION"}, "CORRECTION", 0, "better", "better"),
]


@pytest.mark.parametrize(("body", "data_type", "v1", "v3", "text"), TYPES)
def test_types(http: httpx.Client, body: dict[str, Any], data_type: str, v1: Any, v3: Any, text: str | None) -> None:
    id = f"type-{data_type}-{v3}"
    assert http.post("/scores", json={"id": id, "traceId": "types", "name": "n", **body}).status_code == 200
    row = http.get(f"/v2/scores/{id}").json()
    assert (row["dataType"], row["value"], row.get("stringValue")) == (data_type, v1, text)
    assert row["name"] == ("output" if data_type == "CORRECTION" else "n")
    [row] = http.get("/v3/scores", params={"id": id}).json()["data"]
    assert row["value"] == v3
    assert type(row["value"]) is type(v3)


@pytest.mark.parametrize(
    "body",
    [
        {"name": "n", "value": 1},
        {"traceId": "x", "sessionId": "y", "name": "n", "value": 1},
        {"observationId": "x", "name": "n", "value": 1},
        {"traceId": "x", "value": 1},
        {"traceId": "x", "name": "n"},
        {"traceId": "x", "name": "n", "value": "x", "dataType": "NUMERIC"},
        {"traceId": "x", "name": "n", "value": 2, "dataType": "BOOLEAN"},
        {"traceId": "x", "name": "n", "value": 1, "dataType": "CATEGORICAL"},
        {"traceId": "x", "name": "n", "value": "", "dataType": "TEXT"},
        {"traceId": "x", "name": "n", "value": "x" * 501, "dataType": "TEXT"},
        {"sessionId": "x", "name": "n", "value": "x", "dataType": "CORRECTION"},
        {"traceId": "x", "name": "n", "value": 1, "dataType": "NOPE"},
        {"traceId": "x", "name": "n", "value": 1, "configId": "nothing"},
        {"traceId": "x", "name": "n", "value": 1, "source": "ANNOTATION"},
        {"traceId": "x", "name": "n", "value": 1, "timestamp": "soon"},
    ],
)
def test_bad_scores_are_refused(http: httpx.Client, body: dict[str, Any]) -> None:
    answer = http.post("/scores", json=body)
    assert answer.status_code == 400, answer.text
    many = http.post("/scores", json=[body])
    assert (many.status_code, many.json()["rejected"]) == (207, 1)


def test_targets(http: httpx.Client) -> None:
    for name, target in (("of session", {"sessionId": "s1"}), ("of run", {"datasetRunId": "r1"})):
        assert http.post("/scores", json={"name": name, "value": 1, **target}).status_code == 200
    [score] = http.get("/v2/scores", params={"sessionId": "s1"}).json()["data"]
    assert (score["name"], score["traceId"], score["trace"]) == ("of session", None, None)
    [score] = http.get("/v3/scores", params={"experimentId": "r1", "fields": "subject"}).json()["data"]
    assert score["subject"] == {"kind": "experiment", "id": "r1"}


def test_filters_of_scores(http: httpx.Client, send: Send) -> None:
    send(("trace-create", {"id": "sf", "userId": "scorer", "tags": ["a", "b"], "environment": "lab"}))
    for n in range(4):
        http.post(
            "/scores", json={"id": f"sf{n}", "traceId": "sf", "name": f"n{n % 2}", "value": n, "environment": "lab"}
        )

    def ids(path: str = "/v2/scores", **params: Any) -> set[str]:
        answer = http.get(path, params={"environment": "lab", **params})
        assert answer.status_code == 200, answer.text
        return {row["id"] for row in answer.json()["data"]}

    assert ids(name="n1") == {"sf1", "sf3"}
    assert ids(value=1, operator=">") == {"sf2", "sf3"}
    assert ids(userId="scorer", traceTags=["a", "b"]) == {"sf0", "sf1", "sf2", "sf3"}
    assert ids(userId="nobody") == set()
    assert ids(traceTags="a,c") == set()
    assert ids(source="API", dataType="NUMERIC", traceId="sf") == {"sf0", "sf1", "sf2", "sf3"}
    assert ids(source="ANNOTATION") == set()
    assert ids("/v3/scores", name="n0,n1", valueMin=1, valueMax=2) == {"sf1", "sf2"}
    assert ids("/v3/scores", value="0,3") == {"sf0", "sf3"}
    [row] = http.get("/v2/scores", params={"scoreIds": "sf0", "fields": "score,trace"}).json()["data"]
    assert row["trace"] == {"userId": "scorer", "tags": ["a", "b"], "environment": "lab", "sessionId": None}


def test_deleting_a_score(http: httpx.Client) -> None:
    http.post("/scores", json={"id": "gone", "traceId": "x", "name": "n", "value": 1})
    assert http.delete("/scores/gone").status_code == 202
    assert http.get("/v2/scores/gone").status_code == 404
    assert http.delete("/scores/gone").status_code == 404


def test_configs_decide_what_a_score_may_be(http: httpx.Client) -> None:
    body = {
        "name": "grade",
        "dataType": "CATEGORICAL",
        "categories": [{"label": "A", "value": 1}, {"label": "B", "value": 0.5}],
    }
    config = http.post("/score-configs", json=body).json()
    score = {"id": "graded", "traceId": "x", "name": "ignored", "value": "B", "configId": config["id"]}
    assert http.post("/scores", json=score).status_code == 200
    row = http.get("/v2/scores/graded").json()
    assert (row["name"], row["value"], row["stringValue"], row["configId"]) == ("grade", 0.5, "B", config["id"])
    assert http.post("/scores", json=score | {"value": "C"}).status_code == 400
    assert http.patch(f"/score-configs/{config['id']}", json={"isArchived": True}).json()["isArchived"] is True
    assert http.post("/scores", json=score).status_code == 400
    limits = {"name": "share", "dataType": "NUMERIC", "minValue": 0, "maxValue": 1}
    config = http.post("/score-configs", json=limits).json()
    assert http.get(f"/score-configs/{config['id']}").json() == config
    over = {"traceId": "x", "name": "n", "value": 1.5, "configId": config["id"]}
    assert "maximum" in http.post("/scores", json=over).json()["message"]
    assert http.get("/score-configs").json()["meta"]["totalItems"] == 2
    assert http.get("/score-configs/nothing").status_code == 404
    assert http.post("/score-configs", json=limits | {"minValue": 2}).status_code == 400


def test_a_public_key_may_score_and_nothing_else(start_server: Any) -> None:
    server: LiveServer = start_server(
        TWINLENS_MODE="secured", LANGFUSE_INIT_PROJECT_ID="p", LANGFUSE_INIT_PROJECT_PUBLIC_KEY="pk-lf-1",
        LANGFUSE_INIT_PROJECT_SECRET_KEY="sk-lf-1",
    )  # fmt: skip
    base = f"{server.url}/api/public"
    bearer = httpx.Client(base_url=base, headers={"Authorization": "Bearer pk-lf-1"})
    score = {"id": "b", "traceId": "x", "name": "thumb", "value": 1}
    assert bearer.post("/scores", json=score).status_code == 200
    batch = {"batch": [{"id": "e", "type": "score-create", "timestamp": "2026-11-23T10:00:00Z", "body": score}]}
    assert bearer.post("/ingestion", json=batch).status_code == 207
    batch["batch"][0] |= {"type": "trace-create", "body": {"id": "t"}}
    refused = bearer.post("/ingestion", json=batch)
    assert (refused.status_code, refused.json()["error"]) == (403, "ForbiddenError")
    assert bearer.get("/traces").status_code == 403
    basic = httpx.Client(base_url=base, auth=("pk-lf-1", "sk-lf-1"))
    assert basic.get("/v2/scores/b").json()["value"] == 1
    assert basic.get("/traces/t").status_code == 404
    for client in (httpx.Client(base_url=base), httpx.Client(base_url=base, auth=("pk-lf-1", "wrong"))):
        answer = client.get("/projects")
        assert answer.status_code == 401
        assert answer.json()["message"]
    assert httpx.get(f"{base}/health").status_code == 200


def test_models_are_price_rows(http: httpx.Client, send: Send) -> None:
    body = {
        "modelName": "house",
        "matchPattern": "(?i)^house-.*$",
        "inputPrice": 0.5,
        "outputPrice": 2,
        "unit": "TOKENS",
    }
    model = http.post("/models", json=body).json()
    assert (model["prices"], model["isLangfuseManaged"]) == ({"input": {"price": 0.5}, "output": {"price": 2.0}}, False)
    usage = {"input": 10, "output": 1}
    send(("generation-create", {"id": "priced", "traceId": "t-priced", "model": "House-1", "usage": usage}))
    row = http.get("/observations/priced").json()
    assert (row["calculatedTotalCost"], row["modelId"]) == (7.0, model["id"])
    tiers = [
        {"name": "Standard", "isDefault": True, "priority": 0, "conditions": [], "prices": {"input": 1, "output": 1}},
        {
            "name": "Long", "isDefault": False, "priority": 1, "prices": {"input": 2, "output": 2},
            "conditions": [{"usageDetailPattern": "^input", "operator": "gt", "value": 100, "caseSensitive": False}],
        },
    ]  # fmt: skip
    tiered = {"modelName": "house", "matchPattern": "^house-.*$", "pricingTiers": tiers}
    changed = http.put(f"/models/{model['id']}", json=tiered).json()
    assert [tier["name"] for tier in changed["pricingTiers"]] == ["Standard", "Long"]
    assert changed["pricingTiers"][1]["conditions"][0]["value"] == 100
    usage = {"input": 101, "output": 1}
    send(("generation-create", {"id": "tiered", "traceId": "t-priced", "model": "house-2", "usage": usage}))
    row = http.get("/observations/tiered").json()
    assert (row["calculatedTotalCost"], row["modelId"]) == (204, model["id"])
    asked = {"traceId": "t-priced", "fields": "core,usage,model"}
    rows = {row["id"]: row for row in http.get("/v2/observations", params=asked).json()["data"]}
    assert {id: rows[id]["usagePricingTierName"] for id in rows} == {"priced": "Standard", "tiered": "Long"}
    assert rows["tiered"]["internalModelId"] == model["id"]
    assert http.get("/models").json()["meta"]["totalItems"] == 1
    assert http.delete(f"/models/{model['id']}").status_code == 204
    assert http.get(f"/models/{model['id']}").status_code == 404
    assert http.post("/models", json=body | {"matchPattern": "("}).status_code == 400
    assert http.post("/models", json=body | {"pricingTiers": tiers}).status_code == 400
    unpriced = http.post("/models", json={"modelName": "x", "matchPattern": "unpriced"})
    assert (unpriced.status_code, unpriced.json()["prices"]) == (200, {})


def test_comments(http: httpx.Client, send: Send) -> None:
    send(("trace-create", {"id": "commented"}))
    body = {"projectId": "default", "objectType": "TRACE", "objectId": "commented", "content": "look here"}
    made = http.post("/comments", json=body).json()
    comment = http.get(f"/comments/{made['id']}").json()
    assert (comment["content"], comment["objectId"]) == ("look here", "commented")
    found = http.get("/comments", params={"objectType": "TRACE", "objectId": "commented"}).json()
    assert [row["id"] for row in found["data"]] == [made["id"]]
    assert http.post("/comments", json=body | {"objectId": "nothing"}).status_code == 404
    assert http.post("/comments", json=body | {"content": ""}).status_code == 400
    assert http.post("/comments", json=body | {"projectId": "other"}).status_code == 400


def _announcement(data: bytes, **more: Any) -> dict[str, Any]:
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return {
        "traceId": "m", "field": "input", "contentType": "text/html", "contentLength": len(data), "sha256Hash": digest,
        **more,
    }  # fmt: skip


def test_media_by_hand(http: httpx.Client) -> None:
    data = b"<script>alert(1)</script>" * 10_000
    announced = http.post("/media", json=_announcement(data))
    assert announced.status_code == 201
    media = announced.json()
    expected = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()[:22]
    assert media["mediaId"] == expected
    assert http.get(f"/media/{expected}").status_code == 404  # nothing has arrived
    wrong = httpx.put(media["uploadUrl"], content=data[:-1] + b"!")
    assert (wrong.status_code, "SHA-256" in wrong.json()["message"]) == (400, True)
    assert httpx.put(media["uploadUrl"], content=data[:-1]).status_code == 400
    assert httpx.put(media["uploadUrl"], content=data + b"!").status_code == 400
    assert http.get(f"/media/{expected}").status_code == 404
    assert httpx.put(media["uploadUrl"].replace("/content?", "x/content?"), content=data).status_code == 403
    assert httpx.put(media["uploadUrl"], content=data).status_code == 200
    report = {"uploadedAt": "2026-11-23T10:00:00Z", "uploadHttpStatus": 200, "uploadHttpError": None, "uploadTimeMs": 5}
    assert http.patch(f"/media/{expected}", json=report).status_code == 204
    row = http.get(f"/media/{expected}").json()
    assert (row["contentLength"], row["contentType"]) == (len(data), "text/html")
    page = httpx.get(row["url"])
    assert page.content == data
    assert page.headers["content-disposition"] == "attachment"
    assert "sandbox" in page.headers["content-security-policy"]
    assert httpx.get(row["url"], headers={"Range": "bytes=-9"}).content == b"</script>"
    assert httpx.get(row["url"], headers={"Range": f"bytes={len(data)}-"}).status_code == 416
    assert httpx.put(row["url"], content=data).status_code == 403  # signed for reading
    assert http.post("/media", json=_announcement(data)).json() == {"mediaId": expected, "uploadUrl": None}


@pytest.mark.parametrize(
    "change",
    [
        {"sha256Hash": "x"},
        {"contentLength": 0},
        {"contentLength": 1 << 40},
        {"contentType": "x"},
        {"field": "x"},
        {"traceId": None},
    ],
)
def test_bad_media_announcements(http: httpx.Client, change: dict[str, Any]) -> None:
    assert http.post("/media", json=_announcement(b"x", **change)).status_code == 400
