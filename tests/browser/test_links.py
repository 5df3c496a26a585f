"""Addresses: those that clients print, those that people share, and the back button."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.events import log_metric, send_trace, start_run
from tests.servers import LiveServer


class Things:
    """What the links lead to."""

    def __init__(self, server: LiveServer) -> None:
        with server.client() as client:
            self.trace = send_trace(client, "linked", session="talk/1 ü")
            send_trace(client, "another", user="bob")
            self.experiment, self.run = start_run(client, "linked experiment", "linked run")
            for step in range(3):
                log_metric(client, self.run, "loss", 1.0 - step / 10, step)


@pytest.fixture(scope="module")
def things(live_server: LiveServer) -> Things:
    return Things(live_server)


def heading(page: Page, text: str) -> None:
    """The page's title."""
    expect(page.get_by_role("heading", level=1)).to_contain_text(text)


def test_langfuse_urls(live_server: LiveServer, things: Things, open_page: OpenPage) -> None:
    heading(open_page(f"{live_server.url}/project/default/traces/{things.trace}"), "linked")
    page = open_page(f"{live_server.url}/trace/{things.trace}")
    heading(page, "linked")
    expect(page).to_have_url(re.compile(f"/project/default/traces/{things.trace}$"))
    heading(open_page(f"{live_server.url}/project/default/sessions/talk%2F1%20%C3%BC"), "talk/1 ü")


def test_mlflow_urls(live_server: LiveServer, things: Things, open_page: OpenPage) -> None:
    page = open_page(f"{live_server.url}/#/experiments/{things.experiment}")
    heading(page, "linked experiment")
    expect(page).to_have_url(re.compile(f"/project/default/experiments/{things.experiment}$"))
    page = open_page(f"{live_server.url}/#/experiments/{things.experiment}/runs/{things.run}")
    heading(page, "linked run")
    page = open_page(f"{live_server.url}/#/experiments/0/traces?selectedEvaluationId=tr-{things.trace}")
    heading(page, "linked")


def test_unknown_trace_says_so(live_server: LiveServer, things: Things, open_page: OpenPage) -> None:
    page = open_page(f"{live_server.url}/trace/{'0' * 32}", allow=("404",))
    expect(page.get_by_text("No project has a trace")).to_be_visible()


def test_list_state_is_the_address(live_server: LiveServer, things: Things, open_page: OpenPage) -> None:
    page = open_page(f"{live_server.url}/project/default/traces")
    expect(page.get_by_role("link", name="another")).to_be_visible()
    page.get_by_role("toolbar").get_by_role("button", name="User").click()
    page.get_by_role("group", name="User").get_by_text("bob").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="linked", exact=True)).to_have_count(0)
    page.get_by_role("columnheader", name="Cost").get_by_role("button").click()
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("group", name="Columns").get_by_text("Session").click()
    page.keyboard.press("Escape")
    page.get_by_role("row").nth(1).get_by_text("Where is my order?").click()
    expect(page.get_by_role("complementary", name="Trace another")).to_be_visible()
    for part in ("q=user:bob", "sort=-cost", "cols=", "session", "peek="):
        assert part in page.url
    copy = open_page(page.url)
    expect(copy.get_by_role("complementary", name="Trace another")).to_be_visible()
    expect(copy.get_by_role("columnheader", name="Session")).to_be_visible()
    expect(copy.get_by_role("columnheader", name="Cost")).to_have_attribute("aria-sort", "descending")
    expect(copy.locator("[data-row]")).to_have_count(1)


def test_back_button_leads_to_the_list(live_server: LiveServer, things: Things, open_page: OpenPage) -> None:
    page = open_page(f"{live_server.url}/project/default/traces?q=user:bob")
    page.get_by_role("link", name="another").click()
    heading(page, "another")
    page.go_back()
    expect(page).to_have_url(re.compile(r"q=user:bob"))
    expect(page.locator("[data-row]")).to_have_count(1)


def test_run_table_state_is_the_address(live_server: LiveServer, things: Things, open_page: OpenPage) -> None:
    page = open_page(f"{live_server.url}/project/default/experiments/{things.experiment}", allow=("400",))
    expect(page.get_by_role("link", name="linked run")).to_be_visible()
    page.get_by_role("columnheader", name="loss").get_by_role("button").click()
    expect(page).to_have_url(re.compile("sort=metrics.loss"))
    page.keyboard.press("/")
    page.keyboard.type("metrics.loss < 0.9")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("q=metrics.loss"))
    expect(page.locator("[data-row]")).to_have_count(1)
    page.get_by_role("combobox", name="Filter runs").fill("metrics.loss <")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
