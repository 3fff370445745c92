"""What the server says: claims of access tokens, answers, introspection, pairwise pseudonyms."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.oauth.access_token import check_claims, check_introspection
from gateway.oauth.details import enriched
from gateway.oauth.issuing import (
    Confirmation,
    access_token_claims,
    introspection_body,
    pairwise,
    signed_introspection_claims,
    token_answer,
)
from tests import oauth_samples, samples
from tests.oauth_clients import ISSUER
from tests.samples import NOW

RESOURCE = "https://gateway.example"
X5T, JKT = "A" * 43, "E" * 43
MTLS, DPOP = Confirmation(x5t=X5T), Confirmation(jkt=JKT)


def claims(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "issuer": ISSUER,
        "resource": RESOURCE,
        "subject": "pairwise-7",
        "client_id": "bank-a",
        "scopes": ("cdi:data-requests", "cdi:notices"),
        "token_id": "token-1",
        "now": NOW,
        "life_seconds": 300,
        "confirmation": MTLS,
    }
    return access_token_claims(**(values | changes))


def test_a_token_is_bound_to_one_thing_and_exactly_one() -> None:
    """RFC 8705 §3.1, RFC 9449 §6.1."""
    assert (MTLS.claim, MTLS.token_type) == ({"x5t#S256": X5T}, "Bearer")
    assert (DPOP.claim, DPOP.token_type) == ({"jkt": JKT}, "DPoP")
    for wrong in ({}, {"x5t": X5T, "jkt": JKT}):
        with pytest.raises(ValueError, match="bound to one thing"):
            Confirmation(**wrong)


def test_a_machine_token_has_the_claims_of_rfc_9068_and_no_more() -> None:
    assert claims() == {
        "iss": ISSUER,
        "aud": RESOURCE,
        "sub": "pairwise-7",
        "client_id": "bank-a",
        "scope": "cdi:data-requests cdi:notices",
        "jti": "token-1",
        "iat": NOW,
        "exp": NOW + 300,
        "cnf": {"x5t#S256": X5T},
    }


def test_a_consent_token_says_what_was_granted_and_how_its_owner_signed_in() -> None:
    consent = samples.consent()
    grant = oauth_samples.grant(consent)
    made = claims(grant=grant, authorization_details=(enriched(consent),), confirmation=DPOP)
    assert made["grant_id"] == grant.grant_id
    assert (made["auth_time"], made["acr"]) == (grant.auth_time, "loa2")
    assert made["authorization_details"] == [enriched(consent)]
    assert made["cnf"] == {"jkt": JKT}


def test_without_a_sign_in_the_token_claims_none() -> None:
    made = claims(grant=oauth_samples.grant(auth_time=None, acr=None))
    assert made.keys().isdisjoint({"auth_time", "acr"})


def test_our_own_resource_server_believes_what_is_issued() -> None:
    consent = samples.consent(consent_id="consent-1")
    made = claims(grant=oauth_samples.grant(consent), authorization_details=(enriched(consent),))
    token = check_claims(
        {"typ": "at+jwt"},
        made,
        issuer=ISSUER,
        resource=RESOURCE,
        now=NOW,
        skew_seconds=0,
        lifetime_seconds_max=300,
        approves=False,
    )
    assert [grant.consent_id for grant in token.grants] == ["consent-1"]
    assert (token.token_id, token.thumbprint, token.jkt) == ("token-1", X5T, None)


def test_the_answer_says_type_time_and_scope() -> None:
    """RFC 6749 §5.1."""
    answer = token_answer(access_token="t", confirmation=MTLS, expires_in=300, scopes=("a", "b"))
    assert answer == {"access_token": "t", "token_type": "Bearer", "expires_in": 300, "scope": "a b"}


def test_the_answer_of_a_grant_names_it() -> None:
    detail = enriched(samples.consent())
    answer = token_answer(
        access_token="t",
        confirmation=DPOP,
        expires_in=300,
        scopes=("a",),
        grant_id="grant-1",
        authorization_details=(detail,),
    )
    assert answer["token_type"] == "DPoP"
    assert (answer["grant_id"], answer["authorization_details"]) == ("grant-1", [detail])


def test_introspection_says_what_the_token_says_and_no_more() -> None:
    """RFC 7662 §2.2."""
    body = introspection_body(claims(confirmation=DPOP) | {"internal": "x"})
    assert body == {"active": True, "token_type": "DPoP", **claims(confirmation=DPOP)}
    assert introspection_body({})["token_type"] == "Bearer"


def test_what_is_introspected_holds_for_a_resource_server() -> None:
    body = introspection_body(claims())
    token = check_introspection(
        body, issuer=ISSUER, resource=RESOURCE, now=NOW, skew_seconds=0, lifetime_seconds_max=300, approves=False
    )
    assert (token.client_id, token.thumbprint) == ("bank-a", X5T)


def test_signed_introspection_is_for_whoever_asked() -> None:
    """RFC 9701 §5: the token's own claims stay inside, so that the answer is no access token."""
    signed = signed_introspection_claims(issuer=ISSUER, client_id="bank-a", body={"active": False}, now=NOW)
    assert signed == {"iss": ISSUER, "aud": "bank-a", "iat": NOW, "token_introspection": {"active": False}}


def test_a_person_has_another_pseudonym_at_each_client() -> None:
    seen = {pairwise(b"k" * 32, client, person) for client in ("bank-a", "bank-b") for person in ("one", "two")}
    assert len(seen) == 4
    assert pairwise(b"k" * 32, "bank-a", "one") in seen
    assert pairwise(b"x" * 32, "bank-a", "one") not in seen
    assert all(len(one) == 43 for one in seen)
