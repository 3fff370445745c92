"""Complete values of the authorization server's state, for tests that change the one that matters."""

from __future__ import annotations

import hashlib
from typing import Any

from gateway.core.model import Consent
from gateway.oauth.grant import AuthCode, AuthorizationRequest, OAuthGrant, OwnerSession, PushedRequest
from tests.samples import NOW, SOURCE, consent, unique

CLIENT = "bank-a"
REDIRECT_URI = "https://bank-a.example/callback"


def hashed(kind: str = "secret") -> str:
    """The hash of a secret that nobody else has."""
    return hashlib.sha256(unique(kind).encode()).hexdigest()


def request(**changes: Any) -> AuthorizationRequest:
    values: dict[str, Any] = {
        "client_id": CLIENT,
        "redirect_uri": REDIRECT_URI,
        "scopes": ("cdi:data-requests", "cdi:consents"),
        "consent_id": "consent-1",
        "code_challenge": "c" * 43,
        "state": "state-1",
        "response_mode": "query.jwt",
        "dpop_jkt": "j" * 43,
        "max_age": 300,
        "acr_values": ("loa2", "loa3"),
        "prompts": frozenset({"login", "consent"}),
        "ui_locales": ("zh-Hant", "en"),
    }
    return AuthorizationRequest(**(values | changes))


def pushed(**changes: Any) -> PushedRequest:
    values = {"handle_hash": hashed("handle"), "request": request(), "expires_at": NOW + 300.5}
    return PushedRequest(**(values | changes))


def grant(of: Consent | None = None, **changes: Any) -> OAuthGrant:
    """Not yet redeemed."""
    of = of or consent()
    values: dict[str, Any] = {
        "grant_id": unique("grant"),
        "client_id": CLIENT,
        "consumer_id": of.consumer_id,
        "consent_id": of.consent_id,
        "subject": of.subject,
        "scopes": ("cdi:data-requests", "cdi:consents"),
        "created_at": NOW,
        "expires_at": of.expire_time,
        "auth_time": NOW - 60,
        "acr": "loa2",
        "redirect_uri": REDIRECT_URI,
        "code_challenge": "c" * 43,
        "dpop_jkt": "j" * 43,
        "code_hash": hashed("code"),
        "code_expires_at": NOW + 60.5,
    }
    return OAuthGrant(**(values | changes))


def session(**changes: Any) -> OwnerSession:
    values: dict[str, Any] = {
        "session_hash": hashed("session"),
        "subject": "b" * 64,
        "name": "Data Owner 7 資料擁有人",
        "auth_time": NOW,
        "acr": "loa2",
        "expires_at": NOW + 1_800.5,
    }
    return OwnerSession(**(values | changes))


def auth_code(**changes: Any) -> AuthCode:
    values: dict[str, Any] = {
        "code_hash": hashed("auth-code"),
        "subject": "b" * 64,
        "provider_id": SOURCE,
        "document_type": "CORPORATE_CREDIT_REPORT",
        "expires_at": NOW + 600.5,
    }
    return AuthCode(**(values | changes))
