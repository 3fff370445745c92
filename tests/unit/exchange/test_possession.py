"""A proof of possession: what of it is believed, once. The proof's own rules are tested in `oauth/test_dpop`."""

from __future__ import annotations

import asyncio

import pytest

from adapters.limits.memory import MemoryReplays
from adapters.sandbox.dpop import DPoP
from gateway.errors import Overloaded
from gateway.exchange.possession import Possession, Shown
from gateway.oauth.dpop import NONCE_SECONDS, Nonces
from gateway.oauth.refusal import OAuthRefusal
from tests.fakes import FakeClock

URL = "https://gateway.example/oauth/token"


class Side:
    """One process, and a client with a key."""

    def __init__(self, *, ids_max: int = 100) -> None:
        self.clock = FakeClock()
        self.replays = MemoryReplays(self.clock, ids_max=ids_max)
        self.possession = self.process()
        self.key = DPoP()

    def process(self, secret: bytes = b"n" * 32) -> Possession:
        """Another one with the same memory of what was used."""
        return Possession(nonces=Nonces(secret), replays=self.replays, clock=self.clock)

    def shown(self, *, nonce: str | None = None, url: str = URL) -> Shown:
        nonce = nonce or self.possession.nonce()
        return Shown(proof=self.key.proof("POST", url, now=int(self.clock.now()), nonce=nonce), method="POST", url=URL)

    async def refusal(self, shown: Shown, possession: Possession | None = None) -> OAuthRefusal:
        with pytest.raises(OAuthRefusal) as refused:
            await (possession or self.possession).key_of(shown)
        return refused.value


async def test_a_good_proof_tells_its_key() -> None:
    side = Side()
    assert await side.possession.key_of(side.shown()) == side.key.thumbprint


async def test_a_proof_that_was_used_counts_nowhere_else() -> None:
    side = Side()
    shown = side.shown()
    await side.possession.key_of(shown)
    refused = await side.refusal(shown, side.process())
    assert (refused.code, refused.reason) == ("invalid_dpop_proof", "dpop_replayed")


async def test_of_many_uses_at_once_one_counts() -> None:
    side = Side()
    shown = side.shown()
    results = await asyncio.gather(*(side.possession.key_of(shown) for _ in range(20)), return_exceptions=True)
    assert [result for result in results if isinstance(result, str)] == [side.key.thumbprint]


async def test_a_nonce_is_good_in_every_process_of_the_secret_and_in_no_other() -> None:
    side = Side()
    assert await side.process().key_of(side.shown()) == side.key.thumbprint
    stranger = side.process(b"o" * 32)
    refused = await side.refusal(side.shown(), stranger)
    assert (refused.code, refused.headers) == ("use_dpop_nonce", {"DPoP-Nonce": stranger.nonce()})


async def test_an_outdated_nonce_is_answered_with_a_new_one() -> None:
    side = Side()
    old = side.possession.nonce()
    side.clock.advance(NONCE_SECONDS)
    assert await side.possession.key_of(side.shown(nonce=old))  # those under way are not stopped by the turn
    side.clock.advance(NONCE_SECONDS)
    refused = await side.refusal(side.shown(nonce=old))
    assert refused.headers["DPoP-Nonce"] == side.possession.nonce() != old


async def test_a_bad_proof_takes_no_place_in_the_memory_and_gets_no_nonce() -> None:
    side = Side(ids_max=1)
    for _ in range(3):
        refused = await side.refusal(side.shown(url="https://elsewhere.example/"))
        assert (refused.code, dict(refused.headers)) == ("invalid_dpop_proof", {})
    assert await side.possession.key_of(side.shown())


async def test_a_full_memory_refuses_rather_than_forgets() -> None:
    side = Side(ids_max=1)
    await side.possession.key_of(side.shown())
    with pytest.raises(Overloaded):
        await side.possession.key_of(side.shown())
