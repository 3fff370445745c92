"""Keys and secrets from files: what is taken, and that nothing of them shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from adapters.login.credentials import PrivateKey, Secret
from tests.fakes_oauth import ec_key, rsa_key


def test_a_key_is_read_from_its_file(tmp_path: Path) -> None:
    key = ec_key()
    file = tmp_path / "login.pem"
    file.write_bytes(key.as_pem(private=True))
    read = PrivateKey.read(file, key_id="login-1")
    assert (read.key_id, read.secret.thumbprint()) == ("login-1", key.thumbprint())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a key",
        ec_key().as_pem(private=False),
        rsa_key().as_pem(private=True),
        ECKey.generate_key("P-384").as_pem(private=True),
        ec_key().as_pem(private=True, password="p"),
        b" " * 20_000,
    ],
    ids=["empty", "text", "public", "rsa", "p384", "encrypted", "huge"],
)
def test_what_is_no_p256_private_key_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "login.pem"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"login\.pem"):
        PrivateKey.read(file, key_id="login-1")


@pytest.mark.parametrize("content", [b"a secret", b"a secret\n", b"a secret\r\n"])
def test_a_secret_is_read_without_the_lines_end(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    assert Secret.read(file).secret == "a secret"


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb", b"\xff", b"x" * 20_000])
def test_what_is_no_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="secret"):
        Secret.read(file)


def test_neither_shows() -> None:
    assert repr(Secret(secret="marked")) == "Secret()"
    assert repr(PrivateKey(key_id="login-1", secret=ec_key())) == "PrivateKey(key_id='login-1')"
