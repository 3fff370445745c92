"""The authorization server's keys: the first signs, all are published, none with its secret."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from adapters.keys.file import KeyFileRefused
from gateway.app.token_keys import published_keys, token_signers
from gateway.oauth.jws import parse_jws
from gateway.oauth.keys import parse_keys
from gateway.settings import Server, SigningKey


@pytest.fixture
def server(tmp_path: Path) -> Server:
    keys = []
    for name in ("new", "old"):
        file = tmp_path / f"{name}.pem"
        key = ec.generate_private_key(ec.SECP256R1())
        file.touch(mode=0o600)
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        keys.append(SigningKey(file=file, id=name))
    return Server(issuer="https://consent.example", signing_keys=tuple(keys))


def test_tokens_of_every_key_are_checked_by_what_is_published(server: Server) -> None:
    published = parse_keys(published_keys(server))
    for signer in token_signers(server):
        signed = parse_jws(signer.sign_jws({"typ": "at+jwt"}, b"{}"), characters_max=1_000)
        key = published.find("ES256", signer.key_id)
        assert key is not None
        assert key.verifies(signed.signing_input, signed.signature)
    assert [signer.key_id for signer in token_signers(server)] == ["new", "old"]


def test_no_secret_is_published(server: Server) -> None:
    for jwk in orjson.loads(published_keys(server))["keys"]:
        assert jwk.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}


def test_one_key_that_is_of_no_use_refuses_all(server: Server) -> None:
    server.signing_keys[1].file.chmod(0o644)
    for read in (token_signers, published_keys):
        with pytest.raises(KeyFileRefused, match=r"old\.pem"):
            read(server)
