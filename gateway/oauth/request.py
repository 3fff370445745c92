"""Authorization requests (RFC 6749 §4.1.1, FAPI 2.0 §5.3.2.2): every parameter checked before a browser is involved."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NoReturn

from gateway.oauth import details, scopes
from gateway.oauth.client import Client
from gateway.oauth.grant import AuthorizationRequest
from gateway.oauth.pkce import CHALLENGE
from gateway.oauth.refusal import OAuthRefusal

STATE_CHARACTERS_MAX = 2_048  # FAPI 2.0 §5.3.2.2 NOTE 4: more than 1,000 where a client keeps a JWT in it
NONCE_CHARACTERS_MAX = 512
LIST_ITEMS_MAX = 8
AGE_SECONDS_MAX = 31_536_000

# Registered parameters that would change what is asked for, and that we do not serve: better refused than passed over.
# What is not registered is ignored (RFC 6749 §3.1).
UNSERVED = frozenset(
    {
        "claims",
        "grant_id",  # a grant is made by its owner's decision, and is not merged with another
        "grant_management_action",
        "id_token_hint",
        "login_hint_token",
        "registration",
        "request_uri",
        "response_uri",
    }
)
NO_ID_TOKENS = "openid"  # whatever a client is declared to have: none are issued
RESPONSE_MODES = {"query": "query", "jwt": "query.jwt", "query.jwt": "query.jwt"}

_STATE = re.compile(rf"[\x20-\x7e]{{1,{STATE_CHARACTERS_MAX}}}")  # RFC 6749 A.5
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")
_AGE = re.compile(r"[0-9]{1,8}")
_WORD = re.compile(r"[\x21-\x7e]{1,100}")
_PROMPTS = frozenset({"login", "consent"})


def authorization_request(parameters: Mapping[str, str], client: Client) -> AuthorizationRequest:
    """The request as a value. Raises OAuthRefusal with the code of RFC 6749 §4.1.2.1 or of the extension it is from."""
    unserved = UNSERVED & parameters.keys()
    if unserved:
        _refuse("invalid_request", "A parameter of this request is not served", "unserved_parameter")
    if parameters.get("client_id", client.client_id) != client.client_id:
        _refuse("invalid_request", "client_id names another client", "client_id")
    response_type = parameters.get("response_type")
    if response_type is None:
        _refuse("invalid_request", "response_type is required", "response_type_missing")
    if response_type != "code":
        _refuse("unsupported_response_type", "response_type must be code", "response_type")
    detail = parameters.get("authorization_details")
    if detail is None:
        _refuse("invalid_request", "authorization_details is required", "details_missing")
    return AuthorizationRequest(
        client_id=client.client_id,
        redirect_uri=_redirect_uri(parameters, client),
        scopes=_scopes(parameters.get("scope"), client),
        consent_id=details.consent_id(detail),
        code_challenge=_challenge(parameters),
        state=_state(parameters),
        response_mode=_response_mode(parameters),
        dpop_jkt=_dpop_jkt(parameters),
        max_age=_max_age(parameters),
        acr_values=_words(parameters, "acr_values"),
        prompts=_prompts(parameters),
        ui_locales=_words(parameters, "ui_locales"),
    )


def _redirect_uri(parameters: Mapping[str, str], client: Client) -> str:
    uri = parameters.get("redirect_uri")
    if uri is None or uri not in client.redirect_uris:  # FAPI 2.0 §5.3.2.2 (6): always given, and one of them
        _refuse("invalid_request", "redirect_uri must be given, and be registered", "redirect_uri")
    return uri


def _scopes(text: str | None, client: Client) -> tuple[str, ...]:
    wanted = tuple((text or "").split(" "))
    if scopes.DATA_REQUESTS not in wanted or len(set(wanted)) != len(wanted):
        _refuse("invalid_scope", f"scope must contain {scopes.DATA_REQUESTS}, and each scope once", "scope")
    if NO_ID_TOKENS in wanted or not client.scopes.issuperset(wanted):
        _refuse("invalid_scope", "This client may not have that scope", "scope")
    return wanted


def _challenge(parameters: Mapping[str, str]) -> str:
    challenge = parameters.get("code_challenge")
    if challenge is None or CHALLENGE.fullmatch(challenge) is None:
        _refuse("invalid_request", "code_challenge is required: 43 characters of base64url", "code_challenge")
    if parameters.get("code_challenge_method") != "S256":  # missing means plain (RFC 7636 §4.3)
        _refuse("invalid_request", "code_challenge_method must be S256", "code_challenge_method")
    return challenge


def _state(parameters: Mapping[str, str]) -> str | None:
    state = parameters.get("state")
    if state is not None and _STATE.fullmatch(state) is None:
        _refuse("invalid_request", f"state has more than {STATE_CHARACTERS_MAX} characters, or strange ones", "state")
    # We issue no ID tokens, so a nonce comes to nothing; its length is held, as if it did.
    if len(parameters.get("nonce", "")) > NONCE_CHARACTERS_MAX:
        _refuse("invalid_request", f"nonce has more than {NONCE_CHARACTERS_MAX} characters", "nonce")
    return state


def _response_mode(parameters: Mapping[str, str]) -> str:
    mode = RESPONSE_MODES.get(parameters.get("response_mode", "query"))
    if mode is None:
        _refuse("invalid_request", "response_mode must be query or jwt", "response_mode")
    return mode


def _dpop_jkt(parameters: Mapping[str, str]) -> str | None:
    thumbprint = parameters.get("dpop_jkt")
    if thumbprint is not None and _THUMBPRINT.fullmatch(thumbprint) is None:
        _refuse("invalid_request", "dpop_jkt must be an RFC 7638 thumbprint", "dpop_jkt")
    return thumbprint


def _max_age(parameters: Mapping[str, str]) -> int | None:
    text = parameters.get("max_age")
    if text is None:
        return None
    if _AGE.fullmatch(text) is None or int(text) > AGE_SECONDS_MAX:
        _refuse("invalid_request", "max_age must be a number of seconds", "max_age")
    return int(text)


def _words(parameters: Mapping[str, str], name: str) -> tuple[str, ...]:
    words = tuple(parameters[name].split(" ")) if name in parameters else ()
    if len(words) > LIST_ITEMS_MAX or not all(_WORD.fullmatch(word) for word in words):
        _refuse("invalid_request", f"{name} must be a short list", name)
    return words


def _prompts(parameters: Mapping[str, str]) -> frozenset[str]:
    prompts = frozenset(_words(parameters, "prompt"))
    if "none" in prompts:
        _refuse("login_required", "A data owner always decides in person: prompt none is not served", "prompt_none")
    if not prompts <= _PROMPTS:
        _refuse("invalid_request", "prompt must be login or consent", "prompt")
    return prompts


def _refuse(code: str, description: str, reason: str) -> NoReturn:
    raise OAuthRefusal(code, description, reason=reason)
