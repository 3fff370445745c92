from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.event import Event, Gap, event
from gateway.audit.ocsf import ocsf
from gateway.audit.record import Actor, Record
from tests import samples
from tests.events import LOG, event_of, sample_event

VECTORS = Path(__file__).parents[2] / "vectors" / "siem"
SCHEMA = jsonschema.Draft202012Validator(orjson.loads((VECTORS / "ocsf-1.3.0.schema.json").read_bytes()))
GAP = Gap(origin=LOG, first=256, below=1_024, noticed=samples.NOW + 0.5)


def rendered(item: Event | Gap) -> dict[str, Any]:
    value: dict[str, Any] = orjson.loads(ocsf(item))
    SCHEMA.validate(value)
    return value


@pytest.mark.parametrize("path", sorted(VECTORS.glob("event-*.json")), ids=lambda path: path.stem)
def test_vector(path: Path) -> None:
    vector = orjson.loads(path.read_bytes())
    leaf = bytes.fromhex(vector["leafHash"])
    item = event(vector["entry"].encode(), origin=vector["origin"], index=vector["index"], leaf_hash=leaf)
    assert rendered(item) == vector["ocsf"]


def test_a_decision_says_who_asked_whom_and_where_it_stands() -> None:
    found = rendered(sample_event(type="verification.decided", index=41))
    assert found["type_uid"] == 600_302
    assert found["actor"]["user"] == {
        "uid": samples.BANK,
        "name": "bank-a",
        "type": "bank",
        "type_id": 99,
        "credential_uid": "e" * 64,
    }
    assert found["dst_endpoint"] == {"uid": "DVPPLATFORM"}
    assert found["metadata"]["sequence"] == found["unmapped"]["log"]["index"] == 41
    assert found["api"]["response"] == {"message": "MATCH"}


def test_start_and_stop_are_the_applications_life() -> None:
    started = rendered(event_of(Record(record_id="r", time=samples.NOW, type="service.started")))
    stopped = rendered(event_of(Record(record_id="r", time=samples.NOW, type="service.stopped")))
    assert (started["type_uid"], stopped["type_uid"]) == (600_203, 600_204)
    assert started["app"]["version"] == "0.1.0"


def test_tokens_are_authentication() -> None:
    found = rendered(sample_event(type="token.refused", reason="TOKEN_INVALID", outcome=None))
    assert (found["class_uid"], found["status_id"], found["status_detail"]) == (3002, 2, "TOKEN_INVALID")


def test_refusals_at_the_door_carry_their_count() -> None:
    record = Record(
        record_id="r",
        time=samples.NOW,
        type="admission.refused",
        actor=Actor(participant="UNKNOWN", role="unknown"),
        reason="CERT_UNKNOWN",
        count=12,
    )
    found = rendered(event_of(record))
    assert (found["count"], found["status_id"], found["api"]["response"]["error"]) == (12, 2, "CERT_UNKNOWN")


def test_a_gap_says_what_is_missing() -> None:
    found = rendered(GAP)
    assert (found["class_uid"], found["count"]) == (0, 768)
    assert found["unmapped"]["log"] == {"origin": LOG, "index": 256, "below": 1_024}


@pytest.mark.parametrize(
    "name",
    [
        *("admission.refused", "audit.erased", "audit.exported", "audit.held", "audit.pruned", "audit.read"),
        *("audit.recovered", "audit.released", "config.loaded", "consent.consumed", "consent.expired"),
        *("consent.rejected", "consent.revoked", "consent.submitted", "consent.validated", "evidence.revoked"),
        *("inbound.refused", "key.rotated", "service.started", "service.stopped", "token.issued", "token.refused"),
        *("token.revoked", "verification.decided", "verification.delivered", "verification.intended"),
        *("verification.received", "verification.refused", "something.new"),
    ],
)
def test_every_type_of_record_follows_the_schema(name: str) -> None:
    assert rendered(sample_event(type=name, reason="SOME_CODE", count=2, facts={"size": 3}))["message"] == name
    assert rendered(event_of(Record(record_id="r", time=0.0, type=name)))["message"] == name


@given(text=st.text(st.characters(codec="utf-8"), max_size=200))
def test_an_event_is_one_line_whatever_it_holds(text: str) -> None:
    data = ocsf(sample_event(counterparty=text, reason=text))
    assert b"\n" not in data
    assert orjson.loads(data)["status_detail"] == text
