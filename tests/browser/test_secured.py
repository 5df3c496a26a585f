"""A secured server: sign in, see the project's key in the snippets, sign out."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.servers import LiveServer


def test_sign_in_and_out(start_server: Callable[..., LiveServer], open_page: OpenPage) -> None:
    server = start_server(
        TWINLENS_MODE="secured",
        LANGFUSE_INIT_ORG_ID="acme",
        LANGFUSE_INIT_PROJECT_ID="shop",
        LANGFUSE_INIT_PROJECT_NAME="Shop",
        LANGFUSE_INIT_PROJECT_PUBLIC_KEY="pk-lf-shop",
        LANGFUSE_INIT_PROJECT_SECRET_KEY="sk-lf-shop",
        LANGFUSE_INIT_USER_EMAIL="ann@example.org",
        LANGFUSE_INIT_USER_NAME="Ann",
        LANGFUSE_INIT_USER_PASSWORD="correct horse",
    )
    page = open_page(f"{server.url}/project/shop/traces", allow=("401", "403"))
    expect(page).to_have_url(re.compile("/login"))
    page.get_by_label("E-mail").fill("ann@example.org")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/project/shop/traces$"))
    expect(page.get_by_text('public_key="pk-lf-shop"')).to_be_visible()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    page.get_by_role("button", name=re.compile("^Signed in as")).click()
    page.get_by_role("menuitem", name="Sign out").click()
    expect(page).to_have_url(re.compile("/login$"))
    page.goto(f"{server.url}/project/shop")
    expect(page).to_have_url(re.compile("/login"))
