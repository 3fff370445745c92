"""What is written is what the gateway and the other processes read."""

from __future__ import annotations

import stat
from pathlib import Path

import orjson
import pytest

from adapters.sandbox.addresses import Ports
from adapters.sandbox.cast import CLIENTS, PURPOSES, SOURCES
from adapters.sandbox.configuration import Plan, write_configuration
from adapters.sandbox.credentials import Credentials, log_verifier_key, witness_verifier_key
from adapters.sandbox.ledger import SYSTEM
from gateway.settings import SettingsError, load
from schemas import codelist

NOW = 1_790_000_000


def write(folder: Path, *, openssl: str | None = None, **settings: object) -> None:
    plan = Plan(ports=Ports.from_base(30_000), schemas={}, block_seconds=1, settings=settings, openssl=openssl)
    write_configuration(folder, plan, Credentials(folder, now=NOW))


def test_the_gateway_accepts_its_configuration(tmp_path: Path) -> None:
    write(tmp_path)
    settings, participants = load(tmp_path / "gateway.yaml")
    assert settings.bank.port == 30_000
    assert settings.platforms[0].ledger_system == SYSTEM
    roles = {participant.id: participant.role.value for participant in participants.participants}
    assert {roles[source.participant_id] for source in SOURCES} == {"source"}
    assert {roles[client.participant_id] for client in CLIENTS} == {"bank", "source"}


def test_the_gateway_issues_the_tokens_and_owners_sign_in_elsewhere(tmp_path: Path) -> None:
    write(tmp_path)
    settings, participants = load(tmp_path / "gateway.yaml")
    server, login = settings.oauth.server, settings.oauth.login
    assert server is not None
    assert login is not None
    assert (server.issuer, login.oidc.issuer) == ("https://localhost:30001", "https://localhost:30004")
    assert settings.consent is not None
    assert settings.consent.port == 30_001
    provider = orjson.loads((tmp_path / "login/login.json").read_bytes())
    assert provider["issuer"] == login.oidc.issuer
    assert provider["client"]["clientId"] == login.oidc.client_id
    assert provider["client"]["redirectUri"] == f"{server.issuer}/login/callback"
    clients = {client.id: client for participant in participants.participants for client in participant.clients}
    assert {one.client_id for one in CLIENTS} == clients.keys()


def test_the_audit_log_is_witnessed_and_where_openssl_is_time_stamped(tmp_path: Path) -> None:
    write(tmp_path)
    settings, _ = load(tmp_path / "gateway.yaml")
    (witness,) = settings.audit.witnesses.witnesses
    assert (witness.vkey, settings.audit.witnesses.quorum) == (witness_verifier_key(tmp_path), 1)
    assert orjson.loads((tmp_path / "witness/witness.json").read_bytes())["logs"] == [log_verifier_key(tmp_path)]
    assert settings.audit.timestamps is None
    write(tmp_path, openssl="/usr/bin/openssl")
    settings, _ = load(tmp_path / "gateway.yaml")
    assert settings.audit.timestamps is not None
    assert settings.audit.timestamps.url.startswith("http://localhost:30009/")


def test_every_code_of_the_cast_is_in_its_code_list() -> None:
    types = {name for one in (*CLIENTS, *SOURCES) for name in one.document_types}
    assert types <= codelist("document-type").keys()
    assert set(PURPOSES) <= codelist("purpose").keys()


def test_settings_are_laid_over_the_gateways_configuration(tmp_path: Path) -> None:
    write(tmp_path, exchange={"deadline_seconds": 5}, log={"level": "debug"})
    settings, _ = load(tmp_path / "gateway.yaml")
    assert (settings.exchange.deadline_seconds, settings.exchange.retry_first_seconds) == (5, 1)
    assert settings.log.level == "debug"


def test_a_wrong_setting_is_the_gateways_to_refuse(tmp_path: Path) -> None:
    write(tmp_path, nonsense={"a": 1})
    with pytest.raises(SettingsError):
        load(tmp_path / "gateway.yaml")


def test_secrets_are_kept_and_private(tmp_path: Path) -> None:
    write(tmp_path)
    files = [tmp_path / "platform/platform.json", tmp_path / "login/login.json"]
    before = [orjson.loads(file.read_bytes()) for file in files]
    write(tmp_path)
    after = [orjson.loads(file.read_bytes()) for file in files]
    assert before[0]["voucherKey"] == after[0]["voucherKey"]
    assert before[1]["subjectKey"] == after[1]["subjectKey"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
