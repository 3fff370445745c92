"""Which client it is: certificate, rate, credential; every refusal with one text, and counted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

import pytest

from gateway.authorization.authentication import ASSERTION_TYPE
from gateway.authorization.presented import Authenticated, Presented
from gateway.core.model import Rate
from gateway.errors import RateLimited, UpstreamUnavailable
from tests.fakes_authorization import CLIENTS, Server, refused
from tests.fakes_flows import OTHER_BANK, certificate, participant
from tests.oauth_clients import assertion
from tests.samples import BANK, NOW


def jwt(server: Server, *, owner: str | None = None, client_id: str | None = "bank-a", **form: Any) -> Presented:
    """With a signed assertion. None leaves a parameter out."""
    right = {"client_id": client_id, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion()}
    given = {name: value for name, value in (right | form).items() if value is not None}
    return server.presented(owner=owner, **given)


async def proven(server: Server, presented: Presented) -> Authenticated:
    return await server.authentication.authenticate(presented)


async def reason(server: Server, presented: Presented) -> str:
    found = await refused(proven(server, presented))
    assert (found.code, found.status) == ("invalid_client", 401)
    assert found.description == "The client could not be authenticated"  # the same whatever was wrong
    return found.reason


# --- private_key_jwt ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", [None, BANK])
async def test_a_signed_assertion_proves_its_client_with_and_without_a_certificate(
    server: Server, owner: str | None
) -> None:
    caller = await proven(server, jwt(server, owner=owner))
    assert (caller.client.client_id, caller.participant.participant_id) == ("bank-a", BANK)
    assert caller.certificate == (certificate(BANK, serial=caller.certificate.serial) if caller.certificate else None)
    assert caller.now == NOW


async def test_the_client_id_may_stand_in_the_assertion_alone(server: Server) -> None:
    """RFC 7521 §4.2."""
    assert (await proven(server, jwt(server, client_id=None))).client.client_id == "bank-a"


async def test_an_assertion_of_another_client_than_the_parameter_is_refused(server: Server) -> None:
    assert await reason(server, jwt(server, client_id="bank-a-batch")) == "assertion_identity"


async def test_an_assertion_counts_once(server: Server) -> None:
    """RFC 7523 §3 (7); also when many come at once."""
    shown = jwt(server)
    results = await asyncio.gather(proven(server, shown), proven(server, shown), return_exceptions=True)
    assert sorted(isinstance(one, Authenticated) for one in results) == [False, True]
    server.clock.advance(10)
    assert await reason(server, shown) == "assertion_replayed"


async def test_the_same_jti_of_two_clients_is_two(server: Server) -> None:
    await proven(server, jwt(server, client_assertion=assertion(jti="one")))
    other = assertion(jti="one", iss="bank-b", sub="bank-b")
    assert (await proven(server, jwt(server, client_id="bank-b", client_assertion=other))).client.client_id == "bank-b"


async def test_a_refused_assertion_takes_no_place_in_the_memory(server: Server) -> None:
    late = assertion(jti="one", exp=NOW - 1)
    assert await reason(server, jwt(server, client_assertion=late)) == "assertion_expiry"
    assert (await proven(server, jwt(server, client_assertion=assertion(jti="one")))).client.client_id == "bank-a"


async def test_ensure_client_assertion_in_token_endpoint(server: Server) -> None:
    assert await reason(server, jwt(server, client_assertion=None, client_assertion_type=None)) == "method"


@pytest.mark.parametrize("kind", [None, "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"])
async def test_an_assertion_of_another_type_is_refused(server: Server, kind: str | None) -> None:
    assert await reason(server, jwt(server, client_assertion_type=kind)) == "method"


async def test_a_certificate_does_not_stand_for_the_assertion(server: Server) -> None:
    assert await reason(server, server.presented(owner=BANK, client_id="bank-a")) == "method"


async def test_the_state_that_is_away_is_no_answer_about_the_client(server: Server) -> None:
    server.state.before["first_time"] = UpstreamUnavailable()
    with pytest.raises(UpstreamUnavailable):
        await proven(server, jwt(server))


# --- mutual TLS -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("client_id", ["bank-a-tls", "bank-a-self"])
async def test_a_certificate_proves_its_client(server: Server, client_id: str) -> None:
    caller = await proven(server, server.presented(owner=BANK, client_id=client_id))
    assert caller.client.client_id == client_id
    assert caller.certificate is not None


@pytest.mark.parametrize("client_id", ["bank-a-tls", "bank-a-self"])
async def test_ensure_mtls_is_required(server: Server, client_id: str) -> None:
    assert await reason(server, server.presented(client_id=client_id)) == "method"


@pytest.mark.parametrize("client_id", ["bank-a-tls", "bank-a-self"])
async def test_an_assertion_does_not_stand_for_the_certificate(server: Server, client_id: str) -> None:
    made = assertion(iss=client_id, sub=client_id)
    for owner in (None, BANK):
        shown = jwt(server, owner=owner, client_id=client_id, client_assertion=made)
        assert await reason(server, shown) == "method"


async def test_ensure_client_id_in_token_endpoint(server: Server) -> None:
    """RFC 8705 §2: a certificate alone names no client."""
    assert await reason(server, server.presented(owner=BANK)) == "unknown_client"


async def test_a_certificate_of_the_participant_with_another_subject_is_refused(server: Server) -> None:
    second = certificate("second")
    named = participant(BANK, certificates=(*participant(BANK).certificates, _rule(second.sha256)))
    server.use(CLIENTS, registry=_registry(server, named))
    for client_id in ("bank-a-tls", "bank-a-self"):
        shown = replace(server.presented(client_id=client_id), certificate=second)
        assert await reason(server, shown) == "certificate_name"


async def test_a_client_without_a_subject_is_proven_by_no_certificate(server: Server) -> None:
    """Not even by one whose subject is empty."""
    nameless = replace(certificate(BANK), subject="")
    server.use([replace(client, subject=None) for client in CLIENTS])
    shown = replace(server.presented(client_id="bank-a-tls"), certificate=nameless)
    assert await reason(server, shown) == "certificate_name"


# --- who may come at all --------------------------------------------------------------------------------------------


async def test_a_certificate_of_nobody_is_refused(server: Server) -> None:
    assert await reason(server, jwt(server, owner="stranger")) == "certificate"


@pytest.mark.parametrize("changes", [{"not_after": NOW}, {"not_before": NOW + 1}])
async def test_a_certificate_out_of_its_time_is_refused(server: Server, changes: dict[str, int]) -> None:
    shown = replace(jwt(server), certificate=certificate(BANK, **changes))
    assert await reason(server, shown) == "certificate"


async def test_a_revoked_certificate_is_refused_at_once(server: Server) -> None:
    server.use(CLIENTS, revoked=lambda item: item.sha256 == certificate(BANK).sha256)
    assert await reason(server, jwt(server, owner=BANK)) == "certificate"


async def test_another_banks_certificate_is_refused(server: Server) -> None:
    assert await reason(server, jwt(server, owner=OTHER_BANK)) == "certificate_of_another"
    assert await reason(server, server.presented(owner=OTHER_BANK, client_id="bank-a-tls")) == "certificate_of_another"


async def test_a_suspended_participant_is_refused_at_once(server: Server) -> None:
    server.use(CLIENTS, registry=_registry(server, participant(BANK, active=False)))
    assert await reason(server, jwt(server)) == "suspended"
    assert await reason(server, jwt(server, owner=BANK)) == "suspended"


async def test_a_client_that_a_reload_took_out_is_unknown(server: Server) -> None:
    server.use([client for client in CLIENTS if client.client_id != "bank-a"])
    assert await reason(server, jwt(server)) == "unknown_client"


@pytest.mark.parametrize("client_id", ["nobody", "BANK-A", " bank-a", "\ud800"])
async def test_an_unknown_client_is_refused(server: Server, client_id: str) -> None:
    assert await reason(server, jwt(server, client_id=client_id)) == "unknown_client"


async def test_whoever_says_nothing_is_refused(server: Server) -> None:
    assert await reason(server, server.presented()) == "unknown_client"
    assert await reason(server, server.presented(client_assertion="no.such.jws")) == "unknown_client"


async def test_a_client_secret_is_refused_also_beside_a_proof(server: Server) -> None:
    """RFC 6749 §2.3: one method, and none that is a shared secret (FAPI 2.0 §5.3.2.1)."""
    assert await reason(server, jwt(server, client_secret="x")) == "client_secret"


# --- rates and counts -----------------------------------------------------------------------------------------------


async def spend(server: Server, make: Any, times: int) -> None:
    for _ in range(times):
        await proven(server, make())


async def limited(work: Awaitable[object]) -> RateLimited:
    with pytest.raises(RateLimited) as found:
        await work
    return found.value


async def test_certificates_have_the_rate_of_their_participant(server: Server) -> None:
    await spend(server, lambda: jwt(server, owner=BANK), 5)
    found = await limited(proven(server, jwt(server, owner=BANK)))
    assert (found.private, found.retry_after_seconds) == ("participant", 1)
    assert found.headers["RateLimit"].startswith('"participant";r=0')
    other = jwt(server, owner=OTHER_BANK, client_id="bank-b", client_assertion=assertion(iss="bank-b", sub="bank-b"))
    assert (await proven(server, other)).allowances[0].remaining == 4


async def test_a_participants_own_rate_counts(server: Server) -> None:
    slow = participant(BANK, rate=Rate(per_second=1, burst=1))
    server.use(CLIENTS, registry=_registry(server, slow))
    await spend(server, lambda: jwt(server, owner=BANK), 1)
    assert (await limited(proven(server, jwt(server, owner=BANK)))).private == "participant"


async def test_without_a_certificate_only_a_proven_client_takes_of_its_participants_rate(server: Server) -> None:
    """Whom somebody says to be takes nothing from whoever they are."""
    for _ in range(10):
        assert await reason(server, jwt(server, client_assertion="x")) == "assertion_malformed"
    await spend(server, lambda: jwt(server), 5)
    assert (await limited(proven(server, jwt(server)))).private == "participant"


async def test_every_refusal_is_counted_for_the_log(server: Server) -> None:
    await reason(server, jwt(server, client_id="nobody"))
    await reason(server, jwt(server, owner=BANK, client_id="nobody"))
    await reason(server, jwt(server, owner="stranger"))
    assert server.world.refusals.counts() == {
        ("UNKNOWN", "UNKNOWN_CLIENT"): 1,
        (BANK, "UNKNOWN_CLIENT"): 1,
        ("UNKNOWN", "CERTIFICATE"): 1,
    }


async def test_refusals_for_their_rate_are_counted_too(server: Server) -> None:
    await spend(server, lambda: jwt(server, owner=BANK), 5)
    await limited(proven(server, jwt(server, owner=BANK)))
    assert server.world.refusals.counts() == {(BANK, "RATE_LIMITED"): 1}


def _rule(sha256: str) -> Any:
    rule = participant(BANK).certificates[0]
    return replace(rule, sha256=sha256)


def _registry(server: Server, changed: Any) -> Any:
    known = {one.participant_id: one for one in server.world.roster.view.registry} | {changed.participant_id: changed}
    return type(server.world.roster.view.registry)(known.values())
