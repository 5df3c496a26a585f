"""Data is text: whatever clients send, nothing of it runs, and the page asks nobody else for anything."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.events import log_metric, mlflow, put_artifact, send_score, send_spans, send_trace, span, start_run
from tests.servers import LiveServer

IMAGE = '<img src=x onerror="window.pwned=1">'
SCRIPT = "<script>window.pwned=1</script>"
LINK = "[click](javascript:window.pwned=1) [ok](https://example.org/)"
REMOTE = "https://example.org/pixel.png"
MARKDOWN = f"# {IMAGE}\n\n{SCRIPT}\n\n{LINK}\n\n![remote]({REMOTE})\n\n```html\n{SCRIPT}\n```"


class Hostile:
    """One of everything, named by an attacker."""

    def __init__(self, client: httpx.Client) -> None:
        self.trace = send_trace(
            client, IMAGE, input=MARKDOWN, output=MARKDOWN, user=SCRIPT, session=IMAGE, tags=[SCRIPT, IMAGE],
            attributes={f"evil.{IMAGE}": SCRIPT, "langfuse.trace.metadata.evil": IMAGE},
        )  # fmt: skip
        self.messages = os.urandom(16).hex()
        parts = [
            {"type": "text", "text": MARKDOWN},
            {"type": "image_url", "image_url": {"url": REMOTE}},
            {"type": "image_url", "image_url": {"url": "data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIi8+"}},
            {"type": "image_url", "image_url": {"url": "javascript:window.pwned=1"}},
            {"type": "file", "file": {"filename": IMAGE, "file_data": "data:text/html,<script>1</script>"}},
        ]
        attributes = {
            "openinference.span.kind": "LLM",
            "input.value": json.dumps({"messages": [{"role": IMAGE, "name": SCRIPT, "content": parts}]}),
            "output.value": json.dumps({"role": "assistant", "content": LINK}),
        }
        send_spans(client, [span(self.messages, SCRIPT, attributes=attributes, error=IMAGE)])
        send_score(client, self.trace, "<b>quality</b>", IMAGE, dataType="CATEGORICAL", comment=MARKDOWN)
        self.experiment, self.run = start_run(client, IMAGE, SCRIPT, evil=SCRIPT)
        log_metric(client, self.run, "loss", 0.5, 0)
        log_metric(client, self.run, "loss", 0.4, 1)
        mlflow(client, "runs/set-tag", run_id=self.run, key="mlflow.note.content", value=MARKDOWN)
        mlflow(client, "runs/set-tag", run_id=self.run, key="evil", value=IMAGE)
        put_artifact(client, self.run, "page.html", f"<h1>Report</h1>{SCRIPT}<script>parent.pwned=1</script>".encode())
        put_artifact(
            client,
            self.run,
            "picture.svg",
            b"<svg xmlns='http://www.w3.org/2000/svg'><script>parent.pwned=1</script></svg>",
        )
        put_artifact(client, self.run, "notes.md", MARKDOWN.encode())
        put_artifact(client, self.run, "rows.csv", f"a,b\n{SCRIPT},{IMAGE}\n".encode())
        put_artifact(client, self.run, "model.pkl", b"cos\nsystem\n(S'echo'\ntR.")


@pytest.fixture(scope="module")
def hostile(live_server: LiveServer) -> Iterator[Hostile]:
    with live_server.client() as client:
        yield Hostile(client)


PAGES = [
    "", "/traces", "/traces?peek={T}", "/traces/{T}", "/traces/{T}?tab=attributes", "/traces/{T}?span=trace",
    "/traces/{T}?span=trace&tab=scores", "/traces/{T}?span=trace&tab=attributes", "/traces/{T}?tab=links",
    "/traces/{M}", "/traces/{M}?tab=events", "/sessions", "/experiments", "/experiments/{E}",
    "/experiments/{E}?cols=p:evil,t:evil", "/experiments/{E}/compare?runs={R}&tab=table",
    "/experiments/{E}/compare?runs={R}", "/experiments/{E}/runs/{R}",
    "/experiments/{E}/runs/{R}?tab=artifacts&path=page.html",
    "/experiments/{E}/runs/{R}?tab=artifacts&path=picture.svg",
    "/experiments/{E}/runs/{R}?tab=artifacts&path=notes.md",
    "/experiments/{E}/runs/{R}?tab=artifacts&path=rows.csv",
    "/experiments/{E}/runs/{R}?tab=artifacts&path=model.pkl",
    "/traces?q=%3Cscript%3Ewindow.pwned%3D1%3C%2Fscript%3E",
]  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_nothing_runs(path: str, live_server: LiveServer, hostile: Hostile, open_page: OpenPage) -> None:
    for name, found in {"T": hostile.trace, "M": hostile.messages, "E": hostile.experiment, "R": hostile.run}.items():
        path = path.replace("{" + name + "}", found)
    # A sandboxed frame that refuses scripts says so on the console; that is the point.
    page = open_page(f"{live_server.url}/project/default{path}", allow=("Blocked script execution", "400"))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_load_state("load")
    page.wait_for_timeout(500)  # an injected image would need this long to fail
    assert page.evaluate("window.pwned") is None
    assert page.locator("main script, main img[src=x], main a[href^='javascript:']").count() == 0


def test_links_of_models_are_text_or_safe(live_server: LiveServer, hostile: Hostile, open_page: OpenPage) -> None:
    page = open_page(f"{live_server.url}/project/default/traces/{hostile.trace}")
    link = page.get_by_role("link", name="ok", exact=True).first
    expect(link).to_have_attribute("href", "https://example.org/")
    expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
    expect(page.get_by_text("javascript:window.pwned=1").first).to_be_visible()


def test_framed_report_is_sandboxed(live_server: LiveServer, hostile: Hostile, open_page: OpenPage) -> None:
    page = open_page(
        f"{live_server.url}/project/default/experiments/{hostile.experiment}/runs/{hostile.run}"
        "?tab=artifacts&path=page.html",
        allow=("Blocked script execution", "Blocked a frame with origin"),  # the browser says what it prevented
    )
    frame = page.locator("iframe")
    expect(frame).to_have_attribute("sandbox", "")
    expect(page.frame_locator("iframe").get_by_role("heading", name="Report")).to_be_visible()
    page.get_by_role("button", name="Run its scripts").click()
    expect(frame).to_have_attribute("sandbox", "allow-scripts")
    expect(page.frame_locator("iframe").get_by_role("heading", name="Report")).to_be_visible()
    assert page.evaluate("window.pwned") is None, "the frame reached its parent"
