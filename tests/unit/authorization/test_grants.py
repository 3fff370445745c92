"""Introspection (RFC 7662), revocation (RFC 7009), grant management: own, others', ended."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.authorization.grants import Grants
from gateway.core.model import ConsentStatus
from gateway.errors import AuditUnavailable, NotFound, UpstreamUnavailable
from gateway.oauth.access_token import AccessToken
from gateway.oauth.grant import Ended
from tests.fakes_authorization import CLIENTS, RESOURCE, Server, claims_of, holds_none, refused, subject_of
from tests.fakes_flows import INTERACTION
from tests.fakes_oauth import sign
from tests.oauth_clients import CLIENT, ISSUER, key, stranger
from tests.samples import NOW

INACTIVE = {"active": False}


async def look(server: Server, token: str, client_id: str = CLIENT, **hint: str) -> dict[str, Any]:
    return dict(await server.grants.introspect(server.caller(client_id), {"token": token} | hint))


async def revoke(server: Server, token: str, client_id: str = CLIENT, **hint: str) -> None:
    await server.grants.revoke(server.caller(client_id), {"token": token} | hint)


async def machine(server: Server, client_id: str = CLIENT) -> str:
    return str((await server.machine("cdi:consents", server.caller(client_id)))["access_token"])


def foreign(**changes: Any) -> str:
    """A token that another trusted issuer made for a client of the same name, with the key of its own."""
    claims = {
        "iss": "https://other-issuer.example",
        "aud": RESOURCE,
        "sub": CLIENT,
        "client_id": CLIENT,
        "jti": "theirs",
        "iat": NOW,
        "exp": NOW + 300,
        "cnf": {"x5t#S256": "A" * 43},
    }
    return sign(key(), {"typ": "at+jwt", "alg": "ES256", "kid": "key-ES256"}, claims | changes)


# --- introspection --------------------------------------------------------------------------------------------------


async def test_a_client_sees_what_its_token_says(server: Server) -> None:
    consent, answer = await server.granted()
    body = await look(server, answer["access_token"])
    assert body == {"active": True, "token_type": "Bearer", **claims_of(answer["access_token"])}
    assert body["authorization_details"][0]["consentId"] == consent.consent_id


async def test_another_client_of_the_same_bank_sees_it_too(server: Server) -> None:
    assert (await look(server, await machine(server), "bank-a-batch"))["active"] is True


async def test_another_bank_learns_nothing(server: Server) -> None:
    """RFC 7662 §4: not even whether there is such a token."""
    _, answer = await server.granted()
    for token in (answer["access_token"], answer["refresh_token"]):
        assert await look(server, token, "bank-b") == INACTIVE


@pytest.mark.parametrize("token", ["x", "a.b.c", "", "\ud800", "x" * 100_000, "..", "é.é.é"])
async def test_what_is_no_token_is_inactive(server: Server, token: str) -> None:
    assert await look(server, token) == INACTIVE


async def test_a_token_must_be_given(server: Server) -> None:
    for work in (server.grants.introspect(server.caller(), {}), server.grants.revoke(server.caller(), {})):
        found = await refused(work)
        assert (found.code, found.reason) == ("invalid_request", "token_missing")


async def test_a_forged_token_is_inactive(server: Server) -> None:
    claims = claims_of(await machine(server))
    forged = sign(stranger(), {"typ": "at+jwt", "alg": "ES256", "kid": "key-ES256"}, claims)
    assert await look(server, forged) == INACTIVE


async def test_an_expired_token_is_inactive(server: Server) -> None:
    token = await machine(server)
    server.clock.advance(300)
    assert await look(server, token) == INACTIVE


async def test_a_token_of_a_client_that_a_reload_took_out_is_inactive(server: Server) -> None:
    token = await machine(server, "bank-a-batch")
    server.use([client for client in CLIENTS if client.client_id != "bank-a-batch"])
    assert await look(server, token) == INACTIVE


async def test_another_issuers_token_is_none_of_ours(server: Server) -> None:
    assert (await server.tokens.verify(foreign())).issuer == "https://other-issuer.example"  # the resource believes it
    assert await look(server, foreign()) == INACTIVE


class Unreachable:
    """`ports.TokenVerifier` while no issuer's keys can be had."""

    async def verify(self, token: str) -> AccessToken:
        raise UpstreamUnavailable(private="keys")


async def test_another_issuers_token_needs_none_of_its_keys(server: Server) -> None:
    """RFC 7662 §2.2, RFC 7009 §2.2: it is inactive, and giving it back is no error, whatever its issuer does now."""
    away = Grants(
        issuer=ISSUER,
        state=server.state,
        tokens=Unreachable(),
        liveness=server.liveness,
        roster=server.world.roster,
        audit=server.audit,
        recorder=server.world.recorder,
        clock=server.clock,
    )
    assert await away.introspect(server.caller(), {"token": foreign()}) == INACTIVE
    await away.revoke(server.caller(), {"token": foreign()})
    with pytest.raises(UpstreamUnavailable):  # of one that says to be ours nobody can tell
        await away.introspect(server.caller(), {"token": foreign(iss=ISSUER)})


@pytest.mark.parametrize("end", ["consent", "grant", "token", "time"])
async def test_what_ended_is_inactive_at_once(server: Server, end: str) -> None:
    consent, answer = await server.granted(expire_time=NOW + 100)
    assert await server.alive(answer["access_token"])
    if end == "consent":
        await server.owned.revoke(consent.consent_id, subject_of(), "OWNER_REQUEST", interaction=INTERACTION)
    elif end == "grant":
        await revoke(server, answer["refresh_token"])
    elif end == "token":
        await revoke(server, answer["access_token"])
    else:
        server.clock.advance(100)
    assert await look(server, answer["access_token"]) == INACTIVE


async def test_a_refresh_token_is_introspected_without_its_secrets(server: Server) -> None:
    consent, answer = await server.granted()
    for client_id in (CLIENT, "bank-a-batch"):
        assert await look(server, answer["refresh_token"], client_id) == {
            "active": True,
            "client_id": CLIENT,
            "scope": "cdi:data-requests",
            "exp": consent.expire_time,
            "grant_id": answer["grant_id"],
        }


@pytest.mark.parametrize("end", ["consent", "grant", "time"])
async def test_a_refresh_token_of_what_ended_is_inactive(server: Server, end: str) -> None:
    consent, answer = await server.granted(expire_time=NOW + 100)
    if end == "consent":
        await server.owned.revoke(consent.consent_id, subject_of(), "OWNER_REQUEST", interaction=INTERACTION)
    elif end == "grant":
        await server.grants.end(server.managing(), answer["grant_id"])
    else:
        server.clock.advance(100)
    assert await look(server, answer["refresh_token"]) == INACTIVE


async def test_who_only_looks_waits_for_no_writer(server: Server) -> None:
    _, answer = await server.granted()
    for change in ("by_refresh", "by_id"):
        server.state.before[change] = UpstreamUnavailable()
    assert (await look(server, answer["refresh_token"]))["active"] is True
    assert (await server.grants.query(server.managing(), answer["grant_id"]))["created_at"] == NOW


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "something"])
async def test_a_hint_changes_nothing(server: Server, hint: str) -> None:
    """RFC 7662 §2.1: it may be wrong."""
    _, answer = await server.granted()
    for token in (answer["access_token"], answer["refresh_token"]):
        assert (await look(server, token, token_type_hint=hint))["active"] is True


async def test_a_code_is_no_token(server: Server) -> None:
    assert await look(server, await server.code(await server.consent())) == INACTIVE


async def test_when_nobody_can_tell_there_is_no_answer(server: Server) -> None:
    token = await machine(server)
    server.state.before["revocations"] = UpstreamUnavailable()
    with pytest.raises(UpstreamUnavailable):
        await look(server, token)
    assert (await look(server, token))["active"] is True


# --- revocation -----------------------------------------------------------------------------------------------------


async def test_an_access_token_is_revoked_alone(server: Server) -> None:
    _, answer = await server.granted()
    again = await server.refresh(answer["refresh_token"])
    await revoke(server, answer["access_token"])
    assert not await server.alive(answer["access_token"])
    assert await server.alive(again["access_token"])
    assert (await server.grant(answer["grant_id"])).ended is None
    (entry,) = await server.entries("token.revoked")
    assert entry["reason"] == "TOKEN_REVOKED"
    assert entry["facts"] == {"token": claims_of(answer["access_token"])["jti"]}


async def test_a_refresh_token_is_revoked_with_all_of_its_grant(server: Server) -> None:
    """RFC 7009 §2.1."""
    consent, answer = await server.granted()
    again = await server.refresh(answer["refresh_token"])
    await revoke(server, answer["refresh_token"])
    assert not await server.alive(answer["access_token"])
    assert not await server.alive(again["access_token"])
    assert (await refused(server.refresh(answer["refresh_token"]))).reason == "grant_ended"
    assert (await server.grant(answer["grant_id"])).ended is Ended.GRANT_REVOKED
    assert await server.status(consent) is ConsentStatus.VALID
    (entry,) = await server.entries("token.revoked")
    assert (entry["reason"], entry["facts"]) == ("GRANT_REVOKED", {"grant": answer["grant_id"]})


async def test_revoking_again_is_no_error_and_no_second_record(server: Server) -> None:
    _, answer = await server.granted()
    for _ in range(2):
        await revoke(server, answer["refresh_token"])
    assert len(await server.entries("token.revoked")) == 1


@pytest.mark.parametrize("token", ["x", "a.b.c", "", "\ud800", "x" * 100_000])
async def test_an_unknown_token_is_no_error(server: Server, token: str) -> None:
    """RFC 7009 §2.2."""
    await revoke(server, token)
    assert await server.entries() == []


@pytest.mark.parametrize("other", ["bank-b", "bank-a-batch"])
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_another_clients_token_is_not_revoked(server: Server, other: str, kind: str) -> None:
    """RFC 7009 §2.1: refused, and the client is told."""
    _, answer = await server.granted()
    found = await refused(revoke(server, answer[kind], other))
    assert (found.code, found.reason) == ("unauthorized_client", "token_of_another")
    assert await server.alive(answer["access_token"])
    assert (await server.grant(answer["grant_id"])).ended is None


async def test_another_issuers_token_revokes_none_of_ours(server: Server) -> None:
    """Also where it says the id of one."""
    token = await machine(server)
    await revoke(server, foreign(jti=claims_of(token)["jti"]))
    assert await server.alive(token)


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "something"])
async def test_a_wrong_hint_does_not_keep_a_token_alive(server: Server, hint: str) -> None:
    token = await machine(server)
    await revoke(server, token, token_type_hint=hint)
    assert not await server.alive(token)


async def test_without_a_log_nothing_is_revoked(server: Server) -> None:
    _, answer = await server.granted()
    server.audit.dead = True
    for kind in ("access_token", "refresh_token"):
        with pytest.raises(AuditUnavailable):
            await revoke(server, answer[kind])
    with pytest.raises(AuditUnavailable):
        await server.grants.end(server.managing(), answer["grant_id"])
    server.audit.dead = False
    assert await server.alive(answer["access_token"])


async def test_a_record_that_the_log_refuses_waits_and_the_token_is_dead(server: Server) -> None:
    token = await machine(server)
    server.audit.refuses = 1
    with pytest.raises(AuditUnavailable):
        await revoke(server, token)
    assert not await server.alive(token)
    assert len(await server.entries("token.revoked")) == 1


async def test_no_token_is_on_record(server: Server) -> None:
    _, answer = await server.granted()
    await revoke(server, answer["access_token"])
    await revoke(server, answer["refresh_token"])
    assert holds_none(await server.entries(), answer["access_token"], answer["refresh_token"])


# --- grant management -----------------------------------------------------------------------------------------------


async def test_grant_management_query_and_revoke(server: Server) -> None:
    consent, answer = await server.granted()
    found = await server.grants.query(server.managing(), answer["grant_id"])
    assert found["scopes"] == [{"scope": "cdi:data-requests"}]
    assert found["authorization_details"] == answer["authorization_details"]
    assert found["created_at"] == NOW
    await server.grants.end(server.managing(), answer["grant_id"])
    assert not await server.alive(answer["access_token"])
    assert await server.status(consent) is ConsentStatus.VALID
    (entry,) = await server.entries("token.revoked")
    assert (entry["reason"], entry["facts"]) == ("GRANT_REVOKED", {"grant": answer["grant_id"]})
    for work in (server.grants.query, server.grants.end):
        with pytest.raises(NotFound):
            await work(server.managing(), answer["grant_id"])


async def test_grant_management_ensure_query_nonexistent_grant_fails(server: Server) -> None:
    for work in (server.grants.query, server.grants.end):
        with pytest.raises(NotFound):
            await work(server.managing(), "5d7e6a1c-9f0a-4f3e-8a43-0a3a4d1e9b11")


@pytest.mark.parametrize("other", ["bank-b", "bank-a-batch"])
async def test_grant_management_ensure_wrong_client_cannot_query_or_revoke_grant(server: Server, other: str) -> None:
    _, answer = await server.granted()
    for work in (server.grants.query, server.grants.end):
        with pytest.raises(NotFound):
            await work(server.managing(other), answer["grant_id"])
    assert await server.alive(answer["access_token"])


async def test_a_grant_whose_time_passed_is_not_found(server: Server) -> None:
    _, answer = await server.granted(expire_time=NOW + 100)
    server.clock.advance(100)
    with pytest.raises(NotFound):
        await server.grants.query(server.managing(), answer["grant_id"])


async def test_a_grant_that_ended_with_its_consent_is_not_found(server: Server) -> None:
    consent, answer = await server.granted()
    await server.owned.revoke(consent.consent_id, subject_of(), "OWNER_REQUEST", interaction=INTERACTION)
    with pytest.raises(NotFound):
        await server.grants.query(server.managing(), answer["grant_id"])


async def test_the_issuer_of_what_is_introspected_is_this_server(server: Server) -> None:
    assert (await look(server, await machine(server)))["iss"] == ISSUER
