"""The identity provider believes its client's own key, once, for its own name."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.sandbox.assertions import ASSERTION_TYPE
from adapters.sandbox.identity_request import ProviderRefusal
from adapters.sandbox.signing import KeySigner
from tests.fakes_identity import CLAIMS, ISSUER, NOW, assertions, form


@pytest.mark.parametrize("audience", [ISSUER, f"{ISSUER}/token"])
def test_the_clients_key_is_believed(audience: str) -> None:
    assertions().check(form(CLAIMS | {"aud": audience}), now=NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "other", "sub": "other"},
        {"sub": "other"},
        {"aud": "https://other.example"},
        {"aud": [ISSUER]},
        {"aud": None},
        {"jti": None},
        {"jti": ""},
        {"exp": None},
        {"exp": NOW},
        {"exp": NOW + 600},
        {"exp": float(NOW + 60)},
        {"iat": NOW + 60},
        {"nbf": NOW + 60},
    ],
    ids=str,
)
def test_other_claims_prove_nothing(change: dict[str, Any]) -> None:
    claims = {name: value for name, value in (CLAIMS | change).items() if value is not None}
    with pytest.raises(ProviderRefusal, match="invalid_client"):
        assertions().check(form(claims), now=NOW)


def test_an_assertion_counts_once() -> None:
    known = assertions()
    known.check(form(), now=NOW)
    with pytest.raises(ProviderRefusal, match="invalid_client"):
        known.check(form(), now=NOW)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"client_assertion": form()["client_assertion"]},
        {"client_assertion_type": ASSERTION_TYPE},
        form() | {"client_assertion": "a.b.c"},
        form() | {"client_assertion": form()["client_assertion"].rpartition(".")[0] + "."},
        form(signer=KeySigner.create("login-1")),
        form(signer=KeySigner.create("other")),
    ],
    ids=["nothing", "no type", "no assertion", "no JWT", "no signature", "another key", "an unknown key"],
)
def test_what_the_client_did_not_sign_proves_nothing(given: dict[str, str]) -> None:
    with pytest.raises(ProviderRefusal) as refused:
        assertions().check(given, now=NOW)
    assert (refused.value.code, refused.value.status) == ("invalid_client", 401)
