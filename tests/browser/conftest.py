"""Real Chromium against the data owner's pages, served by a real server under the product's own headers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, async_playwright

import schemas
from adapters.sandbox.bank import Bank
from adapters.sandbox.serving import server_context
from adapters.sandbox.world import World
from tests.browser.journey import BANK_HOST, BankSite
from tests.browser.site import Site
from tests.node import packages

# An empty profile is Playwright's own doing; a sandbox of its own needs rights that a container does not give.
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


@asynccontextmanager
async def launched(executable: Path, *arguments: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=[*ARGUMENTS, *arguments])
        yield browser
        await browser.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    served = Site()
    async with TestServer(served.application()) as server:
        served.address = str(server.make_url("")).rstrip("/")
        yield served


@pytest.fixture
async def chromium(require_tool: Callable[..., Path]) -> AsyncIterator[Browser]:
    async with launched(require_tool("chromium")) as browser:
        yield browser


@pytest.fixture(scope="session")
def axe(require_tool: Callable[..., Path]) -> str:
    """The source of axe-core, which finds what keeps people out."""
    return (require_tool("npm packages", packages()) / "axe-core" / "axe.min.js").read_text("utf-8")


# --- one browser and one sandbox for all tests that leave them as they were; they share an event loop ----------------


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("world")
    async with World(folder, schemas=schemas.load(), port_base=0, issue_samples=False) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bank(world: World) -> AsyncIterator[Bank]:
    async with Bank(world.folder, world.description, "bank-a") as bank:
        yield bank


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bank_server(world: World) -> AsyncIterator[tuple[BankSite, int]]:
    """The bank's own site, and its port."""
    site, files = BankSite(), world.folder / "gateway/tls/server"
    server = TestServer(site.application(), scheme="https")
    await server.start_server(ssl=server_context(files / "cert.pem", files / "key.pem"))
    yield site, int(server.port or 0)
    await server.close()


@pytest.fixture(scope="session")
def bank_site(bank_server: tuple[BankSite, int]) -> BankSite:
    return bank_server[0]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_chromium(
    require_tool: Callable[..., Path], bank_server: tuple[BankSite, int]
) -> AsyncIterator[Browser]:
    """Finds the bank's site by its name, as if it were in the DNS."""
    found = f"--host-resolver-rules=MAP {BANK_HOST}:443 127.0.0.1:{bank_server[1]}"
    async with launched(require_tool("chromium"), found) as browser:
        yield browser
