"""RFC 9068 claims, one wrong thing at a time; and that no JSON value whatever gets another answer than a refusal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.consent import Grant
from gateway.errors import TokenInvalid
from gateway.oauth.access_token import AccessToken, Fault, check_claims, check_introspection

NOW = 1_800_000_000
ISSUER = "https://as.example"
RESOURCE = "https://gateway.example"
THUMBPRINT = "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"[:42] + "A"
ABSENT = object()

DETAIL = {
    "type": "cdi_consent",
    "consentId": "5d7e6a1c-9f0a-4f3e-8a43-0a3a4d1e9b11",
    "dataProviderId": "SZCREDIT01DP",
    "documentType": "CORPORATE_CREDIT_REPORT",
    "purpose": "SME_LOAN_UNDERWRITING",
    "expireTime": NOW + 1000,
}


def claims(**changes: Any) -> dict[str, Any]:
    value: dict[str, Any] = {
        "iss": ISSUER,
        "aud": RESOURCE,
        "sub": "pairwise-7",
        "client_id": "bank-a",
        "jti": "4d6b",
        "iat": NOW - 10,
        "exp": NOW + 290,
        "scope": "cdi:data-requests",
        "cnf": {"x5t#S256": THUMBPRINT},
        "authorization_details": [DETAIL],
    }
    value.update(changes)
    return {name: item for name, item in value.items() if item is not ABSENT}


def check(claims: dict[str, Any], *, typ: Any = "at+jwt", now: float = NOW, approves: bool = False) -> AccessToken:
    return check_claims(
        {"typ": typ} if typ is not ABSENT else {},
        claims,
        issuer=ISSUER,
        resource=RESOURCE,
        now=now,
        skew_seconds=10,
        lifetime_seconds_max=3600,
        approves=approves,
    )


def test_a_good_token_becomes_a_value() -> None:
    token = check(claims(), approves=True)
    assert token == AccessToken(
        issuer=ISSUER,
        client_id="bank-a",
        subject="pairwise-7",
        scopes=frozenset({"cdi:data-requests"}),
        thumbprint=THUMBPRINT,
        expires_at=NOW + 290,
        grants=(
            Grant(
                consent_id=DETAIL["consentId"],
                provider_id="SZCREDIT01DP",
                document_type="CORPORATE_CREDIT_REPORT",
                purpose="SME_LOAN_UNDERWRITING",
                expire_time=NOW + 1000,
                approves=True,
            ),
        ),
        token_id="4d6b",
    )


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
def test_both_spellings_of_the_type_are_known(typ: str) -> None:
    assert check(claims(), typ=typ).client_id == "bank-a"


@pytest.mark.parametrize("typ", ["JWT", "jwt", "dpop+jwt", "at+jwt ", "", None, 7, ["at+jwt"], ABSENT])
def test_another_type_is_refused(typ: object) -> None:
    with pytest.raises(TokenInvalid) as refused:
        check(claims(), typ=typ)
    assert refused.value.private == Fault.TYPE


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"iss": "https://as.example/"}, Fault.ISSUER),
        ({"iss": "https://AS.example"}, Fault.ISSUER),
        ({"iss": None}, Fault.ISSUER),
        ({"iss": [ISSUER]}, Fault.ISSUER),
        ({"iss": ABSENT}, Fault.ISSUER),
        ({"aud": "https://other.example"}, Fault.AUDIENCE),
        ({"aud": RESOURCE + "/"}, Fault.AUDIENCE),
        ({"aud": []}, Fault.AUDIENCE),
        ({"aud": ["https://other.example"]}, Fault.AUDIENCE),
        ({"aud": [RESOURCE, 7]}, Fault.AUDIENCE),
        ({"aud": {RESOURCE: True}}, Fault.AUDIENCE),
        ({"aud": None}, Fault.AUDIENCE),
        ({"aud": ABSENT}, Fault.AUDIENCE),
        ({"exp": NOW}, Fault.EXPIRED),
        ({"exp": NOW - 1}, Fault.EXPIRED),
        ({"exp": ABSENT}, Fault.EXPIRY),
        ({"exp": True}, Fault.EXPIRY),
        ({"exp": str(NOW + 290)}, Fault.EXPIRY),
        ({"exp": NOW + 290.5}, Fault.EXPIRY),
        ({"exp": float("nan")}, Fault.EXPIRY),
        ({"exp": float("inf")}, Fault.EXPIRY),
        ({"exp": 10**400}, Fault.EXPIRY),
        ({"exp": -1}, Fault.EXPIRY),
        ({"exp": None}, Fault.EXPIRY),
        ({"iat": ABSENT}, Fault.ISSUED_AT),
        ({"iat": True}, Fault.ISSUED_AT),
        ({"iat": NOW + 11}, Fault.ISSUED_AT),
        ({"iat": "now"}, Fault.ISSUED_AT),
        ({"nbf": NOW + 11}, Fault.NOT_BEFORE),
        ({"nbf": None}, Fault.NOT_BEFORE),
        ({"nbf": 1.0}, Fault.NOT_BEFORE),
        ({"iat": NOW - 3400, "exp": NOW + 201}, Fault.LIFETIME),
        ({"iat": NOW + 5, "exp": NOW + 2}, Fault.LIFETIME),
        ({"jti": ABSENT}, Fault.TOKEN_ID),
        ({"jti": ""}, Fault.TOKEN_ID),
        ({"jti": 7}, Fault.TOKEN_ID),
        ({"sub": ABSENT}, Fault.SUBJECT),
        ({"sub": "x" * 256}, Fault.SUBJECT),
        ({"sub": "a\nb"}, Fault.SUBJECT),
        ({"client_id": ABSENT}, Fault.CLIENT),
        ({"client_id": ["bank-a"]}, Fault.CLIENT),
        ({"client_id": "bank-\u0430"}, Fault.CLIENT),
        ({"client_id": " bank-a"}, Fault.CLIENT),
        ({"scope": None}, Fault.SCOPE),
        ({"scope": ["cdi:data-requests"]}, Fault.SCOPE),
        ({"scope": ""}, Fault.SCOPE),
        ({"scope": "a  b"}, Fault.SCOPE),
        ({"scope": "a\tb"}, Fault.SCOPE),
        ({"scope": "a" * 1025}, Fault.SCOPE),
        ({"cnf": ABSENT}, Fault.CONFIRMATION),
        ({"cnf": {}}, Fault.CONFIRMATION),
        ({"cnf": []}, Fault.CONFIRMATION),
        ({"cnf": THUMBPRINT}, Fault.CONFIRMATION),
        ({"cnf": {"jkt": THUMBPRINT[:-1]}}, Fault.CONFIRMATION),
        ({"cnf": {"jkt": None}}, Fault.CONFIRMATION),
        ({"cnf": {"x5t": THUMBPRINT}}, Fault.CONFIRMATION),
        ({"cnf": {"jwk": {}}}, Fault.CONFIRMATION),
        ({"cnf": {"x5t#S256": THUMBPRINT, "jkt": THUMBPRINT}}, Fault.CONFIRMATION),
        ({"cnf": {"x5t#S256": THUMBPRINT + "="}}, Fault.CONFIRMATION),
        ({"cnf": {"x5t#S256": THUMBPRINT[:-1]}}, Fault.CONFIRMATION),
        ({"cnf": {"x5t#S256": THUMBPRINT[:-1] + "B"}}, Fault.CONFIRMATION),  # unused bits set
        ({"cnf": {"x5t#S256": THUMBPRINT + "\n"}}, Fault.CONFIRMATION),
        ({"cnf": {"x5t#S256": 7}}, Fault.CONFIRMATION),
        ({"grant_id": 7}, Fault.DETAILS),
        ({"grant_id": ""}, Fault.DETAILS),
        ({"auth_time": "now"}, Fault.AUTH_TIME),
        ({"auth_time": True}, Fault.AUTH_TIME),
        ({"auth_time": -1}, Fault.AUTH_TIME),
        ({"authorization_details": None}, Fault.DETAILS),
        ({"authorization_details": DETAIL}, Fault.DETAILS),
        ({"authorization_details": [7]}, Fault.DETAILS),
        ({"authorization_details": [{"consentId": "x"}]}, Fault.DETAILS),
        ({"authorization_details": [{"type": "cdi_consent"}]}, Fault.DETAILS),
        ({"authorization_details": [DETAIL | {"consentId": 7}]}, Fault.DETAILS),
        ({"authorization_details": [DETAIL | {"purpose": {}}]}, Fault.DETAILS),
        ({"authorization_details": [DETAIL | {"expireTime": True}]}, Fault.DETAILS),
        ({"authorization_details": [DETAIL | {"expireTime": 1.5}]}, Fault.DETAILS),
        ({"authorization_details": [DETAIL, DETAIL | {"purpose": "OTHER"}]}, Fault.DETAILS),
        ({"authorization_details": [{"type": "other"}] * 17}, Fault.DETAILS),
    ],
)
def test_one_wrong_claim_is_refused(changes: dict[str, Any], fault: Fault) -> None:
    with pytest.raises(TokenInvalid) as refused:
        check(claims(**changes))
    assert refused.value.private == fault
    assert str(refused.value) == TokenInvalid.title


def test_a_token_can_be_bound_to_a_dpop_key() -> None:
    """RFC 9449 §6.1."""
    token = check(claims(cnf={"jkt": THUMBPRINT}))
    assert (token.thumbprint, token.jkt) == (None, THUMBPRINT)


def test_the_grant_and_the_sign_in_are_read() -> None:
    token = check(claims(grant_id="grant-1", auth_time=NOW - 60))
    assert (token.grant_id, token.auth_time, token.token_id) == ("grant-1", NOW - 60, "4d6b")


def test_one_audience_of_several_is_enough() -> None:
    assert check(claims(aud=["https://other.example", RESOURCE])).client_id == "bank-a"


def test_clock_skew_is_granted_to_issue_but_not_to_expiry() -> None:
    assert check(claims(iat=NOW + 10, nbf=NOW + 10)).expires_at == NOW + 290
    with pytest.raises(TokenInvalid):
        check(claims(exp=NOW), now=NOW + 0.001)


def test_a_token_without_scope_has_none() -> None:
    assert check(claims(scope=ABSENT)).scopes == frozenset()


def test_details_of_another_type_are_ignored() -> None:
    details = [{"type": "payment_initiation", "amount": 1.5}, DETAIL]
    assert [grant.consent_id for grant in check(claims(authorization_details=details)).grants] == [DETAIL["consentId"]]


def test_a_machine_token_has_no_grants() -> None:
    assert check(claims(authorization_details=ABSENT, scope="cdi:consents cdi:notices")).grants == ()


def test_a_repeated_detail_is_one_grant() -> None:
    assert len(check(claims(authorization_details=[DETAIL, dict(DETAIL)])).grants) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*sorted(claims()), "nbf"]), JSON, min_size=1))
def test_no_value_of_a_claim_raises_anything_else(changes: dict[str, Any]) -> None:
    try:
        token = check(claims(**changes))
    except TokenInvalid as refused:
        assert refused.private in set(Fault)  # noqa: PT017 - acceptance is right too, for some values
    else:
        assert token.issuer == ISSUER
        assert token.expires_at > NOW


# --- what an issuer says about an opaque token (RFC 7662) -----------------------------------------------------------


def introspected(*, approves: bool = False, **changes: Any) -> AccessToken:
    return check_introspection(
        claims(**({"active": True} | changes)),
        issuer=ISSUER,
        resource=RESOURCE,
        now=NOW,
        skew_seconds=10,
        lifetime_seconds_max=3_600,
        approves=approves,
    )


def test_an_active_token_becomes_a_value() -> None:
    token = introspected(approves=True)
    assert (token.client_id, token.subject, token.thumbprint) == ("bank-a", "pairwise-7", THUMBPRINT)
    assert [grant.approves for grant in token.grants] == [True]


def test_what_an_answer_may_leave_out_is_not_asked_for() -> None:
    token = introspected(iss=ABSENT, iat=ABSENT, jti=ABSENT, sub=ABSENT, authorization_details=ABSENT)
    assert (token.issuer, token.token_id, token.subject) == (ISSUER, "", "bank-a")


def test_an_opaque_token_may_live_as_long_as_a_signed_one() -> None:
    assert introspected(exp=NOW + 3_600, iat=ABSENT).expires_at == NOW + 3_600


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"active": False}, Fault.INACTIVE),
        ({"active": ABSENT}, Fault.INACTIVE),
        ({"active": "true"}, Fault.INACTIVE),
        ({"active": 1}, Fault.INACTIVE),
        ({"iss": "https://other.example"}, Fault.ISSUER),
        ({"iss": None}, Fault.ISSUER),
        ({"aud": ABSENT}, Fault.AUDIENCE),
        ({"aud": "https://other.example"}, Fault.AUDIENCE),
        ({"exp": ABSENT}, Fault.EXPIRY),
        ({"exp": NOW}, Fault.EXPIRED),
        ({"exp": NOW + 3_601}, Fault.LIFETIME),
        ({"exp": NOW + 3_601, "iat": ABSENT}, Fault.LIFETIME),
        ({"iat": NOW + 11}, Fault.ISSUED_AT),
        ({"iat": "now"}, Fault.ISSUED_AT),
        ({"nbf": NOW + 11}, Fault.NOT_BEFORE),
        ({"jti": 7}, Fault.TOKEN_ID),
        ({"client_id": ABSENT}, Fault.CLIENT),
        ({"sub": 7}, Fault.SUBJECT),
        ({"cnf": ABSENT}, Fault.CONFIRMATION),
        ({"scope": 7}, Fault.SCOPE),
        ({"authorization_details": {}}, Fault.DETAILS),
    ],
)
def test_one_wrong_member_of_an_answer_is_refused(changes: dict[str, Any], fault: Fault) -> None:
    with pytest.raises(TokenInvalid) as refused:
        introspected(**changes)
    assert refused.value.private == fault


@given(st.dictionaries(st.sampled_from([*sorted(claims()), "active", "nbf"]), JSON, min_size=1))
def test_no_value_of_an_answer_raises_anything_else(changes: dict[str, Any]) -> None:
    try:
        token = introspected(**changes)
    except TokenInvalid as refused:
        assert refused.private in set(Fault)  # noqa: PT017 - acceptance is right too, for some values
    else:
        assert token.expires_at > NOW
