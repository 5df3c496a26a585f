"""Datasets in the browser: empty page, items, editor, files, runs side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.servers import LiveServer
from tests.wire.langfuse.clients import api

PROJECT = "/project/default"
NATIVE = "/api/twinlens/v1/projects/default/datasets"


@pytest.fixture(scope="module")
def raced(live_server: LiveServer) -> dict[str, Any]:
    """A dataset of thirty items with two runs; the second answers every third item worse and one not at all."""
    with live_server.client() as http, api(live_server.url) as langfuse:
        schema = {"type": "object", "required": ["country"]}
        made = http.post(
            NATIVE, json={"name": "capitals", "description": "of countries", "input_schema": schema}
        ).json()
        lines = [
            json.dumps({"id": f"c-{n}", "input": {"country": f"Country {n}"}, "expected_output": f"Capital {n}"})
            for n in range(30)
        ]
        assert http.post(f"{NATIVE}/{made['id']}/import", content="\n".join(lines)).json()["created"] == 30
        for run in ("baseline run", "candidate run"):
            events: list[dict[str, Any]] = []
            for n in range(30 if run == "baseline run" else 29):
                right = run == "baseline run" or n % 3 > 0
                trace, answer = f"{run[:4]}-{n}", f"Capital {n}" if right else "I do not know"
                at = f"2026-11-25T10:00:{n:02}Z"
                events += [
                    {"id": trace, "type": "trace-create", "timestamp": at,
                     "body": {"id": trace, "name": "answer", "timestamp": at, "output": answer}},
                    {"id": trace + "s", "type": "score-create", "timestamp": at,
                     "body": {"traceId": trace, "name": "right", "value": float(right), "dataType": "NUMERIC"}},
                ]  # fmt: skip
            assert langfuse.post("/ingestion", json={"batch": events}).json()["errors"] == []
            for event in events[::2]:
                link = {"runName": run, "datasetItemId": f"c-{event['id'].split('-')[1]}", "traceId": event["id"]}
                assert langfuse.post("/dataset-run-items", json=link).status_code == 200
        runs = {run["name"]: run["id"] for run in http.get(f"{NATIVE}/{made['id']}/runs").json()["runs"]}
    return {"id": made["id"], "url": live_server.url + PROJECT, "runs": runs}


def test_an_empty_project_says_how_to_begin(live_server: LiveServer, open_page: OpenPage) -> None:
    with live_server.client() as http:
        http.post("/api/twinlens/v1/projects", json={"name": "bare", "id": "bare"})
    page = open_page(f"{live_server.url}/project/bare/datasets")
    expect(page.get_by_role("heading", name="Make your first dataset")).to_be_visible()
    expect(page.get_by_text("create_dataset_item")).to_be_visible()


def test_items_are_edited_and_the_schema_speaks(raced: dict[str, Any], open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page(f"{raced['url']}/datasets", allow=("400",))
    page.get_by_role("link", name="capitals").click()
    expect(page.get_by_text("30 items")).to_be_visible()
    page.get_by_role("button", name="New item").click()
    editor = page.get_by_role("complementary", name="New item")
    editor.get_by_label("Input").fill('{"city": "Rome"}')
    editor.get_by_role("button", name="Save").click()
    expect(editor.get_by_role("alert")).to_contain_text("'country' is a required property")
    editor.get_by_label("Input").fill('{"country": "Italy"}')
    editor.get_by_label("Expected output").fill("Rome")
    editor.get_by_role("button", name="Save").click()
    expect(page.get_by_text("31 items")).to_be_visible()
    page.get_by_role("row").filter(has_text="Italy").click()
    editor = page.get_by_role("complementary")
    editor.get_by_label("Expected output").fill("Roma")
    editor.get_by_role("button", name="Save").click()
    expect(editor.get_by_role("region", name="History").get_by_role("listitem")).to_have_count(2)
    expect(page.get_by_role("row").filter(has_text="Roma")).to_be_visible()
    page.get_by_role("combobox", name="Version").select_option(index=2)
    expect(page.get_by_role("row").filter(has_text="Rome")).to_be_visible()
    page.get_by_role("combobox", name="Version").select_option(index=0)

    file = tmp_path / "more.csv"
    file.write_text('input,expected_output\n"{""country"": ""Peru""}",Lima\nno object,x\n')
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text("1 created, 0 updated, 1 refused")).to_be_visible()
    expect(page.get_by_text("Row 2:")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="JSONL").click()
    rows = [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]
    assert {"country": "Peru"} in [row["input"] for row in rows]


def test_runs_are_compared_and_regressions_found(raced: dict[str, Any], open_page: OpenPage) -> None:
    page = open_page(f"{raced['url']}/datasets/{raced['id']}?tab=runs", width=1920, height=1080)
    for name in ("baseline run", "candidate run"):
        page.get_by_role("row").filter(has_text=name).get_by_role("checkbox").check()
    page.get_by_role("button", name="Compare 2 runs").click()
    table = page.get_by_role("table", name="Runs item by item")
    expect(table.get_by_role("columnheader").filter(has_text="baseline run")).to_contain_text("baseline")
    expect(page.get_by_text("30 of 30 items")).to_be_visible()
    expect(table.get_by_role("columnheader").filter(has_text="candidate run")).to_contain_text("▼")
    page.get_by_role("radio", name="Regressions").click()
    expect(page.get_by_text("10 of 30 items")).to_be_visible()
    expect(table.get_by_text("I do not know").first).to_be_visible()
    page.get_by_role("radio", name="All").click()
    page.get_by_label("Filter items").fill("Country 29")
    page.keyboard.press("Enter")
    expect(table.get_by_text("not in this run")).to_be_visible()
    page.get_by_role("button", name="Clear the filter").click()
    table.focus()
    page.keyboard.press("j")
    expect(table.locator("[data-cursor=true]")).to_contain_text("Country 0")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{raced['url']}/traces/base-0")


def test_links_that_sdks_print(raced: dict[str, Any], open_page: OpenPage) -> None:
    run = raced["runs"]["candidate run"]
    page = open_page(f"{raced['url']}/experiments/results?baseline={run}", theme="dark")
    expect(page).to_have_url(f"{raced['url']}/datasets/{raced['id']}/runs/{run}")
    expect(page.get_by_role("heading", name="candidate run")).to_be_visible()
    page.get_by_role("combobox", name="Compare with another run").select_option(label="baseline run")
    expect(page.get_by_role("heading", name="candidate run and 1 more")).to_be_visible()
    page.get_by_role("button", name="Remove baseline run").click()
    expect(page.get_by_role("heading", name="candidate run", exact=True)).to_be_visible()


def test_evaluators_say_why_they_do_not_run(
    raced: dict[str, Any], live_server: LiveServer, open_page: OpenPage
) -> None:
    page = open_page(f"{raced['url']}/evaluators")
    expect(page.get_by_role("heading", name="Let a model judge what arrives")).to_be_visible()
    with api(live_server.url) as http:
        code = {"name": "length", "type": "code", "sourceCode": "def evaluate(): ...", "sourceCodeLanguage": "PYTHON"}
        assert http.post("/v2/evaluators", json=code).status_code == 200
        judge = {"name": "helpful", "prompt": "Rate {{output}}", "outputDefinition": {"dataType": "BOOLEAN"}}
        made = http.post("/v2/evaluators", json=judge).json()
        rule = {
            "name": "everything",
            "enabled": True,
            "sampling": 1,
            "evaluatorAssignments": [{"evaluatorId": made["id"]}],
        }
        assert http.post("/v2/evaluation-rules", json=rule).status_code == 200
    page.reload()
    page.get_by_role("row").filter(has_text="length").click()
    expect(page.get_by_role("alert")).to_contain_text("does not execute code on the server")
    row = page.get_by_role("row").filter(has_text="helpful")
    expect(row).to_contain_text("everything 100%")
    row.click()
    expect(page.get_by_role("complementary", name="Evaluator helpful")).to_contain_text("Rate {{output}}")
