"""The data owner at the gateway: sessions, forms, consents, receipts, Auth Codes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from gateway.authorization.handles import kept
from gateway.authorization.interactions import READING_SECONDS
from gateway.authorization.owners import PAGE_ITEMS, RECEIPT_TYPE, NewCode, Source
from gateway.core.model import ConsentStatus, Role
from gateway.errors import (
    AuditUnavailable,
    AuthenticationTooOld,
    NotFound,
    RateLimited,
    SchemaInvalid,
    StateConflict,
    UpstreamUnavailable,
)
from gateway.exchange.consents import auth_code_hash
from gateway.oauth.authcode import as_code
from gateway.oauth.grant import AuthCode, OwnerSession
from gateway.oauth.jws import algorithm_and_key_id, parse_jws, verified
from gateway.ports import ConsentStep, LoginRefused
from tests import samples
from tests.authorization_parts import OTHER_OWNER, OWNER
from tests.fakes_authorization import CLIENTS, OWNER_LIVES, Server, holds_none, subject_of
from tests.fakes_flows import INTERACTION, LONELY_SOURCE, PSEUDONYM_KEY, TYPE, participant
from tests.oauth_clients import KEYS
from tests.samples import NOW, SOURCE


async def signed_in(server: Server, *, before: str | None = None) -> str:
    return await server.owners.finish_sign_in("sealed", {"code": "x"}, before=before)


async def session_of(server: Server, secret: str) -> OwnerSession:
    found = await server.owners.session(secret)
    assert found is not None
    return found


# --- signing in and out ---------------------------------------------------------------------------------------------


async def test_who_signed_in_has_a_session_by_their_pseudonym(server: Server) -> None:
    secret = await signed_in(server)
    found = await session_of(server, secret)
    assert (found.subject, found.name, found.auth_time, found.acr) == (subject_of(), "Data Owner 7", NOW, "loa2")
    assert found.expires_at == NOW + OWNER_LIVES.session
    assert OWNER not in repr(found)


async def test_the_session_is_kept_as_a_hash(server: Server) -> None:
    secret = await signed_in(server)
    found = await session_of(server, secret)
    assert found.session_hash == kept(secret)
    assert await server.owners.session(found.session_hash) is None


@pytest.mark.parametrize("cookie", [None, "", "x", "x" * 43, "\udcff\udcfe"])
async def test_another_cookie_is_no_session(server: Server, cookie: str | None) -> None:
    await signed_in(server)
    assert await server.owners.session(cookie) is None


async def test_a_session_ends_by_itself(server: Server) -> None:
    secret = await signed_in(server)
    server.clock.advance(OWNER_LIVES.session - 1)
    assert await server.owners.session(secret) is not None
    server.clock.advance(1)
    assert await server.owners.session(secret) is None


async def test_who_signs_out_is_out(server: Server) -> None:
    secret, other = await signed_in(server), await signed_in(server)
    await server.owners.sign_out(secret)
    assert await server.owners.session(secret) is None
    assert await server.owners.session(other) is not None
    for nothing in (secret, None, "", "x"):
        await server.owners.sign_out(nothing)


async def test_a_session_that_was_put_into_the_browser_ends_with_the_sign_in(server: Server) -> None:
    """Session fixation: the secret is new each time, and the earlier one is dead."""
    planted = await signed_in(server)
    secret = await signed_in(server, before=planted)
    assert secret != planted
    assert await server.owners.session(planted) is None
    assert await server.owners.session(secret) is not None
    assert await signed_in(server, before="a cookie that somebody made up")


async def test_a_refused_sign_in_opens_and_ends_nothing(server: Server) -> None:
    secret = await signed_in(server)
    server.login.refused = "state"
    with pytest.raises(LoginRefused):
        await signed_in(server, before=secret)
    assert await server.owners.session(secret) is not None


async def test_a_provider_that_is_away_is_no_refusal(server: Server) -> None:
    server.login.down = True
    with pytest.raises(UpstreamUnavailable):
        await signed_in(server)
    with pytest.raises(UpstreamUnavailable):
        await server.owners.begin_sign_in(fresh=False, acr_values=(), locale="en")


async def test_a_request_asks_for_no_weaker_sign_in_than_the_operator_does(server: Server) -> None:
    for acr_values in (("loa1", "loa0"), ("loa0",), ()):
        await server.owners.begin_sign_in(fresh=True, acr_values=acr_values, locale="zh-Hant")
    assert server.login.asked == [(True, ("loa1",), "zh-Hant")] * 3


async def test_an_auth_code_needs_a_recent_sign_in(server: Server) -> None:
    """It is an approval as the page's is."""
    session = await session_of(server, await signed_in(server))
    source = server.owners.sources()[0]
    assert server.owners.recently_signed_in(session)
    server.clock.advance(OWNER_LIVES.fresh + 1)
    assert not server.owners.recently_signed_in(session)
    assert server.owners.recently_signed_in(session, reading=True)
    server.clock.advance(READING_SECONDS)
    with pytest.raises(AuthenticationTooOld):
        await server.owners.new_auth_code(
            session, source.participant_id, source.document_types[0], interaction=INTERACTION
        )


async def test_a_long_name_is_cut(server: Server) -> None:
    server.login.person = replace(server.login.person, name="n" * 5_000)
    assert len((await session_of(server, await signed_in(server))).name) == 200


# --- forms ----------------------------------------------------------------------------------------------------------


async def test_a_form_is_of_its_own_session(server: Server) -> None:
    one, two = [await session_of(server, await signed_in(server)) for _ in range(2)]
    assert server.owners.form_fits(one, server.owners.form_token(one))
    assert not server.owners.form_fits(two, server.owners.form_token(one))


@pytest.mark.parametrize("token", [None, "", "x", "é", "0" * 64])
async def test_another_token_does_not_fit(server: Server, token: str | None) -> None:
    assert not server.owners.form_fits(server.session(), token)


async def test_a_form_shows_nothing_of_the_session(server: Server) -> None:
    session = server.session()
    assert session.session_hash not in server.owners.form_token(session)


# --- consents -------------------------------------------------------------------------------------------------------


async def test_owners_see_their_consents_and_nobody_elses(server: Server) -> None:
    mine, theirs = await server.consent(), await server.consent(subject=subject_of(OTHER_OWNER))
    assert list(await server.owners.consents(server.session(), after=None)) == [mine]
    assert list(await server.owners.consents(server.session(OTHER_OWNER), after=None)) == [theirs]
    assert await server.owners.consent(server.session(), mine.consent_id) == mine
    for consent_id in (theirs.consent_id, "nothing"):
        with pytest.raises(NotFound):
            await server.owners.consent(server.session(), consent_id)


async def test_one_more_than_a_page_tells_that_another_follows(server: Server) -> None:
    made = [await server.consent(created_at=NOW + number) for number in range(PAGE_ITEMS + 3)]
    page = await server.owners.consents(server.session(), after=None)
    assert [one.consent_id for one in page] == [one.consent_id for one in reversed(made)][: PAGE_ITEMS + 1]
    rest = await server.owners.consents(server.session(), after=page[PAGE_ITEMS - 1].consent_id)
    assert [one.consent_id for one in rest] == [one.consent_id for one in reversed(made)][PAGE_ITEMS:]


async def test_who_revokes_ends_everything_under_the_consent(server: Server) -> None:
    consent, answer = await server.granted()
    ended = await server.owners.revoke(server.session(), consent.consent_id, "OWNER_REQUEST", interaction=INTERACTION)
    assert ended.status is ConsentStatus.REVOKED
    assert not await server.alive(answer["access_token"])
    (entry,) = await server.entries("consent.revoked")
    assert (entry["reason"], entry["actor"]["participant"]) == ("OWNER_REQUEST", "OWNER")
    with pytest.raises(StateConflict):
        await server.owners.revoke(server.session(), consent.consent_id, "OWNER_REQUEST", interaction=INTERACTION)


async def test_nobody_revokes_another_owners_consent(server: Server) -> None:
    consent = await server.consent()
    with pytest.raises(NotFound):
        await server.owners.revoke(
            server.session(OTHER_OWNER), consent.consent_id, "OWNER_REQUEST", interaction=INTERACTION
        )
    assert await server.status(consent) is ConsentStatus.SUBMITTED


async def test_a_receipt_is_signed_and_only_its_owners(server: Server) -> None:
    consent = await server.consent()
    jws = parse_jws(await server.owners.receipt(server.session(), consent.consent_id), characters_max=8_192)
    verified(jws, KEYS, *algorithm_and_key_id(jws, types={RECEIPT_TYPE}))
    assert jws.claims == {"consentId": consent.consent_id, "at": NOW}
    with pytest.raises(NotFound):
        await server.owners.receipt(server.session(OTHER_OWNER), consent.consent_id)


# --- Auth Codes -----------------------------------------------------------------------------------------------------


async def new_code(
    server: Server, session: OwnerSession | None = None, *, source: str = SOURCE, kind: str = TYPE
) -> NewCode:
    return await server.owners.new_auth_code(session or server.session(), source, kind, interaction=INTERACTION)


async def spent(server: Server, code: str, **consent: Any) -> AuthCode | None:
    """What a submission with this code finds."""
    found: list[AuthCode | None] = []

    def decide(approval: AuthCode | None) -> ConsentStep:
        found.append(approval)
        return ConsentStep(
            consent=samples.consent(subject=subject_of(), **consent),
            spends=approval.code_hash if approval is not None and approval.spent_at is None else None,
        )

    await server.world.store.submit(decide, samples.idempotency(), auth_code=auth_code_hash(PSEUDONYM_KEY, code))
    return found[-1]


async def test_a_code_is_its_owners_yes_to_this_source_and_type(server: Server) -> None:
    made = await new_code(server)
    assert as_code(made.code) == made.code
    assert (made.source.participant_id, made.document_type) == (SOURCE, TYPE)
    assert made.expires_at == NOW + OWNER_LIVES.auth_code
    found = await spent(server, made.code)
    assert found is not None
    assert found.covers(samples.consent(subject=subject_of()), now=NOW)
    assert not found.covers(samples.consent(subject=subject_of(OTHER_OWNER)), now=NOW)
    assert not found.covers(samples.consent(subject=subject_of(), provider_id=LONELY_SOURCE), now=NOW)
    assert not found.covers(samples.consent(subject=subject_of()), now=NOW + OWNER_LIVES.auth_code)


async def test_a_code_counts_once(server: Server) -> None:
    made = await new_code(server)
    await spent(server, made.code)
    again = await spent(server, made.code)
    assert again is not None
    assert not again.covers(samples.consent(subject=subject_of()), now=NOW)


async def test_no_two_codes_are_the_same(server: Server) -> None:
    assert (await new_code(server)).code != (await new_code(server)).code


async def test_a_code_is_kept_under_a_key_and_on_record_without_itself(server: Server) -> None:
    """Its 50 bits could be found by trying, were it only hashed."""
    made = await new_code(server)
    entries = await server.world.entries()  # not flushed: on record before it is shown
    assert [(entry["type"], entry["actor"]["participant"]) for entry in entries] == [("consent.code_issued", "OWNER")]
    assert entries[0]["facts"] == {"documentType": TYPE}
    assert (entries[0]["counterparty"], entries[0]["subject"]) == (SOURCE, subject_of())
    assert holds_none(entries, made.code, kept(made.code), auth_code_hash(PSEUDONYM_KEY, made.code), OWNER)


async def test_an_owner_gets_so_many_codes_in_an_hour(server: Server) -> None:
    for _ in range(OWNER_LIVES.auth_codes_per_hour):
        await new_code(server)
    with pytest.raises(RateLimited) as refused:
        await new_code(server, server.session())  # in another session too
    assert refused.value.private == "auth-code"
    assert 0 < (refused.value.retry_after_seconds or 0) <= 3_600 / OWNER_LIVES.auth_codes_per_hour + 1
    assert await new_code(server, server.session(OTHER_OWNER))
    server.clock.advance(3_600 / OWNER_LIVES.auth_codes_per_hour)
    assert await new_code(server)


async def test_many_that_ask_together_get_no_more(server: Server) -> None:
    found = await asyncio.gather(*(new_code(server) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(one, NewCode) for one in found) == OWNER_LIVES.auth_codes_per_hour


@pytest.mark.parametrize(
    ("source", "kind"), [(SOURCE, "OTHER"), ("NOBODY", TYPE), ("BANKA01DC", TYPE), ("DVP01", TYPE), ("", "")]
)
async def test_a_code_is_for_what_a_source_may_issue(server: Server, source: str, kind: str) -> None:
    with pytest.raises(SchemaInvalid):
        await new_code(server, source=source, kind=kind)
    assert await server.entries() == []


async def test_what_is_refused_takes_nothing_from_the_rate(server: Server) -> None:
    for _ in range(10):
        with pytest.raises(SchemaInvalid):
            await new_code(server, kind="OTHER")
    assert await new_code(server)


async def test_the_sources_are_those_that_may_issue_now(server: Server) -> None:
    assert {source.participant_id for source in server.owners.sources()} == {SOURCE, LONELY_SOURCE}
    registry = server.world.roster.view.registry
    known = {one.participant_id: one for one in registry} | {
        SOURCE: participant(SOURCE, Role.SOURCE, name="Zhuhai Credit", document_types=frozenset({"B", "A"})),
        LONELY_SOURCE: participant(LONELY_SOURCE, Role.SOURCE, active=False),
        "EMPTY01DP": participant("EMPTY01DP", Role.SOURCE, document_types=frozenset()),
        "ANOTHER01DP": participant("ANOTHER01DP", Role.SOURCE, name="Another", document_types=frozenset({"C"})),
    }
    server.use(CLIENTS, registry=type(registry)(known.values()))
    assert server.owners.sources() == [
        Source(participant_id="ANOTHER01DP", name="Another", document_types=("C",)),
        Source(participant_id=SOURCE, name="Zhuhai Credit", document_types=("A", "B")),
    ]


async def test_without_a_log_there_is_no_code(server: Server) -> None:
    server.audit.dead = True
    with pytest.raises(AuditUnavailable):
        await new_code(server)


async def test_a_code_whose_record_the_log_refuses_is_shown_to_nobody(server: Server) -> None:
    server.audit.refuses = 1
    with pytest.raises(AuditUnavailable):
        await new_code(server)
    assert [entry["type"] for entry in await server.entries()] == ["consent.code_issued"]  # and it expires
