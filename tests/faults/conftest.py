"""One sandbox for all tests of trouble, each of which finds it well: everything runs, and no fault is set.

The tests share its event loop: `pytestmark = pytest.mark.asyncio(loop_scope="session")`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

import schemas
from adapters.sandbox.world import World
from tests.live_sandbox import QUICK, Scene, reconfigure, scene_in


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Blocks are made by `POST /blocks` alone, so that a test decides when something is on chain."""
    folder: Path = tmp_path_factory.mktemp("sandbox")
    async with World(folder, schemas=schemas.load(), port_base=0, block_seconds=None, issue_samples=False) as world:
        await reconfigure(world, QUICK)
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def scene(sandbox: World) -> AsyncIterator[Scene]:
    if not sandbox.platform.running:
        await sandbox.start_platform()
    await sandbox.control.faults("none")
    if not sandbox.gateway.running:
        await sandbox.start_gateway()
    async with scene_in(sandbox) as found:
        yield found
    if sandbox.platform.running:
        await sandbox.control.faults("none")
