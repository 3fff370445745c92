"""Keys and secrets from the bytes of their files: what is taken, and that nothing of them shows."""

from __future__ import annotations

import pytest
from joserfc.jwk import ECKey

from adapters.login.credentials import PrivateKey, Secret
from tests.fakes_oauth import ec_key, rsa_key


def test_a_key_is_taken_with_its_name() -> None:
    key = ec_key()
    taken = PrivateKey.of(key.as_pem(private=True), key_id="login-1")
    assert (taken.key_id, taken.secret.thumbprint()) == ("login-1", key.thumbprint())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a key",
        ec_key().as_pem(private=False),
        rsa_key().as_pem(private=True),
        ECKey.generate_key("P-384").as_pem(private=True),
        ec_key().as_pem(private=True, password="p"),
        b" " * 20_000,
    ],
    ids=["empty", "text", "public", "rsa", "p384", "encrypted", "blanks"],
)
def test_what_is_no_p256_private_key_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not an unencrypted PEM P-256 private key"):
        PrivateKey.of(data, key_id="login-1")


def test_a_secret_is_taken_without_the_lines_end() -> None:
    assert Secret.of(b"a secret\n").secret == "a secret"


def test_what_is_no_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="not a client secret"):
        Secret.of(b"canary\ncanary")


def test_neither_shows() -> None:
    assert repr(Secret(secret="marked")) == "Secret()"
    assert repr(PrivateKey(key_id="login-1", secret=ec_key())) == "PrivateKey(key_id='login-1')"
