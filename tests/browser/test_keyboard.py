"""The keyboard reaches everything; Escape closes the innermost thing only."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.events import send_trace, start_run
from tests.servers import LiveServer


@pytest.fixture(scope="module")
def traces(live_server: LiveServer) -> Iterator[list[str]]:
    with live_server.client() as client:
        start_run(client, "churn", "bold-lynx")
        yield [send_trace(client, f"trace {n}", user="ann" if n % 2 else "bob") for n in range(8)]


@pytest.fixture
def page(live_server: LiveServer, traces: list[str], open_page: OpenPage) -> Page:
    found = open_page(f"{live_server.url}/project/default/traces")
    expect(found.get_by_role("link", name="trace 7")).to_be_visible()
    return found


def test_rows(page: Page, traces: list[str]) -> None:
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("[data-cursor='true']")).to_contain_text("trace 6")
    page.keyboard.press("x")
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Shift+x")
    expect(page.get_by_text("3 selected")).to_be_visible()
    assert len(re.findall(r"[0-9a-f]{32}", page.url)) == 3, "the selection is part of the address"
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary", name="Trace trace 4")).to_be_visible()
    page.keyboard.press("k")
    expect(page.get_by_role("complementary", name="Trace trace 5")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("complementary", name=re.compile("^Trace"))).to_have_count(0)
    expect(page.get_by_text("3 selected")).to_be_visible()


def test_filter_box(page: Page) -> None:
    page.keyboard.press("/")
    box = page.get_by_role("combobox", name="Filter traces")
    expect(box).to_be_focused()
    page.keyboard.type("use")
    page.get_by_role("option", name=re.compile("^user")).wait_for()
    page.keyboard.press("Tab")
    expect(box).to_have_value("user:")
    page.get_by_role("option", name=re.compile("ann")).wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"q=user:(ann|bob)"))
    expect(page.locator("[data-row]")).to_have_count(4)
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(box).not_to_be_focused()
    page.keyboard.press("j")
    expect(page.locator("[data-cursor='true']")).to_have_count(1)


def test_wrong_filter_says_where_and_offers_the_right_word(
    live_server: LiveServer, traces: list[str], open_page: OpenPage
) -> None:
    page = open_page(f"{live_server.url}/project/default/traces", allow=("400",))
    expect(page.get_by_role("link", name="trace 7")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("usr:ann")
    page.keyboard.press("Enter")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("usr")
    alert.get_by_role("button", name=re.compile("Use")).click()
    expect(page).to_have_url(re.compile("q=user:ann"))
    expect(page.locator("[data-row]")).to_have_count(4)


def test_palette_and_cheat_sheet(page: Page) -> None:
    page.keyboard.press("Control+k")
    expect(page.get_by_placeholder(re.compile("Search pages"))).to_be_focused()
    page.keyboard.type("bold-lynx")
    page.get_by_role("option", name=re.compile("bold-lynx")).wait_for()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/runs/[0-9a-f]{32}"))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("g")
    page.keyboard.press("e")
    expect(page).to_have_url(re.compile("/experiments$"))


def test_escape_closes_the_innermost_only(page: Page) -> None:
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    panel = page.get_by_role("complementary", name=re.compile("^Trace"))
    expect(panel).to_be_visible()
    page.get_by_role("button", name=re.compile("^Columns")).click()
    menu = page.get_by_role("group", name="Columns")
    expect(menu).to_be_visible()
    page.keyboard.press("Escape")
    expect(menu).to_have_count(0)
    expect(panel).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Columns"))).to_be_focused()
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)


def test_spans_and_scores(live_server: LiveServer, traces: list[str], open_page: OpenPage) -> None:
    page = open_page(f"{live_server.url}/project/default/traces/{traces[0]}")
    selected = page.locator("[role=treeitem][aria-selected=true]")
    expect(selected).to_contain_text("trace 0")
    page.keyboard.press("ArrowDown")
    expect(selected).to_contain_text("chat gpt-4o")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("treeitem")).to_have_count(1)
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("treeitem")).to_have_count(3)
    page.get_by_role("tab", name=re.compile("^Scores")).click()
    page.keyboard.press("e")
    page.keyboard.type("helpful")
    page.keyboard.press("Tab")
    page.keyboard.type("true")
    page.keyboard.press("Enter")
    expect(page.get_by_text("helpful saved")).to_be_visible()
    expect(page.get_by_role("tabpanel").or_(page.locator("section")).get_by_text("helpful").first).to_be_visible()
    page.keyboard.press("j")
    expect(page.get_by_text("This is the oldest trace")).to_be_visible()
    page.keyboard.press("k")
    expect(page.get_by_role("heading", level=1)).to_contain_text("trace 1")


def test_every_control_has_a_name(page: Page) -> None:
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, a[href], input, select, textarea')]
          .filter((e) => e.offsetParent !== null)
          .filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.title || e.closest('label')?.textContent.trim()))
          .map((e) => e.outerHTML.slice(0, 120))"""
    )
    assert nameless == []
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus must be visible"
