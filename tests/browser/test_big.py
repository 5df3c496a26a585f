"""Sizes that make other tools freeze."""

from __future__ import annotations

import os
import time

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.events import mlflow, send_spans, send_trace, span, start_run
from tests.servers import LiveServer

SPANS = 30_000


def test_trace_of_30000_spans(live_server: LiveServer, open_page: OpenPage) -> None:
    trace_id, root = os.urandom(16).hex(), os.urandom(8).hex()
    ids = [os.urandom(8).hex() for _ in range(SPANS - 1)]
    spans = [span(trace_id, "root", span_id=root, length_ms=30_000)]
    spans += [
        span(
            trace_id, f"step {n}", span_id=one, parent=root if n % 10 == 0 else ids[n - n % 10], start_ms=n, length_ms=5
        )
        for n, one in enumerate(ids)
    ]
    with live_server.client() as client:
        for at in range(0, SPANS, 3_000):
            send_spans(client, spans[at : at + 3_000])
    page = open_page(f"{live_server.url}/project/default/traces/{trace_id}")
    expect(page.get_by_placeholder("Search 30,000 spans")).to_be_visible(timeout=60_000)
    assert page.get_by_role("treeitem").count() < 150, "only rows in sight may exist"
    page.get_by_label("Search in the tree").fill("step 29998")
    found = page.get_by_role("treeitem", name="step 29998")
    expect(found).to_be_visible()
    found.click()
    expect(page.get_by_role("heading", level=2, name="step 29998")).to_be_visible()
    page.get_by_label("Search in the tree").fill("")
    for _ in range(10):
        page.get_by_role("tree").evaluate("(tree) => { tree.scrollTop += 4000 }")
    assert page.get_by_role("treeitem").count() < 150


def test_list_pages_on_scroll(live_server: LiveServer, open_page: OpenPage) -> None:
    with live_server.client() as client:
        for n in range(130):
            send_trace(client, f"row {n:03}")
    page = open_page(f"{live_server.url}/project/default/traces?q=name:row*")
    expect(page.get_by_role("link", name="row 129")).to_be_visible()
    assert page.locator("[data-row]").count() < 80
    table = page.get_by_role("table", name="Traces")
    expect(page.get_by_text("130 traces")).to_be_visible()
    expect(table).to_have_attribute("aria-rowcount", "101")
    table.evaluate("(t) => { t.scrollTop = t.scrollHeight }")
    expect(table).to_have_attribute("aria-rowcount", "131")
    last = page.get_by_role("link", name="row 000")
    for _ in range(100):  # the list may grow after a jump to its end
        table.evaluate("(t) => { t.scrollTop = t.scrollHeight }")
        if last.is_visible():
            break
        page.wait_for_timeout(100)
    expect(last).to_be_visible()


def test_thousands_of_metrics(live_server: LiveServer, open_page: OpenPage) -> None:
    with live_server.client() as client:
        experiment_id, run_id = start_run(client, "wide", "many metrics")
        now = int(time.time() * 1_000)
        metrics = [
            {"key": f"m/{n:04}", "value": n / 7, "timestamp": now, "step": s} for n in range(1_500) for s in (0, 1)
        ]
        for at in range(0, len(metrics), 1_000):
            mlflow(client, "runs/log-batch", run_id=run_id, metrics=metrics[at : at + 1_000])
    page = open_page(f"{live_server.url}/project/default/experiments/{experiment_id}")
    expect(page.get_by_role("link", name="many metrics")).to_be_visible()
    assert page.get_by_role("columnheader").count() < 16
    page.get_by_role("link", name="many metrics").click()
    page.get_by_label("Search metrics").fill("m/1499")
    expect(page.locator("[data-metric='m/1499'] canvas")).to_be_visible()
    assert page.locator("canvas").count() < 30
