"""Every reason why a consent does not cover a request, and the one case in which it does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.consent import (
    INVALID_EXPIRE_TIME,
    INVALID_PURPOSE,
    INVALID_SCOPE,
    DataRequest,
    Grant,
    approval,
    check,
    hash_key,
    recheck,
    rejection,
)
from gateway.core.model import (
    Consent,
    ConsentStatus,
    DataScope,
    Digest,
    Direction,
    Document,
    HashAlgorithm,
    Participant,
    Role,
)
from gateway.errors import (
    ConsentConsumed,
    ConsentExpired,
    ConsentNotFound,
    ConsentPending,
    ConsentPurposeMismatch,
    ConsentRevoked,
    ConsentScopeExceeded,
    DirectionNotPermitted,
    GatewayError,
)
from tests import samples

NOW = samples.NOW
SCOPE = samples.scope(udr=None)
CONSENT = samples.consent(consent_id="c-1", scope=SCOPE, max_uses=2, expire_time=NOW + 1000)
BANK = Participant(
    participant_id="BANKA01DC",
    name="Bank A",
    role=Role.BANK,
    active=True,
    directions=frozenset({Direction.SOUTHBOUND}),
    document_types=frozenset({"CORPORATE_CREDIT_REPORT"}),
    purposes=frozenset({"SME_LOAN_UNDERWRITING"}),
)
SOURCE = replace(BANK, participant_id="SZCREDIT01DP", role=Role.SOURCE, purposes=frozenset())
REQUEST = DataRequest(
    consent_id="c-1",
    scope=SCOPE,
    purpose="SME_LOAN_UNDERWRITING",
    document=Document(issuer_id="SZCREDIT01DP", digests=(Digest(algorithm=HashAlgorithm.SM3, value="a" * 64),)),
)
GRANT = Grant(
    consent_id="c-1",
    provider_id="SZCREDIT01DP",
    document_type="CORPORATE_CREDIT_REPORT",
    purpose="SME_LOAN_UNDERWRITING",
    expire_time=NOW + 1000,
    approves=True,
)


def test_a_live_consent_covers_its_request() -> None:
    proof = check(CONSENT, GRANT, REQUEST, BANK, now=NOW)
    assert (proof.consent, proof.document, proof.checked_at) == (CONSENT, REQUEST.document, NOW)


def test_a_token_that_names_only_the_consent_is_enough() -> None:
    assert check(CONSENT, Grant(consent_id="c-1"), REQUEST, BANK, now=NOW).consent == CONSENT


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"consumer_id": "BANKB01DC"}, ConsentNotFound),
        ({"status": ConsentStatus.SUBMITTED}, ConsentPending),
        ({"status": ConsentStatus.EXPIRED}, ConsentExpired),
        ({"expire_time": NOW}, ConsentExpired),
        ({"status": ConsentStatus.REVOKED}, ConsentRevoked),
        ({"status": ConsentStatus.REJECTED}, ConsentRevoked),
        ({"status": ConsentStatus.CONSUMED}, ConsentConsumed),
        ({"used": 2}, ConsentConsumed),
        ({"reserved": 2}, ConsentConsumed),
        ({"used": 1, "reserved": 1}, ConsentConsumed),
        ({"purpose": "MORTGAGE"}, ConsentPurposeMismatch),
        ({"provider_id": "OTHER01DP"}, ConsentScopeExceeded),
        ({"scope": replace(SCOPE, document_type="BANK_STATEMENT")}, ConsentScopeExceeded),
        ({"scope": replace(SCOPE, scope_type="DataScopeTypeDateRange")}, ConsentScopeExceeded),
        ({"scope": replace(SCOPE, udr="v-1")}, ConsentScopeExceeded),
        ({"scope": replace(SCOPE, start_date="2026-01-01", end_date="2026-06-30")}, ConsentScopeExceeded),
    ],
)
def test_a_consent_that_does_not_cover_the_request_is_refused(
    changes: dict[str, Any], error: type[GatewayError]
) -> None:
    with pytest.raises(error):
        check(replace(CONSENT, **changes), GRANT, REQUEST, BANK, now=NOW)


def test_no_consent_is_not_found() -> None:
    with pytest.raises(ConsentNotFound):
        check(None, GRANT, REQUEST, BANK, now=NOW)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"consent_id": "c-2"}, ConsentScopeExceeded),
        ({"provider_id": "OTHER01DP"}, ConsentScopeExceeded),
        ({"document_type": "BANK_STATEMENT"}, ConsentScopeExceeded),
        ({"purpose": "MORTGAGE"}, ConsentPurposeMismatch),
    ],
)
def test_a_token_for_something_else_is_refused(changes: dict[str, Any], error: type[GatewayError]) -> None:
    with pytest.raises(error):
        check(CONSENT, replace(GRANT, **changes), REQUEST, BANK, now=NOW)


def test_a_bank_that_may_not_ask_for_this_document_type_is_refused() -> None:
    with pytest.raises(DirectionNotPermitted):
        check(CONSENT, GRANT, REQUEST, replace(BANK, document_types=frozenset()), now=NOW)


PERIOD = replace(
    CONSENT,
    scope=DataScope(
        scope_type="DataScopeTypeDateRange",
        document_type="CORPORATE_CREDIT_REPORT",
        start_date="2026-01-01",
        end_date="2026-06-30",
    ),
)


@pytest.mark.parametrize(("start", "end"), [("2026-01-01", "2026-06-30"), ("2026-02-01", "2026-03-01")])
def test_a_period_within_the_consent_is_covered(start: str, end: str) -> None:
    scope = replace(PERIOD.scope, start_date=start, end_date=end)
    assert check(PERIOD, GRANT, replace(REQUEST, scope=scope), BANK, now=NOW).scope == scope


@pytest.mark.parametrize(("start", "end"), [("2025-12-31", "2026-06-30"), ("2026-01-01", "2026-07-01")])
def test_a_period_beyond_the_consent_is_refused(start: str, end: str) -> None:
    scope = replace(PERIOD.scope, start_date=start, end_date=end)
    with pytest.raises(ConsentScopeExceeded):
        check(PERIOD, GRANT, replace(REQUEST, scope=scope), BANK, now=NOW)


@pytest.mark.parametrize(
    ("consent", "consumer", "provider", "code"),
    [
        (CONSENT, BANK, SOURCE, None),
        (replace(CONSENT, expire_time=NOW), BANK, SOURCE, INVALID_EXPIRE_TIME),
        (CONSENT, BANK, replace(SOURCE, document_types=frozenset()), INVALID_SCOPE),
        (CONSENT, BANK, replace(SOURCE, role=Role.BANK), INVALID_SCOPE),
        (CONSENT, replace(BANK, document_types=frozenset()), SOURCE, INVALID_SCOPE),
        (CONSENT, replace(BANK, purposes=frozenset()), SOURCE, INVALID_PURPOSE),
    ],
)
def test_a_submitted_consent_is_refused_with_cdis_code(
    consent: Consent, consumer: Participant, provider: Participant, code: str | None
) -> None:
    assert rejection(consent, consumer, provider, now=NOW) == code


def test_an_approving_token_that_repeats_the_whole_consent_approves_it() -> None:
    assert approval(CONSENT, GRANT)


@pytest.mark.parametrize(
    "changes",
    [
        {"approves": False},
        {"consent_id": "c-2"},
        {"provider_id": None},
        {"document_type": None},
        {"purpose": None},
        {"expire_time": None},
        {"expire_time": NOW + 1001},
        {"purpose": "MORTGAGE"},
    ],
)
def test_a_token_that_differs_in_anything_approves_nothing(changes: dict[str, Any]) -> None:
    assert not approval(CONSENT, replace(GRANT, **changes))


EXCHANGE = samples.exchange(CONSENT)


def test_a_reserved_use_survives_that_others_consumed_the_rest() -> None:
    consumed = replace(CONSENT, status=ConsentStatus.CONSUMED)
    assert recheck(consumed, EXCHANGE, now=NOW).consent == consumed


@pytest.mark.parametrize(
    ("consent", "error"),
    [
        (None, ConsentNotFound),
        (replace(CONSENT, status=ConsentStatus.REVOKED), ConsentRevoked),
        (replace(CONSENT, expire_time=NOW), ConsentExpired),
    ],
)
def test_a_consent_that_ended_lets_nothing_out(consent: Consent | None, error: type[GatewayError]) -> None:
    with pytest.raises(error):
        recheck(consent, EXCHANGE, now=NOW)


def test_the_hash_key_is_sha256_over_the_canonical_private_part() -> None:
    # echo -n '{"brNo":"HKG:12345678","dataOwnerId":"owner-7","secret":"00112233445566778899aabbccddeeff"}' | sha256sum
    private = {
        "secret": "00112233445566778899aabbccddeeff",
        "dataOwnerId": "owner-7",
        "brNo": "HKG:12345678",
    }
    assert hash_key(private) == "d7ca8f42dac5adf9bb1ffc82e4b2963aaaf2e67a7228d93599bc3f09da49e670"
