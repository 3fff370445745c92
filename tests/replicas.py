"""A second gateway process beside a sandbox's own: the same folder, keys, database and audit log, other ports.

As behind a load balancer: its public addresses are those of the first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import yaml

from adapters.sandbox.addresses import Ports
from adapters.sandbox.children import Child
from adapters.sandbox.world import World

_READY_SECONDS, _GRACE_SECONDS = 60, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """`bank`: the address of its own listener."""

    process: Child
    ports: Ports

    @property
    def bank(self) -> str:
        return f"https://localhost:{self.ports.bank}"


@asynccontextmanager
async def second_gateway(world: World) -> AsyncIterator[Replica]:
    """Ready inside, stopped behind it."""
    ports = Ports.from_base(0)
    settings = yaml.safe_load((world.folder / "gateway.yaml").read_text())
    for listener in ("bank", "consent", "partner", "ops"):
        settings[listener]["port"] = ports.named()[listener]
    config = world.folder / "gateway-2.yaml"
    config.write_text(yaml.safe_dump(settings))
    process = Child(
        "gateway-2",
        ["-m", "gateway", "serve", "--config", str(config)],
        log_file=world.folder / "logs/gateway-2.log",
        clock=world.clock,
    )
    process.start()
    try:
        async with aiohttp.ClientSession() as session:

            async def ready() -> bool:
                try:
                    async with session.get(f"http://127.0.0.1:{ports.ops}/readyz") as answer:
                        return answer.status == 200
                except aiohttp.ClientError:
                    return False

            await process.wait_until(ready, deadline_seconds=_READY_SECONDS)
        yield Replica(process=process, ports=ports)
    finally:
        await process.stop(grace_seconds=_GRACE_SECONDS)
