"""The deployment pages: what serves where, promote and roll back from the page and the keyboard, lineage."""

from __future__ import annotations

import os
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.events import attributes, mlflow, span, start_run
from tests.servers import LiveServer, eventually

NATIVE = "/api/twinlens/v1/projects/default"
SHOTS = os.environ.get("TWINLENS_SCREENSHOTS")


def send(client: httpx.Client, service: str, version: str, count: int, environment: str = "production") -> None:
    """Traces of one version of a service."""
    about = {"service.name": service, "service.version": version, "deployment.environment.name": environment}
    spans = [
        span(os.urandom(16).hex(), "answer", start_ms=5_000, error="broken" if n == 0 else "") for n in range(count)
    ]
    body = {
        "resourceSpans": [
            {"resource": {"attributes": attributes(about)}, "scopeSpans": [{"scope": {}, "spans": spans}]}
        ]
    }
    client.post("/v1/traces", json=body).raise_for_status()


def deploy(client: httpx.Client, **fields: Any) -> str:
    return client.post(f"{NATIVE}/deployments", json=fields).raise_for_status().json()["deployment_id"]


@pytest.fixture(scope="module")
def place(live_server: LiveServer) -> str:
    """``support-agent`` in production, declared 1.4.0 while 1.5.0 is live; a model deployed from a run; ids."""
    with live_server.client() as client:
        for environment in ("staging", "production"):
            deploy(
                client, name="support-agent", environment=environment, version="1.3.9", by="ann", config={"replicas": 3}
            )
        path = f"{NATIVE}/deployments/support-agent@production"
        client.patch(path, json={"version": "1.4.0", "note": "Faster answers", "by": "bob"}).raise_for_status()
        client.patch(f"{NATIVE}/deployments/support-agent@staging", json={"version": "1.5.0"}).raise_for_status()
        _, run = start_run(client, "churn", "train", lr="0.1")
        data = {"name": "orders", "digest": "d1", "source_type": "local", "source": "{}"}
        mlflow(client, "runs/log-inputs", run_id=run, datasets=[{"dataset": data, "tags": []}])
        mlflow(client, "registered-models/create", name="churn")
        mlflow(client, "model-versions/create", name="churn", source=f"runs:/{run}/model", run_id=run)
        deploy(client, name="churn", environment="production", model_uri="models:/churn/1", url="http://churn.internal")
        client.put(f"{NATIVE}/deployments/churn/health", json={"health": "healthy"}).raise_for_status()
        send(client, "support-agent", "1.4.0", 4)
        send(client, "support-agent", "1.5.0", 7)
        send(client, "mailer", "2", 2)
        eventually(
            lambda: client.get(f"{NATIVE}/observed-versions").json()["observed"],
            lambda seen: any(o["subject"] == "mailer" for o in seen),
        )
        return eventually(lambda: client.get(path).json(), lambda row: row["drift"])["deployment_id"]


def shot(page: Page, name: str) -> None:
    """A picture for people, when asked for."""
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png")


def test_nothing_declared_yet(start_server: Any, open_page: OpenPage) -> None:
    page = open_page(f"{start_server().url}/project/default/deployments")
    expect(page.get_by_role("heading", name="Declare your first deployment")).to_be_visible()
    expect(page.get_by_text("twinlens.deployments.create")).to_be_visible()
    shot(page, "deployments-empty")


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1920)])
def test_list_shows_what_is_declared_and_what_is_live(
    live_server: LiveServer, place: str, open_page: OpenPage, theme: str, width: int
) -> None:
    page = open_page(f"{live_server.url}/project/default", theme=theme, width=width)
    expect(page.get_by_role("heading", name="Recent runs")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("d")
    row = page.get_by_role("row").filter(has_text="support-agent").filter(has_text="production")
    expect(row).to_contain_text("declared 1.4.0, also observed 1.5.0 since")
    expect(page.get_by_role("row").filter(has_text="mailer")).to_contain_text("not declared")
    expect(page.get_by_role("row").filter(has_text="churn")).to_contain_text("Healthy")
    shot(page, f"deployments-{theme}-{width}")
    row.get_by_role("link", name="4", exact=True).click()
    expect(page.get_by_role("row").filter(has_text="answer")).to_have_count(4)
    page.go_back()
    page.get_by_role("link", name="support-agent").first.click()
    expect(page.get_by_role("heading", name="support-agent")).to_be_visible()


@pytest.mark.parametrize(("theme", "width"), [("dark", 1280), ("light", 1920)])
def test_deployment_page(live_server: LiveServer, place: str, open_page: OpenPage, theme: str, width: int) -> None:
    page = open_page(f"{live_server.url}/project/default/deployments/{place}", theme=theme, width=width)
    expect(page.get_by_role("status").filter(has_text="Declared 1.4.0")).to_contain_text("observed 1.5.0")
    expect(page.get_by_text("Faster answers")).to_be_visible()
    expect(page.get_by_label("Calls per hour by version").first).to_be_visible()
    shot(page, f"deployment-{theme}-{width}")
    page.get_by_role("tab", name="Lineage").click()
    expect(page.get_by_label("Traces", exact=True).get_by_text("4 traces")).to_be_visible()


def test_lineage_of_runs_and_versions(live_server: LiveServer, place: str, open_page: OpenPage) -> None:
    page = open_page(f"{live_server.url}/project/default/models/churn?version=1")
    expect(page.get_by_label("Data sets").get_by_text("orders")).to_be_visible()
    expect(page.get_by_label("Deployments", exact=True).get_by_text("churn in production")).to_be_visible()
    shot(page, "lineage-version")
    page.get_by_label("Runs", exact=True).get_by_role("link").click()
    page.get_by_role("tab", name="Lineage").click()
    expect(page.get_by_label("Versions").get_by_text("churn v1")).to_be_visible()
    shot(page, "lineage-run")


def test_promote_and_roll_back_from_the_keyboard(live_server: LiveServer, place: str, open_page: OpenPage) -> None:
    page = open_page(f"{live_server.url}/project/default/deployments/{place}")
    expect(page.get_by_role("button", name="Roll back")).to_be_enabled()
    page.keyboard.press("b")
    page.get_by_label("Why").fill("too slow")
    shot(page, "rollback-dialog")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Rolled back to #1")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="too slow")).to_contain_text("1.3.9")
    page.get_by_role("button", name="Bring back release 2").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.get_by_text("Rolled back to #2")).to_be_visible()
    page.keyboard.press("p")
    page.get_by_label("To environment").fill("canary")
    page.keyboard.press("Enter")
    expect(page).to_have_title("support-agent in canary · Twinlens")
    expect(page.get_by_text("Promoted from production")).to_be_visible()
    with live_server.client() as client:
        history = client.get(f"{NATIVE}/deployments/{place}/history").json()["releases"]
    assert [(r["action"], r["version"]) for r in history][:2] == [("rollback", "1.4.0"), ("rollback", "1.3.9")]
