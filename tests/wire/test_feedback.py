"""Human feedback is one domain: what Langfuse's clients write MLflow's client reads, and the other way round."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.servers import LiveServer
from tests.wire.langfuse.clients import api, run_json
from tests.wire.mlflow.peer import MlflowPeer
from tests.wire.mlflow.recording import proven_routes, routes_of_test  # noqa: F401 - fixtures for every test here

pytestmark = pytest.mark.peer

TRACE = "0af7651916cd43dd8448eb211c80319c"

LANGFUSE = """
import json
from langfuse import Langfuse
from langfuse.api import NotFoundError
api = Langfuse().api
config = api.score_configs.create(name="tone", data_type="CATEGORICAL",
    categories=[{"label": "good", "value": 1}, {"label": "bad", "value": 0}])
q = api.annotation_queues.create_queue(name=NAME, description="d", score_config_ids=[config.id])
item = api.annotation_queues.create_queue_item(q.id, object_id=TRACE, object_type="TRACE")
again = api.annotation_queues.create_queue_item(q.id, object_id=TRACE, object_type="TRACE")
span = api.annotation_queues.create_queue_item(q.id, object_id="span", object_type="OBSERVATION", status="COMPLETED")
assigned = api.annotation_queues.create_queue_assignment(q.id, user_id="ann@example.com")
pending = api.annotation_queues.list_queue_items(q.id, status="PENDING", limit=1)
done = api.annotation_queues.update_queue_item(q.id, item.id, status="COMPLETED")
reopened = api.annotation_queues.update_queue_item(q.id, item.id, status="PENDING")
gone = api.annotation_queues.delete_queue_item(q.id, span.id)
try:
    api.annotation_queues.get_queue_item(q.id, span.id)
    missing = None
except NotFoundError as error:
    missing = error.status_code
off = api.annotation_queues.delete_queue_assignment(q.id, user_id="ann@example.com")
api.annotation_queues.create_queue_assignment(q.id, user_id="bob@example.com")
got = api.annotation_queues.get_queue(q.id)
names = [one.name for one in api.annotation_queues.list_queues(limit=100).data]
print(json.dumps({
    "queue": q.id, "config": config.id, "configs": got.score_config_ids, "named": got.name in names,
    "item": item.id, "again": again.id, "status": [item.status, span.status, done.status, reopened.status],
    "completed": [done.completed_at is not None, reopened.completed_at is not None],
    "assigned": [assigned.user_id, assigned.queue_id == q.id, assigned.project_id], "off": off.success,
    "pending": [pending.data[0].id, pending.meta.total_items], "gone": gone.success, "missing": missing,
}))
"""


@pytest.fixture(scope="module")
def http(live_server: LiveServer) -> Iterator[httpx.Client]:
    with api(live_server.url) as client:
        yield client


@pytest.fixture(scope="module")
def mlflow(live_server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowPeer]:
    with MlflowPeer(live_server.url, tmp_path_factory.mktemp("peer")) as peer:
        yield peer


@pytest.mark.parametrize("client", ["langfuse4", "langfuse5"])
def test_langfuse_queues_are_mlflow_review_queues(client: str, live_server: LiveServer, mlflow: MlflowPeer) -> None:
    program = f"NAME, TRACE = {client!r}, {TRACE!r}\n{LANGFUSE}"
    said = run_json(client, program, live_server.url)
    assert said["again"] == said["item"]
    assert said["configs"] == [said["config"]]
    assert said["named"]
    assert said["status"] == ["PENDING", "COMPLETED", "COMPLETED", "PENDING"]
    assert said["completed"] == [True, False]
    assert said["assigned"] == ["ann@example.com", True, "default"]
    assert said["pending"] == [said["item"], 1]
    assert (said["off"], said["gone"], said["missing"]) == (True, True, 404)
    seen = mlflow.run(f"""
    from mlflow.genai import label_schemas as ls, review_queues as rq
    q = rq.get_review_queue(name={client.upper()!r}, experiment_id="0")
    items = rq.list_review_queue_items(q.queue_id)
    schema = ls.get_label_schema(schema_id=q.schema_ids[0])
    assert ls.get_label_schema(name=schema.name, experiment_id="0").schema_id == schema.schema_id
    assert rq.get_review_queue(queue_id=q.queue_id).name == q.name
    mine = [x.name for x in rq.list_review_queues(user="bob@example.com", experiment_id="0")]
    result = {{"id": q.queue_id, "type": str(q.queue_type), "users": q.users, "items": [i.item_id for i in items],
        "schema": [schema.schema_id, schema.name, schema.input.options], "mine": mine}}
    """)
    assert (seen["id"], seen["type"], seen["users"]) == (said["queue"], "custom", ["bob@example.com"])
    assert seen["items"] == ["tr-" + TRACE]
    assert seen["schema"] == [said["config"], "tone", ["good", "bad"]]
    assert client in seen["mine"]


def test_mlflow_review_flow_is_seen_by_langfuse(mlflow: MlflowPeer, http: httpx.Client) -> None:
    said = mlflow.run("""
    from mlflow.genai import label_schemas as ls, review_queues as rq
    from mlflow.exceptions import MlflowException
    e = mlflow.set_experiment("review").experiment_id
    with mlflow.start_span("call") as span:
        span.set_inputs({"q": 1})
    mlflow.flush_trace_async_logging()
    trace = span.trace_id
    right = ls.create_label_schema("Is the answer right?", type="feedback", enable_comment=True,
        input=ls.InputPassFail(positive_label="Right", negative_label="Wrong"), instruction="Look at the source.")
    kind = ls.create_label_schema("kind", type="expectation", input=ls.InputCategorical(options=["a", "b"], multi_select=True))
    score = ls.create_label_schema("score", type="feedback", input=ls.InputNumeric(min_value=0, max_value=5))
    text = ls.create_label_schema("words", type="feedback", input=ls.InputText(max_length=9))
    def refused(call, *args, **kw):
        try:
            call(*args, **kw)
        except MlflowException as error:
            return error.error_code
    codes = [
        refused(ls.create_label_schema, "kind", type="feedback", input=ls.InputText()),
        refused(ls.create_label_schema, "Feedback", type="feedback", input=ls.InputText()),
        refused(ls.update_label_schema, kind.schema_id, input=ls.InputText()),
        refused(ls.create_label_schema, "bounds", type="feedback", input=ls.InputNumeric(min_value=2, max_value=1)),
        refused(ls.get_label_schema, schema_id="nothing"),
        refused(rq.create_review_queue, "q", queue_type="custom", schema_ids=["nothing"]),
        refused(rq.create_review_queue, "Default", queue_type="custom"),
        refused(rq.set_review_queue_item_status, "nothing", item_id=trace, status="pending"),
    ]
    renamed = ls.update_label_schema(text.schema_id, name="more words", input=ls.InputText(max_length=20))
    listed = []
    page = ls.list_label_schemas(e, max_results=2)
    while True:
        listed += [(s.name, s.is_default) for s in page]
        if not page.token:
            break
        page = ls.list_label_schemas(e, max_results=2, page_token=page.token)
    q = rq.create_review_queue("Answers", queue_type="custom", users=["Ann@Example.com"], schema_ids=[right.schema_id, kind.schema_id])
    added = rq.add_items_to_review_queue(q.queue_id, item_ids=[trace, trace, "tr-" + "0" * 32])
    done = rq.set_review_queue_item_status(q.queue_id, item_id=trace, status="complete", completed_by="Ann@example.com")
    rq.set_review_queue_item_status(q.queue_id, item_id="tr-" + "0" * 32, status="declined", completed_by="ann@example.com")
    rest = rq.list_review_queue_items(q.queue_id, status="pending")
    codes.append(refused(rq.update_review_queue, q.queue_id, schema_ids=[]))
    q = rq.update_review_queue(q.queue_id, name="Answers 2", users=["ann@example.com", "bob"], new_owner="carol")
    personal = rq.get_or_create_user_queue("Bob")
    same = rq.get_or_create_user_queue("bob").queue_id == personal.queue_id
    rq.add_items_to_review_queue(personal.queue_id, item_ids=[trace])
    held = [len(rq.list_review_queue_items(personal.queue_id))]
    rq.remove_items_from_review_queue(personal.queue_id, item_ids=[trace])
    held.append(len(rq.list_review_queue_items(personal.queue_id)))
    rq.delete_review_queue(personal.queue_id)
    rq.delete_review_queue(personal.queue_id)
    ls.delete_label_schema(schema_id=score.schema_id)
    result = {"trace": trace, "queue": q.queue_id, "codes": codes, "listed": listed, "renamed": [renamed.name, renamed.input.max_length],
        "right": [right.input.positive_label, right.enable_comment, right.instruction, str(kind.type), kind.input.multi_select],
        "added": [i.item_id for i in added], "done": [str(done.status), done.completed_by, done.completed_time_ms > 0],
        "rest": len(rest), "held": held, "q": [q.name, q.users, q.created_by, q.schema_ids], "schemas": [right.schema_id, kind.schema_id],
        "personal": [str(personal.queue_type), personal.name, personal.users, same]}
    """)
    assert said["held"] == [1, 0]
    assert said["codes"] == [
        "RESOURCE_ALREADY_EXISTS", "INVALID_PARAMETER_VALUE", "INVALID_PARAMETER_VALUE", "INVALID_PARAMETER_VALUE",
        "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST",
        "INVALID_PARAMETER_VALUE",
    ]  # fmt: skip
    own = [name for name in said["listed"] if name[0] != "tone"]
    assert own[::-1] == [["Is the answer right?", False], ["kind", False], ["score", False], ["more words", False],
                         ["Feedback", True]]  # fmt: skip
    assert said["renamed"] == ["more words", 20]
    assert said["right"] == ["Right", True, "Look at the source.", "expectation", True]
    assert said["added"] == [said["trace"], "tr-" + "0" * 32]
    assert said["done"] == ["complete", "ann@example.com", True]
    assert said["rest"] == 0
    assert said["q"] == ["Answers 2", ["ann@example.com", "bob"], "carol", said["schemas"]]
    assert said["personal"] == ["user", "bob", ["bob"], True]
    queue = http.get(f"/annotation-queues/{said['queue']}").json()
    assert (queue["name"], queue["scoreConfigIds"]) == ("Answers 2", said["schemas"])
    items = http.get(f"/annotation-queues/{said['queue']}/items").json()["data"]
    assert [item["status"] for item in items] == ["COMPLETED", "COMPLETED"]
    assert said["trace"].removeprefix("tr-") in {item["objectId"] for item in items}
    config = http.get(f"/score-configs/{said['schemas'][1]}").json()
    assert (config["dataType"], [c["label"] for c in config["categories"]]) == ("CATEGORICAL", ["a", "b"])


def test_issues(mlflow: MlflowPeer) -> None:
    said = mlflow.run("""
    from mlflow.entities.issue import IssueSeverity, IssueStatus
    from mlflow.entities.assessment import IssueReference
    from mlflow.exceptions import MlflowException
    from mlflow.tracing.client import TracingClient
    c = TracingClient()
    e = mlflow.set_experiment("issues").experiment_id
    traces = []
    for _ in range(2):
        with mlflow.start_span("s") as span:
            traces.append(span.trace_id)
    mlflow.flush_trace_async_logging()
    low = c._create_issue(e, "slow", "d", severity=IssueSeverity.LOW, root_causes=["net"], categories=["latency"])
    high = c._create_issue(e, "wrong", "d", severity=IssueSeverity.HIGH, source_run_id="r1")
    for trace in traces:
        c.store.create_assessment(IssueReference(issue_id=low.issue_id, issue_name="slow", trace_id=trace))
    got = c._get_issue(low.issue_id)
    c.store.update_issue(high.issue_id, status=IssueStatus.RESOLVED, name="wrong answer")
    found = c.store.search_issues(e, include_trace_count=True)
    resolved = c.store.search_issues(e, filter_string="status = 'resolved' AND source_run_id != 'r2'")
    linked = mlflow.search_traces(locations=[e], filter_string=f"issue.id = '{low.issue_id}'", return_type="list")
    try:
        c.store.search_issues(e, filter_string="name = 'x'")
        code = None
    except MlflowException as error:
        code = error.error_code
    result = {"found": [(i.name, i.trace_count, str(i.severity)) for i in found], "resolved": [i.name for i in resolved],
        "got": [got.root_causes, got.categories, str(got.status)], "linked": len(linked), "code": code}
    """)
    assert said["found"] == [["wrong answer", 0, "high"], ["slow", 2, "low"]]
    assert said["resolved"] == ["wrong answer"]
    assert said["got"] == [["net"], ["latency"], "pending"]
    assert (said["linked"], said["code"]) == (2, "INVALID_PARAMETER_VALUE")


def test_bad_queue_calls_say_what_is_wrong(http: httpx.Client) -> None:
    def code(method: str, path: str, **body: object) -> int:
        answer = http.request(method, "/annotation-queues" + path, json=body or None)
        assert answer.status_code < 400 or answer.json()["message"], answer.text
        return answer.status_code

    made = http.post("/annotation-queues", json={"name": "bad calls", "scoreConfigIds": []}).json()["id"]
    assert code("POST", "", name="bad calls", scoreConfigIds=[]) == 409
    assert code("POST", "", name="", scoreConfigIds=[]) == 400
    assert code("POST", "", name="x", scoreConfigIds=["nothing"]) == 400
    assert code("POST", "", name="x") == 400
    assert code("POST", f"/{made}/items", objectId="x", objectType="PLANET") == 400
    assert code("POST", f"/{made}/items", objectId="", objectType="TRACE") == 400
    assert code("GET", f"/{made}/items?status=MAYBE") == 400
    assert code("GET", "/nothing/items") == 404
    assert code("POST", "/nothing/assignments", userId="ann") == 404
    assert code("DELETE", f"/{made}/items/nothing") == 404


def test_two_reviewers_work_a_queue_off(live_server: LiveServer, http: httpx.Client, mlflow: MlflowPeer) -> None:
    project = f"{live_server.url}/api/twinlens/v1/projects/default"
    traces = [f"{n:032x}" for n in range(1, 5)]
    batch = [{"id": t, "type": "trace-create", "timestamp": "2026-11-23T10:00:00Z", "body": {"id": t}} for t in traces]
    http.post("/ingestion", json={"batch": batch}).raise_for_status()
    with httpx.Client(base_url=project) as native:

        def post(path: str, status: int = 200, **body: object) -> dict[str, Any]:
            answer = native.post(path, json=body)
            assert answer.status_code == status, answer.text
            return answer.json()

        helpful = post("/score-configs", 201, name="helpful", data_type="BOOLEAN")["config_id"]
        stars = post("/score-configs", 201, name="stars", data_type="NUMERIC", min_value=1, max_value=5)["config_id"]
        queue = post("/queues", 201, name="two", config_ids=[helpful, stars], reviews_needed=2)["queue_id"]
        objects = [{"type": "TRACE", "id": t} for t in traces]
        assert post(f"/queues/{queue}/items", objects=objects) == {"count": 4}
        items = native.get(f"/queues/{queue}/items").json()["items"]
        assert {item["object_id"] for item in items} == set(traces)
        wrong = {"config_id": stars, "value": 9}
        post(
            f"/queues/{queue}/items/{items[0]['item_id']}/review",
            400,
            reviewer="ann",
            answers=[{"config_id": helpful, "value": True}, wrong],
        )
        assert native.get(f"/traces/{items[0]['object_id']}").json()["scores"] == [], "half a review was stored"
        opinions = {
            "ann": [(True, 1), (True, 2), (False, 4), (True, 5)],
            "bob": [(True, 1), (True, 3), (False, 4), (False, 5)],
        }
        for reviewer, values in opinions.items():
            for item, (yes, n) in zip(items, values, strict=True):
                done = post(
                    f"/queues/{queue}/items/{item['item_id']}/review", reviewer=reviewer, correction=f"{reviewer}'s text",
                    answers=[{"config_id": helpful, "value": yes, "comment": "why"}, {"config_id": stars, "value": n}],
                )  # fmt: skip
                assert done["status"] == ("PENDING" if reviewer == "ann" else "COMPLETED")
        again = {"config_id": stars, "value": 2}
        post(f"/queues/{queue}/items/{items[0]['item_id']}/review", reviewer="bob", answers=[again])
        seen = native.get(f"/queues/{queue}/items/{items[0]['item_id']}", params={"reviewer": "bob"}).json()
        assert {s["name"]: s["value"] for s in seen["answers"] if s["name"] != "output"} == {
            "helpful": 1.0,
            "stars": 2.0,
        }
        found = native.get(f"/queues/{queue}").json()
        assert (found["queue"]["completed"], found["queue"]["pending"]) == (4, 0)
        yes, numbers = found["agreement"]
        assert (yes["percent"], yes["kappa"], yes["raters"]) == (0.75, pytest.approx(0.5), 2)
        assert numbers["kappa"] is None
        assert numbers["correlation"] == pytest.approx(0.989949, abs=1e-5)
    scores = http.get("/v3/scores", params={"queueId": queue, "fields": "core,annotation", "limit": 100}).json()["data"]
    assert len(scores) == 4 * 2 * 3
    assert {score["source"] for score in scores} == {"ANNOTATION"}
    said = mlflow.run(f"""
    found = mlflow.get_trace("tr-{items[1]["object_id"]}").search_assessments("stars")
    result = sorted([a.source.source_type, a.source.source_id, a.feedback.value] for a in found)
    """)
    assert said == [["HUMAN", "ann", 2], ["HUMAN", "bob", 3]]


def test_comments(live_server: LiveServer, http: httpx.Client) -> None:
    http.post(
        "/ingestion",
        json={
            "batch": [{"id": "e", "type": "trace-create", "timestamp": "2026-11-23T10:00:00Z", "body": {"id": "talk"}}]
        },
    )
    project = f"{live_server.url}/api/twinlens/v1/projects/default/comments"
    sent = {"projectId": "default", "objectType": "TRACE", "objectId": "talk", "content": "first"}
    first = http.post("/comments", json=sent).json()["id"]
    made = httpx.post(project, json={"object_type": "TRACE", "object_id": "talk", "content": "second", "author": "ann"})
    assert made.status_code == 201, made.text
    listed = httpx.get(project, params={"object_type": "TRACE", "object_id": "talk"}).json()["comments"]
    assert [(c["content"], c["author"]) for c in listed] == [("first", None), ("second", "ann")]
    assert http.get(f"/comments/{made.json()['comment_id']}").json()["authorUserId"] == "ann"
    assert httpx.delete(f"{project}/{first}").status_code == 204
    assert httpx.delete(f"{project}/{first}").status_code == 404
    assert http.get("/comments", params={"objectType": "TRACE", "objectId": "talk"}).json()["meta"]["totalItems"] == 1
    assert httpx.post(project, json={"object_type": "TRACE", "object_id": "none", "content": "x"}).status_code == 404
    assert httpx.post(project, json={"object_type": "TRACE", "object_id": "talk", "content": ""}).status_code == 400


def test_items_of_deleted_traces_are_gone(http: httpx.Client, live_server: LiveServer) -> None:
    config = http.post("/score-configs", json={"name": "gone-ok", "dataType": "BOOLEAN"}).json()["id"]
    queue = http.post("/annotation-queues", json={"name": "gone", "scoreConfigIds": [config]}).json()["id"]
    for n in range(3):
        spans = [{"id": f"gone-{n}-s", "traceId": f"gone-{n}", "name": "n"}]
        batch = [{"id": f"{n}", "type": "span-create", "timestamp": "2026-01-01T00:00:00Z", "body": b} for b in spans]
        http.post("/ingestion", json={"batch": batch})
        for kind, id in (("TRACE", f"gone-{n}"), ("OBSERVATION", f"gone-{n}-s")):
            added = http.post(f"/annotation-queues/{queue}/items", json={"objectId": id, "objectType": kind})
            assert added.status_code == 200

    def waiting() -> set[str]:
        return {row["objectId"] for row in http.get(f"/annotation-queues/{queue}/items").json()["data"]}

    assert len(waiting()) == 6
    assert http.delete("/traces/gone-0").status_code == 200
    assert waiting() == {"gone-1", "gone-1-s", "gone-2", "gone-2-s"}
    native = live_server.client(headers={"Origin": live_server.url})
    path = "/api/twinlens/v1/projects/default/traces/delete"
    assert native.post(path, json={"trace_ids": ["gone-1"]}).json()["count"] == 1
    assert waiting() == {"gone-2", "gone-2-s"}


def test_reviewers_are_members(start_server: Callable[..., LiveServer]) -> None:
    keys = ("pk-lf-r", "sk-lf-r")
    server = start_server(
        TWINLENS_MODE="secured", LANGFUSE_INIT_ORG_ID="o", LANGFUSE_INIT_PROJECT_ID="p",
        LANGFUSE_INIT_PROJECT_PUBLIC_KEY=keys[0], LANGFUSE_INIT_PROJECT_SECRET_KEY=keys[1],
        LANGFUSE_INIT_USER_EMAIL="ann@example.com", LANGFUSE_INIT_USER_NAME="Ann", LANGFUSE_INIT_USER_PASSWORD="long enough",
    )  # fmt: skip
    with api(server.url, keys) as http:
        config = http.post("/score-configs", json={"name": "ok", "dataType": "BOOLEAN"}).json()["id"]
        queue = http.post("/annotation-queues", json={"name": "q", "scoreConfigIds": [config]}).json()["id"]
        path = f"/annotation-queues/{queue}/assignments"
        stranger = http.post(path, json={"userId": "nobody@example.com"})
        assert (stranger.status_code, "no member" in stranger.json()["message"]) == (400, True)
        for name in ("ann@example.com", "ann"):
            assert http.post(path, json={"userId": name}).status_code == 200, name
