"""A file that is there but of no use is found by `config check`, each one at its key, before any restart."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import trustme
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc.jwk import ECKey

from gateway.audit.note import COSIGNATURE_V1, NoteSigner
from gateway.cli.commands import run
from gateway.cli.material import material_problems
from gateway.settings import Participants, Settings, load
from tests.certificates import self_signed

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
    for name in ("bank-server", "consent-server", "partner-server", "dvp-client"):
        issued = authority.issue_cert("gateway.bank.example")
        made.write(f"pki/{name}.pem", b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        made.write(f"pki/{name}.key", issued.private_key_pem.bytes())
    for name in ("pseudonym", "storage"):
        made.write(f"keys/{name}.key", secrets.token_bytes(32))
    made.write("keys/introspection.secret", b"a client secret\n")
    for name in ("reports", "messages", "tokens", "login"):
        key = ec.generate_private_key(ec.SECP256R1())
        made.write(f"keys/{name}.pem", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for name in ("audit-log", "audit-log-2"):
        log_key = Ed25519PrivateKey.generate()
        made.write(f"keys/{name}.pem", log_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for name in ("dvp", "dvp-ledger", "szcredit01", "szbank0001"):
        jwk = ECKey.generate_key("P-256", {"kid": name}).as_dict(private=False)
        made.write(f"keys/{name}.jwks.json", orjson.dumps({"keys": [jwk]}))
    return made


def test_usable_files_pass(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    assert deployment.problems() == {}
    assert run(["config", "check", str(deployment.config)]) == 0
    said = capsys.readouterr().out
    assert "valid, keys and certificates usable" in said
    assert "listeners: bank 0.0.0.0:8443, consent 0.0.0.0:8444, partner 0.0.0.0:8445, ops " in said


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("pki/bank-server.pem", "bank"),
        ("pki/bank-server.key", "bank"),
        ("pki/participants-ca.pem", "bank"),
        ("pki/consent-server.pem", "consent"),
        ("pki/consent-server.key", "consent"),
        ("pki/partner-server.key", "partner"),
        ("keys/tokens.pem", "oauth.server.signing_keys.0.file"),
        ("keys/login.pem", "oauth.login.oidc.key_file"),
        ("pki/dvp-client.pem", "platforms.0"),
        ("keys/storage.key", "secrets.storage_key_file"),
        ("keys/pseudonym.key", "secrets.pseudonym_key_file"),
        ("keys/audit-log.pem", "audit.signing_key_file"),
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


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("keys/storage.key", "secrets.storage_key_file"),
        ("keys/tokens.pem", "oauth.server.signing_keys.0.file"),
        ("keys/login.pem", "oauth.login.oidc.key_file"),
        ("keys/introspection.secret", "oauth.issuers.0.introspection.secret_file"),
    ],
)
def test_key_that_others_may_read_is_found(deployment: Deployment, file: str, path: str) -> None:
    (deployment.folder / file).chmod(0o644)
    assert list(deployment.problems()) == [path]


def oauth_files(deployment: Deployment) -> dict[str, str]:
    """Environment that configures what the example leaves out of tokens and logins, with usable files."""
    deployment.write("keys/login.secret", b"another client secret")
    login = {
        "issuer": "https://login.bank.example",
        "client_id": "cdi-gateway",
        "secret_file": "keys/login.secret",
        "ca_file": "pki/login-ca.pem",
    }
    issuer = {
        "issuer": "https://tokens.bank.example",
        "ca_file": "pki/issuer-ca.pem",
        "introspection": {
            "url": "https://tokens.bank.example/introspect",
            "client_id": "cdi-gateway",
            "certificate_file": "pki/introspection.pem",
            "key_file": "pki/introspection.key",
        },
    }
    for name in ("login-ca", "issuer-ca"):
        deployment.write(f"pki/{name}.pem", (deployment.folder / "pki/dvp-ca.pem").read_bytes())
    for name in ("introspection.pem", "introspection.key"):
        other = name.replace("introspection", "dvp-client")
        deployment.write(f"pki/{name}", (deployment.folder / f"pki/{other}").read_bytes())
    values = {"LOGIN__OIDC": login, "ISSUERS": [issuer]}
    return {f"CDI_GATEWAY__OAUTH__{name}": orjson.dumps(value).decode() for name, value in values.items()}


def test_usable_files_of_tokens_and_logins_pass(deployment: Deployment) -> None:
    assert deployment.problems(oauth_files(deployment)) == {}


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("keys/login.secret", "oauth.login.oidc.secret_file"),
        ("pki/login-ca.pem", "oauth.login.oidc.ca_file"),
        ("pki/issuer-ca.pem", "oauth.issuers.0.ca_file"),
        ("pki/introspection.pem", "oauth.issuers.0.introspection.certificate_file"),
        ("pki/introspection.key", "oauth.issuers.0.introspection.certificate_file"),
    ],
)
def test_file_of_tokens_and_logins_that_is_of_no_use_is_found(deployment: Deployment, file: str, path: str) -> None:
    environment = oauth_files(deployment)
    deployment.write(file, b"canary\ncanary")
    problems = deployment.problems(environment)
    assert list(problems) == [path]
    assert "canary" not in str(problems)


def test_introspection_secret_that_is_none_is_found(deployment: Deployment) -> None:
    deployment.write("keys/introspection.secret", b"\x00canary")
    problems = deployment.problems()
    assert list(problems) == ["oauth.issuers.0.introspection.secret_file"]
    assert "canary" not in str(problems)


def client(deployment: Deployment, *, listed: bool = True, **fields: Any) -> None:
    """The first bank's client, changed. `listed`: its self-signed certificate is among the participant's."""
    registry = yaml.safe_load((deployment.folder / "participants.yaml").read_bytes())
    bank = registry["participants"][0]
    bank["clients"] = [{"id": "hkbanka-lending", **fields}]
    if listed:
        pem = (deployment.folder / "pki/self-signed.pem").read_bytes()
        bank["certificates"].append({"sha256": x509.load_pem_x509_certificate(pem).fingerprint(SHA256()).hex()})
    deployment.write("participants.yaml", yaml.safe_dump(registry).encode())


def self_signed_client(deployment: Deployment, *, listed: bool = True, **certificate: Any) -> None:
    deployment.write("pki/self-signed.pem", self_signed("client", **certificate)[0])
    client(
        deployment,
        listed=listed,
        authentication="self_signed_tls_client_auth",
        certificate_files=["pki/self-signed.pem"],
    )


CLIENT = "participants_file: participants.0.clients.0"


def test_usable_files_of_clients_pass(deployment: Deployment) -> None:
    self_signed_client(deployment)
    assert deployment.problems() == {}
    client(deployment, listed=False, authentication="private_key_jwt", jwks_file="keys/dvp.jwks.json")
    assert deployment.problems() == {}


@pytest.mark.parametrize("content", [b"canary", b'{"keys":[]}', b'{"keys":[{"kty":"oct","k":"Y2FuYXJ5"}]}'])
def test_key_set_of_a_client_that_is_of_no_use_is_found(deployment: Deployment, content: bytes) -> None:
    deployment.write("keys/client.jwks.json", content)
    client(deployment, listed=False, authentication="private_key_jwt", jwks_file="keys/client.jwks.json")
    problems = deployment.problems()
    assert list(problems) == [f"{CLIENT}.jwks_file"]
    assert "not a usable key set" in problems[f"{CLIENT}.jwks_file"]
    assert "canary" not in str(problems)


def test_certificate_of_a_client_that_is_none_is_found(deployment: Deployment) -> None:
    self_signed_client(deployment)
    deployment.write("pki/self-signed.pem", b"canary")
    assert list(deployment.problems()) == [f"{CLIENT}.certificate_files.0"]


@pytest.mark.parametrize("authority", [True, None])
def test_certificate_of_a_client_that_could_issue_others_is_found(
    deployment: Deployment, *, authority: bool | None
) -> None:
    self_signed_client(deployment, ca=authority)
    assert "CA:FALSE" in deployment.problems()[f"{CLIENT}.certificate_files.0"]


def test_self_signed_certificate_that_its_participant_does_not_list_is_found(deployment: Deployment) -> None:
    self_signed_client(deployment, listed=False)
    assert "do not list" in deployment.problems()[f"{CLIENT}.certificate_files.0"]


def test_revocation_list_that_is_none_is_found(deployment: Deployment) -> None:
    deployment.write("pki/crl.pem", b"canary")
    assert list(deployment.problems({"CDI_GATEWAY__BANK__CLIENT_CRL_FILES": "[pki/crl.pem]"})) == [
        "bank.client_crl_files"
    ]


def approver_key() -> bytes:
    return Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def audit_files(deployment: Deployment) -> dict[str, str]:
    """Environment that configures all that the audit log can have, with usable files."""
    deployment.write("keys/officer-2.pub.pem", approver_key())
    deployment.write("keys/siem.token", b"a token")
    witness = NoteSigner("witness.example", Ed25519PrivateKey.generate(), type=COSIGNATURE_V1).verifier
    values: dict[str, object] = {
        "ALSO_SIGNING_KEY_FILES": ["keys/audit-log-2.pem"],
        "WITNESSES__WITNESSES": [
            {"vkey": str(witness), "url": "https://witness.example", "ca_file": "pki/participants-ca.pem"}
        ],
        "TIMESTAMPS": {"url": "https://tsa.example", "ca_file": "pki/dvp-ca.pem"},
        "FORWARD": [
            {
                "name": "siem",
                "url": "https://siem.example",
                "ca_file": "pki/dvp-ca.pem",
                "certificate_file": "pki/dvp-client.pem",
                "key_file": "pki/dvp-client.key",
                "token_file": "keys/siem.token",
            }
        ],
        "SECOND_PERSON": {
            "actions": ["export"],
            "approvers": [{"name": "officer-2", "public_key_file": "keys/officer-2.pub.pem"}],
        },
    }
    return {f"CDI_GATEWAY__AUDIT__{name}": orjson.dumps(value).decode() for name, value in values.items()}


def test_usable_files_of_the_audit_log_pass(deployment: Deployment) -> None:
    assert deployment.problems(audit_files(deployment)) == {}


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("keys/audit-log-2.pem", "audit.also_signing_key_files.0"),
        ("pki/participants-ca.pem", "audit.witnesses.witnesses.0"),
        ("pki/dvp-ca.pem", "audit.timestamps.ca_file"),
        ("pki/dvp-ca.pem", "audit.forward.0"),
        ("pki/dvp-client.key", "audit.forward.0"),
        ("keys/officer-2.pub.pem", "audit.second_person.approvers.0.public_key_file"),
    ],
)
def test_file_of_the_audit_log_that_is_of_no_use_is_found(deployment: Deployment, file: str, path: str) -> None:
    environment = audit_files(deployment)
    deployment.write(file, b"canary")
    problems = deployment.problems(environment)
    assert path in problems
    assert "canary" not in str(problems)


def test_approvers_who_share_a_key_are_found(deployment: Deployment) -> None:
    environment = audit_files(deployment)
    again = b"The same:\n" + (deployment.folder / "keys/officer-2.pub.pem").read_bytes()
    deployment.write("keys/officer-3.pub.pem", again)
    approvers = [{"name": name, "public_key_file": f"keys/{name}.pub.pem"} for name in ("officer-2", "officer-3")]
    second_person = {"actions": ["export"], "approvers": approvers}
    environment["CDI_GATEWAY__AUDIT__SECOND_PERSON"] = orjson.dumps(second_person).decode()
    [(path, message)] = deployment.problems(environment).items()
    assert path == "audit.second_person.approvers.1.public_key_file"
    assert "is the key of another approver too" in message
    deployment.write("keys/officer-2.pub.pem", b"canary")
    assert list(deployment.problems(environment)) == ["audit.second_person.approvers.0.public_key_file"]


def test_keys_of_another_kind_are_found(deployment: Deployment) -> None:
    environment = audit_files(deployment)
    other = ec.generate_private_key(ec.SECP256R1())
    pem = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    deployment.write("keys/officer-2.pub.pem", pem)
    deployment.write("keys/audit-log-2.pem", (deployment.folder / "keys/audit-log.pem").read_bytes())
    (deployment.folder / "keys/siem.token").chmod(0o644)
    log = NoteSigner("witness.example", Ed25519PrivateKey.generate()).verifier
    environment["CDI_GATEWAY__AUDIT__WITNESSES__WITNESSES"] = orjson.dumps(
        [{"vkey": str(log), "url": "https://witness.example"}]
    ).decode()
    problems = deployment.problems(environment)
    assert "Ed25519" in problems["audit.second_person.approvers.0.public_key_file"]
    assert "twice" in problems["audit.also_signing_key_files.0"]
    assert "cosignature/v1" in problems["audit.witnesses.witnesses.0"]
    assert "chmod" in problems["audit.forward.0.token_file"]
