"""What people do on the pages, and that the server has it afterwards."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Request, expect

from tests.browser.conftest import OpenPage
from tests.browser.events import log_metric, mlflow, put_artifact, send_score, send_trace, start_run
from tests.servers import LiveServer

API = "/api/twinlens/v1/projects/default"


def test_tag_and_delete_selected_traces(live_server: LiveServer, open_page: OpenPage) -> None:
    with live_server.client() as client:
        kept, gone = send_trace(client, "to keep", user="bulk"), send_trace(client, "to go", user="bulk")
        page = open_page(f"{live_server.url}/project/default/traces?q=user:bulk")
        expect(page.locator("[data-row]")).to_have_count(2)
        page.get_by_label("Select all loaded rows").check()
        page.get_by_role("toolbar", name="Selected traces").get_by_role("button", name="Tag").click()
        page.get_by_label("Tags to add").fill("golden, reviewed")
        page.get_by_role("button", name="Remove prod").or_(page.get_by_title("Remove prod")).first.click()
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Tags of 2 traces saved")).to_be_visible()
        expect(page.locator(f"[data-row='{kept}']").get_by_text("golden")).to_be_visible()
        assert client.get(f"{API}/traces/{kept}").json()["trace"]["tags"] == ["golden", "reviewed"]
        page.get_by_label("Select all loaded rows").uncheck()
        page.locator(f"[data-row='{gone}']").get_by_role("checkbox").check()
        delete = page.get_by_role("toolbar", name="Selected traces").get_by_role("button", name=re.compile("^Delete"))
        delete.click()
        expect(delete).to_have_text(re.compile("for good"))
        delete.click()
        expect(page.locator("[data-row]")).to_have_count(1)
        assert client.get(f"{API}/traces/{gone}").status_code == 404


def test_edit_and_delete_a_score(live_server: LiveServer, open_page: OpenPage) -> None:
    with live_server.client() as client:
        trace_id = send_trace(client, "scored")
        send_score(client, trace_id, "quality", 0.5)
        page = open_page(f"{live_server.url}/project/default/traces/{trace_id}?span=trace&tab=scores")
        page.get_by_role("button", name="Edit quality").click()
        page.get_by_label("Value").fill("0.8")
        page.get_by_label("Comment").fill("better")
        with page.expect_response(lambda response: response.request.method != "GET"):
            page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("better")).to_be_visible()
        [score] = client.get(f"{API}/traces/{trace_id}").json()["scores"]
        assert (score["value"], score["comment"]) == (0.8, "better")
        page.get_by_role("button", name="Delete quality").click()
        expect(page.get_by_text("No scores yet")).to_be_visible()
        assert client.get(f"{API}/traces/{trace_id}").json()["scores"] == []


def test_bookmark_and_delete_a_trace(live_server: LiveServer, open_page: OpenPage) -> None:
    with live_server.client() as client:
        trace_id = send_trace(client, "marked")
        page = open_page(f"{live_server.url}/project/default/traces/{trace_id}")
        page.get_by_role("button", name="Bookmark").click()
        expect(page.get_by_role("button", name="Remove the bookmark")).to_be_visible()
        assert client.get(f"{API}/traces/{trace_id}").json()["trace"]["bookmarked"] is True
        page.get_by_role("button", name="Delete the trace").click()
        page.get_by_role("button", name="Delete for good").click()
        expect(page).to_have_url(re.compile("/traces$"))
        assert client.get(f"{API}/traces/{trace_id}").status_code == 404


def test_usage_tooltip_names_classes_and_sources(live_server: LiveServer, open_page: OpenPage) -> None:
    with live_server.client() as client:
        trace_id = send_trace(client, "priced")
    page = open_page(f"{live_server.url}/project/default/traces/{trace_id}")
    page.get_by_role("button", name=re.compile("tokens")).first.hover()
    tip = page.get_by_role("tooltip")
    for text in ("Input", "120", "Output", "34", "154", "reported by the client", "Cost computed"):
        expect(tip).to_contain_text(text)


@pytest.mark.parametrize(("typed", "kept"), [("25m", "25m"), ("last 2 hours", "2h"), ("3 days", "3d")])
def test_time_range_is_typed(typed: str, kept: str, live_server: LiveServer, open_page: OpenPage) -> None:
    page = open_page(f"{live_server.url}/project/default")
    page.get_by_role("button", name="Last 24 hours").click()
    page.get_by_placeholder(re.compile("25m")).fill(typed)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"range={kept}$"))
    expect(page.get_by_role("button", name=f"Last {kept}")).to_be_visible()


def test_run_page(live_server: LiveServer, open_page: OpenPage) -> None:
    with live_server.client() as client:
        experiment_id, run_id = start_run(client, "actions", "worked on", lr="0.1")
        metrics = [
            {"key": "loss", "value": 1 / (step + 1), "timestamp": 1_700_000_000_000 + step * 1_000, "step": step}
            for step in range(900)
        ]
        mlflow(client, "runs/log-batch", run_id=run_id, metrics=metrics)
        put_artifact(client, run_id, "deep/er/notes.txt", b"found")
        page = open_page(f"{live_server.url}/project/default/experiments/{experiment_id}/runs/{run_id}")
        chart = page.locator("[data-metric='loss']")
        expect(chart.locator("canvas")).to_be_visible()

        # zoom: dragging asks for finer buckets of that part only
        wanted: list[str] = []

        def note(request: Request) -> None:
            if "/metrics/buckets" in request.url:
                wanted.append(request.url)

        page.on("request", note)
        box = chart.locator(".u-over").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60, steps=5)
        page.mouse.up()
        out = chart.get_by_role("button", name="Zoom out")
        expect(out).to_be_visible()
        lower, upper = (int(re.findall(rf"{name}=(\d+)", wanted[-1])[0]) for name in ("lower", "upper"))
        assert 200 < lower < 250 < 440 < upper < 470
        out.click()
        expect(out).to_have_count(0)

        # the view is part of the address
        page.get_by_label("Log scale").check()
        page.get_by_role("radio", name="Relative").click()
        page.get_by_label("Smoothing").fill("0.6")
        for part in ("log=1", "x=relative", "smooth=0.6"):
            expect(page).to_have_url(re.compile(re.escape(part)))
        chart.get_by_role("button", name="Pin to the top").click()
        expect(page.get_by_role("heading", name="Pinned")).to_be_visible()

        # notes and tags
        page.get_by_role("button", name="Edit the notes").click()
        page.get_by_label("Notes, in Markdown").fill("It **works**.")
        page.get_by_role("button", name="Save").click()
        expect(page.locator("strong", has_text="works")).to_be_visible()
        page.get_by_label("Key of a new tag").fill("team")
        page.get_by_label("Value of a new tag").fill("search")
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Remove team")).to_be_visible()
        tags = client.get(f"{API}/runs/{run_id}").json()["run"]["tags"]
        assert (tags["mlflow.note.content"], tags["team"]) == ("It **works**.", "search")

        # artifacts, folder by folder
        page.get_by_role("tab", name="Artifacts").click()
        page.get_by_role("treeitem", name="deep").click()
        page.get_by_role("treeitem", name="er").click()
        page.get_by_role("treeitem", name=re.compile("notes.txt")).click()
        expect(page.get_by_text("found")).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").click()
        assert download.value.suggested_filename == "notes.txt"


def test_compare_runs(live_server: LiveServer, open_page: OpenPage) -> None:
    with live_server.client() as client:
        for n, lr in enumerate(("0.1", "0.2", "0.3")):
            experiment_id, run_id = start_run(client, "comparison", f"run {n}", lr=lr, same="yes")
            for step in range(3):
                log_metric(client, run_id, "loss", (n + 1) / (step + 1), step)
        page = open_page(f"{live_server.url}/project/default/experiments/{experiment_id}")
        for n in (0, 2):
            page.get_by_role("row", name=re.compile(f"run {n}")).get_by_role("checkbox").check()
        page.get_by_role("link", name="Compare").click()
        expect(page.locator("[data-metric='loss'] canvas")).to_be_visible()
        expect(page.locator("[data-metric='loss']")).to_have_attribute("data-count", "6")
        page.get_by_role("tab", name="Params & metrics").click()
        expect(page.get_by_role("rowheader", name="same")).to_be_visible()
        page.get_by_label("Only what differs").check()
        expect(page.get_by_role("rowheader", name="same")).to_have_count(0)
        expect(page.get_by_role("rowheader", name="lr")).to_be_visible()
        page.get_by_role("tab", name="Parallel coordinates").click()
        expect(page.get_by_role("img", name=re.compile("Parallel coordinates of 2 runs"))).to_be_visible()


def test_delete_and_restore_runs(live_server: LiveServer, open_page: OpenPage) -> None:
    with live_server.client() as client:
        experiment_id, run_id = start_run(client, "bin", "thrown away")
        start_run(client, "bin", "stays")
    page = open_page(f"{live_server.url}/project/default/experiments/{experiment_id}")
    page.locator(f"[data-row='{run_id}']").get_by_role("checkbox").check()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("link", name="thrown away")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("link", name="thrown away")).to_be_visible()


def test_nested_runs_fold(live_server: LiveServer, open_page: OpenPage) -> None:
    with live_server.client() as client:
        experiment_id, parent = start_run(client, "nested", "sweep")
        _, child = start_run(client, "nested", "trial 1")
        mlflow(client, "runs/set-tag", run_id=child, key="mlflow.parentRunId", value=parent)
    page = open_page(f"{live_server.url}/project/default/experiments/{experiment_id}")
    rows = page.locator("[data-row]")
    expect(rows.nth(0)).to_contain_text("sweep")
    expect(rows.nth(1)).to_contain_text("trial 1")
    page.get_by_role("button", name="Hide the child runs").click()
    expect(rows).to_have_count(1)


def test_snippet_is_copied(live_server: LiveServer, open_page: OpenPage) -> None:
    page = open_page(f"{live_server.url}/project/default/models")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the snippet").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert live_server.url in page.evaluate("navigator.clipboard.readText()")


def test_issues_from_the_list_and_from_a_trace(live_server: LiveServer, open_page: OpenPage) -> None:
    with live_server.client() as client:
        first, second = (send_trace(client, f"odd {n}", user="odd") for n in range(2))
        page = open_page(f"{live_server.url}/project/default/issues")
        expect(page.get_by_role("heading", name="Collect what goes wrong")).to_be_visible()
        page.goto(f"{live_server.url}/project/default/traces?q=user:odd")
        page.locator(f"[data-row='{first}']").get_by_role("checkbox").check()
        page.get_by_role("toolbar", name="Selected traces").get_by_role("button", name="Add to issue").click()
        page.get_by_label("Name of the new issue").fill("Wrong language")
        page.get_by_role("dialog").get_by_role("button", name="Add").click()
        expect(page.get_by_text("Wrong language: 1 trace")).to_be_visible()
        expect(page.locator(f"[data-row='{first}']").get_by_title("Issue: Wrong language")).to_be_visible()
        page.goto(f"{live_server.url}/project/default/traces/{second}")
        expect(page.get_by_role("heading", level=1)).to_contain_text("odd 1")
        page.keyboard.press("i")
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_label("Issue", exact=True)).to_have_value(re.compile("^iss-"))
        dialog.get_by_role("button", name="Add").click()
        page.get_by_role("link", name="issue Wrong language").click()
        expect(page.get_by_role("heading", name="2 traces show it")).to_be_visible()
        expect(page.get_by_role("link", name=re.compile("^odd"))).to_have_count(2)
        page.keyboard.press("e")
        page.get_by_label("Root causes").fill("No rule in the prompt")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("listitem").filter(has_text="No rule in the prompt")).to_be_visible()
        page.keyboard.press("2")
        expect(page.get_by_role("radio", name="Resolved")).to_be_checked()
        [issue] = client.get(f"{API}/issues").json()["issues"]
        assert (issue["status"], issue["trace_count"], issue["severity"]) == ("resolved", 2, "medium")


def test_skills_and_mcp_servers_are_kept_by_hand(live_server: LiveServer, open_page: OpenPage) -> None:
    page = open_page(f"{live_server.url}/project/default/skills", allow=("400",))
    expect(page.get_by_role("heading", name="Keep the skills of your agents")).to_be_visible()
    page.get_by_role("button", name="New skill").click()
    text = page.get_by_role("dialog").get_by_label("SKILL.md")
    text.fill("no front matter")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("alert")).to_contain_text("must begin with front matter")
    text.fill("---\nname: report\ndescription: Writes one.\n---\n# Write\n\nBe **brief**.")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("region", name="Version 1").get_by_text("brief")).to_be_visible()
    page.keyboard.press("e")
    text.fill("---\nname: report\ndescription: Writes one.\n---\n# Write\n\nBe long.")
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_role("region", name="Version 2").get_by_text("Be long.")).to_be_visible()
    page.get_by_role("button", name="Labels").click()
    page.get_by_role("dialog").get_by_label("Labels").fill("production")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("list", name="Versions").get_by_text("production")).to_be_visible()

    page.goto(f"{live_server.url}/project/default/mcp-servers")
    page.get_by_role("button", name="Register").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Tools").fill("{")
    expect(form.get_by_role("button", name="Register")).to_be_disabled()
    form.get_by_label("Tools").fill(
        '[{"name": "forecast", "inputSchema": {"properties": {"place": {"type": "string"}}}}]'
    )
    form.get_by_role("button", name="Register").click()
    expect(page.get_by_role("table", name="Parameters of forecast")).to_contain_text("place")
    page.get_by_role("button", name="Activate").click()
    expect(page.get_by_role("button", name="Deprecate")).to_be_visible()
    page.get_by_role("radio", name="Connect").click()
    page.get_by_role("button", name="New endpoint").click()
    form.get_by_label("Address").fill("https://weather.example.com/mcp")
    form.get_by_role("button", name="Add").click()
    expect(page.get_by_role("table", name="Endpoints")).to_contain_text("@latest → 1.0.0")
