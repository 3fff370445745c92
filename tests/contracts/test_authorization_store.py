"""The contract of `ports.AuthorizationStore`, and of Auth Codes in `ports.ConsentStore.submit`, on every database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from adapters.sql import engine as engines
from adapters.sql.store import SqlStore, open_store
from gateway.core.model import Approval, Consent, ConsentStatus
from gateway.errors import GatewayError, StateConflict, UpstreamUnavailable
from gateway.oauth.grant import AuthCode, Ended, OAuthGrant, Revocation
from gateway.oauth.refusal import OAuthRefusal
from gateway.ports import ConsentStep, GrantDecision, GrantStep
from tests import oauth_samples, samples
from tests.fakes import FakeSealer
from tests.oauth_samples import CLIENT, hashed
from tests.samples import NOW

LIFE = 7_200
DAY = 86_400

Opener = Callable[[str], AbstractAsyncContextManager[SqlStore]]


@pytest.fixture
def replica(database: str) -> Opener:
    """Another process's store on the same database, by its name."""
    return lambda owner: open_store(
        database, sealer=FakeSealer(), lease_owner=owner, queue_max=1_000, batch_max=64, revocation_seconds=LIFE
    )


@pytest.fixture
async def store(replica: Opener) -> AsyncIterator[SqlStore]:
    async with replica("replica-1") as opened:
        yield opened


async def submitted(store: SqlStore, **changes: object) -> Consent:
    return await store.submit(lambda _: ConsentStep(consent=samples.consent(**changes)), samples.idempotency())


async def granted(store: SqlStore, consent: Consent | None = None, **changes: object) -> OAuthGrant:
    grant = oauth_samples.grant(consent or await submitted(store), **changes)
    await store.authorization.add_grant(GrantStep(grant=grant))
    return grant


async def found(store: SqlStore, grant: OAuthGrant) -> OAuthGrant:
    kept = await store.authorization.by_id(grant.grant_id, lambda _, __: None)
    assert kept is not None
    return kept


async def announced(store: SqlStore, *, after: int = 0, now: int = NOW) -> list[tuple[str, str, Ended, int]]:
    page = await store.authorization.revocations(after=after, now=now)
    return [(one.kind, one.value, one.reason, one.until) for one in page.rows]


async def change(store: SqlStore, consent: Consent, status: ConsentStatus, *, now: int = NOW + 5) -> Consent:
    return await store.change_consent(
        consent.consent_id, lambda current: ConsentStep(consent=replace(current, status=status, updated_at=now))
    )


def redeem(**changes: Any) -> GrantDecision:
    """As the token endpoint decides: the code is good once."""

    def decide(grant: OAuthGrant | None, consent: Consent | None) -> GrantStep:
        if grant is None or grant.redeemed_at is not None or grant.ended is not None:
            raise OAuthRefusal("invalid_grant", "The grant is not valid", reason="code")
        assert consent is not None
        assert consent.consent_id == grant.consent_id
        return GrantStep(
            grant=replace(grant, redeemed_at=NOW + 1.5, **changes), records=(samples.record(type="token.issued"),)
        )

    return decide


def end(reason: Ended, *, at: float = NOW + 9.5) -> GrantDecision:
    def decide(grant: OAuthGrant | None, _: Consent | None) -> GrantStep | None:
        assert grant is not None
        return GrantStep(grant=replace(grant, ended=reason, ended_at=at))

    return decide


class TestPushedRequests:
    async def test_a_pushed_request_comes_back_as_it_was(self, store: SqlStore) -> None:
        full, bare = (
            oauth_samples.pushed(),
            oauth_samples.pushed(
                request=oauth_samples.request(
                    state=None, dpop_jkt=None, max_age=None, acr_values=(), prompts=frozenset(), ui_locales=()
                )
            ),
        )
        for one in (full, bare):
            await store.authorization.push(one)
            assert await store.authorization.pushed(one.handle_hash) == one

    async def test_an_unknown_handle_has_no_request(self, store: SqlStore) -> None:
        assert await store.authorization.pushed(hashed()) is None
        assert not await store.authorization.take(hashed(), None)

    async def test_taking_it_makes_the_grant_with_its_records(self, store: SqlStore) -> None:
        consent, pushed = await submitted(store), oauth_samples.pushed()
        await store.authorization.push(pushed)
        grant = oauth_samples.grant(consent)
        records = [samples.record(consent=None) for _ in range(2)]
        step = GrantStep(grant=grant, records=(records[0],))
        assert await store.authorization.take(pushed.handle_hash, step, records=(records[1],))
        assert await store.authorization.pushed(pushed.handle_hash) is None
        assert await found(store, grant) == grant
        assert [record for _, record in await store.waiting(limit=9)] == records

    async def test_an_owners_no_takes_it_and_grants_nothing(self, store: SqlStore) -> None:
        pushed = oauth_samples.pushed()
        await store.authorization.push(pushed)
        assert await store.authorization.take(pushed.handle_hash, None, records=(samples.record(),))
        assert not await store.authorization.take(pushed.handle_hash, None, records=(samples.record(),))
        assert len(await store.waiting(limit=9)) == 1

    async def test_of_twenty_that_take_one_request_one_does(self, store: SqlStore, replica: Opener) -> None:
        consent, pushed = await submitted(store), oauth_samples.pushed()
        await store.authorization.push(pushed)
        grants = [oauth_samples.grant(consent) for _ in range(20)]
        async with replica("replica-2") as other:
            taken = await asyncio.gather(
                *(
                    side.authorization.take(pushed.handle_hash, GrantStep(grant=grant, records=(samples.record(),)))
                    for side, grant in zip((store, other) * 10, grants, strict=True)
                )
            )
        assert sum(taken) == 1
        [winner] = [grant for grant, won in zip(grants, taken, strict=True) if won]
        for grant in grants:
            kept = await store.authorization.by_id(grant.grant_id, lambda _, __: None)
            assert kept == (grant if grant is winner else None)
        assert len(await store.waiting(limit=99)) == 1

    async def test_a_grant_that_cannot_be_made_leaves_the_request(self, store: SqlStore) -> None:
        pushed = oauth_samples.pushed()
        await store.authorization.push(pushed)
        nowhere = GrantStep(grant=oauth_samples.grant(samples.consent()), records=(samples.record(),))
        with pytest.raises(UpstreamUnavailable):
            await store.authorization.take(pushed.handle_hash, nowhere)
        assert await store.authorization.pushed(pushed.handle_hash) == pushed
        assert not await store.waiting(limit=9)


class TestGrants:
    async def test_every_field_of_a_grant_comes_back(self, store: SqlStore) -> None:
        consent = await submitted(store)
        bare = await granted(
            store,
            consent,
            auth_time=None,
            acr=None,
            redirect_uri=None,
            code_challenge=None,
            dpop_jkt=None,
            code_hash=None,
            code_expires_at=0.0,
        )
        full = await granted(store, consent)
        changed = replace(
            full, redeemed_at=NOW + 1.5, refresh_hash=hashed(), ended=Ended.CODE_REUSED, ended_at=NOW + 2.5
        )
        await store.authorization.by_id(full.grant_id, lambda _, __: GrantStep(grant=changed))
        assert await found(store, bare) == bare
        assert await found(store, full) == changed

    async def test_it_is_found_by_its_code_its_refresh_token_and_its_id_with_its_consent(self, store: SqlStore) -> None:
        consent = await submitted(store)
        await granted(store, await submitted(store))
        grant = await granted(store, consent)
        assert grant.code_hash is not None
        refresh_hash = hashed()
        redeemed = await store.authorization.by_code(grant.code_hash, redeem(refresh_hash=refresh_hash))
        assert redeemed == replace(grant, redeemed_at=NOW + 1.5, refresh_hash=refresh_hash)
        seen: list[tuple[OAuthGrant | None, Consent | None]] = []

        def look(one: OAuthGrant | None, its_consent: Consent | None) -> None:
            seen.append((one, its_consent))

        assert await store.authorization.by_refresh(refresh_hash, look) == redeemed
        assert await store.authorization.by_code(grant.code_hash, look) == redeemed
        assert await store.authorization.by_id(grant.grant_id, look) == redeemed
        assert seen == [(redeemed, consent)] * 3

    async def test_where_there_is_none_the_decision_is_told(self, store: SqlStore) -> None:
        seen: list[OAuthGrant | Consent | None] = []

        def look(grant: OAuthGrant | None, consent: Consent | None) -> None:
            seen.extend((grant, consent))

        assert await store.authorization.by_code(hashed(), look) is None
        assert await store.authorization.by_refresh(hashed(), look) is None
        assert await store.authorization.by_id("nowhere", look) is None
        assert seen == [None] * 6

    async def test_a_grant_is_looked_at_with_its_consent_as_committed(self, store: SqlStore) -> None:
        refresh_hash, consent = hashed(), await submitted(store)
        grant = await granted(store, consent, refresh_hash=refresh_hash)
        await granted(store, await submitted(store), refresh_hash=hashed())
        assert await store.authorization.grant(grant.grant_id) == (grant, consent)
        assert await store.authorization.grant_by_refresh(refresh_hash) == (grant, consent)
        revoked = await change(store, consent, ConsentStatus.REVOKED)
        ended = await found(store, grant)
        assert ended.ended is Ended.CONSENT_REVOKED
        assert await store.authorization.grant(grant.grant_id) == (ended, revoked)
        assert await store.authorization.grant_by_refresh(refresh_hash) == (ended, revoked)

    async def test_what_is_no_grants_is_no_grant(self, store: SqlStore) -> None:
        grant = await granted(store)
        assert await store.authorization.grant("nowhere") is None
        assert await store.authorization.grant_by_refresh(grant.grant_id) is None

    async def test_of_twenty_redemptions_of_one_code_one_succeeds(self, store: SqlStore, replica: Opener) -> None:
        grant = await granted(store)
        code_hash = grant.code_hash
        assert code_hash is not None
        async with replica("replica-2") as other:
            made = await asyncio.gather(
                *(side.authorization.by_code(code_hash, redeem(refresh_hash=hashed())) for side in (store, other) * 10),
                return_exceptions=True,
            )
        [winner] = [one for one in made if isinstance(one, OAuthGrant)]
        assert sum(isinstance(one, OAuthRefusal) for one in made) == 19
        assert await found(store, grant) == winner
        assert len(await store.waiting(limit=99)) == 1

    async def test_a_refused_decision_writes_nothing(self, store: SqlStore) -> None:
        grant = await granted(store)

        def refuse(_: OAuthGrant | None, __: Consent | None) -> GrantStep:
            raise OAuthRefusal("invalid_grant", "The grant is not valid", reason="code")

        with pytest.raises(OAuthRefusal):
            await store.authorization.by_id(grant.grant_id, refuse)
        assert await found(store, grant) == grant

    async def test_what_was_granted_never_changes(self, store: SqlStore) -> None:
        grant = await granted(store)
        with pytest.raises(ValueError, match="only its state"):
            await store.authorization.by_id(
                grant.grant_id, lambda _, __: GrantStep(grant=replace(grant, scopes=("cdi:everything",)))
            )
        with pytest.raises(ValueError, match="a time of its end"):
            await store.authorization.by_id(
                grant.grant_id, lambda _, __: GrantStep(grant=replace(grant, ended=Ended.GRANT_REVOKED))
            )
        assert await found(store, grant) == grant
        assert not await announced(store)

    async def test_the_live_grant_is_the_newest_of_this_client_and_consent(self, store: SqlStore) -> None:
        consent = await submitted(store)
        assert await store.authorization.live_grant(CLIENT, consent.consent_id) is None
        first = await granted(store, consent, code_hash=None)
        second = await granted(store, consent, code_hash=None, created_at=NOW + 1)
        await granted(store, consent, code_hash=None, created_at=NOW + 2, client_id="bank-b")
        await granted(store, await submitted(store), code_hash=None, created_at=NOW + 2)
        assert await store.authorization.live_grant(CLIENT, consent.consent_id) == second
        await store.authorization.by_id(second.grant_id, end(Ended.GRANT_REVOKED))
        assert await store.authorization.live_grant(CLIENT, consent.consent_id) == first

    @pytest.mark.parametrize("redeemed_at", [None, NOW + 1.5])
    async def test_a_grant_of_the_page_belongs_to_its_code(self, store: SqlStore, redeemed_at: float | None) -> None:
        grant = await granted(store, redeemed_at=redeemed_at)
        assert await store.authorization.live_grant(CLIENT, grant.consent_id) is None


class TestRevocations:
    async def test_a_grant_that_ends_is_announced_once(self, store: SqlStore) -> None:
        grant = await granted(store)
        await store.authorization.by_id(grant.grant_id, end(Ended.GRANT_REVOKED))
        await store.authorization.by_id(grant.grant_id, end(Ended.CODE_REUSED))
        assert await announced(store) == [("grant", grant.grant_id, Ended.GRANT_REVOKED, NOW + 9 + LIFE)]

    async def test_a_token_is_announced_with_its_record(self, store: SqlStore) -> None:
        record = samples.record(consent=None)
        await store.authorization.revoke_token("token-1", until=NOW + 300, records=(record,))
        await store.authorization.revoke_token("token-1", until=NOW + 300, records=())
        assert await announced(store) == [("token", "token-1", Ended.TOKEN_REVOKED, NOW + 300)] * 2
        assert [waiting for _, waiting in await store.waiting(limit=9)] == [record]

    @pytest.mark.parametrize(
        ("status", "reason"),
        [(ConsentStatus.REVOKED, Ended.CONSENT_REVOKED), (ConsentStatus.EXPIRED, Ended.CONSENT_EXPIRED)],
    )
    async def test_a_consent_that_ends_is_announced_and_ends_its_grants(
        self, store: SqlStore, status: ConsentStatus, reason: Ended
    ) -> None:
        consent, other = await submitted(store), await submitted(store)
        open_, closed, others = (
            await granted(store, consent, code_hash=None),
            await granted(store, consent),
            await granted(store, other),
        )
        await store.authorization.by_id(closed.grant_id, end(Ended.GRANT_REVOKED))
        await change(store, consent, status)
        assert (await announced(store))[1:] == [("consent", consent.consent_id, reason, NOW + 5 + LIFE)]
        assert await found(store, open_) == replace(open_, ended=reason, ended_at=NOW + 5)
        assert (await found(store, closed)).ended is Ended.GRANT_REVOKED
        assert await found(store, others) == others
        assert await store.authorization.live_grant(CLIENT, consent.consent_id) is None

    async def test_other_steps_of_a_consent_announce_nothing(self, store: SqlStore) -> None:
        consent = await submitted(store, status=ConsentStatus.SUBMITTED)
        grant = await granted(store, consent)
        for status in (ConsentStatus.VALID, ConsentStatus.CONSUMED):
            await change(store, consent, status)
        assert not await announced(store)
        assert await found(store, grant) == grant

    async def test_a_consent_that_has_ended_is_announced_no_second_time(self, store: SqlStore) -> None:
        consent = await submitted(store)
        await change(store, consent, ConsentStatus.REVOKED)
        await store.change_consent(
            consent.consent_id, lambda current: ConsentStep(consent=replace(current, updated_at=NOW + 99))
        )
        assert len(await announced(store)) == 1

    async def test_a_refused_revocation_announces_nothing(self, store: SqlStore) -> None:
        consent = await submitted(store)
        grant = await granted(store, consent)

        def refuse(_: Consent) -> ConsentStep:
            raise StateConflict()

        with pytest.raises(GatewayError):
            await store.change_consent(consent.consent_id, refuse)
        assert not await announced(store)
        assert await found(store, grant) == grant

    async def test_a_grant_under_a_consent_that_has_just_ended_begins_ended(self, store: SqlStore) -> None:
        consent, pushed = await submitted(store), oauth_samples.pushed()
        await store.authorization.push(pushed)
        await change(store, consent, ConsentStatus.REVOKED)
        grant = oauth_samples.grant(consent)
        assert await store.authorization.take(pushed.handle_hash, GrantStep(grant=grant))
        assert (await found(store, grant)).ended is Ended.CONSENT_REVOKED

    async def test_redemption_and_revocation_at_once_leave_no_grant_alive(
        self, store: SqlStore, replica: Opener
    ) -> None:
        consents = [await submitted(store) for _ in range(12)]
        grants = [await granted(store, consent) for consent in consents]

        async def redeemed(side: SqlStore, grant: OAuthGrant) -> None:
            assert grant.code_hash is not None
            await side.authorization.by_code(grant.code_hash, redeem())

        async with replica("replica-2") as other:
            await asyncio.gather(
                *(
                    act
                    for number, (consent, grant) in enumerate(zip(consents, grants, strict=True))
                    for act in (
                        redeemed((store, other)[number % 2], grant),
                        change((store, other)[number // 2 % 2], consent, ConsentStatus.REVOKED),
                    )
                ),
                return_exceptions=True,
            )
        assert {(await found(store, grant)).ended for grant in grants} == {Ended.CONSENT_REVOKED}
        assert {value for _, value, _, _ in await announced(store)} == {consent.consent_id for consent in consents}

    async def test_one_whose_time_has_passed_is_told_no_more(self, store: SqlStore) -> None:
        await store.authorization.revoke_token("early", until=NOW + 1, records=())
        await store.authorization.revoke_token("late", until=NOW + 2, records=())
        assert [value for _, value, _, _ in await announced(store, now=NOW + 1)] == ["late"]

    async def test_the_newest_sequence_is_told_whether_or_not_its_announcement_is(self, store: SqlStore) -> None:
        for number in range(3):
            await store.authorization.revoke_token(f"token-{number}", until=NOW + number, records=())
        await store.authorization.sweep(now=float(NOW + 1), limit=99)
        for after, now, sequences in ((0, NOW, [3]), (2, NOW, [3]), (3, NOW, []), (0, NOW + 2, [])):
            told = await store.authorization.revocations(after=after, now=now)
            assert ([one.sequence for one in told.rows], told.newest) == (sequences, 3)

    async def test_a_reader_behind_the_last_sequence_misses_none(self, store: SqlStore, replica: Opener) -> None:
        consents = [await submitted(store) for _ in range(40)]
        seen: list[Revocation] = []

        async def read(side: SqlStore) -> None:
            while len(seen) < 100:
                after = seen[-1].sequence if seen else 0
                seen.extend((await side.authorization.revocations(after=after, now=NOW)).rows)

        async with replica("replica-2") as other, asyncio.timeout(60):
            await asyncio.gather(
                read(other),
                *(
                    change(side, consent, ConsentStatus.REVOKED)
                    for side, consent in zip((store, other) * 20, consents, strict=True)
                ),
                *(
                    side.authorization.revoke_token(samples.unique("token"), until=NOW + 9, records=())
                    for side in (store, other) * 30
                ),
            )
        assert [one.sequence for one in seen] == list(range(1, 101))
        assert {one.value for one in seen} >= {consent.consent_id for consent in consents}


class TestAuthCodes:
    async def test_a_code_is_there_for_the_decision_and_counts_once(self, store: SqlStore) -> None:
        code = oauth_samples.auth_code()
        await store.authorization.add_auth_code(code, records=(samples.record(),))
        assert len(await store.waiting(limit=9)) == 1
        seen: list[AuthCode | None] = []

        def decide(presented: AuthCode | None) -> ConsentStep:
            seen.append(presented)
            unspent = presented is not None and presented.spent_at is None
            approval = Approval.AUTH_CODE if unspent else None
            return ConsentStep(consent=samples.consent(approval=approval), spends=code.code_hash if unspent else None)

        first = await store.submit(decide, samples.idempotency(), auth_code=code.code_hash)
        await store.submit(decide, samples.idempotency(), auth_code=code.code_hash)
        await store.submit(decide, samples.idempotency(), auth_code=hashed())
        await store.submit(decide, samples.idempotency())
        assert seen == [code, replace(code, spent_at=float(NOW)), None, None]
        assert await store.consent(first.consent_id) == first
        assert first.approval is Approval.AUTH_CODE

    async def test_of_twenty_submissions_with_one_code_one_spends_it(self, store: SqlStore, replica: Opener) -> None:
        code = oauth_samples.auth_code()
        await store.authorization.add_auth_code(code)

        def decide(presented: AuthCode | None) -> ConsentStep:
            if presented is None or presented.spent_at is not None:
                return ConsentStep(consent=samples.consent(status=ConsentStatus.REJECTED))
            return ConsentStep(consent=samples.consent(), spends=presented.code_hash)

        async with replica("replica-2") as other:
            made = await asyncio.gather(
                *(side.submit(decide, samples.idempotency(), auth_code=code.code_hash) for side in (store, other) * 10)
            )
        assert sum(consent.status is ConsentStatus.VALID for consent in made) == 1

    async def test_a_repetition_decides_nothing(self, store: SqlStore) -> None:
        code, key = oauth_samples.auth_code(), samples.idempotency()
        await store.authorization.add_auth_code(code)
        made = await store.submit(
            lambda _: ConsentStep(consent=samples.consent(), spends=code.code_hash), key, auth_code=code.code_hash
        )

        def never(_: AuthCode | None) -> ConsentStep:
            raise AssertionError

        assert await store.submit(never, key, auth_code=code.code_hash) == made

    async def test_a_step_spends_no_other_code_and_none_twice(self, store: SqlStore) -> None:
        code, other = oauth_samples.auth_code(), oauth_samples.auth_code()
        spent = oauth_samples.auth_code(spent_at=NOW - 1.5)
        for one in (code, other, spent):
            await store.authorization.add_auth_code(one)
        for presented, spends in ((code, other), (spent, spent)):
            step = ConsentStep(consent=samples.consent(), spends=spends.code_hash)
            with pytest.raises(ValueError, match="spends the Auth Code"):
                await store.submit(lambda _, step=step: step, samples.idempotency(), auth_code=presented.code_hash)  # type: ignore[misc]  # mypy infers no default argument here
            assert await store.consent(step.consent.consent_id) is None


class TestOwners:
    async def test_a_session_comes_back_until_it_is_closed(self, store: SqlStore) -> None:
        session, bare = oauth_samples.session(), oauth_samples.session(acr=None)
        for one in (session, bare):
            await store.authorization.open_session(one)
            assert await store.authorization.session(one.session_hash) == one
        await store.authorization.close_session(session.session_hash)
        await store.authorization.close_session(session.session_hash)
        assert await store.authorization.session(session.session_hash) is None
        assert await store.authorization.session(bare.session_hash) == bare

    async def test_an_owners_name_is_sealed_for_its_session(self, store: SqlStore, database: str) -> None:
        session, other = oauth_samples.session(), oauth_samples.session()
        await store.authorization.open_session(session)
        await store.authorization.open_session(other)
        with engines.create(database).connect() as connection:
            names = dict(connection.execute(text("SELECT session_hash, name FROM oauth_sessions")).all())  # type: ignore[arg-type]  # rows of two
            assert session.name.encode() not in names[session.session_hash]
            connection.execute(
                text("UPDATE oauth_sessions SET name = :name WHERE session_hash = :id"),
                {"name": names[other.session_hash], "id": session.session_hash},
            )
            connection.commit()
        with pytest.raises(ValueError, match="another context"):
            await store.authorization.session(session.session_hash)

    async def test_an_owners_consents_come_newest_first_and_nobody_elses(self, store: SqlStore) -> None:
        mine = [
            await submitted(store, created_at=NOW + index // 3, consumer_id=f"BANK{index % 2}") for index in range(10)
        ]
        await submitted(store, subject="c" * 64)
        expected = sorted(mine, key=lambda consent: (consent.created_at, consent.consent_id), reverse=True)
        seen: list[Consent] = []
        while page := await store.authorization.consents_of(
            "b" * 64, after=seen[-1].consent_id if seen else None, limit=3
        ):
            seen.extend(page)
        assert seen == expected

    async def test_a_page_behind_anothers_consent_is_empty(self, store: SqlStore) -> None:
        await submitted(store)
        foreign = await submitted(store, subject="c" * 64, created_at=NOW + 100)
        assert not await store.authorization.consents_of("b" * 64, after=foreign.consent_id, limit=3)

    async def test_how_a_consent_was_approved_is_kept(self, store: SqlStore) -> None:
        consent = await submitted(store, status=ConsentStatus.SUBMITTED)
        changed = replace(consent, status=ConsentStatus.VALID, approval=Approval.PAGE)
        record = samples.record(consent=replace(changed, scope=samples.scope(udr=None)))
        await store.change_consent(consent.consent_id, lambda _: ConsentStep(consent=changed, records=(record,)))
        assert await store.consent(consent.consent_id) == changed
        assert [waiting for _, waiting in await store.waiting(limit=9)] == [record]


class TestReplays:
    async def test_an_id_is_new_once_in_its_scope(self, store: SqlStore) -> None:
        assert await store.authorization.first_time("dpop", "id-1", expires_at=NOW + 60.5)
        assert not await store.authorization.first_time("dpop", "id-1", expires_at=NOW + 60.5)
        assert await store.authorization.first_time("dpop", "id-2", expires_at=NOW + 60.5)
        assert await store.authorization.first_time("assertion", "id-1", expires_at=NOW + 60.5)

    async def test_scope_and_id_are_not_run_together(self, store: SqlStore) -> None:
        pairs = [("a", "b:c"), ("a:b", "c"), ("a", "b\x00c"), ("a\x00b", "c"), ('a","b', "c"), ("a", 'b","c')]
        assert all([await store.authorization.first_time(*pair, expires_at=NOW + 1.0) for pair in pairs])

    async def test_an_id_of_any_length_is_kept(self, store: SqlStore) -> None:
        assert await store.authorization.first_time("dpop", "é" * 10_000, expires_at=NOW + 1.0)
        assert not await store.authorization.first_time("dpop", "é" * 10_000, expires_at=NOW + 1.0)

    async def test_of_forty_that_bring_one_id_one_is_the_first(self, store: SqlStore, replica: Opener) -> None:
        async with replica("replica-2") as other:
            for number in range(5):
                first = await asyncio.gather(
                    *(
                        side.authorization.first_time("dpop", f"id-{number}", expires_at=NOW + 60.0)
                        for side in (store, other) * 20
                    )
                )
                assert sum(first) == 1

    async def test_replicas_that_bring_many_ids_crosswise_agree(self, store: SqlStore, replica: Opener) -> None:
        ids = [f"id-{number}" for number in range(30)]
        async with replica("replica-2") as other:
            first = await asyncio.gather(
                *(store.authorization.first_time("dpop", one, expires_at=NOW + 60.0) for one in ids),
                *(other.authorization.first_time("dpop", one, expires_at=NOW + 60.0) for one in reversed(ids)),
            )
        assert sum(first) == 30
        assert all(one is not other_ for one, other_ in zip(first[:30], reversed(first[30:]), strict=True))


class TestSweeping:
    async def test_what_is_of_no_use_goes_and_the_rest_stays(self, store: SqlStore) -> None:
        consent = await submitted(store, expire_time=NOW + 10 * DAY)
        state = store.authorization
        pushed = [oauth_samples.pushed(expires_at=NOW + offset) for offset in (0.0, 1.0)]
        sessions = [oauth_samples.session(expires_at=NOW + offset) for offset in (0.0, 1.0)]
        codes = [oauth_samples.auth_code(expires_at=NOW + offset) for offset in (0.0, 1.0)]
        ended = [await granted(store, consent) for _ in range(2)]
        expired = [await granted(store, consent, expires_at=NOW - DAY + offset) for offset in (0, 1)]
        for grant, offset in zip(ended, (0.0, 1.0), strict=True):
            await state.by_id(grant.grant_id, end(Ended.GRANT_REVOKED, at=NOW - DAY + offset))
        for index in range(2):
            await state.push(pushed[index])
            await state.open_session(sessions[index])
            await state.add_auth_code(codes[index])
            await state.first_time("dpop", f"id-{index}", expires_at=NOW - 60 + float(index))
            await state.revoke_token(f"token-{index}", until=NOW + index, records=())
        announced_before = await announced(store, now=NOW)
        # Of the announcements: the first token's, and those of the two grants that ended a day ago.
        assert await state.sweep(now=float(NOW), limit=99) == 4 + 3 + 2
        assert await state.sweep(now=float(NOW), limit=99) == 0
        assert [await state.pushed(one.handle_hash) for one in pushed] == [None, pushed[1]]
        assert [await state.session(one.session_hash) for one in sessions] == [None, sessions[1]]
        kept = [await state.by_id(one.grant_id, lambda _, __: None) for one in (*ended, *expired)]
        assert [one is not None for one in kept] == [False, True, False, True]
        assert await state.first_time("dpop", "id-0", expires_at=NOW + 9.0)
        assert not await state.first_time("dpop", "id-1", expires_at=NOW + 9.0)
        assert await announced(store, now=NOW) == announced_before

    async def test_a_replay_id_outlives_its_end_by_more_than_clocks_differ(self, store: SqlStore) -> None:
        await store.authorization.first_time("assertion", "id-1", expires_at=float(NOW))
        for ahead in (0.0, 59.9):
            assert await store.authorization.sweep(now=NOW + ahead, limit=99) == 0
        assert not await store.authorization.first_time("assertion", "id-1", expires_at=float(NOW))
        assert await store.authorization.sweep(now=NOW + 60.0, limit=99) == 1

    async def test_no_more_than_the_limit_of_each_kind_goes(self, store: SqlStore) -> None:
        for index in range(5):
            await store.authorization.first_time("dpop", f"id-{index}", expires_at=NOW - 60.0)
            await store.authorization.open_session(oauth_samples.session(expires_at=float(NOW)))
        went = [await store.authorization.sweep(now=float(NOW), limit=2) for _ in range(4)]
        assert went == [4, 4, 2, 0]

    async def test_two_replicas_sweep_at_once(self, store: SqlStore, replica: Opener) -> None:
        for index in range(20):
            await store.authorization.first_time("dpop", f"id-{index}", expires_at=NOW - 60.0)
        async with replica("replica-2") as other:
            went = await asyncio.gather(
                *(side.authorization.sweep(now=float(NOW), limit=3) for side in (store, other) * 10)
            )
        assert sum(went) == 20
