"""Case bundles as the exports make them, taken apart: made once, since nothing changes them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import case_bundles, samples
from tests.published_log import witness_signer

ENTRIES, STAMPED = 300, 280
FIRST, LAST = 10, 290
ERASED, ERASED_INDEX = "e" * 64, 14


@dataclass(frozen=True, slots=True)
class Bundles:
    """Files by name. `whole` with every entry of the range; `private` asks for a digest."""

    stated: dict[str, bytes]
    whole: dict[str, bytes]
    private: dict[str, bytes]


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    return asyncio.run(_made(tmp_path_factory.mktemp("bundles")))


async def _made(folder: Path) -> Bundles:
    async with case_bundles.open_world(folder) as world:
        records = [samples.record(outcome="MISMATCH" if index % 7 == 0 else "MATCH") for index in range(ENTRIES)]
        records[ERASED_INDEX] = samples.record(outcome="MISMATCH", consent=samples.consent(subject=ERASED))
        await world.append(records[:STAMPED])
        await world.publish(stamped=True)
        await world.append(records[STAMPED:])
        await world.log.erase(ERASED, case_bundles.OPERATOR.record(world.clock.now(), "audit.erased", subject=ERASED))
        await world.publish(witnesses=[witness_signer()])
        asked = f"outcome:MISMATCH index:{FIRST}..{LAST}"
        await world.case(asked, name="stated.zip")
        await world.case(asked, name="whole.zip", whole=True)
        await world.case(f"digest:sm3:{'d' * 64} index:{FIRST}..30", name="private.zip", whole=True)
    return Bundles(*(case_bundles.unzipped(folder / f"{name}.zip") for name in ("stated", "whole", "private")))
