from __future__ import annotations

from typing import Any

import pytest

from gateway.core.model import HashAlgorithm
from gateway.errors import SchemaInvalid
from gateway.profiles.cdi_v1 import parsing
from tests.fakes_profiles import CONSENT_ID, ISSUER, vectors

MESSAGES = {name.removeprefix("schemas/cdi/v1/"): vector["message"] for name, vector in vectors("schemas/cdi/v1")}


def test_consent_request_becomes_the_models_words() -> None:
    request = parsing.consent_request(MESSAGES["consent-request/by-reference"])
    assert (request.type, request.provider_id) == ("ConsentTypeSignedDocNotRequired", ISSUER)
    assert (request.scope.scope_type, request.scope.udr) == ("DataScopeTypeUDR", "VCH-8f1c")
    assert (request.purpose, request.expire_time, request.max_uses) == ("SME_LOAN_UNDERWRITING", 1798732800, 1)
    assert request.private["dataOwnerName"] == "示例貿易有限公司"
    assert request.hash_key == "3c" * 32


def test_consent_request_without_usage_is_for_one_use() -> None:
    request = parsing.consent_request(MESSAGES["consent-request/smallest"])
    assert (request.max_uses, request.hash_key) == (1, None)


def test_repr_of_a_consent_request_does_not_show_the_private_part() -> None:
    assert "示例貿易有限公司" not in repr(parsing.consent_request(MESSAGES["consent-request/by-reference"]))


def test_period_of_a_scope_is_kept() -> None:
    scope = parsing.consent_request(MESSAGES["consent-request/by-period"]).scope
    assert (scope.start_date, scope.end_date) == ("2026-01-01", "2026-06-30")


def test_period_that_ends_before_it_begins_is_refused() -> None:
    message: dict[str, Any] = MESSAGES["consent-request/by-period"]
    backwards = message | {"scope": message["scope"] | {"endDate": "2025-12-31"}}
    with pytest.raises(SchemaInvalid) as refusal:
        parsing.consent_request(backwards)
    assert refusal.value.violations[0].pointer == "/scope/endDate"


def test_data_request_becomes_the_models_words() -> None:
    request = parsing.data_request(MESSAGES["data-request-request/both-digests"])
    assert (request.consent_id, request.purpose) == (CONSENT_ID, "SME_LOAN_UNDERWRITING")
    assert [digest.algorithm for digest in request.document.digests] == [HashAlgorithm.SM3, HashAlgorithm.SHA256]
    assert (request.document.issuer_id, request.document.size) == (ISSUER, 48213)


def test_two_digests_of_one_algorithm_are_refused() -> None:
    message: dict[str, Any] = MESSAGES["data-request-request/smallest"]
    twice = [{"algorithm": "SM3", "value": "1a" * 32}, {"algorithm": "SM3", "value": "2b" * 32}]
    with pytest.raises(SchemaInvalid) as refusal:
        parsing.data_request(message | {"document": {"issuerId": ISSUER, "digests": twice}}, "/requests/1")
    assert refusal.value.violations[0].pointer == "/requests/1/document/digests"
