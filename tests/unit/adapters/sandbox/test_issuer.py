"""Who gets which token, and for what."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from adapters.sandbox.issuer import Issuer, OAuthClient, OAuthError, Presented, password_hash
from adapters.sandbox.signing import KeySigner

NOW = 1_800_000_000
BANK_A = Presented(subject="CN=BANKA01DC", der=b"certificate a")
BANK_B = Presented(subject="CN=BANKB01DC", der=b"certificate b")
DETAIL = {
    "type": "cdi_consent",
    "consentId": "11111111-2222-4333-8444-555555555555",
    "dataProviderId": "SZCREDIT01DP",
    "documentType": "CORPORATE_CREDIT_REPORT",
    "purpose": "SME_LOAN_UNDERWRITING",
    "expireTime": NOW + 1000,
}
MACHINE = {"grant_type": "client_credentials", "client_id": "bank-a", "scope": "cdi:consents cdi:notices"}


def issuer(folder: Path) -> Issuer:
    scopes = frozenset({"cdi:consents", "cdi:notices", "cdi:data-requests"})
    return Issuer(
        issuer="https://issuer.example",
        resource="https://gateway.example",
        signer=KeySigner.create("issuer-1"),
        clients=(
            OAuthClient(client_id="bank-a", subject=BANK_A.subject, scopes=scopes),
            OAuthClient(client_id="bank-b", subject=BANK_B.subject, scopes=scopes),
        ),
        passwords={
            "seven": ("owner-7", password_hash("secret", salt=b"s" * 16)),
            "eight": ("owner-8", password_hash("other", salt=b"t" * 16)),
        },
        approvals_file=folder / "approvals.jsonl",
        pairwise_key=b"p" * 32,
    )


def for_consent(detail: Any = DETAIL, client_id: str = "bank-a") -> dict[str, str]:
    details = orjson.dumps([detail]).decode()
    scope = "cdi:data-requests"
    return {**MACHINE, "client_id": client_id, "scope": scope, "authorization_details": details}


def claims(answer: dict[str, Any]) -> dict[str, Any]:
    payload = answer["access_token"].split(".")[1]
    said: dict[str, Any] = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return said


def test_a_machine_token_is_bound_to_the_presented_certificate(tmp_path: Path) -> None:
    answer = issuer(tmp_path).token(MACHINE, BANK_A, now=NOW)
    said = claims(answer)
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 300)
    assert (said["iss"], said["aud"]) == ("https://issuer.example", "https://gateway.example")
    assert (said["iat"], said["exp"]) == (NOW, NOW + 300)
    assert said["cnf"] == {"x5t#S256": BANK_A.thumbprint}
    assert said["scope"] == "cdi:consents cdi:notices"
    assert "authorization_details" not in said


def test_a_consent_token_needs_the_owners_approval_of_exactly_this(tmp_path: Path) -> None:
    known = issuer(tmp_path)
    with pytest.raises(OAuthError, match="invalid_grant"):
        known.token(for_consent(), BANK_A, now=NOW)
    known.approve("seven", "secret", [DETAIL], now=NOW)
    assert claims(known.token(for_consent(), BANK_A, now=NOW))["authorization_details"] == [DETAIL]
    for name, other in (("purpose", "MORTGAGE_UNDERWRITING"), ("expireTime", NOW + 2000), ("consentId", "x")):
        with pytest.raises(OAuthError, match="invalid_grant"):
            known.token(for_consent({**DETAIL, name: other}), BANK_A, now=NOW)


def test_approvals_survive_a_restart(tmp_path: Path) -> None:
    issuer(tmp_path).approve("seven", "secret", [DETAIL], now=NOW)
    assert issuer(tmp_path).token(for_consent(), BANK_A, now=NOW)["scope"] == "cdi:data-requests"


def test_an_owner_has_another_name_at_every_client(tmp_path: Path) -> None:
    known = issuer(tmp_path)
    known.approve("seven", "secret", [DETAIL], now=NOW)
    subjects = {
        claims(known.token(for_consent(client_id=client), certificate, now=NOW))["sub"]
        for client, certificate in (("bank-a", BANK_A), ("bank-b", BANK_B))
    }
    assert len(subjects) == 2
    assert not any("owner" in subject for subject in subjects)


def test_two_owners_consents_do_not_go_into_one_token(tmp_path: Path) -> None:
    known, other = issuer(tmp_path), {**DETAIL, "consentId": "y"}
    known.approve("seven", "secret", [DETAIL], now=NOW)
    known.approve("eight", "other", [other], now=NOW)
    form = {**for_consent(), "authorization_details": orjson.dumps([DETAIL, other]).decode()}
    with pytest.raises(OAuthError, match="invalid_grant"):
        known.token(form, BANK_A, now=NOW)


@pytest.mark.parametrize(("login", "password"), [("seven", "wrong"), ("nobody", "secret"), ("nobody", ""), ("", "")])
def test_a_wrong_login_approves_nothing(tmp_path: Path, login: str, password: str) -> None:
    known = issuer(tmp_path)
    with pytest.raises(OAuthError, match="access_denied"):
        known.approve(login, password, [DETAIL], now=NOW)
    with pytest.raises(OAuthError, match="invalid_grant"):
        known.token(for_consent(), BANK_A, now=NOW)


@pytest.mark.parametrize(
    ("change", "certificate", "error"),
    [
        ({"client_id": "nobody"}, BANK_A, "invalid_client"),
        ({}, BANK_B, "invalid_client"),
        ({}, None, "invalid_client"),
        ({}, replace(BANK_A, subject="CN=BANKA01DC,O=Other"), "invalid_client"),
        ({"grant_type": "password"}, BANK_A, "unsupported_grant_type"),
        ({"scope": ""}, BANK_A, "invalid_scope"),
        ({"scope": "cdi:evidence"}, BANK_A, "invalid_scope"),
        ({"scope": "cdi:consents cdi:data-requests"}, BANK_A, "invalid_scope"),
        ({"authorization_details": "[]"}, BANK_A, "invalid_scope"),
        ({"scope": "cdi:data-requests"}, BANK_A, "invalid_authorization_details"),
    ],
)
def test_a_token_request_that_does_not_hold_is_refused(
    tmp_path: Path, change: dict[str, str], certificate: Presented | None, error: str
) -> None:
    with pytest.raises(OAuthError, match=error):
        issuer(tmp_path).token({**MACHINE, **change}, certificate, now=NOW)


@pytest.mark.parametrize(
    "details",
    [
        None,
        [],
        [DETAIL] * 17,
        [[]],
        [{**DETAIL, "more": 1}],
        [{**DETAIL, "type": "payment"}],
        [{**DETAIL, "expireTime": "1"}],
        [{**DETAIL, "expireTime": True}],
        [{**DETAIL, "purpose": "x" * 201}],
        [{**DETAIL, "consentId": None}],
        [{**DETAIL, "expireTime": NOW}],
    ],
)
def test_details_that_are_not_a_live_consent_are_refused(tmp_path: Path, details: Any) -> None:
    with pytest.raises(OAuthError, match="invalid_authorization_details"):
        issuer(tmp_path).approve("seven", "secret", details, now=NOW)
