"""A real browser for the pages' tests; without one on the machine they are skipped, and say so."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import BrowserContext, Page, async_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)


def chromium() -> str:
    """Where the browser is; the test is skipped where there is none."""
    named = os.environ.get("CHROMIUM", "")
    found = named or next(filter(None, map(shutil.which, _NAMES)), "")
    if not found:
        pytest.skip("there is no Chromium on this machine; install one, or name it in CHROMIUM")
    return found


@asynccontextmanager
async def window(language: str = "en-GB") -> AsyncIterator[Window]:
    """A browser that has been nowhere, with one page open. It believes any certificate."""
    path = chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        try:
            context = await browser.new_context(ignore_https_errors=True, locale=language)
            yield Window(context, await context.new_page())
        finally:
            await browser.close()


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
