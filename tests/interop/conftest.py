"""One sandbox for the clients that we did not write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.sandbox.bank import Bank
from tests.end_to_end.stage import Stage, staged
from tests.node import require_node

BankOf = Callable[[str], Awaitable[Bank]]
"""The sandbox's own client of this label, which submits consents and has the owners' browsers."""


@pytest.fixture(scope="session")
def node_binary(require_tool: Callable[..., Path]) -> Path:
    return require_node(require_tool)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with staged(tmp_path_factory.mktemp("interop") / "world", {}) as stage:
        yield stage


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bank_of(stage: Stage) -> AsyncIterator[BankOf]:
    async with AsyncExitStack() as stack:
        banks: dict[str, Bank] = {}

        async def bank(label: str) -> Bank:
            if label not in banks:
                one = Bank(stage.folder, stage.world.description, label)
                banks[label] = await stack.enter_async_context(one)
            return banks[label]

        yield bank
