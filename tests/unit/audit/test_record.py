from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import orjson
import pytest
import rfc8785

from gateway.audit.privacy import Ciphertext
from gateway.audit.record import ENTRY_BYTES_MAX, Actor, Record, entry
from gateway.core.model import Digest, HashAlgorithm
from tests import samples
from tests.samples import ORIGIN


def seal(_subject: str, _entry_id: str, plaintext: bytes) -> Ciphertext:
    """Hides nothing, so that tests see where things went."""
    return Ciphertext(key="k" * 16, data=plaintext.hex())


def body(record: Record) -> dict[str, Any]:
    value: dict[str, Any] = orjson.loads(entry(record, ORIGIN, seal))
    return value


def sealed(record: Record) -> Any:
    return orjson.loads(bytes.fromhex(body(record)["sealed"]["data"]))


def test_an_entry_is_rfc_8785() -> None:
    data = entry(samples.record(), ORIGIN, seal)
    assert rfc8785.dumps(orjson.loads(data)) == data


def test_an_entry_says_what_the_contract_names() -> None:
    record = samples.record(reason="TIMEOUT", count=3, facts={"size": 7})
    assert record.consent is not None
    assert body(record) == {
        "v": 1,
        "id": record.record_id,
        "time": "2027-01-15T08:00:00.123456Z",
        "type": "verification.intended",
        "direction": "SOUTHBOUND",
        "actor": {"participant": samples.BANK, "role": "bank", "certificate": "e" * 64, "client": "bank-a"},
        "counterparty": "DVPPLATFORM",
        "interaction": "11111111-2222-4333-8444-555555555555",
        "request": "request-1",
        "consent": {
            "id": record.consent.consent_id,
            "status": "ConsentValid",
            "purpose": "SME_LOAN_UNDERWRITING",
            "expireTime": samples.NOW + 3_600,
        },
        "subject": "b" * 64,
        "document": {
            "type": "CORPORATE_CREDIT_REPORT",
            "issuer": samples.SOURCE,
            "algorithm": "SHA256",
        },
        "outcome": "MATCH",
        "reason": "TIMEOUT",
        "latencyMs": 12,
        "attempts": 1,
        "count": 3,
        "facts": {"size": 7},
        "software": "0.1.0",
        "schema": "cdi/v1",
        "config": "c" * 64,
        "retention": "standard",
        "sealed": body(record)["sealed"],
    }
    assert sealed(record) == {
        "document": {
            "digest": "d" * 64,
            "digests": [{"algorithm": "SHA256", "value": "d" * 64}, {"algorithm": "SM3", "value": "d" * 64}],
        },
        "evidence": "evidence-1",
    }


def test_what_is_not_known_is_left_out() -> None:
    assert body(Record(record_id="r", time=0.0, type="service.started")) == {
        "v": 1,
        "id": "r",
        "time": "1970-01-01T00:00:00.000000Z",
        "type": "service.started",
        "software": "0.1.0",
        "schema": "cdi/v1",
        "config": "c" * 64,
        "retention": "operational",
    }


def test_one_digest_is_not_listed_twice() -> None:
    document = samples.document(digests=(Digest(algorithm=HashAlgorithm.SM3, value="d" * 64),))
    assert sealed(samples.record(document=document, evidence=None)) == {"document": {"digest": "d" * 64}}


def test_what_is_sealed_is_sealed_for_the_subject_and_bound_to_the_entry() -> None:
    asked: list[tuple[str, str]] = []

    def note(subject: str, entry_id: str, plaintext: bytes) -> Ciphertext:
        asked.append((subject, entry_id))
        return seal(subject, entry_id, plaintext)

    record = samples.record()
    entry(record, ORIGIN, note)
    assert asked == [("b" * 64, record.record_id)] == [(record.seals_for, record.record_id)]


@pytest.mark.parametrize(
    "record",
    [
        samples.record(document=None, evidence=None),
        samples.record(consent=None, document=None),  # evidence that nobody is the subject of
        Record(record_id="r", time=0.0, type="service.started"),
    ],
)
def test_an_entry_with_nothing_private_needs_no_key(record: Record) -> None:
    assert record.seals_for is None
    assert "sealed" not in body(record)


def test_a_document_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="subject"):
        body(samples.record(consent=None))
    assert "sealed" in body(samples.record(consent=None, subject="b" * 64))


def test_an_actor_without_client_has_no_empty_fields() -> None:
    record = samples.record(actor=Actor(participant="DVP", role="platform"))
    assert body(record)["actor"] == {"participant": "DVP", "role": "platform"}


def test_voucher_and_names_are_in_no_entry() -> None:
    data = entry(samples.record(), ORIGIN, seal)
    assert b"voucher" not in data
    assert b"Bank A" not in data


def test_the_limit_is_in_bytes_and_exact() -> None:
    record = samples.record(counterparty="")
    room = ENTRY_BYTES_MAX - len(entry(record, ORIGIN, seal))
    assert len(entry(replace(record, counterparty="x" * room), ORIGIN, seal)) == ENTRY_BYTES_MAX
    with pytest.raises(ValueError, match="limit"):
        entry(replace(record, counterparty="x" * (room - 1) + "滙"), ORIGIN, seal)


def test_every_field_of_a_record_reaches_the_entry() -> None:
    full = samples.record(reason="TIMEOUT", count=3, retention="long", facts={"size": 7})
    for field in fields(Record):
        # A consent has the subject, and a document needs one: the two are tested above.
        if field.name in {"record_id", "time", "type", "document_type", "subject", "consent"}:
            continue
        without = replace(full, **{field.name: None})
        assert entry(without, ORIGIN, seal) != entry(full, ORIGIN, seal), field.name
