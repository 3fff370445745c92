"""What a believed token opens, and in whose hands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.consent import Grant
from gateway.core.model import Certificate, Direction, Participant, Role
from gateway.errors import ScopeInsufficient, TokenNotBound
from gateway.oauth import scopes
from gateway.oauth.access_token import AccessToken

CERTIFICATE = Certificate(
    sha256="00" * 32,
    thumbprint="A" * 43,
    issuer="CN=CA",
    subject="CN=bank-a",
    serial=1,
    not_before=0,
    not_after=2_000_000_000,
)
BANK = Participant(
    participant_id="BANKA01DC",
    name="Bank A",
    role=Role.BANK,
    active=True,
    directions=frozenset({Direction.SOUTHBOUND}),
    document_types=frozenset(),
    purposes=frozenset(),
    clients=frozenset({"bank-a", "bank-a-batch"}),
)
TOKEN = AccessToken(
    issuer="https://as.example",
    client_id="bank-a",
    subject="s",
    scopes=frozenset({scopes.CONSENTS, scopes.NOTICES}),
    thumbprint="A" * 43,
    expires_at=1,
    grants=(Grant(consent_id="one"), Grant(consent_id="two", purpose="P")),
)


def test_any_of_the_wanted_scopes_is_enough() -> None:
    scopes.require(TOKEN, scopes.DATA_REQUESTS, scopes.NOTICES)
    with pytest.raises(ScopeInsufficient):
        scopes.require(TOKEN, scopes.DATA_REQUESTS)


def test_a_missing_scope_is_named_in_the_challenge() -> None:
    with pytest.raises(ScopeInsufficient) as refused:
        scopes.require(TOKEN, scopes.DATA_REQUESTS, scopes.DATA_REQUESTS_READ)
    assert refused.value.headers == {
        "WWW-Authenticate": 'Bearer error="insufficient_scope", scope="cdi:data-requests cdi:data-requests:read"'
    }


def test_a_missing_scope_of_a_dpop_token_is_told_in_its_scheme() -> None:
    """RFC 9449 §7.1."""
    with pytest.raises(ScopeInsufficient) as refused:
        scopes.require(HELD, scopes.EVIDENCE)
    assert refused.value.headers["WWW-Authenticate"].startswith('DPoP error="insufficient_scope"')


def test_reading_does_not_open_creation() -> None:
    reader = replace(TOKEN, scopes=frozenset({scopes.DATA_REQUESTS_READ}))
    with pytest.raises(ScopeInsufficient):
        scopes.require(reader, scopes.DATA_REQUESTS)


def test_the_named_certificate_and_client_are_let_through() -> None:
    scopes.bound(TOKEN, CERTIFICATE, BANK)
    assert TOKEN.client_id in BANK.clients


def test_another_certificate_is_refused() -> None:
    with pytest.raises(TokenNotBound) as refused:
        scopes.bound(TOKEN, replace(CERTIFICATE, thumbprint="A" * 42 + "E"), BANK)
    assert refused.value.private == "certificate"


def test_another_participants_client_is_refused_even_with_the_right_certificate() -> None:
    with pytest.raises(TokenNotBound) as refused:
        scopes.bound(replace(TOKEN, client_id="bank-b"), CERTIFICATE, BANK)
    assert refused.value.private == "client"


def test_a_grant_is_found_by_its_consent_alone() -> None:
    assert scopes.grant_for(TOKEN, "two") == Grant(consent_id="two", purpose="P")
    assert scopes.grant_for(TOKEN, "three") is None


JKT = "E" * 43
HELD = replace(TOKEN, thumbprint=None, jkt=JKT)


def test_a_proven_dpop_key_is_let_through_whatever_the_certificate() -> None:
    scopes.bound(HELD, replace(CERTIFICATE, thumbprint="A" * 42 + "E"), BANK, JKT)
    assert HELD.client_id in BANK.clients


@pytest.mark.parametrize("proven", [None, "", "E" * 42 + "A", "A" * 43])
def test_a_dpop_token_without_its_key_is_refused(proven: str | None) -> None:
    """Also with the certificate of somebody whose token it might be: it is not bound to that."""
    with pytest.raises(TokenNotBound) as refused:
        scopes.bound(HELD, CERTIFICATE, BANK, proven)
    assert refused.value.private == "dpop_key"


def test_a_proven_key_does_not_stand_for_a_certificate() -> None:
    with pytest.raises(TokenNotBound) as refused:
        scopes.bound(TOKEN, replace(CERTIFICATE, thumbprint="A" * 42 + "E"), BANK, "A" * 43)
    assert refused.value.private == "certificate"


def test_a_token_that_is_bound_to_nothing_is_refused() -> None:
    with pytest.raises(TokenNotBound):
        scopes.bound(replace(TOKEN, thumbprint=None), CERTIFICATE, BANK, JKT)


def test_what_needs_an_owner_is_nothing_that_a_machine_may_have() -> None:
    assert not set(scopes.CONSENT) & set(scopes.MACHINE)
