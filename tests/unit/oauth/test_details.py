"""Authorization details of a request, and what a token says of its consent (RFC 9396)."""

from __future__ import annotations

import orjson
import pytest

from gateway.oauth.details import consent_id, enriched
from tests import samples
from tests.oauth_clients import CONSENT, details, refused


def reason(text: str) -> str:
    found = refused(lambda: consent_id(text))
    assert found.code == "invalid_authorization_details"
    assert found.description.startswith("authorization_details must be")
    return found.reason


def one(**changes: object) -> str:
    return orjson.dumps([{"type": "cdi_consent", "consentId": CONSENT} | changes]).decode()


def test_the_consent_of_a_request_is_its_id() -> None:
    assert consent_id(details()) == CONSENT
    assert consent_id(details(CONSENT.upper())) == CONSENT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "{",
        "null,",
        '[{"type":"cdi_consent","type":"cdi_consent","consentId":"x"}]',
        "[1.5]",
        "\ud800",
        "[" * 99,
    ],
)
def test_what_is_no_strict_json_is_refused(text: str) -> None:
    assert reason(text) == "details_json"


@pytest.mark.parametrize("text", ["{}", "null", "7", '"x"', "[]", "[7]", "[[]]"])
def test_it_is_an_array_of_one_object(text: str) -> None:
    assert reason(text) == "details_shape"


def test_two_details_are_refused() -> None:
    twice = [{"type": "cdi_consent", "consentId": CONSENT}] * 2
    assert reason(orjson.dumps(twice).decode()) == "details_shape"


@pytest.mark.parametrize("kind", ["payment_initiation", "CDI_CONSENT", None, 7])
def test_another_type_is_refused(kind: object) -> None:
    assert reason(one(type=kind)) == "details_type"


@pytest.mark.parametrize("changes", [{"purpose": "X"}, {"actions": []}, {"expireTime": 1}])
def test_nothing_beside_the_id_may_be_said(changes: dict[str, object]) -> None:
    """RFC 9396 §5: unknown fields are refused; the consent alone says what it is about."""
    assert reason(one(**changes)) == "details_members"


def test_the_id_must_be_there() -> None:
    assert reason('[{"type": "cdi_consent"}]') == "details_members"


@pytest.mark.parametrize(
    "value",
    [
        7,
        None,
        "",
        "x" * 36,
        CONSENT + " ",
        "{" + CONSENT + "}",
        CONSENT.replace("-", ""),
        "urn:" + CONSENT.replace("-", ""),  # 36 characters that Python takes for a UUID
        CONSENT.replace("-", "") + "----",
        "../../../../../../../../etc/passwd/x",
    ],
)
def test_the_id_is_a_uuid_as_everybody_writes_them(value: object) -> None:
    assert reason(one(consentId=value)) == "details_consent_id"


def test_a_token_says_what_the_consent_says() -> None:
    consent = samples.consent()
    assert enriched(consent) == {
        "type": "cdi_consent",
        "consentId": consent.consent_id,
        "dataProviderId": consent.provider_id,
        "documentType": "CORPORATE_CREDIT_REPORT",
        "purpose": "SME_LOAN_UNDERWRITING",
        "expireTime": consent.expire_time,
    }
