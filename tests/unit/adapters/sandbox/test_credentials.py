"""Keys and certificates: made once, kept, renewed in time."""

from __future__ import annotations

import stat
from pathlib import Path

import orjson

from adapters.sandbox.credentials import Credentials, client_key
from adapters.sandbox.pki import LEAF_SECONDS

NOW = 1_790_000_000


def test_a_restart_keeps_every_file(tmp_path: Path) -> None:
    Credentials(tmp_path, now=NOW)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    Credentials(tmp_path, now=NOW + 60)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_certificates_are_renewed_before_they_expire_and_authorities_stay(tmp_path: Path) -> None:
    first = Credentials(tmp_path, now=NOW)
    ca = (tmp_path / "pki/ca.pem").read_bytes()
    later = Credentials(tmp_path, now=NOW + LEAF_SECONDS - 60)
    assert later.clients["bank-a"].sha256 != first.clients["bank-a"].sha256
    assert later.clients["bank-a"].certificate.subject == first.clients["bank-a"].certificate.subject
    assert (tmp_path / "pki/ca.pem").read_bytes() == ca


def test_every_private_key_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    Credentials(tmp_path, now=NOW)
    private = [
        file
        for file in tmp_path.rglob("*")
        if file.is_file() and (b"PRIVATE KEY" in file.read_bytes() or file.suffix == ".key")
    ]
    assert len(private) >= 15
    assert {stat.S_IMODE(file.stat().st_mode) for file in private} == {0o600}


def test_a_client_with_a_key_of_its_own_publishes_it(tmp_path: Path) -> None:
    Credentials(tmp_path, now=NOW)
    with_key = {file.parent.name for file in tmp_path.glob("clients/*/signing.pem")}
    assert with_key == {"bank-a-jwt", "bank-a-dpop"}
    keys = orjson.loads((tmp_path / "clients/bank-a-jwt/jwks.json").read_bytes())["keys"]
    assert [key["kid"] for key in keys] == [client_key("bank-a-jwt")]
    assert "d" not in keys[0]
