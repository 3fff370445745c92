"""The way back to the client: query, `iss` (RFC 9207), JARM."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.authorization.responses import JARM_SECONDS, JARM_TYPE, Responses, denied, unmet
from gateway.oauth.jws import algorithm_and_key_id, parse_jws, verified
from tests import oauth_samples
from tests.authorization_parts import TokenSigner
from tests.oauth_clients import ISSUER, KEYS
from tests.samples import NOW

RESPONSES = Responses(issuer=ISSUER, signer=TokenSigner())


def url(answer: dict[str, str], **changes: object) -> str:
    return RESPONSES.url(oauth_samples.request(**({"response_mode": "query"} | changes)), answer, now=NOW + 0.9)


def test_code_state_and_issuer_come_in_the_query() -> None:
    parts = urlsplit(url({"code": "abc"}))
    assert parts._replace(query="").geturl() == oauth_samples.REDIRECT_URI
    assert parse_qs(parts.query) == {"code": ["abc"], "state": ["state-1"], "iss": [ISSUER]}


@pytest.mark.parametrize("answer", [denied("The data owner said no"), unmet()])
def test_errors_name_the_issuer_too(answer: dict[str, str]) -> None:
    """RFC 9207 §2: in error responses as well, against mix-up."""
    query = parse_qs(urlsplit(url(answer)).query)
    assert query["iss"] == [ISSUER]
    assert query["error"] == [answer["error"]]
    assert "code" not in query


def test_without_a_state_there_is_none() -> None:
    assert "state" not in parse_qs(urlsplit(url({"code": "abc"}, state=None)).query)


def test_a_state_comes_back_as_it_was() -> None:
    strange = "a b&c=d#e\"'<>%?+;é"
    query = urlsplit(url({"code": "abc"}, state=strange)).query
    assert parse_qs(query)["state"] == [strange]
    assert set(parse_qs(query)) == {"code", "state", "iss"}


def test_a_redirect_uri_keeps_its_own_query() -> None:
    """RFC 6749 §3.1.2."""
    made = url({"code": "abc"}, redirect_uri="https://bank-a.example/other?kept=1")
    assert made.startswith("https://bank-a.example/other?kept=1&code=abc&")


def test_a_jarm_answer_holds_all_of_it_signed_for_the_client() -> None:
    query = parse_qs(urlsplit(url({"code": "abc"}, response_mode="query.jwt")).query)
    assert set(query) == {"response"}
    jws = parse_jws(query["response"][0], characters_max=8_192)
    verified(jws, KEYS, *algorithm_and_key_id(jws, types={JARM_TYPE}))
    assert jws.claims == {
        "iss": ISSUER,
        "aud": oauth_samples.CLIENT,
        "exp": NOW + JARM_SECONDS,
        "iat": NOW,
        "code": "abc",
        "state": "state-1",
    }
    assert JARM_SECONDS <= 600


def test_a_jarm_answer_can_be_a_refusal() -> None:
    query = parse_qs(urlsplit(url(denied("No"), response_mode="query.jwt")).query)
    claims = parse_jws(query["response"][0], characters_max=8_192).claims
    assert (claims["error"], claims["error_description"]) == ("access_denied", "No")
