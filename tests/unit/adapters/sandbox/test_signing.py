"""What these keys sign, the gateway's own checks accept."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.sandbox.signing import KeySigner, base64url, jwks, write_jwks
from gateway.profiles.dvp_v1.signature import SignatureError, key_set, verify


def test_a_signature_is_verified_with_the_published_key(tmp_path: Path) -> None:
    signer = KeySigner.create("key-1")
    write_jwks(tmp_path / "jwks.json", [signer, KeySigner.create("key-2")])
    token = signer.sign_jws({"typ": "test+jws"}, b"payload")
    assert verify(token.encode(), key_set((tmp_path / "jwks.json").read_bytes()), "test+jws") == b"payload"


def test_another_key_of_the_same_name_does_not_verify() -> None:
    token = KeySigner.create("key-1").sign_jws({"typ": "test+jws"}, b"payload")
    with pytest.raises(SignatureError):
        verify(token.encode(), key_set(jwks([KeySigner.create("key-1")])), "test+jws")


def test_a_key_is_the_same_after_it_was_read_back(tmp_path: Path) -> None:
    signer = KeySigner.create("key-1")
    signer.write(tmp_path / "key.pem")
    assert KeySigner.read("key-1", tmp_path / "key.pem").public_jwk() == signer.public_jwk()


def test_published_keys_hold_no_private_part() -> None:
    assert b'"d"' not in jwks([KeySigner.create("key-1")])


def test_base64url_has_no_padding() -> None:
    assert base64url(b"\xff\xfe") == "__4"
