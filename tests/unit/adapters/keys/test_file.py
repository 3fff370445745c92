from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from joserfc import jws
from joserfc.jwk import ECKey

from adapters.keys.file import AesGcmSealer, FileSigner, KeyFileRefused, read_secret


def write(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def pem(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, encryption: KeySerializationEncryption | None = None
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def test_a_signature_verifies_and_names_its_key(tmp_path: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    signer = FileSigner(write(tmp_path / "key.pem", pem(private)), "report-1")
    token = signer.sign_jws({"typ": "dvp+jws"}, b"payload")
    found = jws.deserialize_compact(token, ECKey.import_key(pem(private)), algorithms=["ES256"])
    assert found.payload == b"payload"
    assert found.headers() == {"alg": "ES256", "kid": "report-1", "typ": "dvp+jws"}


@pytest.mark.parametrize("header", [{"alg": "none"}, {"kid": "another"}])
def test_a_caller_cannot_choose_algorithm_or_key(tmp_path: Path, header: dict[str, str]) -> None:
    signer = FileSigner(write(tmp_path / "key.pem", pem(ec.generate_private_key(ec.SECP256R1()))), "report-1")
    with pytest.raises(ValueError, match="alg and kid"):
        signer.sign_jws(header, b"")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(pem(ec.generate_private_key(ec.SECP384R1())), id="P-384"),
        pytest.param(pem(rsa.generate_private_key(65537, 2048)), id="RSA"),
        pytest.param(pem(ec.generate_private_key(ec.SECP256R1()), BestAvailableEncryption(b"x")), id="encrypted"),
        pytest.param(b"hello", id="no PEM"),
    ],
)
def test_only_an_unencrypted_p256_key_signs(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(KeyFileRefused):
        FileSigner(write(tmp_path / "key.pem", data), "k")


def test_what_is_sealed_opens_in_its_context_only(tmp_path: Path) -> None:
    sealer = AesGcmSealer(write(tmp_path / "key", os.urandom(32)))
    sealed = sealer.seal("憑證-1", context="exchange-1")
    assert sealer.open(sealed, context="exchange-1") == "憑證-1"
    with pytest.raises(ValueError, match="does not fit"):
        sealer.open(sealed, context="exchange-2")


def test_any_flipped_bit_of_a_sealed_value_is_noticed(tmp_path: Path) -> None:
    sealer = AesGcmSealer(write(tmp_path / "key", os.urandom(32)))
    sealed = sealer.seal("voucher", context="c")
    for bit in range(8 * len(sealed)):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match="does not fit"):
            sealer.open(bytes(changed), context="c")


@pytest.mark.parametrize("length", [0, 5, 12, 20])
def test_too_short_a_sealed_value_is_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(ValueError):
        AesGcmSealer(write(tmp_path / "key", os.urandom(32))).open(bytes(length), context="c")


def test_equal_texts_do_not_show(tmp_path: Path) -> None:
    sealer = AesGcmSealer(write(tmp_path / "key", os.urandom(32)))
    assert sealer.seal("voucher", context="c") != sealer.seal("voucher", context="c")


def test_a_secret_is_raw_bytes_or_hex_digits(tmp_path: Path) -> None:
    secret = bytes(range(200, 232))
    assert read_secret(write(tmp_path / "raw", secret)) == secret
    assert read_secret(write(tmp_path / "hex", secret.hex().encode() + b"\n")) == secret


@pytest.mark.parametrize("data", [b"", b"short", b"ab" * 31])
def test_too_short_a_secret_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(KeyFileRefused, match="32"):
        read_secret(write(tmp_path / "key", data))


def test_a_sealing_key_has_exactly_32_bytes(tmp_path: Path) -> None:
    with pytest.raises(KeyFileRefused, match="exactly"):
        AesGcmSealer(write(tmp_path / "key", bytes([200]) * 33))


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o620, 0o644])
def test_a_key_that_others_may_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(KeyFileRefused, match="chmod 600"):
        read_secret(write(tmp_path / "key", os.urandom(32), mode))


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o440, 0o640])
def test_a_key_for_owner_and_group_is_read(tmp_path: Path, mode: int) -> None:
    assert len(read_secret(write(tmp_path / "key", bytes([200]) * 32, mode))) == 32


def test_a_missing_key_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(KeyFileRefused, match="cannot be read"):
        read_secret(tmp_path / "nowhere")
