"""Prompts in the browser: folders, versions, labels, comparison, usage, and writing a version."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.servers import LiveServer

API = "/api/twinlens/v1/projects/default/prompts"


@pytest.fixture(scope="module")
def prompts(live_server: LiveServer) -> str:
    """Two folders with prompts, one of them used; the address of the pages."""
    with live_server.client() as client:
        bodies = [
            {"name": "support/greet", "template": "Hello {{name}}.\nBe brief.", "labels": ["production"],
             "commit_message": "First", "tags": ["team-a"]},
            {"name": "support/greet", "template": "Hi {{name}}.\nBe brief.\n@@@langfusePrompt:name=parts/tone|label=latest@@@",
             "config": {"temperature": 0.2}, "commit_message": "Friendlier"},
            {"name": "support/chat", "template": [{"role": "system", "content": "You are {{tone}}."},
                                                  {"type": "placeholder", "name": "history"}]},
        ]  # fmt: skip
        client.post(API, json={"name": "parts/tone", "template": "Stay calm."}).raise_for_status()
        for body in bodies:
            client.post(API, json=body).raise_for_status()
        start = datetime.now(UTC) - timedelta(minutes=5)
        rows = [
            {"id": f"e{n}", "timestamp": start.isoformat(), "type": "generation-create", "body": {
                "traceId": f"used-{n}", "model": "gpt-4o", "promptName": "support/greet", "promptVersion": 1 + n % 2,
                "startTime": start.isoformat(), "endTime": (start + timedelta(seconds=2)).isoformat(),
                "usageDetails": {"input": 100, "output": 50}}}
            for n in range(3)
        ]  # fmt: skip
        rows.append({"id": "s", "timestamp": start.isoformat(), "type": "score-create",
                     "body": {"traceId": "used-0", "name": "helpful", "value": 0.75}})  # fmt: skip
        sent = httpx.post(live_server.url + "/api/public/ingestion", json={"batch": rows}, auth=("pk", "sk"))
        assert not sent.json()["errors"]
    return f"{live_server.url}/project/default/prompts"


def test_folders_lead_to_a_prompt_and_the_keyboard_through_its_versions(prompts: str, open_page: OpenPage) -> None:
    page = open_page(prompts)
    rows = page.locator("[data-row]")
    expect(rows).to_have_count(2)
    expect(page.locator("[data-row='support/']").get_by_text("2 prompts")).to_be_visible()
    page.get_by_role("link", name="support").click()
    expect(page).to_have_url(re.compile(r"folder=support"))
    expect(rows).to_have_count(2)
    expect(page.locator("[data-row='support/greet']").get_by_text("production → 1")).to_be_visible()
    page.get_by_role("link", name="greet").click()
    expect(page.get_by_role("region", name="Version 2").get_by_text("Hi").first).to_be_visible()
    expect(page.get_by_text("Stay calm.")).to_be_visible()
    page.keyboard.press("j")
    expect(page.get_by_role("region", name="Version 1")).to_be_visible()
    page.keyboard.press("2")
    page.keyboard.press("k")
    changes = page.get_by_label("Changes of the prompt")
    expect(changes.locator("[data-kind=removed]")).to_contain_text("Hello {{name}}.")
    expect(changes.locator("[data-kind=added]").first).to_contain_text("Hi {{name}}.")
    expect(page.get_by_label("Changes of the config").locator("[data-kind=added]").first).to_be_visible()
    page.keyboard.press("3")
    row = page.get_by_role("row", name=re.compile("^Version 1"))
    expect(row).to_contain_text("$0.0015")
    expect(row).to_contain_text("0.75")
    page.keyboard.press("4")
    expect(page.get_by_text('load_prompt("prompts:/support/greet/2")')).to_be_visible()


def test_a_label_moves_and_clients_see_it_at_once(prompts: str, open_page: OpenPage, live_server: LiveServer) -> None:
    read = live_server.url + "/api/public/v2/prompts/support%2Fgreet"
    assert httpx.get(read, auth=("pk", "sk")).json()["version"] == 1
    page = open_page(f"{prompts}/support%2Fgreet")
    expect(page.get_by_role("region", name="Version 2")).to_be_visible()
    page.keyboard.press("l")
    page.get_by_label("production").check()
    expect(page.get_by_text("moves from version 1")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Labels of version 2 saved")).to_be_visible()
    expect(page.get_by_label("Versions").get_by_role("button").first).to_contain_text("production")
    assert httpx.get(read, auth=("pk", "sk")).json()["version"] == 2


def test_write_a_version_with_a_preview(prompts: str, open_page: OpenPage, live_server: LiveServer) -> None:
    page = open_page(f"{prompts}/support%2Fchat", theme="dark")
    expect(page.get_by_role("region", name="Version 1")).to_be_visible()
    page.keyboard.press("n")
    page.get_by_label("Message 1", exact=True).fill("You are {{tone}} and {{mood}}.")
    preview = page.get_by_label("Preview")
    preview.get_by_label("mood").fill("happy")
    expect(preview.get_by_text("and happy.")).to_be_visible()
    page.get_by_label("Labels").fill("staging")
    page.get_by_label("Commit message").fill("Mood")
    page.get_by_label("Config (JSON)").fill("{")
    expect(page.get_by_role("button", name="Save version")).to_be_disabled()
    page.get_by_label("Config (JSON)").fill('{"temperature": 1}')
    page.get_by_role("button", name="Save version").click()
    expect(page.get_by_role("region", name="Version 2")).to_be_visible()
    read = live_server.url + "/api/public/v2/prompts/support%2Fchat?label=staging"
    found = httpx.get(read, auth=("pk", "sk")).json()
    assert found["prompt"][0]["content"] == "You are {{tone}} and {{mood}}."
    assert (found["config"], found["commitMessage"]) == ({"temperature": 1}, "Mood")


def test_protected_labels_show_a_lock_and_versions_can_be_deleted(
    prompts: str, open_page: OpenPage, live_server: LiveServer
) -> None:
    with live_server.client() as client:
        for text in ("one", "two", "three"):
            client.post(API, json={"name": "doomed", "template": text, "labels": ["canary"]}).raise_for_status()
    page = open_page(f"{prompts.removesuffix('/prompts')}/settings?tab=labels")
    expect(page.get_by_text("No protected labels")).to_be_visible()
    page.get_by_label("Label", exact=True).fill("canary")
    page.get_by_role("button", name="Protect", exact=True).click()
    expect(
        page.get_by_role("table", name="Protected labels").get_by_role("cell", name="canary", exact=True)
    ).to_be_visible()
    page.goto(f"{prompts}/doomed")
    versions = page.get_by_label("Versions").get_by_role("button")
    expect(versions.first.get_by_label("protected")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete version").click()
    expect(versions).to_have_count(2)
    page.get_by_role("button", name="Delete").click()
    page.get_by_label("The prompt, all 2 versions").check()
    page.get_by_role("button", name="Delete prompt").click()
    expect(page).to_have_url(re.compile(r"/prompts$"))
    expect(page.locator("[data-row='doomed']")).to_have_count(0)


def test_a_rule_that_is_broken_is_said(prompts: str, open_page: OpenPage) -> None:
    page = open_page(f"{prompts}/new", allow=("400",))
    page.get_by_label("Name").fill("bad|name")
    page.get_by_label("Prompt", exact=True).get_by_role("textbox").nth(1).fill("x")
    page.get_by_role("button", name="Save version").click()
    expect(page.get_by_text(re.compile(r"\|"))).to_be_visible()


def test_nothing_yet_shows_how(start_server: object, open_page: OpenPage) -> None:
    server = start_server()  # type: ignore[operator]
    page = open_page(f"{server.url}/project/default/prompts")
    expect(page.get_by_text("Write your first prompt")).to_be_visible()
    expect(page.get_by_text(server.url)).to_be_visible()
