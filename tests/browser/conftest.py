"""Real Chromium against the data owner's pages, served by a real server under the product's own headers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, async_playwright

from tests.browser.site import Site
from tests.node import packages

# An empty profile is Playwright's own doing; a sandbox of its own needs rights that a container does not give.
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    served = Site()
    async with TestServer(served.application()) as server:
        served.address = str(server.make_url("")).rstrip("/")
        yield served


@pytest.fixture
async def chromium(require_tool: Callable[..., Path]) -> AsyncIterator[Browser]:
    found = require_tool("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def axe(require_tool: Callable[..., Path]) -> str:
    """The source of axe-core, which finds what keeps people out."""
    return (require_tool("npm packages", packages()) / "axe-core" / "axe.min.js").read_text("utf-8")
