"""Metadata of the server and of the protected resource: what is said is what is served, each at its place."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.oauth.client import Authentication
from gateway.oauth.jws import ALGORITHMS
from gateway.oauth.metadata import protected_resource_metadata, server_metadata
from gateway.oauth.request import RESPONSE_MODES
from tests.oauth_clients import ISSUER

MTLS = "https://bank.gateway.example:8443"
ENDPOINTS = {
    "token_endpoint": "token",
    "pushed_authorization_request_endpoint": "par",
    "introspection_endpoint": "introspect",
    "revocation_endpoint": "revoke",
}


def served(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"issuer": ISSUER, "mtls_base": MTLS, "scopes": ("a", "b"), "refresh_tokens": True}
    return server_metadata(**(values | changes))


@pytest.mark.parametrize(("member", "path"), ENDPOINTS.items())
def test_endpoints_for_certificates_have_aliases(member: str, path: str) -> None:
    """RFC 8705 §5."""
    document = served()
    assert document[member] == f"{ISSUER}/oauth/{path}"
    assert document["mtls_endpoint_aliases"][member] == f"{MTLS}/oauth/{path}"


def test_the_browsers_endpoint_has_none() -> None:
    document = served()
    assert document["authorization_endpoint"] == f"{ISSUER}/oauth/authorize"
    assert document["jwks_uri"] == f"{ISSUER}/oauth/jwks"
    assert document["mtls_endpoint_aliases"].keys() == ENDPOINTS.keys()


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("issuer", ISSUER),
        ("require_pushed_authorization_requests", True),
        ("authorization_response_iss_parameter_supported", True),
        ("tls_client_certificate_bound_access_tokens", True),
        ("code_challenge_methods_supported", ["S256"]),
        ("response_types_supported", ["code"]),
        ("request_uri_parameter_supported", False),
        ("claims_parameter_supported", False),
        ("authorization_details_types_supported", ["cdi_consent"]),
        ("grant_management_actions_supported", ["query", "revoke"]),
        ("grant_management_action_required", False),
        ("ui_locales_supported", ["en", "zh-Hant"]),
        ("subject_types_supported", ["pairwise"]),
        ("scopes_supported", ["a", "b"]),
    ],
)
def test_what_the_profile_demands_is_said(member: str, value: object) -> None:
    assert served()[member] == value


@pytest.mark.parametrize("endpoint", ["token", "introspection", "revocation"])
def test_clients_are_told_how_to_prove_themselves(endpoint: str) -> None:
    document = served()
    assert document[f"{endpoint}_endpoint_auth_methods_supported"] == [method.value for method in Authentication]
    assert set(document[f"{endpoint}_endpoint_auth_signing_alg_values_supported"]) == ALGORITHMS


@pytest.mark.parametrize("member", ["request_object", "dpop"])
def test_no_algorithm_is_offered_that_is_refused(member: str) -> None:
    assert set(served()[f"{member}_signing_alg_values_supported"]) == ALGORITHMS


def test_the_response_modes_are_those_that_a_request_may_ask() -> None:
    assert set(served()["response_modes_supported"]) == set(RESPONSE_MODES)


def test_refresh_tokens_are_offered_where_they_are_given() -> None:
    assert "refresh_token" in served()["grant_types_supported"]
    assert served(refresh_tokens=False)["grant_types_supported"] == ["authorization_code", "client_credentials"]


def test_authentication_contexts_are_offered_where_they_are_known() -> None:
    assert "acr_values_supported" not in served()
    assert served(acr_values=("loa2", "loa3"))["acr_values_supported"] == ["loa2", "loa3"]


def test_nothing_is_offered_that_the_profile_forbids() -> None:
    text = repr(served())
    for word in ("none'", "RS256", "HS256", "plain", "implicit", "password", "client_secret", "fragment", "form_post"):
        assert word not in text


def test_the_resource_names_its_issuers() -> None:
    """RFC 9728 §2."""
    document = protected_resource_metadata(resource="https://gateway.example", issuers=(ISSUER,), scopes=("a",))
    assert document["resource"] == "https://gateway.example"
    assert document["authorization_servers"] == [ISSUER]
    assert document["bearer_methods_supported"] == ["header"]  # FAPI 2.0 §5.3.4: never in the query
    assert document["tls_client_certificate_bound_access_tokens"] is True
    assert set(document["dpop_signing_alg_values_supported"]) == ALGORITHMS
