"""The registry's entries: complete, unambiguous, and the same in the model."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from gateway.core.model import CertificateRule, Direction, Rate, Role
from gateway.settings import CertificateSettings, ClientSettings, Participants, ParticipantSettings

THUMBPRINT = "ab" * 32


def bank(**changes: Any) -> dict[str, Any]:
    return {"id": "BANKA01DC", "name": "Bank A", "role": "bank", **changes}


def test_entry_becomes_the_same_participant() -> None:
    entry = ParticipantSettings.model_validate(
        bank(
            document_types=("BANK_STATEMENT",),
            purposes=("CREDIT_REVIEW",),
            certificates=({"sha256": THUMBPRINT}, {"issuer": "CN=CA", "subject": "CN=A"}),
            clients=({"id": "bank-a"},),
            rate={"per_second": 5, "burst": 10},
        )
    )
    participant = entry.participant()
    assert participant.participant_id == "BANKA01DC"
    assert participant.role is Role.BANK
    assert participant.active
    assert participant.directions == {Direction.SOUTHBOUND}
    assert participant.document_types == {"BANK_STATEMENT"}
    assert participant.purposes == {"CREDIT_REVIEW"}
    assert participant.certificates == (
        CertificateRule(sha256=THUMBPRINT),
        CertificateRule(issuer="CN=CA", subject="CN=A"),
    )
    assert participant.clients == {"bank-a"}
    assert participant.rate == Rate(per_second=5, burst=10)


def test_suspended_entry_is_not_active() -> None:
    assert not ParticipantSettings.model_validate(bank(status="suspended")).participant().active


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"issuer": "CN=CA"},
        {"subject": "CN=A"},
        {"sha256": THUMBPRINT, "issuer": "CN=CA", "subject": "CN=A"},
        {"sha256": THUMBPRINT, "subject": "CN=A"},
        {"sha256": THUMBPRINT.upper()},
        {"sha256": f"{THUMBPRINT}\n"},
    ],
)
def test_certificate_is_named_in_exactly_one_way(rule: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        CertificateSettings.model_validate(rule)


@pytest.mark.parametrize("missing", ["platform", "jwks_file"])
def test_source_needs_its_platform_and_its_keys(missing: str) -> None:
    source = bank(role="source", platform="SZHKDVP01", jwks_file="keys.json")
    assert ParticipantSettings.model_validate(source).platform == "SZHKDVP01"
    del source[missing]
    with pytest.raises(ValidationError):
        ParticipantSettings.model_validate(source)


def test_id_certificate_and_client_belong_to_one_entry_only() -> None:
    entries = Participants.model_validate(
        {
            "participants": (
                bank(certificates=({"sha256": THUMBPRINT},), clients=({"id": "a"}, {"id": "b"})),
                bank(id="BANKB01DC", certificates=({"sha256": THUMBPRINT},), clients=({"id": "b"},)),
                bank(),
            )
        }
    )
    assert dict(entries.ambiguities()) == {
        "participants.1.certificates.0": "is the same as participants.0.certificates.0",
        "participants.1.clients.0": "is the same as participants.0.clients.1",
        "participants.2.id": "is the same as participants.0.id",
    }


CLIENT = {"id": "bank-a-loans", "authentication": "tls_client_auth", "subject": "CN=A", "scopes": ["cdi:consents"]}


@pytest.mark.parametrize(
    "client",
    [
        {"id": "a", "authentication": "tls_client_auth"},
        {"id": "a", "authentication": "self_signed_tls_client_auth", "subject": "CN=A"},
        {"id": "a", "authentication": "private_key_jwt"},
        {"id": "a", "authentication": "client_secret_basic"},
        {"id": "a", "scopes": ["cdi:consents"]},
        {**CLIENT, "signed_requests": True},
        {**CLIENT, "redirect_uris": ["http://bank.example/callback"]},
        {**CLIENT, "redirect_uris": ["https://bank.example/callback#here"]},
        {**CLIENT, "scopes": ["two words"]},
    ],
)
def test_client_that_could_not_prove_itself_or_be_sent_back_is_refused(client: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ClientSettings.model_validate_json(orjson.dumps(client))


def test_client_is_declared_whole_or_by_its_id_alone() -> None:
    assert ClientSettings.model_validate_json(orjson.dumps(CLIENT)).subject == "CN=A"
    assert ClientSettings.model_validate_json(b'{"id": "a"}').authentication is None
