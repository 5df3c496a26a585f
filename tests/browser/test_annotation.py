"""People judge traces: queue, questions, keyboard, agreement, comments, bulk actions."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.events import send_trace
from tests.servers import LiveServer

API = "/api/twinlens/v1/projects/default"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "feedback.md"


def make_queue(client: httpx.Client, name: str, traces: list[str], **more: object) -> str:
    def post(path: str, **body: object) -> dict[str, str]:
        answer = client.post(API + path, json=body)
        answer.raise_for_status()
        return answer.json()

    categories = [{"label": label, "value": n} for n, label in enumerate(("bad", "fair", "good"))]
    configs = [
        post(
            "/score-configs", name="tone", data_type="CATEGORICAL", categories=categories, description="How it sounds."
        ),
        post("/score-configs", name="helpful", data_type="BOOLEAN"),
        post("/score-configs", name="stars", data_type="NUMERIC", min_value=1, max_value=5),
    ]
    made = post("/queues", name=name, config_ids=[c["config_id"] for c in configs], **more)["queue_id"]
    post(f"/queues/{made}/items", objects=[{"type": "TRACE", "id": trace} for trace in traces])
    return made


def test_create_a_queue_and_fill_it_from_the_list(live_server: LiveServer, open_page: OpenPage) -> None:
    with live_server.client() as client:
        filled = [send_trace(client, f"fill {n}", user="filler") for n in range(2)]
        page = open_page(f"{live_server.url}/project/default/annotation")
        page.get_by_role("button", name="Create a queue").click()
        page.get_by_label("Name of the queue").fill("First look")
        page.get_by_role("button", name="New score config").click()
        page.get_by_label("Name of the score config").fill("verdict")
        page.get_by_label("Categories").fill("right, wrong")
        page.get_by_role("dialog", name="New score config").get_by_role("button", name="Create").click()
        expect(page.get_by_role("checkbox", name=re.compile("verdict"))).to_be_checked()
        page.get_by_placeholder("anybody").fill("ann, bob")
        page.get_by_role("dialog", name="New annotation queue").get_by_role("button", name="Create").click()
        expect(page.get_by_role("link", name="First look")).to_be_visible()
        page.goto(f"{live_server.url}/project/default/traces?q=user:filler")
        page.get_by_label("Select all loaded rows").check()
        bar = page.get_by_role("toolbar", name="Selected traces")
        bar.get_by_role("button", name="Add to queue").click()
        page.get_by_role("button", name=re.compile("First look")).click()
        expect(page.get_by_text("2 items are in First look")).to_be_visible()
        bar.get_by_role("button", name="Score").click()
        page.get_by_label("Name of the score").fill("looked at")
        page.get_by_label("Value").fill("true")
        page.get_by_role("dialog").get_by_role("button", name="Save").click()
        expect(page.get_by_text("2 traces scored")).to_be_visible()
        bar.get_by_role("button", name="Add to dataset").click()
        page.get_by_label("Name of a new dataset").fill("from traces")
        page.get_by_role("button", name="Create and add").click()
        expect(page.get_by_text("2 items added to from traces")).to_be_visible()
        [dataset] = client.get(f"{API}/datasets").json()["datasets"]
        items = client.get(f"{API}/datasets/{dataset['id']}/items").json()["items"]
        assert {item["source_trace_id"] for item in items} == set(filled)
        assert {item["expected_output"] for item in items} == {"It ships **today**."}
        [queue] = [q for q in client.get(f"{API}/queues").json()["queues"] if q["name"] == "First look"]
        assert (queue["pending"], queue["reviewers"], len(queue["config_ids"])) == (2, ["ann", "bob"], 1)
        rows = client.get(f"{API}/traces", params={"filter": "user:filler"}).json()["traces"]
        assert [row["scores"][0]["name"] for row in rows] == ["looked at", "looked at"]


def test_work_a_queue_off_by_keyboard(live_server: LiveServer, open_page: OpenPage) -> None:
    with live_server.client() as client:
        traces = [send_trace(client, f"judged {n}") for n in range(3)]
        queue = make_queue(client, "by keyboard", traces)
        page = open_page(
            f"{live_server.url}/project/default/annotation/{queue}/work",
            init="localStorage.setItem('twinlens.person', '\"ann\"')",
        )
        item = page.get_by_role("heading", level=1)
        expect(page.get_by_text("Whole trace")).to_be_visible()
        tone = page.get_by_role("group", name="tone")

        page.keyboard.press("3")
        expect(tone.get_by_role("button", name="good")).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("n")
        page.keyboard.press("ArrowDown")
        for key in "45":
            page.keyboard.press(key)
        expect(page.get_by_text("At most 5")).to_be_visible()
        page.keyboard.press("Backspace")
        first = item.inner_text()
        page.get_by_role("button", name="Correct the output").click()
        page.get_by_label("Corrected output").fill("It ships tomorrow.")
        page.keyboard.press("Control+Enter")
        expect(item).not_to_have_text(first)
        expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "1")

        expect(page.get_by_text("Whole trace")).to_be_visible()
        second = item.inner_text()
        page.keyboard.press("s")
        expect(item).not_to_have_text(second)
        expect(page.get_by_text("Whole trace")).to_be_visible()
        page.keyboard.press("b")
        expect(tone.get_by_role("button", name="bad")).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("Enter")
        expect(item).to_have_text(second)  # only the skipped one is left
        expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "2")
        page.keyboard.press("d")
        expect(page.get_by_text("Nothing left for you here")).to_be_visible()

        found = client.get(f"{API}/queues/{queue}").json()["queue"]
        assert (found["completed"], found["declined"], found["pending"]) == (2, 1, 0)
        said = {
            (score["name"], score["string_value"] or score["value"], score["source_id"])
            for trace in traces
            for score in client.get(f"{API}/traces/{trace}").json()["scores"]
        }
        assert said == {
            ("tone", "good", "ann"), ("helpful", "False", "ann"), ("stars", 4.0, "ann"),
            ("output", "It ships tomorrow.", "ann"), ("tone", "bad", "ann"),
        }  # fmt: skip


def test_comments_with_the_trace_and_its_spans(live_server: LiveServer, open_page: OpenPage) -> None:
    with live_server.client() as client:
        trace = send_trace(client, "talked about")
        page = open_page(f"{live_server.url}/project/default/traces/{trace}?span=trace&tab=comments")
        expect(page.get_by_text("No comments yet")).to_be_visible()
        page.get_by_label("Comment", exact=True).fill("Look at the **answer**.")
        page.get_by_role("button", name="Comment", exact=True).click()
        expect(page.get_by_role("tab", name="Comments 1")).to_be_visible()
        expect(page.locator("article strong", has_text="answer")).to_be_visible()
        page.get_by_role("button", name="Delete the comment").click()
        expect(page.get_by_text("No comments yet")).to_be_visible()


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1920)])
def test_agreement_is_shown(live_server: LiveServer, open_page: OpenPage, theme: str, width: int) -> None:
    with live_server.client() as client:
        traces = [send_trace(client, f"agreed {n}") for n in range(4)]
        queue = make_queue(client, f"agreement {theme}", traces, reviews_needed=2, description="Two people each.")
        detail = client.get(f"{API}/queues/{queue}").json()
        tone, helpful, stars = (q["config_id"] for q in detail["questions"])
        items = client.get(f"{API}/queues/{queue}/items").json()["items"]
        for reviewer, opinions in {"ann": "good good bad good", "bob": "good bad bad good"}.items():
            for n, (item, opinion) in enumerate(zip(items, opinions.split(), strict=True)):
                answers = [
                    {"config_id": tone, "value": opinion},
                    {"config_id": helpful, "value": opinion == "good"},
                    {"config_id": stars, "value": n + 1},
                ]
                body = {"reviewer": reviewer, "answers": answers}
                client.post(f"{API}/queues/{queue}/items/{item['item_id']}/review", json=body).raise_for_status()
        page = open_page(f"{live_server.url}/project/default/annotation/{queue}", theme=theme, width=width)
        row = page.get_by_role("row", name=re.compile("^tone"))
        expect(row).to_contain_text("75 %")
        expect(row).to_contain_text("κ 0.50")
        expect(page.get_by_role("row", name=re.compile("^stars"))).to_contain_text("r 1.00")
        expect(page.locator("[data-item]")).to_have_count(4)
        expect(page.locator("[data-item]").first).to_contain_text("ann, bob")
        assert _fits(page)


def test_the_snippet_of_the_docs_scores_from_another_origin(
    start_server: Callable[..., LiveServer], open_page: OpenPage, tmp_path: Path
) -> None:
    server = start_server(
        TWINLENS_MODE="secured", LANGFUSE_INIT_PROJECT_ID="shop", LANGFUSE_INIT_PROJECT_PUBLIC_KEY="pk-lf-shop",
        LANGFUSE_INIT_PROJECT_SECRET_KEY="sk-lf-shop",
    )  # fmt: skip
    [snippet] = re.findall(r"```html\n(.*?)```", DOCS.read_text("utf-8"), re.S)
    for blank, value in {"http://localhost:5000": server.url, "pk-lf-…": "pk-lf-shop", '"…"': '"shown"'}.items():
        assert blank in snippet
        snippet = snippet.replace(blank, value)
    (tmp_path / "index.html").write_text(
        f"<!doctype html><meta charset=utf-8><link rel=icon href=data:,>{snippet}", "utf-8"
    )
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        Thread(target=site.serve_forever, daemon=True).start()
        page = open_page(f"http://127.0.0.1:{site.server_port}/", allow=("foreign",))
        page.get_by_role("button", name="👎").click()
        expect(page.get_by_role("button", name="Thank you")).to_be_visible()
        page.get_by_role("button", name="👍").click()
        expect(page.get_by_role("button", name="Thank you")).to_have_count(2)
        site.shutdown()
    with httpx.Client(base_url=server.url, auth=("pk-lf-shop", "sk-lf-shop")) as client:
        [score] = client.get("/api/public/v2/scores").json()["data"]
        assert (score["traceId"], score["name"], score["value"], score["dataType"]) == ("shown", "thumb", 1, "BOOLEAN")


def _fits(page: Page) -> bool:
    """Nothing sticks out sideways."""
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
