"""Webhooks: made by MLflow's client, told what any face writes, signed as MLflow's library checks it, retried, kept over a crash."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import LiveServer, eventually
from tests.webhook_receiver import Received, Receiver
from tests.wire.mlflow.peer import ClientError, MlflowPeer

pytestmark = pytest.mark.peer

#: What the programs below do, and so what must arrive, in this order.
EVENTS = (
    "registered_model.created", "model_version.created", "model_version_tag.set", "model_version_tag.deleted",
    "model_version_alias.created", "model_version_alias.deleted", "prompt.created", "prompt_version.created",
    "prompt_tag.set", "prompt_tag.deleted", "prompt_version_tag.set", "prompt_version_tag.deleted",
    "prompt_alias.created", "prompt_alias.deleted",
)  # fmt: skip


@pytest.fixture(scope="module")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("data"), env={"TWINLENS_WEBHOOK_ADDRESSES": "any"}) as server:
        yield server


def test_life_of_a_webhook(mlflow: MlflowPeer) -> None:
    with Receiver([500]) as receiver:
        found = mlflow.run(f"""
        made = client.create_webhook("hook", {receiver.url!r}, ["prompt.created"], description="d", secret="s")
        client.create_webhook("idle", {receiver.url!r}, ["prompt.created"], status="DISABLED")
        bad, good = client.test_webhook(made.webhook_id), client.test_webhook(made.webhook_id, "model_version_tag.set")
        changed = client.update_webhook(made.webhook_id, name="hook-2", events=["prompt.created", "prompt_tag.set"])
        got = client.get_webhook(made.webhook_id)
        page = client.list_webhooks(max_results=1)
        rest = client.list_webhooks(max_results=1, page_token=page.token)
        ids = [w.webhook_id for w in [*page, *rest]]
        for one in ids:
            client.delete_webhook(one)
        result = {{
            "bad": [bad.success, bad.response_status, bad.response_body], "good": [good.success, good.response_status],
            "changed": [changed.name, changed.description, [str(e) for e in changed.events]], "secret": got.secret,
            "names": [w.name for w in [*page, *rest]], "last": rest.token or None, "left": len(client.list_webhooks()),
        }}
        """)
        assert found == {
            "bad": [False, 500, "told to"], "good": [True, 200],
            "changed": ["hook-2", "d", ["prompt.created", "prompt_tag.set"]], "secret": None,
            "names": ["idle", "hook-2"], "last": None, "left": 0,
        }  # fmt: skip
        assert [r.event for r in receiver.requests] == ["prompt.created", "model_version_tag.set"]
    for program, words in (
        ("client.create_webhook('-x', 'http://localhost', ['prompt.created'])", "Webhook name '-x' is invalid"),
        ("client.create_webhook('x', 'ftp://localhost', ['prompt.created'])", "Allowed schemes are"),
        ("client.get_webhook('nowhere')", "Webhook with ID nowhere not found"),
    ):
        with pytest.raises(ClientError, match=words) as caught:
            mlflow.run(program)
        assert caught.value.code in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST")


def test_every_event_arrives_signed_and_in_order(mlflow: MlflowPeer) -> None:
    with Receiver([503, 429]) as receiver:
        mlflow.run(f"""
        hook = client.create_webhook("all", {receiver.url!r}, {list(EVENTS)!r}, secret="shared")
        client.create_registered_model("m", tags={{"a": "1"}}, description="d")
        with mlflow.start_run() as run:
            pass
        client.create_model_version("m", f"runs:/{{run.info.run_id}}/x", run.info.run_id)
        client.set_model_version_tag("m", "1", "k", "v")
        client.delete_model_version_tag("m", "1", "k")
        client.set_registered_model_alias("m", "champion", "1")
        client.delete_registered_model_alias("m", "champion")
        mlflow.genai.register_prompt("p", "Hello {{{{name}}}}!", commit_message="first")
        client.set_prompt_tag("p", "team", "x")
        client.delete_prompt_tag("p", "team")
        client.set_prompt_version_tag("p", 1, "k", "v")
        client.delete_prompt_version_tag("p", 1, "k")
        mlflow.genai.set_prompt_alias("p", "live", 1)
        mlflow.genai.delete_prompt_alias("p", "live")
        """)
        found = receiver.wait(lambda seen: any(r.event == EVENTS[-1] for r in seen))
        first = [r for r in found if r.delivery_id == found[0].delivery_id]
        assert [r.answered for r in first] == [503, 429, 200]
        assert len({r.text for r in first}) == 1
        done = [r for r in found if r.answered == 200 and r.data.get("key") != "_mlflow_experiment_ids"]
        assert [r.event for r in done] == list(EVENTS)
        by_event = {r.event: r.data for r in done}
        assert by_event["registered_model.created"] == {"name": "m", "tags": {"a": "1"}, "description": "d"}
        assert by_event["model_version_alias.created"] == {"name": "m", "alias": "champion", "version": "1"}
        assert by_event["prompt_version.created"]["template"] == "Hello {{name}}!"
        rows = [
            [r.delivery_id, r.headers["x-mlflow-timestamp"], r.text, r.headers["x-mlflow-signature"]] for r in found
        ]
        assert mlflow.run(f"""
        from mlflow.webhooks.delivery import _generate_hmac_signature as expected
        result = [expected("shared", *row[:3]) == row[3] for row in {rows!r}]
        """) == [True] * len(rows)


def test_other_faces_fire_and_a_crash_loses_nothing(start_server: Callable[..., LiveServer]) -> None:
    server = start_server(TWINLENS_WEBHOOK_ADDRESSES="any")
    with Receiver([503]) as receiver:
        api = "/api/twinlens/v1/projects/default"
        with server.client() as http:
            hook = {"name": "h", "url": receiver.url, "events": ["prompt_version.created", "prompt_alias.created"]}
            made = http.post(f"{api}/webhooks", json={**hook, "secret": "s"})
            assert made.status_code == 201, made.text
            assert made.json()["signed"]
            prompt = {"name": "greet", "type": "text", "prompt": "Hi", "labels": ["production"]}
            http.post("/api/public/v2/prompts", json=prompt, auth=("pk", "sk")).raise_for_status()
            receiver.wait(lambda seen: len(seen) == 1)
        assert _verified_as_documented("s", receiver.requests[0])
        assert not _verified_as_documented("another", receiver.requests[0])
        server.kill()
        server.start()
        found = receiver.wait(lambda seen: len(seen) == 3)
        assert [r.event for r in found] == [
            "prompt_version.created", "prompt_version.created", "prompt_alias.created"
        ]  # fmt: skip
        assert found[0].delivery_id == found[1].delivery_id != found[2].delivery_id
        with server.client() as http:
            http.post(f"{api}/prompts/versions", json={})  # a bad request fires nothing
            rows = _settled(http, f"{api}/webhooks/{made.json()['id']}/deliveries")
            assert [(r["event"], r["status"]) for r in rows] == [
                ("prompt_alias.created", "done"), ("prompt_version.created", "done"),
            ]  # fmt: skip
            again = http.post(f"{api}/webhooks/{made.json()['id']}/deliveries/{rows[0]['id']}/retry")
            assert again.status_code == 200
            assert receiver.wait(lambda seen: len(seen) == 4)[-1].delivery_id == rows[0]["id"]
    raw = (server.data / "catalog.db").read_bytes() + (server.data / "catalog.db-wal").read_bytes()
    assert b"webhooks" in raw
    assert b'"secret"' not in raw


def _verified_as_documented(secret: str, request: Received) -> bool:
    """The receiver's code of docs/webhooks.md, executed."""
    page = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text("utf-8")
    code = next(block for block in re.findall(r"```python\n(.*?)```", page, re.S) if "def verify" in block)
    scope: dict[str, Any] = {}
    exec(code, scope)
    return scope["verify"](secret, httpx.Headers(request.headers), request.text.encode())


def _settled(http: httpx.Client, path: str) -> list[dict[str, str]]:
    """The deliveries once none is under way: an answer may have reached the receiver before the row is written."""
    return eventually(
        lambda: http.get(path).json()["deliveries"], lambda rows: all(row["status"] != "pending" for row in rows)
    )
