"""Which keys of a JWKS are used, for what, and which sets are refused as a whole."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.oauth.keys import KeysInvalid, parse_keys
from tests.fakes_oauth import b64, ec_key, ed_key, jwks, rsa_key

EC = ec_key().as_dict(private=False)


def document(*members: Any) -> bytes:
    return orjson.dumps({"keys": list(members)})


def test_each_key_has_one_algorithm() -> None:
    keys = parse_keys(jwks(ec_key(), rsa_key(), ed_key()))
    found = {alg: keys.find(alg, kid) for alg, kid in (("ES256", "ec"), ("PS256", "rsa"), ("EdDSA", "ed"))}
    assert all(key is not None and key.algorithm == alg for alg, key in found.items())
    assert keys.find("ES256", "rsa") is None
    assert keys.find("ES256", "../../etc/passwd") is None


def test_keys_of_one_name_are_told_apart_by_their_algorithm() -> None:
    """FAPI 2.0 §5.4.3."""
    keys = parse_keys(jwks(ec_key("same"), rsa_key("same")))
    for algorithm in ("ES256", "PS256"):
        found = keys.find(algorithm, "same")
        assert found is not None
        assert found.algorithm == algorithm


def test_without_a_name_only_a_single_fitting_key_is_found() -> None:
    assert parse_keys(jwks(ec_key("one"), rsa_key())).find("ES256", None) is not None
    assert parse_keys(jwks(ec_key("one"), ec_key("two"))).find("ES256", None) is None


@pytest.mark.parametrize(
    "member",
    [
        EC | {"use": "enc"},
        EC | {"alg": "ES384"},
        EC | {"key_ops": ["sign"]},
        EC | {"key_ops": "verify"},
        EC | {"kid": 7},
        EC | {"kid": "k" * 257},
        EC | {"x": EC["y"], "y": EC["x"]},  # not on the curve
        EC | {"x": 7},
        EC | {"x": "A" * 100_000},
        {"kty": "EC", "crv": "P-256"},
        {"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},  # far too short
        {"kty": "RSA"},
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
        {"kty": "AKP", "alg": "ML-DSA-65"},
        {"kty": ["EC"]},
        {},
    ],
)
def test_a_key_that_cannot_be_used_is_left_out(member: dict[str, Any]) -> None:
    keys = parse_keys(document(member, ed_key("good").as_dict(private=False)))
    assert len(keys) == 1
    assert keys.find("EdDSA", "good") is not None


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not_json"),
        (b"<html>", "not_json"),
        (b'{"keys": [], "keys": []}', "not_json"),
        (b"[]", "not_a_key_set"),
        (b"{}", "not_a_key_set"),
        (b'{"keys": {}}', "not_a_key_set"),
        (b'{"keys": [7]}', "not_a_key_set"),
        (b'{"keys": []}', "no_usable_key"),
        (document(*[EC | {"kid": str(number)} for number in range(65)]), "too_many_keys"),
        (document(EC, {"kty": "oct", "k": "AAAA"}), "secret_key_published"),
        (document(EC, EC | {"kid": "other", "k": "AAAA"}), "secret_key_published"),
        (jwks(ec_key(), private=True), "secret_key_published"),
        (jwks(rsa_key(), private=True), "secret_key_published"),
        (document(EC, EC), "duplicate_key_id"),
        (document({"kty": "RSA", "n": b64(b"\xff" * 128), "e": "AQAB"}), "no_usable_key"),  # 1024 bits
    ],
)
@pytest.mark.filterwarnings("ignore:Key size should be")
def test_a_set_that_cannot_be_used_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(KeysInvalid) as refused:
        parse_keys(data)
    assert str(refused.value) == code


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=60),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = st.sampled_from([key.as_dict(private=False) for key in (ec_key(), rsa_key(), ed_key())])
NAMES = st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use", "key_ops", "x5c", "other"])


@pytest.mark.filterwarnings("ignore:Key size should be")
@given(MEMBERS, st.dictionaries(NAMES, JSON | st.binary(max_size=300).map(b64), max_size=4))
def test_no_member_of_a_key_raises_anything_else(member: dict[str, Any], changes: dict[str, Any]) -> None:
    try:
        keys = parse_keys(document(member | changes))
    except KeysInvalid as refused:
        assert str(refused) in {"no_usable_key", "not_json"}  # noqa: PT017 - some changes leave a good key
    else:
        assert len(keys) == 1
