"""What the sandbox writes for its processes: gateway.yaml and participants.yaml as an operator would, and JSON files.

Everything but the secrets is written anew at every start.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml

from adapters.sandbox.addresses import Ports
from adapters.sandbox.cast import (
    AUDIT_ORIGIN,
    GATEWAY_ID,
    LOGIN_CLIENT_ID,
    OWNER_CLAIM,
    OWNERS,
    PLATFORM_ID,
    SOURCES,
    WITNESS_NAME,
)
from adapters.sandbox.credentials import (
    AUDIT_KEY_FILE,
    GATEWAY_MESSAGE_KEY,
    ID_TOKEN_KEY,
    LEDGER_KEY,
    LOGIN_KEY,
    PLATFORM_MESSAGE_KEY,
    REPORT_KEY,
    TOKEN_KEY,
    WITNESS_KEY_FILE,
    Credentials,
    log_verifier_key,
    witness_verifier_key,
)
from adapters.sandbox.files import write_public, write_secret
from adapters.sandbox.identity_provider import password_hash
from adapters.sandbox.ledger import SYSTEM
from adapters.sandbox.registry import participants
from adapters.sandbox.timestamp_server import PATH as TIMESTAMP_PATH

AUDIT_LOG = "audit/log"

Json = dict[str, Any]
_HEADING = b"# Written by the sandbox at every start: changes here do not last.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a sandbox is to be. `block_seconds`: see `platform_server.Blocks`. `settings`: laid over gateway.yaml.
    `openssl`: the command of the time-stamping authority; None: there is none."""

    ports: Ports
    schemas: Mapping[str, Any]
    block_seconds: float | None
    settings: Mapping[str, Any]
    openssl: str | None = None


def write_configuration(folder: Path, plan: Plan, credentials: Credentials) -> None:
    (folder / "data").mkdir(exist_ok=True)
    _write_yaml(folder / "gateway.yaml", _overlaid(_gateway(folder, plan), plan.settings))
    _write_yaml(folder / "participants.yaml", participants(credentials))
    write_public(folder / "platform/schemas.json", orjson.dumps(plan.schemas))
    write_secret(folder / "platform/platform.json", _pretty(_platform(folder, plan, credentials)))
    write_secret(folder / "login/login.json", _pretty(_login(folder, plan.ports)))
    write_public(folder / "witness/witness.json", _pretty(_witness(folder, plan.ports)))
    if plan.openssl is not None:
        write_public(folder / "timestamps/timestamps.json", _pretty(_timestamps(plan.openssl, plan.ports)))


def _gateway(folder: Path, plan: Plan) -> Json:
    ports = plan.ports
    tls = {"certificate_file": "gateway/tls/server/cert.pem", "key_file": "gateway/tls/server/key.pem"}
    local = {"host": "127.0.0.1"}
    return {
        "deployment": {
            "name": "sandbox",
            "public_url": f"https://localhost:{ports.bank}",
            "participant_id": GATEWAY_ID,
        },
        "bank": {
            **local,
            "port": ports.bank,
            **tls,
            "client_ca_file": "pki/client-ca.pem",
            "client_crl_files": ["pki/clients.crl.pem"],
        },
        "consent": {**local, "port": ports.consent, **tls},
        "partner": {
            **local,
            "port": ports.partner,
            **tls,
            "client_ca_file": "pki/dvp-ca.pem",
            "client_crl_files": ["pki/dvp.crl.pem"],
        },
        "ops": {**local, "port": ports.ops},
        "participants_file": "participants.yaml",
        # All browsers here have one address.
        "rates": {
            "participant": {"per_second": 500, "burst": 1000},
            "browser": {"per_second": 500, "burst": 1000},
        },
        "store": {"url": "sqlite:///data/gateway.db"},
        "audit": _audit(folder, plan),
        "secrets": {
            "pseudonym_key_file": "gateway/keys/pseudonym.key",
            "storage_key_file": "gateway/keys/storage.key",
        },
        "reports": {"signing_key_file": f"gateway/keys/{REPORT_KEY}.pem", "key_id": REPORT_KEY},
        "oauth": _oauth(ports),
        "platforms": [
            {
                "id": PLATFORM_ID,
                "url": f"https://localhost:{ports.platform}",
                "ca_file": "pki/dvp-ca.pem",
                "certificate_file": "gateway/tls/client/cert.pem",
                "key_file": "gateway/tls/client/key.pem",
                "signing_key_file": f"gateway/keys/{GATEWAY_MESSAGE_KEY}.pem",
                "signing_key_id": GATEWAY_MESSAGE_KEY,
                "jwks_file": f"pki/{PLATFORM_MESSAGE_KEY}.jwks.json",
                "ledger_jwks_file": f"pki/{LEDGER_KEY}.jwks.json",
                "ledger_system": SYSTEM,
                "breaker": {"failures_max": 10, "open_seconds": 2},
            }
        ],
        # A person watches: retries come sooner than in production.
        "exchange": {"retry_first_seconds": 1, "retry_max_seconds": 5, "worker_interval_seconds": 0.25},
    }


def _oauth(ports: Ports) -> Json:
    return {
        "resource": f"https://localhost:{ports.bank}",
        "server": {
            "issuer": f"https://localhost:{ports.consent}",
            "signing_keys": [{"file": f"gateway/keys/{TOKEN_KEY}.pem", "id": TOKEN_KEY}],
        },
        "login": {
            "oidc": {
                "issuer": f"https://localhost:{ports.login}",
                "client_id": LOGIN_CLIENT_ID,
                "key_file": f"gateway/keys/{LOGIN_KEY}.pem",
                "key_id": LOGIN_KEY,
                "ca_file": "pki/ca.pem",
                "owner_claim": OWNER_CLAIM,
            }
        },
    }


def _audit(folder: Path, plan: Plan) -> Json:
    audit: Json = {
        "url": "sqlite:///data/audit.db",
        "index_url": "sqlite:///data/audit-index.db",
        "origin": AUDIT_ORIGIN,
        "signing_key_file": AUDIT_KEY_FILE,
        "publish": {"dir": AUDIT_LOG},
        "witnesses": {
            "witnesses": [
                {
                    "url": f"https://localhost:{plan.ports.witness}",
                    "vkey": witness_verifier_key(folder),
                    "ca_file": "pki/ca.pem",
                }
            ],
            "quorum": 1,
        },
    }
    if plan.openssl is not None:
        audit["timestamps"] = {
            "url": f"http://localhost:{plan.ports.timestamp}{TIMESTAMP_PATH}",
            "ca_file": "pki/timestamps-ca.pem",
            "interval_seconds": 5,
        }
    return audit


def _platform(folder: Path, plan: Plan, credentials: Credentials) -> Json:
    return {
        "participantId": PLATFORM_ID,
        "port": plan.ports.platform,
        "controlPort": plan.ports.control,
        "blockSeconds": plan.block_seconds,
        "schemasFile": "schemas.json",
        "serverFiles": ["tls/server/cert.pem", "tls/server/key.pem", "../pki/dvp-ca.pem"],
        "clientFiles": ["tls/client/cert.pem", "tls/client/key.pem"],
        "caFile": "../pki/ca.pem",
        "signing": {"keyId": PLATFORM_MESSAGE_KEY, "keyFile": f"keys/{PLATFORM_MESSAGE_KEY}.pem"},
        "ledger": {"keyId": LEDGER_KEY, "keyFile": f"keys/{LEDGER_KEY}.pem"},
        "voucherKey": _kept(folder / "platform/platform.json", "voucherKey"),
        "members": [
            {
                "participantId": GATEWAY_ID,
                "url": f"https://localhost:{plan.ports.partner}",
                "jwksFile": f"../pki/{GATEWAY_MESSAGE_KEY}.jwks.json",
                "certificateSha256": credentials.gateway_client.sha256,
            }
        ],
        "sources": [
            {
                "participantId": source.participant_id,
                "documentTypes": list(source.document_types),
                "keyId": f"{source.label}-1",
                "keyFile": f"../sources/{source.label}/key.pem",
                "jwksFile": f"../sources/{source.label}/jwks.json",
            }
            for source in SOURCES
        ],
    }


def _login(folder: Path, ports: Ports) -> Json:
    return {
        "issuer": f"https://localhost:{ports.login}",
        "port": ports.login,
        "certificateFile": "tls/server/cert.pem",
        "keyFile": "tls/server/key.pem",
        "signingKeyId": ID_TOKEN_KEY,
        "signingKeyFile": f"keys/{ID_TOKEN_KEY}.pem",
        "subjectKey": _kept(folder / "login/login.json", "subjectKey"),
        "client": {
            "clientId": LOGIN_CLIENT_ID,
            "redirectUri": f"https://localhost:{ports.consent}/login/callback",
            "jwksFile": f"../pki/{LOGIN_KEY}.jwks.json",
        },
        "accounts": [
            {
                "login": owner.login,
                "passwordHash": password_hash(owner.password, salt=secrets.token_bytes(16)),
                "dataOwnerId": owner.owner_id,
                "name": owner.name,
                "nameZh": owner.name_zh,
            }
            for owner in OWNERS
        ],
    }


def _witness(folder: Path, ports: Ports) -> Json:
    return {
        "name": WITNESS_NAME,
        "port": ports.witness,
        "certificateFile": "tls/server/cert.pem",
        "keyFile": "tls/server/key.pem",
        "signingKeyFile": f"../{WITNESS_KEY_FILE}",
        "stateFile": "state/cosigned.db",
        "logs": [log_verifier_key(folder)],
    }


def _timestamps(openssl: str, ports: Ports) -> Json:
    return {
        "openssl": openssl,
        "port": ports.timestamp,
        "certificateFile": "signer/cert.pem",
        "keyFile": "signer/key.pem",
    }


def _kept(file: Path, name: str) -> str:
    """The secret of the earlier start, or a new one: 32 bytes in base64."""
    if file.exists():
        return str(orjson.loads(file.read_bytes())[name])
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _overlaid(below: Json, above: Mapping[str, Any]) -> Json:
    """`above` wins; mappings are merged, everything else is replaced."""
    merged = dict(below)
    for name, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(name), dict)
        merged[name] = _overlaid(merged[name], value) if both else value
    return merged


def _write_yaml(file: Path, value: Json) -> None:
    write_public(file, _HEADING + yaml.safe_dump(value, sort_keys=False, allow_unicode=True).encode())


def _pretty(value: Json) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)
