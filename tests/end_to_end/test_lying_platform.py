"""What a bank is told when the platform fails or lies: never a verdict that is not proved (contract §3, outcomes)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from adapters.sandbox.bank import Bank
from adapters.sandbox.world import World
from tests.end_to_end.world import approved_consent, bank_of, running_world

# Tries are short, so that each lie is judged at once; the open exchange is asked again later.
SETTINGS = {"exchange": {"retry_first_seconds": 60, "retry_max_seconds": 60}}

NO_VERDICT = [
    ("outage", "REGISTRY_UNAVAILABLE"),
    ("http_500", "REGISTRY_UNAVAILABLE"),
    ("close", "REGISTRY_UNAVAILABLE"),
    ("truncated", "REGISTRY_UNAVAILABLE"),
    ("source_unavailable", "SOURCE_UNAVAILABLE"),
    ("ack", "PENDING_ON_CHAIN"),
    ("garbage", "ANSWER_UNTRUSTED"),
    ("wrong_signature", "ANSWER_UNTRUSTED"),
    ("stale_answer", "ANSWER_UNTRUSTED"),
    ("replayed_answer", "ANSWER_UNTRUSTED"),
    ("duplicate", "ANSWER_UNTRUSTED"),
    ("wrong_reference", "ANSWER_UNTRUSTED"),
    ("wrong_request", "ANSWER_UNTRUSTED"),
    ("unknown_sender", "ANSWER_UNTRUSTED"),
    ("wrong_digest", "ANSWER_UNTRUSTED"),
    ("bare_match", "ANSWER_UNTRUSTED"),
]


class Bench:
    """A running world, and the question that is asked again and again."""

    def __init__(self, world: World, bank: Bank, consent: dict[str, Any], token: str) -> None:
        self.world, self._bank, self._consent, self._token = world, bank, consent, token

    async def verification(self, *, wait_seconds: int = 4) -> dict[str, Any]:
        reply = await self._bank.ask(
            token=self._token,
            consent=self._consent,
            digests=self.world.description["samples"][0]["digests"],
            wait_seconds=wait_seconds,
        )
        verification: dict[str, Any] = reply.json.get("verification", {})
        return {"http": reply.status, **verification}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    folder: Path = tmp_path_factory.mktemp("world")
    async with running_world(folder, settings=SETTINGS) as world, bank_of(world) as bank:
        consent, token = await approved_consent(world, bank, world.description["samples"][0], max_uses=200)
        yield Bench(world, bank, consent, token)


@pytest.mark.parametrize(("mode", "reason"), NO_VERDICT)
async def test_trouble_on_the_way_says_nothing_about_the_document(bench: Bench, mode: str, reason: str) -> None:
    assert (await bench.verification())["outcome"] == "MATCH"  # something to replay; and the breaker closes
    await bench.world.control.faults(mode)
    told = await bench.verification(wait_seconds=2)
    await bench.world.control.faults("none")
    assert (told["http"], told["outcome"], told["reason"]) == (202, "INDETERMINATE", reason)
    assert "evidence" not in told


@pytest.mark.parametrize("mode", ["wrong_issuer_signature", "wrong_chain_proof"])
async def test_evidence_that_does_not_hold_is_said_so(bench: Bench, mode: str) -> None:
    await bench.world.control.faults(mode, count=1)
    told = await bench.verification()
    assert (told["http"], told["outcome"]) == (200, "SIGNATURE_INVALID")
