"""Settings: a model connection is added, tried and never shown again; an endpoint, its budget and what its calls took."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.servers import LiveServer
from tests.stub_llm import stub_llm

SHOTS = os.environ.get("TWINLENS_TEST_SHOTS")


def test_connections_and_gateway(live_server: LiveServer, open_page: OpenPage) -> None:
    page = open_page(f"{live_server.url}/project/default/settings?tab=gateway", theme="dark", width=1400)
    expect(page.get_by_text("Add a model connection first")).to_be_visible()
    page.get_by_role("radio", name="Gateway").press("ArrowLeft")
    expect(page.get_by_text("No model connections yet")).to_be_visible()
    with stub_llm() as provider:
        form = page.get_by_role("form", name="New model connection")
        form.get_by_label("Key").fill("sk-never-shown-again")
        form.get_by_label("Base URL").fill(provider)
        form.get_by_label("Base URL").press("Enter")
        row = page.get_by_label("Model connections", exact=True).get_by_role("row").nth(1)
        expect(row).to_contain_text("sk-...gain")
        assert "never-shown" not in page.content()
        row.get_by_role("button", name="Test openai").press("Enter")
        asked = page.get_by_role("form", name="Test of openai")
        asked.get_by_label("Model to ask").fill("gpt-4o-mini")
        asked.get_by_role("button", name="Ask").press("Enter")
        expect(asked).to_contain_text("openai answered “Because.” in")
        asked.get_by_label("Model to ask").fill("fail-401")
        asked.get_by_role("button", name="Ask").click()
        expect(asked).to_contain_text("the stub fails")
        if SHOTS:
            page.screenshot(path=Path(SHOTS) / "connections-dark.png")

        page.get_by_role("radio", name="Model connections").press("ArrowRight")
        form = page.get_by_role("form", name="New endpoint")
        form.get_by_label("Name").fill("chat")
        form.get_by_label("Model", exact=True).fill("gpt-4o-mini")
        form.get_by_label("Fallback").select_option("openai")
        form.get_by_label("Fallback's model").fill("gpt-4o")
        form.get_by_role("button", name="Add endpoint").click()
        endpoints = page.get_by_label("Endpoints", exact=True).get_by_role("table")
        expect(endpoints.get_by_role("row").nth(1)).to_contain_text("else gpt-4o")
        form = page.get_by_role("form", name="New budget")
        form.get_by_label("US dollars").fill("0.00004")
        form.get_by_label("For").select_option("chat")
        form.get_by_role("button", name="Add budget").click()
        budgets = page.get_by_label("Budgets", exact=True).get_by_role("table")
        expect(budgets.get_by_role("row").nth(1)).to_contain_text("refuse calls")
        with live_server.client() as http:
            body = {"messages": [{"role": "user", "content": "Why?"}]}
            assert http.post("/gateway/chat/mlflow/invocations", json=body).status_code == 200
            assert http.post("/gateway/chat/mlflow/invocations", json=body).status_code == 429
        page.reload()
        expect(budgets.get_by_role("row").nth(1)).to_contain_text("Refuses calls")
        cells = endpoints.get_by_role("row").nth(1).get_by_role("cell")
        expect(cells.nth(2)).to_have_text("2")
        expect(cells.nth(3)).to_have_text("1")
        if SHOTS:
            page.screenshot(path=Path(SHOTS) / "gateway-dark.png")
            light = open_page(f"{live_server.url}/project/default/settings?tab=gateway", width=1400)
            expect(light.get_by_text("Refuses calls")).to_be_visible()
            light.screenshot(path=Path(SHOTS) / "gateway-light.png")
            light.get_by_role("radio", name="Model connections").click()
            expect(light.get_by_text("sk-...gain")).to_be_visible()
            light.screenshot(path=Path(SHOTS) / "connections-light.png")
        budgets.get_by_role("button", name="Delete the budget for chat").click()
        budgets.get_by_role("button", name="Delete", exact=True).click()
        expect(page.get_by_text("No budgets yet")).to_be_visible()
        endpoints.get_by_role("button", name="Delete chat").click()
        endpoints.get_by_role("button", name="Delete", exact=True).click()
        expect(page.get_by_text("No endpoints yet")).to_be_visible()
