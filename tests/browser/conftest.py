"""A real Chromium against the real server. Pages fail their test when the browser console shows an error."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)

import twinlens

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WEB = Path(twinlens.__file__).parent / "web"

OpenPage = Callable[..., Page]
FAILED = pytest.StashKey[bool]()

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


class Visitor:
    """A page that tests of a worker take over one after the other: a new one costs two seconds of computing each time."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._page: Page | None = None

    def borrow(self) -> Page:
        """The page, as new: no storage, no cookie, no permission."""
        if self._page is None:
            self._page = self._browser.new_context(reduced_motion="reduce").new_page()
        return self._page

    def give_back(self, *, fine: bool) -> None:
        """Forget what the test left; all of it, page and process, when the test failed."""
        if self._page is None:
            return
        page, context = self._page, self._page.context
        if not fine or page.is_closed() or len(context.pages) > 1:
            context.close()
            self._page = None
            return
        if page.url.startswith("http"):
            page.evaluate("() => { localStorage.clear(); sessionStorage.clear() }")
        page.goto("about:blank")
        context.clear_cookies()
        context.clear_permissions()


@pytest.fixture(scope="session")
def visitor(browser: Browser) -> Visitor:
    """The page that tests share, one at a time."""
    return Visitor(browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let fixtures know how the test went."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture
def open_page(browser: Browser, visitor: Visitor, request: pytest.FixtureRequest) -> Iterator[OpenPage]:
    """``open_page(url, theme="dark", width=1280, allow=("404",))``.

    At the end of the test no page may have logged an error, thrown, answered with a dialog or asked another host for
    anything. ``allow`` names texts that expected errors contain; ``init`` is JavaScript that runs before the page's own.
    The first page of a test is one that others had before; every further one and one with ``init`` or ``on_response`` is new.
    """
    contexts: list[BrowserContext] = []
    listeners: list[tuple[Page, str, Callable[..., object]]] = []
    borrowed: list[Page] = []
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
        if init or on_response or borrowed:  # (what a test weighs may not come from a cache)
            contexts.append(browser.new_context(reduced_motion="reduce"))
            page = contexts[-1].new_page()
        else:
            page = visitor.borrow()
            borrowed.append(page)
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
        origin = "/".join(url.split("/")[:3])

        def note(text: str) -> None:
            if not any(a in text for a in allow):
                troubles.append(text)

        def console(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                note(f"console: {message.text}")

        def dialog(opened: Dialog) -> None:
            note(f"dialog: {opened.message}")
            opened.dismiss()

        def request_(request: Request) -> None:
            if not request.url.startswith((origin, "data:", "blob:")):
                note(f"foreign: {request.url}")

        handlers: dict[str, Callable[..., object]] = {
            "console": console, "dialog": dialog, "request": request_,
            "pageerror": lambda error: note(f"thrown: {error}"), "response": on_response or (lambda _: None),
        }  # fmt: skip
        for event, handler in handlers.items():
            page.on(event, handler)  # type: ignore[call-overload]
            listeners.append((page, event, handler))
        if init:
            page.add_init_script(init)
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    for page, event, handler in listeners:
        if page in borrowed:
            page.remove_listener(event, handler)
    if borrowed:
        visitor.give_back(fine=not request.node.stash.get(FAILED, False) and not troubles)
    assert not troubles, "\n".join(troubles)
