"""Faults count down, wait for their message, and change nothing but what they say."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.sandbox.faults import Fault, Faults, Mode, lie

BODY: dict[str, Any] = {
    "requestId": "1",
    "outcome": "MATCH",
    "checkedAt": 1,
    "evidence": {
        "digests": [{"algorithm": "SM3", "value": "ab"}],
        "issuerSignature": "e30..AAAA",
        "chain": {"proof": {"leafIndex": 0, "treeSize": 1, "path": [], "header": "h"}},
    },
}


def test_a_fault_is_over_after_its_count() -> None:
    faults = Faults()
    faults.set({"mode": "outage", "count": 2})
    assert [faults.take("VerificationRequest").mode for _ in range(3)] == [Mode.OUTAGE, Mode.OUTAGE, Mode.NONE]
    assert faults.body() == {"mode": "none", "delaySeconds": 0.0, "count": None, "match": None}


def test_a_fault_without_a_count_stays() -> None:
    faults = Faults()
    faults.set({"mode": "delay", "delaySeconds": 3})
    assert {faults.take("VerificationRequest") for _ in range(9)} == {Fault(mode=Mode.DELAY, delay_seconds=3.0)}


def test_other_messages_do_not_count() -> None:
    faults = Faults()
    faults.set({"mode": "ack", "count": 1, "match": "VerificationRequest"})
    assert faults.take("EvidenceStatusQuery").mode is Mode.NONE
    assert faults.take("VerificationRequest").mode is Mode.ACK


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"mode": "nonsense"},
        {"mode": "none", "other": 1},
        {"count": 0},
        {"count": True},
        {"delaySeconds": -1},
        {"delaySeconds": "1"},
        {"delaySeconds": float("nan")},
        {"match": 5},
    ],
)
def test_a_wrong_body_changes_nothing(body: Any) -> None:
    faults = Faults()
    faults.set({"mode": "outage"})
    with pytest.raises(ValueError):
        faults.set(body)
    assert faults.now.mode is Mode.OUTAGE


@pytest.mark.parametrize(
    ("mode", "place"),
    [
        (Mode.WRONG_DIGEST, "digests"),
        (Mode.WRONG_ISSUER_SIGNATURE, "issuerSignature"),
        (Mode.WRONG_CHAIN_PROOF, "chain"),
    ],
)
def test_a_lie_about_evidence_changes_one_part_of_it(mode: Mode, place: str) -> None:
    _, told = lie(mode, "VerificationResult", BODY)
    assert {name for name in BODY if told[name] != BODY[name]} == {"evidence"}
    assert {name for name in BODY["evidence"] if told["evidence"][name] != BODY["evidence"][name]} == {place}


def test_a_bare_match_has_no_evidence() -> None:
    assert lie(Mode.BARE_MATCH, "VerificationResult", BODY)[1].keys() == {"requestId", "outcome", "checkedAt"}


@pytest.mark.parametrize("mode", [Mode.NONE, Mode.DELAY, Mode.WRONG_SIGNATURE, Mode.STALE_ANSWER, Mode.TRUNCATED])
def test_other_faults_leave_the_body_honest(mode: Mode) -> None:
    assert lie(mode, "VerificationResult", BODY) == ("VerificationResult", BODY)
