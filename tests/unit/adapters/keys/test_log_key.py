"""Keys of the log: Ed25519 in a file that is nobody else's, under the log's name."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from adapters.keys.file import KeyFileRefused
from adapters.keys.log_key import log_signers
from gateway.audit.note import Checkpoint, open_checkpoint, signed


def write(path: Path, key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey, password: bytes | None = None) -> Path:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    path.chmod(0o600)
    return path


def test_each_file_signs_under_the_name_of_the_log(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{number}.pem", Ed25519PrivateKey.generate()) for number in range(2)]
    signers = log_signers("test.example/log", files)
    head = Checkpoint(origin="test.example/log", size=1, root=bytes(32))
    for signer in signers:
        note = signed(head.text, [one.line(head.text) for one in signers])
        assert open_checkpoint(note, origin=head.origin, keys=[signer.verifier]) == head


def test_other_keys_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.pem"
    text.write_text("nothing")
    text.chmod(0o600)
    for file, why in (
        (write(tmp_path / "p256.pem", ec.generate_private_key(ec.SECP256R1())), "not an Ed25519 key"),
        (write(tmp_path / "sealed.pem", Ed25519PrivateKey.generate(), b"secret"), "unencrypted PEM"),
        (text, "unencrypted PEM"),
        (tmp_path / "none.pem", "cannot be read"),
    ):
        with pytest.raises(KeyFileRefused, match=why):
            log_signers("test.example/log", [file])


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "key.pem", Ed25519PrivateKey.generate())
    file.chmod(0o644)
    with pytest.raises(KeyFileRefused, match="chmod 600"):
        log_signers("test.example/log", [file])


def test_a_key_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "key.pem", Ed25519PrivateKey.generate())
    with pytest.raises(KeyFileRefused, match="twice"):
        log_signers("test.example/log", [file, file])
