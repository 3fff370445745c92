from __future__ import annotations

import orjson
import pytest
from joserfc.jwk import ECKey

from gateway.profiles.dvp_v1 import signature
from tests.fakes_profiles import KeySigner, jwks

SIGNER = KeySigner("k-1")
OTHER = KeySigner("k-2")


def test_signed_payload_is_given_back() -> None:
    token = signature.sign(SIGNER, "test+jws", b"payload")
    assert signature.verify(token.encode(), SIGNER.keys(), "test+jws") == b"payload"


def test_key_is_chosen_by_its_id() -> None:
    keys = signature.key_set(jwks(SIGNER, OTHER))
    for signer in (SIGNER, OTHER):
        assert signature.verify(signature.sign(signer, "test+jws", b"x").encode(), keys, "test+jws") == b"x"


@pytest.mark.parametrize("token", [b"", b"..", b"a.b", b"a.b.c.d", b"!.!.!", b"\xff.\xff.\xff", b"e30.e30.e30"])
def test_what_is_no_token_is_refused(token: bytes) -> None:
    with pytest.raises(signature.SignatureError):
        signature.verify(token, SIGNER.keys(), "test+jws")


def test_very_long_header_is_refused_before_it_is_read() -> None:
    with pytest.raises(signature.SignatureError, match="TYPE"):
        signature.verify(b"A" * 100_000 + b".e30.e30", SIGNER.keys(), "test+jws")


def test_detached_signature_holds_for_its_payload_alone() -> None:
    token = signature.sign_detached(SIGNER, "test+jws", b"payload")
    assert ".." in token
    assert signature.verify_detached(token, b"payload", SIGNER.keys(), "test+jws")
    assert not signature.verify_detached(token, b"payloaf", SIGNER.keys(), "test+jws")
    assert not signature.verify_detached(token, b"payload", OTHER.keys(), "test+jws")
    assert not signature.verify_detached(token, b"payload", SIGNER.keys(), "other+jws")


@pytest.mark.parametrize("token", ["", "..", "a.b.c", "a..b..c", "ä..ö"])
def test_what_is_no_detached_signature_does_not_hold(token: str) -> None:
    assert not signature.verify_detached(token, b"payload", SIGNER.keys(), "test+jws")


def test_attached_token_does_not_pass_as_a_detached_one() -> None:
    token = signature.sign(SIGNER, "test+jws", b"payload")
    assert not signature.verify_detached(token, b"payload", SIGNER.keys(), "test+jws")


def _jwk(**changes: object) -> dict[str, object]:
    return {**SIGNER.key.as_dict(private=False), "kid": "k-1", **changes}


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"keys": []},
        {"keys": "k"},
        {"keys": [[]]},
        {"keys": [_jwk(kty="RSA")]},
        {"keys": [_jwk(crv="P-384")]},
        {"keys": [_jwk(kid="")]},
        {"keys": [_jwk(kid=7)]},
        {"keys": [_jwk(), _jwk()]},
        {"keys": [_jwk(x="AA")]},
        {"keys": [{**SIGNER.key.as_dict(private=True), "kid": "k-1"}]},
        {"keys": [{**ECKey.generate_key("P-521").as_dict(private=False), "kid": "k-1"}]},
    ],
)
def test_key_set_with_anything_else_than_public_p256_keys_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match="key"):
        signature.key_set(orjson.dumps(document))


def test_point_off_the_curve_is_refused() -> None:
    with pytest.raises(ValueError, match="P-256"):
        signature.key_set(orjson.dumps({"keys": [_jwk(x="A" * 43)]}))
