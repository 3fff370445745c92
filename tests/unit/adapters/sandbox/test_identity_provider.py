"""Sign-ins, sessions, codes and ID tokens, without a socket."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import Any

import orjson
import pytest

from adapters.sandbox.identity_provider import (
    ACR,
    ATTEMPTS_MAX,
    ATTEMPTS_SECONDS,
    CODE_SECONDS,
    INTERACTION_SECONDS,
    SESSION_SECONDS,
    Account,
    IdentityProvider,
    SignedIn,
    SignInFailed,
    password_hash,
)
from adapters.sandbox.identity_request import AuthenticationRequest, ProviderRefusal
from adapters.sandbox.signing import KeySigner, base64url
from tests.fakes_identity import NOW, assertions
from tests.fakes_identity import form as assertion

VERIFIER = "v" * 43
SEVEN = Account(
    login="seven",
    password_hash=password_hash("secret", salt=b"s" * 16),
    data_owner_id="owner-7",
    name="Example Trading Co., Ltd.",
    name_zh="示例貿易有限公司",
)
REQUEST = AuthenticationRequest(
    redirect_uri="https://gateway.example/login/callback",
    scopes=("openid", "profile"),
    code_challenge=base64url(hashlib.sha256(VERIFIER.encode()).digest()),
    nonce="nonce",
)
SIGNED_IN = SignedIn(account=SEVEN, auth_time=NOW - 10)


def provider() -> IdentityProvider:
    return IdentityProvider(
        issuer="https://login.example",
        client_id="gateway",
        assertions=assertions(),
        signer=KeySigner.create("id-tokens-1"),
        accounts=[SEVEN],
        subject_key=b"k" * 32,
    )


def redemption(code: str) -> dict[str, str]:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REQUEST.redirect_uri,
        "code_verifier": VERIFIER,
    }
    return form | assertion()


def claims(answer: dict[str, object]) -> dict[str, Any]:
    payload = str(answer["id_token"]).split(".")[1]
    said: dict[str, Any] = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return said


def test_the_id_token_says_who_signed_in_when_and_how() -> None:
    known = provider()
    said = claims(known.token(redemption(known.code(REQUEST, SIGNED_IN, now=NOW)), now=NOW))
    assert (said["iss"], said["aud"], said["nonce"]) == ("https://login.example", "gateway", "nonce")
    assert (said["iat"], said["exp"], said["auth_time"], said["acr"]) == (NOW, NOW + 300, NOW - 10, ACR)
    assert (said["data_owner_id"], said["name"]) == ("owner-7", "Example Trading Co., Ltd.")
    assert said["name#zh-Hant"] == "示例貿易有限公司"
    assert "owner-7" not in said["sub"]


def test_names_are_for_the_scope_profile_alone() -> None:
    known = provider()
    request = replace(REQUEST, scopes=("openid",), nonce=None)
    said = claims(known.token(redemption(known.code(request, SIGNED_IN, now=NOW)), now=NOW))
    assert said.keys().isdisjoint({"name", "name#zh-Hant", "nonce"})


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"code": "unknown"}, "invalid_grant"),
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_grant"),
        ({"redirect_uri": "https://gateway.example/"}, "invalid_grant"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"client_assertion": "a.b.c"}, "invalid_client"),
    ],
    ids=str,
)
def test_a_redemption_that_does_not_hold_is_refused(change: dict[str, str], error: str) -> None:
    known = provider()
    code = known.code(REQUEST, SIGNED_IN, now=NOW)
    with pytest.raises(ProviderRefusal, match=error):
        known.token(redemption(code) | change, now=NOW)


def test_a_code_is_redeemed_once_and_soon() -> None:
    known = provider()
    code = known.code(REQUEST, SIGNED_IN, now=NOW - CODE_SECONDS)
    with pytest.raises(ProviderRefusal, match="invalid_grant"):
        known.token(redemption(code), now=NOW)
    known = provider()
    code = known.code(REQUEST, SIGNED_IN, now=NOW)
    known.token(redemption(code), now=NOW)
    other = {"jti": "2", "iss": "gateway", "sub": "gateway", "aud": "https://login.example", "exp": NOW + 60}
    with pytest.raises(ProviderRefusal, match="invalid_grant"):
        known.token(redemption(code) | assertion(other), now=NOW)


@pytest.mark.parametrize(("login", "password"), [("seven", "wrong"), ("seven", ""), ("nobody", "secret"), ("", "")])
def test_a_wrong_login_signs_nobody_in(login: str, password: str) -> None:
    with pytest.raises(SignInFailed) as failed:
        provider().sign_in(login, password, now=NOW)
    assert not failed.value.locked


def test_a_login_is_locked_after_too_many_wrong_passwords_for_a_while() -> None:
    known = provider()
    for _ in range(ATTEMPTS_MAX):
        with pytest.raises(SignInFailed):
            known.sign_in("seven", "wrong", now=NOW)
    with pytest.raises(SignInFailed) as failed:
        known.sign_in("seven", "secret", now=NOW)
    assert failed.value.locked
    assert known.sign_in("seven", "secret", now=NOW + ATTEMPTS_SECONDS).auth_time == NOW + ATTEMPTS_SECONDS


def test_a_sign_in_belongs_to_the_browser_that_began_it_and_ends() -> None:
    known = provider()
    name = known.begin(REQUEST, "browser", now=NOW)
    assert known.interaction(name, "browser", now=NOW) == REQUEST
    assert known.interaction(name, "another", now=NOW) is None
    assert known.interaction(name, "", now=NOW) is None
    assert known.interaction("unknown", "", now=NOW) is None
    assert known.interaction(name, "browser", now=NOW + INTERACTION_SECONDS) is None
    known.finish(name, SIGNED_IN, now=NOW)
    assert known.interaction(name, "browser", now=NOW) is None


def test_a_session_is_enough_unless_the_client_wants_it_fresher() -> None:
    known = provider()
    session = known.finish(known.begin(REQUEST, "b", now=NOW), SIGNED_IN, now=NOW)

    def found(at: int = NOW, **asked: Any) -> SignedIn | None:
        return known.session(session, replace(REQUEST, **asked), now=at)

    assert found() == found(max_age=10) == SIGNED_IN
    assert found(max_age=9) is None
    assert found(prompts=frozenset({"login"})) is None
    assert found(at=NOW + SESSION_SECONDS) is None
    assert known.session(None, REQUEST, now=NOW) is None


def test_who_must_not_be_asked_and_is_not_signed_in_is_refused() -> None:
    with pytest.raises(ProviderRefusal, match="login_required"):
        provider().session(None, replace(REQUEST, prompts=frozenset({"none"})), now=NOW)
