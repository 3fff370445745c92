"""What a client may ask the identity provider for: the authentication request and its checks (Core §3.1.2.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

CLAIMS_SCOPE = "profile"
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # RFC 7636 §4.2, S256
_PROMPTS = frozenset({"none", "login", "consent", "select_account"})
_CHARACTERS_MAX = 2_000


class ProviderRefusal(Exception):
    """An OAuth error; the text holds no input. `status`: of the answer at the token endpoint."""

    def __init__(self, code: str, description: str, *, status: int = 400) -> None:
        super().__init__(code)
        self.code, self.description, self.status = code, description, status


class NotOurClient(Exception):
    """Unknown client or redirect URI: told to the person, never by redirect (RFC 6749 §4.1.2.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationRequest:
    redirect_uri: str
    scopes: tuple[str, ...]
    code_challenge: str
    state: str | None = None
    nonce: str | None = None
    prompts: frozenset[str] = frozenset()
    max_age: int | None = None


def check_client(query: Mapping[str, str], *, client_id: str, redirect_uri: str) -> None:
    """Raises NotOurClient."""
    if query.get("client_id") != client_id or query.get("redirect_uri") != redirect_uri:
        raise NotOurClient("client_id and redirect_uri do not belong to a client of this provider")


def parse(query: Mapping[str, str]) -> AuthenticationRequest:
    """Behind `check_client`. Raises ProviderRefusal, which goes back to the client by redirect."""
    if any(len(value) > _CHARACTERS_MAX for value in query.values()):
        raise ProviderRefusal("invalid_request", "a parameter is too long")
    if "request" in query:
        raise ProviderRefusal("request_not_supported", "request objects are not served")
    if "request_uri" in query:
        raise ProviderRefusal("request_uri_not_supported", "request objects are not served")
    if query.get("response_type") != "code":
        raise ProviderRefusal("unsupported_response_type", "only code is served")
    if query.get("response_mode", "query") != "query":
        raise ProviderRefusal("invalid_request", "only the response mode query is served")
    scopes = tuple(query.get("scope", "").split())
    if "openid" not in scopes:
        raise ProviderRefusal("invalid_scope", "openid is needed")
    challenge = query.get("code_challenge", "")
    if query.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
        raise ProviderRefusal("invalid_request", "PKCE with S256 is needed")
    return AuthenticationRequest(
        redirect_uri=query["redirect_uri"],
        scopes=tuple(scope for scope in scopes if scope in {"openid", CLAIMS_SCOPE}),
        code_challenge=challenge,
        state=query.get("state"),
        nonce=query.get("nonce"),
        prompts=_prompts(query.get("prompt", "")),
        max_age=_max_age(query.get("max_age")),
    )


def _prompts(text: str) -> frozenset[str]:
    prompts = frozenset(text.split())
    if not prompts <= _PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise ProviderRefusal("invalid_request", "prompt is not valid")
    return prompts


def _max_age(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise ProviderRefusal("invalid_request", "max_age must be seconds")
    return int(text)
