"""A file that is there but of no use is found by `config check`, each one at its key, before any restart."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey

from gateway.cli.commands import run
from gateway.cli.material import material_problems
from gateway.settings import Participants, Settings, load

EXAMPLES = Path(__file__).parents[3] / "config"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The example configuration, with files that it could run with."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "gateway.yaml"

    def load(self, environment: Mapping[str, str] | None = None) -> tuple[Settings, Participants]:
        return load(self.config, environment=environment or {})

    def problems(self, environment: Mapping[str, str] | None = None) -> dict[str, str]:
        return dict(material_problems(*self.load(environment)))

    def write(self, name: str, data: bytes) -> None:
        file = self.folder / name
        file.unlink(missing_ok=True)
        file.touch(mode=0o600)
        file.write_bytes(data)


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    made = Deployment(folder=tmp_path)
    for folder in ("pki", "keys"):
        (tmp_path / folder).mkdir()
    for name in ("gateway.yaml", "participants.yaml"):
        made.write(name, (EXAMPLES / name).read_bytes())
    authority = trustme.CA()
    for name in ("participants-ca", "dvp-ca"):
        made.write(f"pki/{name}.pem", authority.cert_pem.bytes())
    for name in ("bank-server", "partner-server", "dvp-client"):
        issued = authority.issue_cert("gateway.bank.example")
        made.write(f"pki/{name}.pem", b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        made.write(f"pki/{name}.key", issued.private_key_pem.bytes())
    for name in ("pseudonym", "storage"):
        made.write(f"keys/{name}.key", secrets.token_bytes(32))
    for name in ("reports", "messages"):
        key = ec.generate_private_key(ec.SECP256R1())
        made.write(f"keys/{name}.pem", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for name in ("dvp", "dvp-ledger", "szcredit01", "szbank0001"):
        jwk = ECKey.generate_key("P-256", {"kid": name}).as_dict(private=False)
        made.write(f"keys/{name}.jwks.json", orjson.dumps({"keys": [jwk]}))
    return made


def test_usable_files_pass(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    assert deployment.problems() == {}
    assert run(["config", "check", str(deployment.config)]) == 0
    assert "valid, keys and certificates usable" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("pki/bank-server.pem", "bank"),
        ("pki/bank-server.key", "bank"),
        ("pki/participants-ca.pem", "bank"),
        ("pki/partner-server.key", "partner"),
        ("pki/dvp-client.pem", "platforms.0"),
        ("keys/storage.key", "secrets.storage_key_file"),
        ("keys/pseudonym.key", "secrets.pseudonym_key_file"),
        ("keys/reports.pem", "reports.signing_key_file"),
        ("keys/messages.pem", "platforms.0.signing_key_file"),
        ("keys/dvp.jwks.json", "platforms.0.jwks_file"),
        ("keys/dvp-ledger.jwks.json", "platforms.0.ledger_jwks_file"),
        ("keys/szbank0001.jwks.json", "participants_file: participants.3.jwks_file"),
    ],
)
def test_file_of_no_use_is_found_at_its_key(deployment: Deployment, file: str, path: str) -> None:
    deployment.write(file, b"canary")
    problems = deployment.problems()
    assert path in problems
    assert "canary" not in str(problems)


def test_all_files_of_no_use_are_found_at_once(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    for file in ("pki/bank-server.key", "keys/storage.key", "keys/dvp.jwks.json"):
        deployment.write(file, b"canary")
    assert run(["config", "check", str(deployment.config)]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 3
    assert "canary" not in said


def test_certificate_of_another_key_is_found(deployment: Deployment) -> None:
    deployment.write("pki/bank-server.key", (deployment.folder / "pki/partner-server.key").read_bytes())
    assert list(deployment.problems()) == ["bank"]


def test_private_key_in_a_published_key_set_is_found(deployment: Deployment) -> None:
    jwk = ECKey.generate_key("P-256", {"kid": "issuer"}).as_dict(private=True)
    deployment.write("keys/issuer.jwks.json", orjson.dumps({"keys": [jwk]}))
    assert deployment.problems({"CDI_GATEWAY__OAUTH__ISSUERS__0__JWKS_FILE": "keys/issuer.jwks.json"}) == {
        "oauth.issuers.0.jwks_file": "not a usable key set: secret key published"
    }


def test_key_that_others_may_read_is_found(deployment: Deployment) -> None:
    (deployment.folder / "keys/storage.key").chmod(0o644)
    assert list(deployment.problems()) == ["secrets.storage_key_file"]


def test_revocation_list_that_is_none_is_found(deployment: Deployment) -> None:
    deployment.write("pki/crl.pem", b"canary")
    assert list(deployment.problems({"CDI_GATEWAY__BANK__CLIENT_CRL_FILES": "[pki/crl.pem]"})) == [
        "bank.client_crl_files"
    ]
