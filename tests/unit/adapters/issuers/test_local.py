"""The embedded server's own keys."""

from __future__ import annotations

from adapters.issuers.jwks import IssuerKeys
from adapters.issuers.local import LocalKeys
from tests.fakes import FakeClock
from tests.fakes_oauth import ec_key, jwks


async def test_keys_at_hand_serve_like_any_issuers() -> None:
    source = LocalKeys(jwks(ec_key("tokens-1")))
    keys = IssuerKeys(source.fetch, clock=FakeClock(), refresh_seconds=300, stale_seconds_max=3_600)
    assert (await keys.usable()).find("ES256", "tokens-1") is not None
    await source.aclose()
