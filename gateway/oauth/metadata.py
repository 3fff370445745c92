"""What clients find out by themselves: metadata of the server (RFC 8414) and of the protected resource (RFC 9728)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.oauth.client import Authentication

SIGNING = ["PS256", "ES256", "EdDSA"]
"""What is accepted of clients. The server itself signs with ES256."""
OWN_SIGNING = ["ES256"]
_MUTUAL = {
    "token_endpoint": "token",
    "pushed_authorization_request_endpoint": "par",
    "introspection_endpoint": "introspect",
    "revocation_endpoint": "revoke",
}


def server_metadata(
    *, issuer: str, mtls_base: str, scopes: Sequence[str], refresh_tokens: bool, acr_values: Sequence[str] = ()
) -> dict[str, Any]:
    """`mtls_base`: where the same endpoints take client certificates (RFC 8705 §5). `acr_values`: the authentication
    contexts that the login provider is known to have; without them nothing is said."""
    methods = [method.value for method in Authentication]
    endpoints = {name: f"{issuer}/oauth/{path}" for name, path in _MUTUAL.items()}
    aliases = {name: f"{mtls_base}/oauth/{path}" for name, path in _MUTUAL.items()}
    grants = ["authorization_code", "client_credentials", *(["refresh_token"] if refresh_tokens else [])]
    document: dict[str, Any] = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        **endpoints,
        "jwks_uri": f"{issuer}/oauth/jwks",
        "grant_management_endpoint": f"{mtls_base}/oauth/grants",
        "mtls_endpoint_aliases": aliases,
        "scopes_supported": list(scopes),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "jwt", "query.jwt"],
        "grant_types_supported": grants,
        "code_challenge_methods_supported": ["S256"],
        "authorization_details_types_supported": ["cdi_consent"],
        "require_pushed_authorization_requests": True,
        "authorization_response_iss_parameter_supported": True,
        "request_parameter_supported": True,
        "request_uri_parameter_supported": False,
        "require_signed_request_object": False,
        "request_object_signing_alg_values_supported": SIGNING,
        "authorization_signing_alg_values_supported": OWN_SIGNING,
        "introspection_signing_alg_values_supported": OWN_SIGNING,
        "dpop_signing_alg_values_supported": SIGNING,
        "tls_client_certificate_bound_access_tokens": True,
        "grant_management_actions_supported": ["query", "revoke"],
        "grant_management_action_required": False,
        "prompt_values_supported": ["login", "consent"],
        "ui_locales_supported": ["en", "zh-Hant"],
        "claims_parameter_supported": False,
        # OpenID Connect Discovery demands these two. There are no ID tokens; access tokens have pairwise subjects.
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": OWN_SIGNING,
    }
    for endpoint in ("token", "introspection", "revocation"):
        document[f"{endpoint}_endpoint_auth_methods_supported"] = methods
        document[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] = SIGNING
    if acr_values:
        document["acr_values_supported"] = list(acr_values)
    return document


def protected_resource_metadata(*, resource: str, issuers: Sequence[str], scopes: Sequence[str]) -> dict[str, Any]:
    """RFC 9728 §2."""
    return {
        "resource": resource,
        "authorization_servers": list(issuers),
        "scopes_supported": list(scopes),
        "bearer_methods_supported": ["header"],
        "tls_client_certificate_bound_access_tokens": True,
        "dpop_signing_alg_values_supported": SIGNING,
        "authorization_details_types_supported": ["cdi_consent"],
    }
