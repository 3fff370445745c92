"""Which verifier an access token goes to, and which of several issuers is believed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from adapters.issuers.jwks import IssuerKeys
from adapters.issuers.local import LocalKeys
from adapters.issuers.tokens import Tokens
from adapters.issuers.verifier import JwtVerifier, TrustedIssuer
from gateway.errors import TokenInvalid, UpstreamUnavailable
from gateway.oauth.access_token import Fault
from tests.fakes import FakeClock
from tests.fakes_introspection import FakeIssuer, active, asking, running_issuer
from tests.fakes_oauth import ISSUER, NOW, RESOURCE, ec_key, jwks, token

KEY = ec_key()


def jwts(clock: FakeClock) -> JwtVerifier:
    source = LocalKeys(jwks(KEY))
    keys = IssuerKeys(source.fetch, clock=clock, refresh_seconds=300, stale_seconds_max=3_600)
    trusted = TrustedIssuer(issuer=ISSUER, keys=keys, algorithms=frozenset({"ES256"}), approves_consents=False)
    return JwtVerifier(
        [trusted], resource=RESOURCE, clock=clock, skew_seconds=10, lifetime_seconds_max=3_600, cache_max=10
    )


@contextlib.asynccontextmanager
async def two_issuers() -> AsyncIterator[tuple[Tokens, FakeIssuer, FakeIssuer]]:
    clock = FakeClock(NOW)
    async with (
        running_issuer() as first,
        running_issuer() as second,
        asking(first, clock) as one,
        asking(second, clock) as two,
    ):
        yield Tokens(jwts(clock), [one, two]), first, second


async def fault(tokens: Tokens, presented: str) -> str:
    with pytest.raises(TokenInvalid) as refused:
        await tokens.verify(presented)
    return refused.value.private


async def down(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=503)


async def test_a_jwt_is_verified_here_and_shown_to_nobody() -> None:
    async with two_issuers() as (tokens, first, second):
        assert (await tokens.verify(token(KEY))).client_id == "bank-a"
        assert await fault(tokens, token(ec_key())) == Fault.SIGNATURE.value
        assert await fault(tokens, "a.b.c") == Fault.MALFORMED.value
        assert first.seen == second.seen == []


@pytest.mark.parametrize("opaque", ["opaque", "a.b", "a.b.c.d.e"])
async def test_the_first_issuer_that_calls_it_active_is_its_issuer(opaque: str) -> None:
    async with two_issuers() as (tokens, first, second):
        second.tokens[opaque] = active(client_id="bank-b")
        assert (await tokens.verify(opaque)).client_id == "bank-b"
        assert len(first.seen) == 1


async def test_either_kind_may_be_bound_by_dpop_instead_of_a_certificate() -> None:
    bound = {"jkt": "A" * 43}
    async with two_issuers() as (tokens, first, _):
        first.tokens["opaque"] = active(cnf=bound)
        for presented in ("opaque", token(KEY, cnf=bound)):
            access = await tokens.verify(presented)
            assert (access.thumbprint, access.jkt) == (None, "A" * 43)


async def test_an_active_token_for_something_else_is_asked_of_no_other() -> None:
    async with two_issuers() as (tokens, first, second):
        first.tokens["opaque"] = active(aud="https://other.example")
        second.tokens["opaque"] = active()
        assert await fault(tokens, "opaque") == Fault.AUDIENCE.value
        assert second.seen == []


async def test_a_token_that_nobody_knows_is_refused() -> None:
    async with two_issuers() as (tokens, _, _):
        assert await fault(tokens, "opaque") == Fault.INACTIVE.value


async def test_an_issuer_that_is_down_is_in_no_others_way() -> None:
    async with two_issuers() as (tokens, first, second):
        first.handler = down
        second.tokens["opaque"] = active()
        assert (await tokens.verify("opaque")).client_id == "bank-a"


async def test_whether_a_token_is_good_is_not_known_while_an_issuer_is_down() -> None:
    async with two_issuers() as (tokens, first, _):
        first.handler = down
        with pytest.raises(UpstreamUnavailable):
            await tokens.verify("opaque")


async def test_without_introspection_an_opaque_token_is_refused() -> None:
    assert await fault(Tokens(jwts(FakeClock(NOW))), "opaque") == Fault.MALFORMED.value
