"""Settings: rename, make and revoke a key, add a user and change roles, read what was done in the audit log."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.servers import LiveServer
from tests.webhook_receiver import Receiver

SHOTS = os.environ.get("TWINLENS_TEST_SHOTS")


@pytest.fixture(scope="module")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One whose webhooks may call this machine."""
    with LiveServer(tmp_path_factory.mktemp("data"), env={"TWINLENS_WEBHOOK_ADDRESSES": "any"}) as server:
        yield server


def test_settings(live_server: LiveServer, open_page: OpenPage) -> None:
    page = open_page(f"{live_server.url}/project/default", allow=("Leave without saving", "400", "409"))
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press(",")
    expect(page).to_have_url(re.compile("/settings$"))
    page.get_by_label("Name", exact=True).fill("Renamed")
    page.get_by_label("Retention in days").fill("30")
    page.get_by_role("link", name="Traces").click()  # asks; the answer is no
    expect(page.get_by_label("Retention in days")).to_have_value("30")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="Project Renamed. Switch project")).to_be_visible()

    page.get_by_role("radio", name="General").press("ArrowRight")
    expect(page).to_have_url(re.compile("tab=keys"))
    expect(page.get_by_text("No keys yet")).to_be_visible()
    page.get_by_label("May").select_option("read-only")
    page.get_by_label("Note").fill("dashboard")
    page.get_by_role("button", name="Create key").click()
    made = page.get_by_label("The new key")
    expect(made).to_contain_text("LANGFUSE_SECRET_KEY=sk-lf-")
    row = page.get_by_label("API keys").get_by_role("row").filter(has_text="dashboard")
    expect(row).to_contain_text("Read only")
    page.reload()
    expect(row).to_be_visible()
    expect(page.get_by_text("LANGFUSE_SECRET_KEY=sk-lf-")).to_have_count(0)  # shown once
    row.get_by_role("button", name=re.compile("^Revoke pk-lf-")).click()
    row.get_by_role("button", name="Revoke", exact=True).click()  # asks once
    expect(page.get_by_text("No keys yet")).to_be_visible()

    page.get_by_role("radio", name="Webhooks").click()
    expect(page.get_by_text("No webhooks yet")).to_be_visible()
    form = page.get_by_role("form", name="New webhook")
    form.get_by_label("Name").fill("ci")
    form.get_by_label("prompt_version.created").check()
    with Receiver([500]) as receiver:
        form.get_by_label("Address").fill(receiver.url)
        form.get_by_label("Secret").fill("shared")
        form.get_by_role("button", name="Add webhook").click()
        hooks = page.get_by_label("Webhooks", exact=True)
        expect(hooks.get_by_role("row").nth(1)).to_contain_text("Active")
        hooks.get_by_role("button", name="Test ci").click()
        expect(page.get_by_text("ci answered 500: told to")).to_be_visible()
        with live_server.client() as http:
            prompt = {"name": "greet", "type": "text", "prompt": "Hi"}
            http.post("/api/public/v2/prompts", json=prompt, auth=("pk", "sk")).raise_for_status()
        receiver.wait(lambda seen: len(seen) == 2)
        hooks.get_by_role("button", name="Deliveries of ci").click()
        sent = page.get_by_label("Deliveries", exact=True).get_by_role("row").nth(1)
        expect(sent).to_contain_text("prompt_version.created")
        expect(sent).to_contain_text("done")
        hooks.get_by_role("button", name="Disable ci").click()
        expect(hooks.get_by_role("row").nth(1)).to_contain_text("Disabled")
        hooks.get_by_role("button", name="Delete ci").click()
        hooks.get_by_role("button", name="Delete", exact=True).click()
        expect(page.get_by_text("No webhooks yet")).to_be_visible()

    page.get_by_role("radio", name="Members").click()
    expect(page.get_by_text("No users yet")).to_be_visible()
    for email, role in (("ann@x.example", "OWNER"), ("bob@x.example", "VIEWER")):
        page.get_by_label("E-mail").fill(email)
        page.get_by_label("Password").fill("long enough")
        page.get_by_role("form", name="New user").get_by_role("combobox").select_option(role)
        page.get_by_role("button", name="Add user").click()
        expect(page.get_by_role("cell", name=email, exact=True)).to_be_visible()
    page.get_by_label("E-mail").fill("bob@x.example")
    page.get_by_label("Password").fill("x" * 2_000)
    page.get_by_role("button", name="Add user").click()
    expect(page.get_by_role("form", name="New user").get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Password")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("E-mail").fill("")
    own = page.get_by_label("Role of bob@x.example in this project")
    with page.expect_response(lambda response: response.request.method in ("PUT", "PATCH", "POST")):
        own.select_option("MEMBER")
    page.reload()
    expect(own).to_have_value("MEMBER")

    page.get_by_role("radio", name="Audit log").click()
    log = page.get_by_label("Audit log", exact=True)
    expect(log.get_by_role("row").nth(1)).to_contain_text("this machine")
    expect(log.get_by_role("row").nth(1)).to_contain_text("role: MEMBER")
    expect(log).to_contain_text("kind: read-only")


@pytest.mark.skipif(not SHOTS, reason="TWINLENS_TEST_SHOTS names the folder for screenshots")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 1920])
def test_screenshots(live_server: LiveServer, open_page: OpenPage, theme: str, width: int) -> None:
    for tab in ("general", "keys", "members", "webhooks", "audit"):
        page = open_page(f"{live_server.url}/project/default/settings?tab={tab}", theme=theme, width=width)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=Path(str(SHOTS)) / f"{tab}-{theme}-{width}.png")
