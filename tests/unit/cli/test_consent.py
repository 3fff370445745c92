"""`consent show` and `consent revoke`: what an operator sees and ends, and what of it is on record."""

from __future__ import annotations

import asyncio
import io
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest
import yaml

from adapters.sql import migrations
from gateway.app.consent_desk import ConsentDesk, open_consent_desk
from gateway.app.desk import open_desk, user_name
from gateway.cli.commands import run
from gateway.core.model import Consent, ConsentStatus
from gateway.ports import ConsentStep
from tests import samples
from tests.unit.cli.audit.conftest import config, settings_of

__all__ = ["config"]  # a fixture

_Found = TypeVar("_Found")


@pytest.fixture
def deployment(config: Path) -> Path:
    migrations.upgrade(settings_of(config).store.url, "store")
    return config


def at_desk(config: Path, work: Callable[[ConsentDesk], Awaitable[_Found]]) -> _Found:
    async def opened() -> _Found:
        async with open_consent_desk(config) as desk:
            return await work(desk)

    return asyncio.run(opened())


def saved(config: Path, **changes: Any) -> Consent:
    consent = samples.consent(**({"consent_id": str(uuid.uuid4())} | changes))
    return at_desk(
        config, lambda desk: desk.store.submit(lambda _: ConsentStep(consent=consent), samples.idempotency())
    )


def found(config: Path, consent: Consent) -> Consent | None:
    return at_desk(config, lambda desk: desk.store.consent(consent.consent_id))


def records(config: Path) -> list[dict[str, Any]]:
    async def read() -> list[dict[str, Any]]:
        async with open_desk(config) as desk:
            return [orjson.loads(stored.entry or b"") for stored in await desk.audit.entries(0, 100)]

    return asyncio.run(read())


def revoke(config: Path, consent: str, *arguments: str, reason: str = "LEGAL_ORDER") -> int:
    return run(["consent", "revoke", consent, "--config", str(config), "--reason", reason, *arguments])


class TestShow:
    def test_a_consent_is_shown_without_its_owner(self, deployment: Path, capsys: pytest.CaptureFixture[str]) -> None:
        consent = saved(deployment)
        assert run(["consent", "show", consent.consent_id, "--config", str(deployment)]) == 0
        said = capsys.readouterr().out
        for fact in (consent.consent_id, "ConsentValid", "BANKA01DC", "SZCREDIT01DP", "2027-01-15 09:00:00 UTC"):
            assert fact in said
        for private in (consent.subject, consent.hash_key):
            assert private not in said

    def test_programs_get_one_document(self, deployment: Path, capsys: pytest.CaptureFixture[str]) -> None:
        consent = saved(deployment)
        assert run(["consent", "show", consent.consent_id, "--config", str(deployment), "--json"]) == 0
        assert orjson.loads(capsys.readouterr().out) == {
            "consentId": consent.consent_id,
            "status": "ConsentValid",
            "approval": None,
            "dataConsumerId": "BANKA01DC",
            "dataProviderId": "SZCREDIT01DP",
            "documentType": "CORPORATE_CREDIT_REPORT",
            "purpose": "SME_LOAN_UNDERWRITING",
            "used": 0,
            "maxUses": 1,
            "expireTime": consent.expire_time,
        }

    def test_to_look_leaves_no_record(self, deployment: Path) -> None:
        assert run(["consent", "show", saved(deployment).consent_id, "--config", str(deployment)]) == 0
        assert records(deployment) == []

    def test_an_unknown_consent_is_a_negative_outcome(
        self, deployment: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(["consent", "show", str(uuid.uuid4()), "--config", str(deployment)]) == 1
        assert capsys.readouterr().err == "cdi-gateway: no consent of this id\n"

    def test_an_id_that_is_none_is_not_looked_for(self, deployment: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["consent", "show", "canary", "--config", str(deployment)]) == 2
        said = capsys.readouterr().err
        assert said == "cdi-gateway: a consent's id is a UUID\n"


class TestRevoke:
    def test_it_ends_with_a_record_in_the_operators_name(
        self, deployment: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        consent = saved(deployment)
        assert revoke(deployment, consent.consent_id, "--yes", "--json") == 0
        assert orjson.loads(capsys.readouterr().out)["status"] == "ConsentRevoked"
        now = found(deployment, consent)
        assert now is not None
        assert now.status is ConsentStatus.REVOKED
        [entry] = records(deployment)
        assert (entry["type"], entry["reason"]) == ("consent.revoked", "LEGAL_ORDER")
        assert (entry["actor"]["role"], entry["actor"]["client"]) == ("operator", user_name())

    def test_it_asks_first_and_no_is_no(
        self, deployment: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        consent = saved(deployment)
        monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
        assert revoke(deployment, consent.consent_id) != 0
        assert found(deployment, consent) == consent
        assert records(deployment) == []
        assert "End this consent?" in capsys.readouterr().err

    def test_what_has_ended_is_not_ended_again(self, deployment: Path, capsys: pytest.CaptureFixture[str]) -> None:
        consent = saved(deployment)
        assert revoke(deployment, consent.consent_id, "--yes") == 0
        assert revoke(deployment, consent.consent_id, "--yes") == 1
        assert "has ended before" in capsys.readouterr().err
        assert len(records(deployment)) == 1

    def test_an_unknown_consent_is_a_negative_outcome(self, deployment: Path) -> None:
        assert revoke(deployment, str(uuid.uuid4()), "--yes") == 1
        assert records(deployment) == []

    def test_a_reason_that_is_no_code_is_refused_before_anything_is_opened(
        self, deployment: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        consent = saved(deployment)
        assert revoke(deployment, consent.consent_id, "--yes", reason="canary") == 2
        said = capsys.readouterr().err
        assert "LEGAL_ORDER" in said
        assert "canary" not in said
        assert found(deployment, consent) == consent


class TestDesk:
    def test_an_outdated_store_is_named(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["consent", "show", str(uuid.uuid4()), "--config", str(config)]) != 0
        assert "db upgrade" in capsys.readouterr().err

    def test_a_key_that_others_may_read_is_refused(self, deployment: Path, capsys: pytest.CaptureFixture[str]) -> None:
        settings_of(deployment).secrets.storage_key_file.chmod(0o644)
        assert run(["consent", "show", str(uuid.uuid4()), "--config", str(deployment)]) == 2
        assert "chmod" in capsys.readouterr().err

    def test_a_wrong_configuration_is_named(self, deployment: Path, capsys: pytest.CaptureFixture[str]) -> None:
        document = yaml.safe_load(deployment.read_bytes())
        document["bnak"] = {}
        deployment.write_text(yaml.safe_dump(document))
        assert run(["consent", "show", str(uuid.uuid4()), "--config", str(deployment)]) == 2
        assert "bnak" in capsys.readouterr().err

    def test_a_log_of_another_deployment_is_not_written_to(
        self, deployment: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        consent = saved(deployment)
        assert revoke(deployment, consent.consent_id, "--yes") == 0
        other = saved(deployment)
        document = yaml.safe_load(deployment.read_bytes())
        document["audit"]["origin"] = "another.example/log"
        deployment.write_text(yaml.safe_dump(document))
        assert revoke(deployment, other.consent_id, "--yes") != 0
        assert "the log cannot be used" in capsys.readouterr().err
