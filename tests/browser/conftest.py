"""One product and one Chromium for all browser tests; a fresh browser profile and other people for each test.

Both belong to this package, not to the session: Playwright's synchronous API keeps an event loop running, which later tests
that use asyncio would trip over.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from e2e.conftest import models
from e2e.harness import Stack
from playwright.sync_api import Browser, Page, sync_playwright

from browser.phone import Phone, chromium_path, launch, open_phone

__all__ = ["models"]

OpenPage = Callable[..., Page]
OpenPhone = Callable[..., Phone]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    if chromium_path() is None:
        missing = "no Chromium at /usr/bin/chromium; GUANJIA_CHROMIUM names another place"
        if os.environ.get("GUANJIA_BROWSER_REQUIRED") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


class OtherSite(BaseHTTPRequestHandler):
    """The company's own page, with the chat of the address given in a frame."""

    def do_GET(self) -> None:
        shown = parse_qs(urlsplit(self.path).query).get("shows", [""])[0]
        page = (
            f'<!doctype html><title>site</title><iframe allow="geolocation; microphone" src="{escape(shown)}"></iframe>'
        )
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture(scope="package")
def other_site() -> Iterator[int]:
    """The port of somebody else's site. As `localhost` it may frame the page; under its number it is a stranger."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), OtherSite)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield int(server.server_address[1])
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="package")
def stack(chromium: Browser, tmp_path_factory: pytest.TempPathFactory, models: Any, other_site: int) -> Iterator[Stack]:
    """The running product; its clock stands at 14:00 until a test moves it."""
    folder = tmp_path_factory.mktemp("browser")
    running = Stack(folder, models, GUANJIA_EMBED_ORIGINS=f"http://localhost:{other_site}")
    running.at("14:00")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def new_page(chromium: Browser) -> Iterator[OpenPage]:
    """Opens pages, each in a profile of its own. An exception inside the page fails the test."""
    contexts, errors = [], []

    def new(**options: Any) -> Page:
        context = chromium.new_context(**{"locale": "zh-CN", "timezone_id": "Asia/Shanghai", **options})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(error))
        return page

    yield new
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def phone(new_page: OpenPage, stack: Stack) -> OpenPhone:
    """Opens one person's chat, by demo id."""
    return lambda person, **options: open_phone(new_page(**options), stack.url, person)
