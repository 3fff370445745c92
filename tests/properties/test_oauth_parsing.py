"""Whatever comes in a form, a query or a token: the rules give a value or their refusal, nothing else."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.oauth import authcode, details, parameters, pkce
from gateway.oauth.assertion import check_assertion, peek_client_id
from gateway.oauth.dpop import check_proof
from gateway.oauth.jws import JwsInvalid, algorithm_and_key_id, parse_jws
from gateway.oauth.refusal import OAuthRefusal
from gateway.oauth.request import authorization_request
from gateway.oauth.request_object import unpack
from tests import oauth_clients
from tests.fakes_oauth import b64, sign
from tests.oauth_clients import ISSUER, NONCES, TOKEN_URL, client, key
from tests.samples import NOW

TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=80)  # lone surrogates too
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
SEGMENTS = st.lists(st.binary(max_size=60).map(b64) | TEXT, min_size=1, max_size=5).map(".".join)
TOKENS = TEXT | SEGMENTS
CLIENT = client()


@given(TOKENS)
def test_any_text_is_a_jws_or_not(text: str) -> None:
    try:
        jws = parse_jws(text, characters_max=1_000)
        algorithm, _ = algorithm_and_key_id(jws)
    except JwsInvalid as refused:
        assert refused.fault in {"too_large", "malformed", "header", "algorithm"}  # noqa: PT017 - some texts are one
    else:
        assert algorithm in {"PS256", "ES256", "EdDSA"}


@given(TOKENS)
def test_no_text_proves_a_client(text: str) -> None:
    assert peek_client_id(text) is None or isinstance(peek_client_id(text), str)
    with pytest.raises(OAuthRefusal):
        check_assertion(text, CLIENT, issuer=ISSUER, now=NOW)


@given(TOKENS)
def test_no_text_proves_a_key(text: str) -> None:
    with pytest.raises(OAuthRefusal):
        check_proof(text, method="POST", url=TOKEN_URL, now=NOW, nonces=NONCES)


@given(TOKENS)
def test_no_text_is_a_request_object(text: str) -> None:
    with pytest.raises(OAuthRefusal):
        unpack(text, CLIENT, issuer=ISSUER, now=NOW, outer={"request": text})


@given(st.dictionaries(st.sampled_from(["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "other"]), JSON))
def test_any_claims_of_an_assertion_are_good_or_refused(changes: dict[str, Any]) -> None:
    claims = {"iss": "bank-a", "sub": "bank-a", "aud": ISSUER, "exp": NOW + 60, "jti": "one"} | changes
    token = sign(key(), {"alg": "ES256"}, _dumped(claims))
    try:
        checked = check_assertion(token, CLIENT, issuer=ISSUER, now=NOW)
    except OAuthRefusal as refused:
        assert refused.code == "invalid_client"  # noqa: PT017 - some changes leave a good one
    else:
        assert 0 < len(checked.token_id) <= 256
        assert NOW < checked.expires_at <= NOW + 310


@given(
    st.dictionaries(st.sampled_from(["typ", "jwk", "kid", "alg", "other"]), JSON, max_size=2),
    st.dictionaries(st.sampled_from(["htm", "htu", "iat", "jti", "nonce", "ath", "exp", "nbf"]), JSON),
)
def test_any_members_of_a_proof_are_good_or_refused(head: dict[str, Any], changes: dict[str, Any]) -> None:
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": oauth_clients.public(key())} | head
    claims = {"jti": "one", "htm": "POST", "htu": TOKEN_URL, "iat": NOW, "nonce": NONCES.issue(NOW)} | changes
    token = sign(key(), _dumped(header), _dumped(claims), alg="ES256")
    try:
        proof = check_proof(token, method="POST", url=TOKEN_URL, now=NOW, nonces=NONCES)
    except OAuthRefusal as refused:
        assert refused.code in {"invalid_dpop_proof", "use_dpop_nonce"}  # noqa: PT017 - some changes leave a good one
    else:
        assert len(proof.jkt) == 43


@given(st.dictionaries(st.sampled_from(sorted(oauth_clients.ALL_PARAMETERS)), TEXT))
def test_any_parameters_are_a_request_or_refused(changes: dict[str, str]) -> None:
    try:
        asked = authorization_request(oauth_clients.parameters() | changes, CLIENT)
    except OAuthRefusal as refused:
        assert refused.status == 400  # noqa: PT017 - some changes leave a good one
    else:
        assert asked.redirect_uri in CLIENT.redirect_uris
        assert CLIENT.scopes.issuperset(asked.scopes)


@given(st.dictionaries(st.sampled_from(sorted(oauth_clients.ALL_PARAMETERS)), JSON))
@settings(max_examples=50)
def test_any_claims_of_a_request_object_are_parameters_or_refused(changes: dict[str, Any]) -> None:
    claims = {"iss": "bank-a", "aud": ISSUER, "nbf": NOW, "exp": NOW + 60} | oauth_clients.parameters() | changes
    token = sign(key(), {"alg": "ES256"}, _dumped(claims))
    try:
        inside = unpack(token, CLIENT, issuer=ISSUER, now=NOW, outer={"request": token})
        authorization_request(inside, CLIENT)
    except OAuthRefusal as refused:
        assert refused.status == 400  # noqa: PT017 - some changes leave a good one
    else:
        assert all(isinstance(value, str) and value for value in inside.values())


@given(st.lists(st.tuples(TEXT, TEXT), max_size=80))
def test_any_pairs_are_a_form_or_refused(pairs: list[tuple[str, str]]) -> None:
    try:
        found = parameters.form(pairs)
    except OAuthRefusal as refused:
        assert refused.code == "invalid_request"  # noqa: PT017 - most pairs are a form
    else:
        assert set(found.items()) <= set(pairs)
        assert len({name for name, _ in pairs}) == len(pairs)


@given(TEXT | JSON.map(lambda value: _dumped(value).decode()))
def test_any_text_is_details_or_refused(text: str) -> None:
    with pytest.raises(OAuthRefusal) as refused:
        details.consent_id(text)
    assert refused.value.code == "invalid_authorization_details"


@given(st.uuids())
def test_the_details_of_any_consent_are_read_back(consent_id: Any) -> None:
    assert details.consent_id(oauth_clients.details(str(consent_id))) == str(consent_id)


@given(TEXT)
def test_any_text_is_a_verifier_and_an_auth_code_or_not(text: str) -> None:
    assert not pkce.verifies(text, oauth_clients.CHALLENGE)
    found = authcode.as_code(text)
    assert found is None or set(found) <= set(authcode.ALPHABET)


def _dumped(value: Any) -> bytes:
    """With NaN and the like as null, as JSON has none."""
    return orjson.dumps(value)
