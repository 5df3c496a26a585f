"""Dashboards in the browser: a built-in one is live, a copy is changed: a widget added, moved, filtered, removed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import httpx
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.servers import LiveServer


def send(server: LiveServer, trace: str, model: str, environment: str) -> None:
    """A trace of one call that costs something, a minute ago."""
    start = datetime.now(UTC) - timedelta(minutes=1)
    rows = [{"id": trace, "timestamp": start.isoformat(), "type": "generation-create", "body": {
        "id": f"g-{trace}", "traceId": trace, "name": "answer", "model": model, "environment": environment or None,
        "startTime": start.isoformat(), "endTime": (start + timedelta(seconds=2)).isoformat(),
        "usageDetails": {"input": 1000, "output": 500}}}]  # fmt: skip
    answer = httpx.post(server.url + "/api/public/ingestion", json={"batch": rows}, auth=("pk", "sk"))
    assert not answer.json()["errors"]


def test_a_built_in_dashboard_is_copied_changed_and_live(live_server: LiveServer, open_page: OpenPage) -> None:
    send(live_server, "one", "gpt-4o", "production")
    page = open_page(f"{live_server.url}/project/default")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("b")
    page.get_by_role("link", name="Cost", exact=True).click()
    total = page.get_by_role("region", name="Total cost", exact=True)
    expect(total).to_contain_text("$0.0075")
    expect(page.get_by_role("img", name="Cost by model over time")).to_have_attribute("data-points", re.compile(r"2\d"))
    page.get_by_role("button", name="Copy to change it").click()
    expect(page).to_have_url(re.compile(r"edit=1"))
    expect(page.get_by_role("heading", name="Cost (copy)")).to_be_visible()

    page.get_by_role("button", name="Add widget").click()
    page.get_by_label("Chart").select_option("PIVOT_TABLE")
    page.get_by_label("Dimension").first.select_option("environment")
    preview = page.get_by_role("region", name="Preview")
    expect(preview.get_by_role("cell", name="production")).to_be_visible()
    page.get_by_label("Name", exact=True).last.fill("By environment")
    page.get_by_role("button", name="Add", exact=True).click()
    tiles = page.locator("section[aria-label] > header h2")
    expect(tiles.last).to_have_text("By environment")
    page.get_by_role("button", name="Move By environment forward").click()
    expect(tiles.last).not_to_have_text("By environment")
    page.get_by_role("button", name="Remove Calls").click()
    page.get_by_role("button", name="Remove", exact=True).click()  # asks once
    expect(page.get_by_role("region", name="Calls", exact=True)).to_have_count(0)

    table = page.get_by_role("region", name="By environment")
    send(live_server, "two", "gpt-4o", "staging")
    expect(table.get_by_role("cell", name="staging")).to_be_visible()  # without a reload
    page.get_by_label("Environment", exact=True).select_option("production")
    expect(table.get_by_role("cell", name="staging")).to_have_count(0)
    expect(total).to_contain_text("$0.0075")
    page.reload()
    expect(tiles.last).not_to_have_text("By environment")
    expect(page.get_by_role("region", name="Calls", exact=True)).to_have_count(0)
    expect(page.get_by_label("Environment", exact=True)).to_have_value("production")
    send(live_server, "three", "gpt-4o", "")
    page.get_by_label("Environment", exact=True).select_option("default")
    expect(table.get_by_role("row")).to_have_count(2)
    expect(table.get_by_role("cell", name="default")).to_be_visible()
    page.get_by_role("button", name="Delete this dashboard").click()
    page.get_by_role("button", name="Delete it and its widgets for good").click()
    expect(page.get_by_role("heading", name="Dashboards", level=1)).to_be_visible()
    widgets = httpx.get(live_server.url + "/api/public/unstable/dashboard-widgets", auth=("pk", "sk"))
    assert widgets.json()["data"] == []
