"""Consents from submission to their end, and that nothing private stays."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest

from gateway.core import consent as rules
from gateway.core.consent import Grant
from gateway.core.model import Approval, Consent, ConsentStatus
from gateway.core.pseudonym import pseudonym
from gateway.errors import (
    AuditUnavailable,
    ConsentRevoked,
    IdempotencyConflict,
    NotFound,
    SchemaInvalid,
    StateConflict,
)
from gateway.exchange.consents import auth_code_hash
from gateway.exchange.liveness import LOOK_SECONDS, Liveness
from gateway.oauth.grant import AuthCode
from gateway.ports import Idempotency
from gateway.profiles.cdi_v1.parsing import ConsentRequest
from tests import samples
from tests.fakes_flows import (
    LONELY_SOURCE,
    OTHER_BANK,
    PLATFORM,
    PSEUDONYM_KEY,
    PURPOSE,
    SOURCE,
    World,
    full_grant,
    participant,
    token,
    view,
)
from tests.samples import BANK, NOW

OWNER = "owner-7-of-the-test"
SECRET = "0123456789abcdef0123456789abcdef"


def submission(private: dict[str, Any] | None = None, **changes: Any) -> ConsentRequest:
    values: dict[str, Any] = {
        "type": "ConsentTypeSignedDocNotRequired",
        "provider_id": SOURCE,
        "scope": samples.scope(),
        "purpose": PURPOSE,
        "expire_time": NOW + 3_600,
        "max_uses": 1,
        "private": {"dataOwnerId": OWNER} | (private or {}),
        "hash_key": None,
    }
    return ConsentRequest(**(values | changes))


async def submit(
    world: World, submitted: ConsentRequest | None = None, key: Idempotency | None = None
) -> tuple[Consent, str | None]:
    return await world.consents.submit(world.caller(), submitted or submission(), key or samples.idempotency())


class TestSubmission:
    async def test_a_submitted_consent_waits_for_its_owner(self, world: World) -> None:
        consent, _ = await submit(world)
        assert (consent.status, consent.consumer_id, consent.provider_id) == (ConsentStatus.SUBMITTED, BANK, SOURCE)
        assert await world.store.consent(consent.consent_id) == consent
        (entry,) = await world.entries()
        assert (entry["type"], entry["consent"]["id"], entry["subject"]) == (
            "consent.submitted",
            consent.consent_id,
            consent.subject,
        )

    async def test_the_owner_is_known_by_a_pseudonym_alone(self, world: World) -> None:
        first, _ = await submit(world)
        again, _ = await submit(world, submission({"dataOwnerName": "another field"}))
        other, _ = await submit(world, submission({"dataOwnerId": "owner-8"}))
        assert first.subject == again.subject != other.subject
        for text in (repr(first), orjson.dumps(await world.entries()).decode(), repr(submission())):
            assert OWNER not in text

    async def test_a_secret_is_made_where_none_is_given_and_commits_the_private_part(self, world: World) -> None:
        consent, secret = await submit(world)
        assert secret is not None
        assert len(bytes.fromhex(secret)) == 16
        assert consent.hash_key == rules.hash_key({"dataOwnerId": OWNER, "secret": secret})

    async def test_a_replay_gives_the_same_consent_and_the_same_secret(self, world: World) -> None:
        key = samples.idempotency()
        assert await submit(world, key=key) == await submit(world, key=key)
        assert await world.types() == ["consent.submitted"]

    async def test_two_consents_have_two_secrets(self, world: World) -> None:
        assert (await submit(world))[1] != (await submit(world))[1]

    async def test_an_own_secret_is_used_and_not_echoed(self, world: World) -> None:
        consent, secret = await submit(world, submission({"secret": SECRET}))
        assert secret is None
        assert consent.hash_key == rules.hash_key({"dataOwnerId": OWNER, "secret": SECRET})

    async def test_a_key_with_another_body_is_a_conflict(self, world: World) -> None:
        key = samples.idempotency()
        await submit(world, key=key)
        with pytest.raises(IdempotencyConflict):
            await submit(world, submission(max_uses=2), replace(key, fingerprint="another"))

    async def test_an_unknown_provider_is_not_kept(self, world: World) -> None:
        with pytest.raises(SchemaInvalid) as refused:
            await submit(world, submission(provider_id="NOBODY01DP"))
        assert [violation.pointer for violation in refused.value.violations] == ["/dataProviderId"]
        assert await world.types() == []

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"expire_time": NOW}, rules.INVALID_EXPIRE_TIME),
            ({"scope": samples.scope(document_type="ANOTHER_TYPE")}, rules.INVALID_SCOPE),
            ({"provider_id": PLATFORM}, rules.INVALID_SCOPE),
            ({"purpose": "ANOTHER_PURPOSE"}, rules.INVALID_PURPOSE),
            ({"hash_key": "0" * 64}, rules.INVALID_HASH_KEY),
        ],
    )
    async def test_what_cannot_be_permitted_is_rejected_with_cdis_code(
        self, world: World, changes: dict[str, Any], code: str
    ) -> None:
        consent, _ = await submit(world, submission(**changes))
        assert (consent.status, consent.reject_code) == (ConsentStatus.REJECTED, code)
        assert await world.types() == ["consent.submitted", "consent.rejected"]
        assert (await world.entries())[-1]["reason"] == code
        assert [(notice.type, notice.detail) for notice in await world.told()] == [("CONSENT_REJECTED", code)]

    async def test_the_banks_own_hash_key_is_checked(self, world: World) -> None:
        private = {"dataOwnerId": OWNER, "secret": SECRET}
        consent, _ = await submit(world, submission({"secret": SECRET}, hash_key=rules.hash_key(private)))
        assert consent.status is ConsentStatus.SUBMITTED

    async def test_a_bank_that_may_not_see_the_type_is_rejected(self, world: World) -> None:
        world.roster.view = view(participant(BANK, document_types=frozenset()))
        assert (await submit(world))[0].reject_code == rules.INVALID_SCOPE

    async def test_without_audit_log_nothing_is_kept(self, world: World) -> None:
        world.audit.dead = True
        with pytest.raises(AuditUnavailable):
            await submit(world)
        assert await world.consents.page(world.caller(), status=None, after=None, limit=10) == []

    async def test_a_record_that_did_not_reach_the_log_follows_the_repeat(self, world: World) -> None:
        key = samples.idempotency()
        world.audit.refuses = 1
        with pytest.raises(AuditUnavailable):
            await submit(world, key=key)
        assert await world.types() == []
        await submit(world, key=key)
        assert await world.types() == ["consent.submitted"]


CODE = "ABCDE23456"
OWNERS_PSEUDONYM = pseudonym(PSEUDONYM_KEY, "subject", OWNER)


async def give_code(world: World, **changes: Any) -> AuthCode:
    """As the owner obtained it on the page."""
    values: dict[str, Any] = {
        "code_hash": auth_code_hash(PSEUDONYM_KEY, CODE),
        "subject": OWNERS_PSEUDONYM,
        "provider_id": SOURCE,
        "document_type": "CORPORATE_CREDIT_REPORT",
        "expires_at": NOW + 600,
    }
    code = AuthCode(**(values | changes))
    await world.state.add_auth_code(code)
    return code


def with_code(code: str = CODE, **changes: Any) -> ConsentRequest:
    return submission({"purposePrivate": code}, **changes)


class TestAuthCode:
    """CDI's other way to a consent: the owner's one-time code in `private.purposePrivate`, without a redirect."""

    @pytest.mark.parametrize("written", [CODE, "ABCDE-23456", "ABCDE 23456", "abcde23456"])
    async def test_a_consent_with_its_owners_code_is_valid_at_once(self, world: World, written: str) -> None:
        await give_code(world)
        consent, _ = await submit(world, with_code(written))
        assert (consent.status, consent.approval) == (ConsentStatus.VALID, Approval.AUTH_CODE)
        assert await world.store.consent(consent.consent_id) == consent
        assert await world.types() == ["consent.submitted", "consent.validated"]
        assert [notice.type for notice in await world.told()] == ["CONSENT_VALID"]
        assert CODE not in orjson.dumps(await world.entries()).decode()

    async def test_a_code_counts_once(self, world: World) -> None:
        await give_code(world)
        results = await asyncio.gather(*(submit(world, with_code()) for _ in range(20)))
        assert sorted(consent.status.name for consent, _ in results) == ["REJECTED"] * 19 + ["VALID"]

    async def test_a_repeat_of_the_same_request_gets_the_same_valid_consent(self, world: World) -> None:
        await give_code(world)
        key = samples.idempotency()
        first, again = await submit(world, with_code(), key), await submit(world, with_code(), key)
        assert first == again
        assert first[0].status is ConsentStatus.VALID

    @pytest.mark.parametrize(
        "changes",
        [
            {"subject": pseudonym(PSEUDONYM_KEY, "subject", "owner-8")},
            {"provider_id": LONELY_SOURCE},
            {"document_type": "BANK_STATEMENT"},
            {"expires_at": NOW},
        ],
        ids=["another owner's", "another source's", "another document's", "expired"],
    )
    async def test_a_code_of_something_else_is_a_wrong_signature(self, world: World, changes: dict[str, Any]) -> None:
        await give_code(world, **changes)
        consent, _ = await submit(world, with_code())
        assert (consent.status, consent.reject_code) == (ConsentStatus.REJECTED, rules.INVALID_SIGNATURE)
        assert await world.types() == ["consent.submitted", "consent.rejected"]
        assert [(notice.type, notice.detail) for notice in await world.told()] == [
            ("CONSENT_REJECTED", rules.INVALID_SIGNATURE)
        ]

    async def test_a_consent_that_cannot_be_permitted_spends_no_code(self, world: World) -> None:
        await give_code(world)
        refused, _ = await submit(world, with_code(purpose="ANOTHER_PURPOSE"))
        assert refused.reject_code == rules.INVALID_PURPOSE
        assert (await submit(world, with_code()))[0].status is ConsentStatus.VALID

    @pytest.mark.parametrize(
        "text", ["for the new machines", "ABCDE2345", "ABCDE23450", "GUARANTEES", "9999999999", ""]
    )
    async def test_a_purpose_that_is_no_code_waits_for_the_owner(self, world: World, text: str) -> None:
        await give_code(world)
        assert (await submit(world, with_code(text)))[0].status is ConsentStatus.SUBMITTED

    async def test_without_audit_log_no_code_is_spent(self, world: World) -> None:
        await give_code(world)
        world.audit.dead = True
        with pytest.raises(AuditUnavailable):
            await submit(world, with_code())
        world.audit.dead = False
        assert (await submit(world, with_code()))[0].status is ConsentStatus.VALID


class TestReading:
    async def test_an_approving_token_makes_it_valid_once(self, world: World) -> None:
        consent, _ = await submit(world)
        caller = world.caller(full_grant(consent))
        for _ in range(2):
            assert (await world.consents.read(caller, consent.consent_id)).status is ConsentStatus.VALID
        assert await world.types() == ["consent.submitted", "consent.validated"]
        assert [notice.type for notice in await world.told()] == ["CONSENT_VALID"]

    @pytest.mark.parametrize(
        "changes",
        [
            {"approves": False},
            {"provider_id": None},
            {"document_type": "ANOTHER_TYPE"},
            {"purpose": None},
            {"expire_time": NOW + 7_200},
        ],
    )
    async def test_a_token_that_does_not_say_exactly_this_approves_nothing(
        self, world: World, changes: dict[str, Any]
    ) -> None:
        consent, _ = await submit(world)
        read = await world.consents.read(world.caller(full_grant(consent, **changes)), consent.consent_id)
        assert read.status is ConsentStatus.SUBMITTED

    async def test_an_approval_that_comes_too_late_approves_nothing(self, world: World) -> None:
        consent, _ = await submit(world)
        world.clock.advance(3_600)
        read = await world.consents.read(world.caller(full_grant(consent)), consent.consent_id)
        assert read.status is ConsentStatus.SUBMITTED

    async def test_another_banks_consent_does_not_show(self, world: World) -> None:
        consent, _ = await submit(world)
        caller = world.caller(full_grant(consent), owner=OTHER_BANK)
        for missing in (consent.consent_id, "no-such-consent"):
            with pytest.raises(NotFound):
                await world.consents.read(caller, missing)
            with pytest.raises(NotFound):
                await world.consents.revoke(caller, missing, "OTHER")
        assert await world.consents.page(caller, status=None, after=None, limit=10) == []

    async def test_pages_follow_each_other(self, world: World) -> None:
        made = []
        for _ in range(3):
            made.append((await submit(world))[0].consent_id)
            world.clock.advance(1)
        caller = world.caller(Grant(consent_id="unrelated"))
        first = await world.consents.page(caller, status=None, after=None, limit=2)
        rest = await world.consents.page(caller, status=None, after=first[-1].consent_id, limit=2)
        assert [item.consent_id for item in (*first, *rest)] == made
        assert await world.consents.page(caller, status=ConsentStatus.VALID, after=None, limit=2) == []


class TestEnd:
    async def test_revoking_ends_it_with_notice_and_record(self, world: World) -> None:
        consent, _ = await submit(world)
        revoked = await world.consents.revoke(world.caller(), consent.consent_id, "CUSTOMER_REQUEST")
        assert revoked.status is ConsentStatus.REVOKED
        assert (await world.entries())[-1]["reason"] == "CUSTOMER_REQUEST"
        assert [notice.type for notice in await world.told()] == ["CONSENT_REVOKED"]

    async def test_what_has_ended_is_not_revoked_again(self, world: World) -> None:
        consent, _ = await submit(world)
        await world.consents.revoke(world.caller(), consent.consent_id, "OTHER")
        with pytest.raises(StateConflict):
            await world.consents.revoke(world.caller(), consent.consent_id, "OTHER")
        assert (await world.types()).count("consent.revoked") == 1

    async def test_the_source_that_it_names_may_end_it(self, world: World) -> None:
        consent, _ = await submit(world)
        revoked = await world.consents.revoke(world.caller(owner=SOURCE), consent.consent_id, "LEGAL_ORDER")
        assert revoked.status is ConsentStatus.REVOKED
        entry = (await world.entries())[-1]
        assert (entry["type"], entry["actor"]["participant"], entry["reason"]) == (
            "consent.revoked",
            SOURCE,
            "LEGAL_ORDER",
        )
        assert [(notice.type, notice.detail) for notice in await world.told()] == [("CONSENT_REVOKED", "LEGAL_ORDER")]

    @pytest.mark.parametrize("owner", [LONELY_SOURCE, OTHER_BANK, PLATFORM])
    async def test_for_others_it_does_not_exist(self, world: World, owner: str) -> None:
        consent, _ = await submit(world)
        with pytest.raises(NotFound):
            await world.consents.revoke(world.caller(owner=owner), consent.consent_id, "LEGAL_ORDER")
        assert await world.store.consent(consent.consent_id) == consent

    async def test_its_source_may_end_it_and_not_read_it(self, world: World) -> None:
        consent, _ = await submit(world)
        with pytest.raises(NotFound):
            await world.consents.read(world.caller(owner=SOURCE), consent.consent_id)

    async def test_its_tokens_end_with_it_here_and_on_every_replica(self, world: World) -> None:
        consent, _ = await submit(world)
        grant = full_grant(consent)
        elsewhere = Liveness(revocations=world.state, clock=world.clock)
        for replica in (world.liveness, elsewhere):
            await replica.check(token(grants=(grant,)))
        await world.consents.revoke(world.caller(), consent.consent_id, "OTHER")
        with pytest.raises(ConsentRevoked):
            await world.liveness.check(token(grants=(grant,)))
        world.clock.advance(LOOK_SECONDS)
        with pytest.raises(ConsentRevoked):
            await elsewhere.check(token(grants=(grant,)))

    async def test_a_revoked_consent_is_not_approved_any_more(self, world: World) -> None:
        consent, _ = await submit(world)
        await world.consents.revoke(world.caller(), consent.consent_id, "OTHER")
        read = await world.consents.read(world.caller(full_grant(consent)), consent.consent_id)
        assert read.status is ConsentStatus.REVOKED

    async def test_due_consents_expire_once_with_notice_and_record(self, world: World) -> None:
        early, _ = await submit(world, submission(expire_time=NOW + 10))
        valid = await world.consent(expire_time=NOW + 10)
        late, _ = await submit(world)
        assert await world.consents.expire_due() == 0
        world.clock.advance(10)
        assert await world.consents.expire_due() == 2
        assert await world.consents.expire_due() == 0
        for consent, status in ((early, "EXPIRED"), (valid, "EXPIRED"), (late, "SUBMITTED")):
            found = await world.store.consent(consent.consent_id)
            assert found is not None
            assert found.status.name == status
        assert (await world.types()).count("consent.expired") == 2
        assert [notice.type for notice in await world.told()] == ["CONSENT_EXPIRED"] * 2

    async def test_without_audit_log_nothing_is_revoked(self, world: World) -> None:
        consent, _ = await submit(world)
        world.audit.dead = True
        with pytest.raises(AuditUnavailable):
            await world.consents.revoke(world.caller(), consent.consent_id, "OTHER")
        assert await world.store.consent(consent.consent_id) == consent
