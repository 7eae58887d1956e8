"""A real browser for the pages' tests; without one on the machine they are skipped, and say so."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from deploy.local.part import confined
from tests.database import GROUND

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--no-default-browser-check"),
    *("--headless=new", "--no-proxy-server", "--remote-debugging-port=0"),
    # Processes that no test needs.
    *("--in-process-gpu", "--disable-extensions", "--disable-features=SpareRendererForSitePerProcess"),
)
START_SECONDS = 60.0


def chromium() -> str:
    """Where the browser is; the test is skipped where there is none."""
    named = os.environ.get("CHROMIUM", "")
    found = named or next(filter(None, map(shutil.which, _NAMES)), "")
    if not found:
        pytest.skip("there is no Chromium on this machine; install one, or name it in CHROMIUM")
    return found


@functools.cache
def _running(path: str) -> str:
    """The address of a browser that is started once, and ends with the process that runs the tests."""
    profile = Path(tempfile.mkdtemp(prefix="onestop-chromium-", dir=os.environ.get(GROUND)))
    atexit.register(shutil.rmtree, profile, ignore_errors=True)
    process = subprocess.Popen(
        confined([path, *_ARGUMENTS, f"--user-data-dir={profile}", "about:blank"]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    atexit.register(process.wait)
    atexit.register(process.terminate)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(FileNotFoundError, IndexError):
            return f"http://127.0.0.1:{(profile / 'DevToolsActivePort').read_text().splitlines()[0]}"
        time.sleep(0.02)
    raise RuntimeError(f"{path} has not started (exit code {process.poll()})")


@asynccontextmanager
async def connected() -> AsyncIterator[Browser]:
    """The browser, for the tests of one event loop. What speaks with it takes half a second to start."""
    address = _running(chromium())
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(address)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def window(browser: Browser, language: str = "en-GB") -> AsyncIterator[Window]:
    """A window that shares nothing with any other, with one page open. It believes any certificate."""
    context = await browser.new_context(ignore_https_errors=True, locale=language)
    try:
        yield Window(context, await context.new_page())
    finally:
        await context.close()


class Window:
    """A page, and what went wrong in it."""

    def __init__(self, context: BrowserContext, page: Page) -> None:
        self.context = context
        self.page = page
        self.faults: list[str] = []
        self.sent: list[tuple[str, str]] = []
        """Method and address of every request."""
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._heard)
        page.on("request", lambda request: self.sent.append((request.method, request.url)))

    def _heard(self, message: object) -> None:
        kind, text = getattr(message, "type", ""), getattr(message, "text", "")
        # A refusal that the page handles (a 401 before signing in) is told on the console too.
        if kind == "error" and not text.startswith("Failed to load resource"):
            self.faults.append(text)
