"""The snippets that empty pages show are run as they stand, by the clients they are for, and the page turns into the event."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.envs import python_of
from tests.servers import LiveServer


def snippet(page: Page, tab: str) -> str:
    """The text of the snippet on a tab."""
    page.get_by_role("tab", name=tab).click()
    return page.get_by_role("tabpanel").locator("pre").inner_text()


def run(command: list[str], tmp_path: Path, **env: str) -> None:
    """Run a program as a user would."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "LANGFUSE_", "OTEL_", "TWINLENS_"))}
    done = subprocess.run(
        command, cwd=tmp_path, env=kept | env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.peer
@pytest.mark.parametrize("client", ["langfuse3", "langfuse4", "langfuse5"])
def test_langfuse(client: str, start_server: Callable[..., LiveServer], open_page: OpenPage, tmp_path: Path) -> None:
    server = start_server()
    page = open_page(f"{server.url}/project/default/traces")
    code = snippet(page, "Langfuse")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    run([python_of(client), "-c", code], tmp_path)
    expect(page.get_by_role("link", name="first call").first).to_be_visible(timeout=10_000)
    with server.client() as http:
        [trace] = http.get("/api/twinlens/v1/projects/default/traces").json()["traces"]
    assert trace["total_tokens"] == 5
    assert trace["total_cost"] > 0
    assert trace["scores"][0]["value"] == 0.9


@pytest.mark.peer
def test_mlflow(start_server: Callable[..., LiveServer], open_page: OpenPage, tmp_path: Path) -> None:
    server = start_server()
    page = open_page(f"{server.url}/project/default/experiments")
    code = snippet(page, "MLflow")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    run([python_of("mlflow"), "-c", code], tmp_path)
    expect(page.get_by_role("link", name="first steps").or_(page.get_by_text("First run received"))).to_be_visible(
        timeout=10_000
    )


@pytest.mark.peer
def test_registered_model(start_server: Callable[..., LiveServer], open_page: OpenPage, tmp_path: Path) -> None:
    server = start_server()
    page = open_page(f"{server.url}/project/default/models")
    code = page.locator("pre").inner_text()
    run([python_of("mlflow"), "-c", code], tmp_path)
    expect(page.get_by_role("link", name="first-model")).to_be_visible(timeout=10_000)
    expect(page.get_by_text("@champion → 1")).to_be_visible(timeout=10_000)


def test_plain_python(start_server: Callable[..., LiveServer], open_page: OpenPage, tmp_path: Path) -> None:
    server = start_server()
    page = open_page(f"{server.url}/project/default")
    code = snippet(page, "Plain Python")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    run([sys.executable, "-c", code], tmp_path)
    expect(page.get_by_role("link", name="chat gpt-4o").first).to_be_visible(timeout=10_000)


def test_environment_variables(start_server: Callable[..., LiveServer], open_page: OpenPage, tmp_path: Path) -> None:
    """The OpenTelemetry tab is shell: its variables, then any SDK without an address of its own."""
    server = start_server()
    page = open_page(f"{server.url}/project/default")
    exports = snippet(page, "OpenTelemetry")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    program = tmp_path / "program.py"
    program.write_text(
        "from opentelemetry import trace\n"
        "from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.trace.export import SimpleSpanProcessor\n"
        "provider = TracerProvider()\n"
        "provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))\n"
        "trace.set_tracer_provider(provider)\n"
        "with trace.get_tracer('t').start_as_current_span('from the environment'):\n"
        "    pass\n"
    )
    run(["bash", "-ec", f"{exports}\nexec {sys.executable} {program}"], tmp_path)
    expect(page.get_by_role("link", name="from the environment").first).to_be_visible(timeout=10_000)
