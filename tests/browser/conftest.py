"""A real Chromium against the real server. Pages fail their test when the browser console shows an error."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Response, expect, sync_playwright

import twinlens

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WEB = Path(twinlens.__file__).parent / "web"

OpenPage = Callable[..., Page]

expect.set_options(timeout=45_000)  # ends as soon as it holds; three browsers share two cores


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here drives a browser."""
    for item in items:
        if "tests/browser" in item.nodeid:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; every page gets a context of its own."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise RuntimeError("Chromium is missing: apt-get install chromium")
    if not (WEB / "index.html").exists():
        raise RuntimeError("the UI is not built: make ui")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield found
        found.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """``open_page(url, theme="dark", width=1280, allow=("404",))``.

    At the end of the test no page may have logged an error, thrown, answered with a dialog or asked another host for
    anything. ``allow`` names texts that expected errors contain; ``init`` is JavaScript that runs before the page's own.
    """
    contexts: list[BrowserContext] = []
    troubles: list[str] = []

    def open_(
        url: str,
        *,
        theme: str = "light",
        width: int = 1280,
        height: int = 800,
        allow: tuple[str, ...] = (),
        init: str = "",
        on_response: Callable[[Response], None] | None = None,
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if theme == "dark" else "light",
            reduced_motion="reduce",
        )
        contexts.append(context)
        page = context.new_page()
        origin = "/".join(url.split("/")[:3])

        def note(text: str) -> None:
            if not any(a in text for a in allow):
                troubles.append(text)

        def console(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                note(f"console: {message.text}")

        page.on("console", console)
        page.on("pageerror", lambda error: note(f"thrown: {error}"))
        page.on("dialog", lambda dialog: (note(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith((origin, "data:", "blob:")) else note(f"foreign: {request.url}")
            ),
        )
        if init:
            page.add_init_script(init)
        if on_response:
            page.on("response", on_response)
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not troubles, "\n".join(troubles)
