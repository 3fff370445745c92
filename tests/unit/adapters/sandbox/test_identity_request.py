"""What a client may ask the identity provider for."""

from __future__ import annotations

import pytest

from adapters.sandbox.identity_request import NotOurClient, ProviderRefusal, check_client, parse

QUERY = {
    "client_id": "cdi-gateway",
    "redirect_uri": "https://gateway.example/login/callback",
    "response_type": "code",
    "scope": "openid profile email",
    "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "code_challenge_method": "S256",
    "state": "state",
    "nonce": "nonce",
}


def test_a_request_is_read_and_unknown_scopes_are_left_out() -> None:
    request = parse({**QUERY, "prompt": "login", "max_age": "300"})
    assert request.scopes == ("openid", "profile")
    assert (request.state, request.nonce) == ("state", "nonce")
    assert (request.prompts, request.max_age) == (frozenset({"login"}), 300)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "create"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "9" * 10}, "invalid_request"),
        ({"state": "x" * 2_001}, "invalid_request"),
        ({"request": "e30."}, "request_not_supported"),
        ({"request_uri": "https://client.example/request"}, "request_uri_not_supported"),
    ],
    ids=str,
)
def test_what_is_not_served_is_refused(change: dict[str, str | None], error: str) -> None:
    query = {name: value for name, value in (QUERY | change).items() if value is not None}
    with pytest.raises(ProviderRefusal) as refused:
        parse(query)
    assert refused.value.code == error


@pytest.mark.parametrize(
    "change",
    [{"client_id": "other"}, {"redirect_uri": "https://gateway.example/login/callback/"}, {"redirect_uri": ""}],
    ids=str,
)
def test_another_client_or_address_is_not_answered_by_redirect(change: dict[str, str]) -> None:
    with pytest.raises(NotOurClient):
        check_client(QUERY | change, client_id=QUERY["client_id"], redirect_uri=QUERY["redirect_uri"])
