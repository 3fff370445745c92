"""A whole sandbox for tests: real processes on free ports, in the test's own folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import schemas
from adapters.sandbox.bank import CONSENTS, NOTICES, READ, Bank
from adapters.sandbox.world import World

EXPIRES_IN_SECONDS = 3_600


@asynccontextmanager
async def running_world(
    folder: Path, *, block_seconds: float | None = 0, settings: Mapping[str, Any] | None = None
) -> AsyncIterator[World]:
    """Ready inside, stopped behind it. Evidence is anchored at once unless `block_seconds` says otherwise."""
    world = World(folder, schemas=schemas.load(), port_base=0, block_seconds=block_seconds, settings=settings or {})
    async with world:
        yield world


@asynccontextmanager
async def bank_of(world: World, label: str = "bank-a") -> AsyncIterator[Bank]:
    async with Bank(world.folder, world.description, label) as bank:
        yield bank


async def machine_token(bank: Bank) -> str:
    return await bank.token(CONSENTS, READ, NOTICES)


async def approved_consent(
    world: World, bank: Bank, sample: Mapping[str, Any], *, max_uses: int = 10
) -> tuple[dict[str, Any], str]:
    """A consent for the sample's source and type that its owner has approved, and the token for it."""
    reply = await bank.submit_consent(
        token=await machine_token(bank),
        provider_id=sample["issuerId"],
        document_type=sample["documentType"],
        expire_time=int(world.clock.now()) + EXPIRES_IN_SECONDS,
        max_uses=max_uses,
    )
    assert reply.status == 201, reply.body
    assert (await bank.approve(reply.json)).status == 201
    return reply.json, await bank.token(consent=reply.json)
