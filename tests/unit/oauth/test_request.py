"""Authorization requests, one wrong parameter at a time; names as in the OpenID conformance suite's FAPI 2.0 plan."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.oauth.grant import AuthorizationRequest
from gateway.oauth.refusal import OAuthRefusal
from gateway.oauth.request import UNSERVED, authorization_request
from tests.oauth_clients import ALL_SCOPES, CHALLENGE, CLIENT, CONSENT, REDIRECT_URI, client, parameters, refused


def asked(**changes: Any) -> AuthorizationRequest:
    return authorization_request(parameters(**changes), client())


def refusal(**changes: Any) -> OAuthRefusal:
    found = refused(lambda: asked(**changes))
    assert found.status == 400
    return found


def told(**changes: Any) -> tuple[str, str]:
    found = refusal(**changes)
    return found.code, found.reason


def test_a_good_request_is_a_value() -> None:
    assert asked() == AuthorizationRequest(
        client_id=CLIENT,
        redirect_uri=REDIRECT_URI,
        scopes=("cdi:data-requests",),
        consent_id=CONSENT,
        code_challenge=CHALLENGE,
        state="af0ifjsldkj",
    )


def test_all_that_may_be_asked_is_kept() -> None:
    full = asked(
        scope="cdi:notices cdi:data-requests",
        response_mode="jwt",
        dpop_jkt="j" * 43,
        max_age="300",
        acr_values="loa3 loa2",
        prompt="login consent",
        ui_locales="zh-Hant en",
        nonce="n-0S6_WzA2Mj",
    )
    assert full.scopes == ("cdi:notices", "cdi:data-requests")
    assert (full.response_mode, full.dpop_jkt, full.max_age) == ("query.jwt", "j" * 43, 300)
    assert (full.acr_values, full.prompts, full.ui_locales) == (
        ("loa3", "loa2"),
        frozenset({"login", "consent"}),
        ("zh-Hant", "en"),
    )


def test_ensure_request_with_unknown_parameter_succeeds() -> None:
    """RFC 6749 §3.1."""
    assert asked(utm_source="x", display="page", login_hint="somebody") == asked()


# --- client and response type ---------------------------------------------------------------------------------------


def test_ensure_the_client_id_is_the_clients_own() -> None:
    assert told(client_id="bank-b") == ("invalid_request", "client_id")
    assert asked(client_id=None).client_id == CLIENT  # RFC 9126 §2.1: who pushed is proven


@pytest.mark.parametrize(
    "response_type", ["code id_token", "id_token", "token", "code token", "none", "Code", "code ", "device_code"]
)
def test_ensure_response_type_code_idtoken_fails(response_type: str) -> None:
    """And ensure-response-type-token-fails."""
    assert told(response_type=response_type) == ("unsupported_response_type", "response_type")


def test_response_type_missing() -> None:
    assert told(response_type=None) == ("invalid_request", "response_type_missing")


# --- redirect URI ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uri",
    [
        "https://mallory.example/callback",
        REDIRECT_URI + "/",
        REDIRECT_URI + "?x=1",
        REDIRECT_URI + "#x",
        REDIRECT_URI.upper(),
        REDIRECT_URI.replace("https", "http"),
        REDIRECT_URI + "/../callback",
        "https://bank-a.example/other",
        "https://bank-a.example@mallory.example/callback",
        "javascript:alert(1)",
        " " + REDIRECT_URI,
    ],
)
def test_ensure_registered_redirect_uri(uri: str) -> None:
    """Compared character by character (RFC 9700 §2.1)."""
    assert told(redirect_uri=uri) == ("invalid_request", "redirect_uri")


def test_ensure_redirect_uri_in_authorization_request() -> None:
    assert told(redirect_uri=None) == ("invalid_request", "redirect_uri")


def test_each_registered_redirect_uri_may_be_asked() -> None:
    assert asked(redirect_uri="https://bank-a.example/other?kept=1").redirect_uri.endswith("kept=1")


# --- scope and details ----------------------------------------------------------------------------------------------


def test_ensure_other_scope_order_succeeds() -> None:
    assert set(asked(scope="cdi:notices cdi:data-requests").scopes) == {"cdi:notices", "cdi:data-requests"}


@pytest.mark.parametrize(
    "scope",
    [
        None,
        "cdi:consents",  # nothing that needs an owner
        "cdi:data-requests cdi:data-requests",
        "cdi:data-requests openid",  # no ID tokens are issued
        "cdi:data-requests cdi:evidence",  # not this client's
        "cdi:data-requests offline_access",
        "cdi:data-requests  cdi:notices",
        " cdi:data-requests",
        "CDI:DATA-REQUESTS",
        "cdi:data-requests\u00a0cdi:notices",
    ],
)
def test_ensure_a_scope_that_may_not_be_had_fails(scope: str | None) -> None:
    assert told(scope=scope) == ("invalid_scope", "scope")


def test_ensure_openid_fails_even_where_a_client_is_declared_to_have_it() -> None:
    declared = client(scopes=ALL_SCOPES | {"openid"})
    wanted = parameters(scope="cdi:data-requests openid")
    assert refused(lambda: authorization_request(wanted, declared)).code == "invalid_scope"


def test_ensure_the_consent_is_named() -> None:
    assert told(authorization_details=None) == ("invalid_request", "details_missing")
    assert told(authorization_details="[]") == ("invalid_authorization_details", "details_shape")


# --- PKCE -----------------------------------------------------------------------------------------------------------


def test_par_ensure_pkce_required() -> None:
    assert told(code_challenge=None) == ("invalid_request", "code_challenge")
    assert told(code_challenge=None, code_challenge_method=None) == ("invalid_request", "code_challenge")


@pytest.mark.parametrize("method", ["plain", None, "s256", "S512", "S256 "])
def test_par_plain_pkce_rejected(method: str | None) -> None:
    """A missing method means plain (RFC 7636 §4.3)."""
    assert told(code_challenge_method=method) == ("invalid_request", "code_challenge_method")


@pytest.mark.parametrize("challenge", ["c" * 42, "c" * 44, "c" * 42 + "=", "c" * 42 + "+", "é" * 43, "c" * 42 + "\n"])
def test_ensure_a_challenge_that_is_none_fails(challenge: str) -> None:
    assert told(code_challenge=challenge) == ("invalid_request", "code_challenge")


# --- state, nonce, response mode --------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 128, 384, 1_000, 2_048])
def test_ensure_authorization_request_with_long_state_succeeds(length: int) -> None:
    assert asked(state="s" * length).state == "s" * length


def test_ensure_authorization_request_without_state_success() -> None:
    assert asked(state=None).state is None


@pytest.mark.parametrize("state", ["s" * 2_049, "é", "a\u2028b", "\ud800"])
def test_ensure_a_state_beyond_the_limits_fails(state: str) -> None:
    assert told(state=state) == ("invalid_request", "state")


def test_a_state_comes_back_as_it_is() -> None:
    assert asked(state="a b&c=d#e\"'<>%").state == "a b&c=d#e\"'<>%"


@pytest.mark.parametrize("length", [1, 64, 512])
def test_ensure_authorization_request_with_64_char_nonce_success(length: int) -> None:
    assert asked(nonce="n" * length) == asked()


def test_ensure_authorization_request_without_nonce_success() -> None:
    assert asked(nonce=None) == asked()


def test_ensure_a_nonce_beyond_the_limit_fails() -> None:
    assert told(nonce="n" * 513) == ("invalid_request", "nonce")


@pytest.mark.parametrize(
    ("mode", "kept"), [(None, "query"), ("query", "query"), ("jwt", "query.jwt"), ("query.jwt", "query.jwt")]
)
def test_the_answer_comes_in_the_query_signed_where_wanted(mode: str | None, kept: str) -> None:
    assert asked(response_mode=mode).response_mode == kept


@pytest.mark.parametrize("mode", ["fragment", "form_post", "form_post.jwt", "fragment.jwt", "web_message", "Query"])
def test_ensure_a_response_mode_that_would_show_the_code_fails(mode: str) -> None:
    assert told(response_mode=mode) == ("invalid_request", "response_mode")


# --- the rest ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(UNSERVED))
def test_a_registered_parameter_that_is_not_served_is_refused(name: str) -> None:
    """par-authorization-request-containing-request_uri-form-param, grant-management-merge and -replace among them."""
    assert told(**{name: "x"}) == ("invalid_request", "unserved_parameter")


@pytest.mark.parametrize("thumbprint", ["j" * 42, "j" * 44, "j" * 42 + "=", "é" * 43])
def test_a_dpop_jkt_that_is_none_is_refused(thumbprint: str) -> None:
    assert told(dpop_jkt=thumbprint) == ("invalid_request", "dpop_jkt")


@pytest.mark.parametrize("age", ["-1", "1.5", "x", "999999999", "31536001", "٣", " 1", "1e3"])
def test_a_max_age_that_is_none_is_refused(age: str) -> None:
    assert told(max_age=age) == ("invalid_request", "max_age")


def test_max_age_may_be_nothing_at_all() -> None:
    assert asked(max_age="0").max_age == 0


@pytest.mark.parametrize("name", ["acr_values", "ui_locales", "prompt"])
@pytest.mark.parametrize("text", ["a b c d e f g h i", "a  b", " a", "é", "x" * 101])
def test_a_list_beyond_the_limits_is_refused(name: str, text: str) -> None:
    assert told(**{name: text}) == ("invalid_request", name)


@pytest.mark.parametrize("prompt", ["none", "none login", "login none"])
def test_prompt_none_is_not_served(prompt: str) -> None:
    """prompt-none: a data owner always decides in person."""
    assert told(prompt=prompt) == ("login_required", "prompt_none")


@pytest.mark.parametrize("prompt", ["select_account", "create", "LOGIN"])
def test_another_prompt_is_refused(prompt: str) -> None:
    assert told(prompt=prompt) == ("invalid_request", "prompt")


def test_nothing_of_the_request_is_in_a_refusal() -> None:
    for changes in (
        {"redirect_uri": "https://canary.example"},
        {"scope": "canary"},
        {"state": "canary" * 400},
        {"response_type": "canary"},
        {"authorization_details": '["canary"]'},
        {"prompt": "canary"},
    ):
        found = refusal(**changes)
        assert "canary" not in repr((found, found.reason, found.description, dict(found.headers)))
