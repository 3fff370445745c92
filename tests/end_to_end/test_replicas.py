"""Two gateway processes on one database: what one has decided, the other holds to, at its next look at the latest.

The order of events is asserted, never their time; what was measured is printed, and `make bench BENCH=revocation` is
the measurement.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from adapters.sandbox.bank import Reply
from tests.end_to_end.fapi import DPOP, JWT, TLS, Fapi, check_refusal
from tests.end_to_end.stage import Stage, check_problem, staged
from tests.postgresql import PostgreSQL
from tests.replicas import Replica, second_gateway

WAIT_SECONDS = 20
CONSENTS = "/cdi/v1/consents"
MACHINE = {"grant_type": "client_credentials", "scope": "cdi:consents"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Two:
    """`here`: the sandbox's own gateway. `there`: the other one."""

    here: Fapi
    replica: Replica

    async def there(self, consent: Any, token: str) -> Reply:
        """The consent, read with this token at the other gateway."""
        url = f"{self.replica.bank}{CONSENTS}/{consent['consentId']}"
        return await self.here.send("GET", url, TLS, [("Authorization", f"Bearer {token}")])

    async def post_there(self, endpoint: str, label: str, form: dict[str, str], proof: str | None = None) -> Reply:
        elsewhere = Fapi(self.here.stage)
        elsewhere.bank = self.replica.bank
        async with elsewhere:
            return await elsewhere.post(endpoint, form, label, [("DPoP", proof)] if proof is not None else [])

    async def refused_there(self, consent: Any, token: str) -> Reply:
        """The first answer of the other gateway that is a refusal."""
        clock = self.here.stage.world.clock
        began, answers = clock.monotonic(), 0
        async with asyncio.timeout(WAIT_SECONDS):
            while (reply := await self.there(consent, token)).status == 200:
                answers += 1
        milliseconds = 1000 * (clock.monotonic() - began)
        sys.stdout.write(f"refused there after {milliseconds:.0f} ms and {answers} answers\n")
        return reply


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["sqlite", "postgresql"])
async def two(
    request: pytest.FixtureRequest, stage: Stage, fapi: Fapi, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Two]:
    if request.param == "sqlite":
        async with second_gateway(stage.world) as replica:
            yield Two(here=fapi, replica=replica)
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    url = server.new_database()
    settings = {"store": {"url": url}, "audit": {"url": url, "index_url": url}}
    async with (
        staged(tmp_path_factory.mktemp("replicas") / "world", settings) as own,
        Fapi(own) as here,
        second_gateway(own.world) as replica,
    ):
        yield Two(here=here, replica=replica)


async def test_a_revocation_by_the_owner_reaches_the_other_gateway(two: Two) -> None:
    consent = await two.here.consent()
    token = (await two.here.tokens(TLS, consent))["access_token"]
    assert (await two.there(consent, token)).status == 200  # verified and remembered there
    await (await two.here.owner()).revoke(consent["consentId"])
    check_problem(await two.refused_there(consent, token), "CONSENT_REVOKED")
    for _ in range(3):
        check_problem(await two.there(consent, token), "CONSENT_REVOKED")


async def test_a_token_given_back_there_is_worth_nothing_here(two: Two) -> None:
    """RFC 7009, in the other direction."""
    consent = await two.here.consent()
    tokens = await two.here.tokens(TLS, consent)
    path = f"{CONSENTS}/{consent['consentId']}"
    assert (await two.here.call("GET", path, tokens["access_token"])).status == 200
    form = {**two.here.credentials(TLS), "token": tokens["refresh_token"]}
    assert (await two.post_there("revoke", TLS, form)).status == 200
    check_problem(await two.there(consent, tokens["access_token"]), "TOKEN_INVALID")  # at once, where it was done
    async with asyncio.timeout(WAIT_SECONDS):
        while (reply := await two.here.call("GET", path, tokens["access_token"])).status == 200:
            continue
    check_problem(reply, "TOKEN_INVALID")


async def test_a_code_of_one_gateway_is_redeemed_at_the_other_once(two: Two) -> None:
    code = await two.here.code()
    consent = code.request.consent
    form = {**two.here.credentials(TLS), **two.here.redemption(code)}
    answer = await two.post_there("token", TLS, form)
    assert answer.status == 200, answer.body
    token = answer.json["access_token"]
    assert (await two.here.call("GET", f"{CONSENTS}/{consent['consentId']}", token)).status == 200
    check_refusal(await two.here.redeem(code), "invalid_grant")  # and ends what it gave, there too
    check_problem(await two.refused_there(consent, token), "TOKEN_INVALID")


async def test_of_redemptions_at_both_gateways_one_succeeds(two: Two) -> None:
    code = await two.here.code()
    form = {**two.here.credentials(TLS), **two.here.redemption(code)}
    tries = [two.post_there("token", TLS, form) for _ in range(5)] + [two.here.post("token", form) for _ in range(5)]
    assert sorted(reply.status for reply in await asyncio.gather(*tries)) == [200, *[400] * 9]


async def test_an_assertion_and_a_proof_count_once_at_both_gateways_together(two: Two) -> None:
    form = {**two.here.credentials(JWT), **MACHINE}
    assert (await two.here.post("token", form, JWT)).status == 200
    check_refusal(await two.post_there("token", JWT, form), "invalid_client", 401)
    url = two.here.url("token", DPOP)  # as clients know both
    proof = await two.here.proof("POST", url)
    reply = await two.post_there("token", DPOP, {**two.here.credentials(DPOP), **MACHINE}, proof)
    assert reply.status == 200, reply.body
    reply = await two.here.post("token", {**two.here.credentials(DPOP), **MACHINE}, DPOP, [("DPoP", proof)])
    check_refusal(reply, "invalid_dpop_proof")


async def test_a_request_pushed_at_one_gateway_is_decided_at_the_other(two: Two) -> None:
    consent = await two.here.consent()
    form = {**two.here.credentials(TLS), **two.here.parameters(TLS, consent, "v" * 43)}
    pushed = await two.post_there("par", TLS, form)
    request = two.here.request(TLS, consent, "v" * 43, pushed.json["request_uri"])
    assert (await two.here.redeem(await two.here.decided(request))).status == 200
