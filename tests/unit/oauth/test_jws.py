"""JWS taken apart strictly, and the confusions that a verifier must not fall for."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.oauth.jws import Jws, JwsInvalid, algorithm_and_key_id, parse_jws, verified
from tests.fakes_oauth import b64, sign
from tests.oauth_clients import KEYS, assertion, confusions, key, stranger

CHARACTERS_MAX = 8_192


def fault(token: str, **arguments: Any) -> str:
    with pytest.raises(JwsInvalid) as refused:
        believed(token, **arguments)
    return refused.value.fault


def believed(token: str, **arguments: Any) -> Jws:
    jws = parse_jws(token, characters_max=CHARACTERS_MAX)
    verified(jws, KEYS, *algorithm_and_key_id(jws, **arguments))
    return jws


@pytest.mark.parametrize("alg", ["ES256", "PS256", "EdDSA"])
def test_each_algorithm_of_fapi_is_verified(alg: str) -> None:
    assert believed(assertion(alg)).claims["sub"] == "bank-a"


def test_without_a_kid_the_only_key_of_the_algorithm_counts() -> None:
    assert believed(assertion(head={"kid": None})).header == {"alg": "ES256"}
    assert fault(assertion(by=stranger(), head={"kid": None})) == "signature"


EXPECTED = {
    "none": "algorithm",
    "none_capitals": "algorithm",
    "hmac_with_public_key": "algorithm",
    "rs256": "algorithm",
    "es256_by_rsa_name": "key",
    "wrong_key": "signature",
    "no_signature": "signature",
    "cut_signature": "signature",
    "zero_signature": "signature",
    "kid_path": "key",
    "kid_sql": "key",
    "kid_number": "header",
    "kid_long": "header",
    "jku": "header",
    "x5u": "header",
    "x5c": "header",
    "embedded_jwk": "header",
    "crit": "header",
    "b64": "header",
    "zip": "header",
    "jwe": "malformed",
    "two_segments": "malformed",
    "padded": "malformed",
    "header_not_json": "malformed",
    "claims_not_an_object": "malformed",
    "claims_changed": "signature",
    "too_large": "too_large",
    "not_ascii": "malformed",
    "empty": "malformed",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_confusion_is_refused(name: str) -> None:
    assert fault(confusions(assertion)[name]) == EXPECTED[name]


def test_every_known_confusion_is_expected() -> None:
    assert confusions(assertion).keys() == EXPECTED.keys()


@pytest.mark.parametrize("alg", ["HS256", "HS512", "RS256", "RS512", "ES384", "ES512", "none", "", None, 7, ["ES256"]])
def test_an_algorithm_that_is_not_listed_is_refused(alg: Any) -> None:
    assert fault(sign(key(), {"alg": alg}, {"sub": "x"}, alg="ES256")) == "algorithm"


def test_the_listed_algorithms_can_be_fewer() -> None:
    assert believed(assertion("PS256"), algorithms={"PS256"}).header["alg"] == "PS256"
    assert fault(assertion("ES256"), algorithms={"PS256"}) == "algorithm"


def test_a_key_of_the_token_is_let_through_where_it_may_bring_one_and_alone() -> None:
    jws = parse_jws(assertion(head={"jwk": {"kty": "EC"}}), characters_max=CHARACTERS_MAX)
    assert algorithm_and_key_id(jws, may_bring_key=True) == ("ES256", "key-ES256")
    assert fault(assertion(head={"jwk": {}, "jku": "https://x.example"}), may_bring_key=True) == "header"


@pytest.mark.parametrize(
    ("typ", "good"), [("at+jwt", True), ("AT+JWT", True), ("jwt", False), (None, False), (7, False)]
)
def test_the_type_is_one_of_those_wanted_whatever_its_case(typ: Any, good: bool) -> None:
    token = assertion(head={"typ": typ})
    if good:
        assert believed(token, types={"at+jwt"}).header["typ"] == typ
    else:
        assert fault(token, types={"at+jwt"}) == "type"


@pytest.mark.parametrize(
    "payload",
    [b'{"a":1,"a":2}', b'{"a":1.5}', b'{"a":NaN}', b"\xef\xbb\xbf{}", b'{"a":"\\ud800"}', b"[" * 40, b"", b"1"],
)
def test_claims_that_parsers_read_in_different_ways_are_refused(payload: bytes) -> None:
    assert fault(sign(key(), {"alg": "ES256"}, payload)) == "malformed"


def test_a_repeated_header_member_is_refused() -> None:
    assert fault(sign(key(), b'{"alg":"none","alg":"ES256"}', {"sub": "x"}, alg="ES256")) == "malformed"


def test_unused_bits_in_base64_are_refused() -> None:
    """RFC 4648 §3.5: else one token would have several spellings, and its hash would name only one of them."""
    token = assertion()
    last = token[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = alphabet[alphabet.index(last) ^ 1]
    assert fault(token[:-1] + other) == "malformed"


@pytest.mark.parametrize("segment", ["a b", "a\nb", "a+/b", "====", "a"])
def test_what_is_not_base64url_is_refused(segment: str) -> None:
    assert fault(f"{b64(orjson.dumps({'alg': 'ES256'}))}.{segment}.AA") == "malformed"


def test_nothing_of_the_token_is_in_the_repr() -> None:
    jws = parse_jws(assertion(secret="canary"), characters_max=CHARACTERS_MAX)
    assert repr(jws) == "Jws()"
