from __future__ import annotations

import orjson
import pytest

from gateway.audit.event import FACTS_BYTES_MAX, Severity, Status, event
from gateway.audit.privacy import FIELDS, Privacy
from gateway.audit.record import Actor
from tests import samples
from tests.events import LOG, sample_event


def test_public_fields_leave_and_private_ones_do_not() -> None:
    body = sample_event().body
    assert body["document"] == {"type": "CORPORATE_CREDIT_REPORT", "issuer": samples.SOURCE, "algorithm": "SHA256"}
    assert body["outcome"] == "MATCH"
    assert not {"subject", "sealed", "evidence"} & body.keys()


def test_private_fields_stay_even_where_an_entry_about_nobody_has_them_in_clear() -> None:
    found = sample_event(consent=None, document=None, evidence="canary-evidence").body
    assert "canary-evidence" not in str(found)


def test_a_field_that_has_no_class_does_not_leave() -> None:
    data = orjson.dumps({"id": "1", "time": "2027-01-15T08:00:00Z", "type": "x", "surprise": "canary"})
    assert "surprise" not in event(data, origin=LOG, index=0, leaf_hash=b"").body


def test_every_public_field_leaves() -> None:
    whole = sample_event(reason="TIMEOUT", count=3, facts={"size": 1}).body
    expected = {path.partition(".")[0] for path, privacy in FIELDS.items() if privacy is Privacy.PUBLIC}
    assert whole.keys() == expected - {"sealed"}


def test_no_pseudonym_leaves_in_the_text_of_a_query() -> None:
    query = f"-digest:keyed:{'d' * 64} subject:{'a' * 64} type:audit.*"
    assert sample_event(facts={"act": "search", "query": query}).body["facts"] == {
        "act": "search",
        "query": "-digest:keyed:* subject:* type:audit.*",
    }


def test_facts_that_would_make_an_event_too_long_are_counted_instead() -> None:
    facts = {"query": "x" * FACTS_BYTES_MAX, "count": 3}
    assert sample_event(facts=facts).body["facts"] == {"omitted": 2}


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"{}", b'{"type":1,"time":"x"}', b'{"type":"a"}'])
def test_what_is_no_entry_is_no_event(data: bytes) -> None:
    with pytest.raises(ValueError):
        event(data, origin=LOG, index=0, leaf_hash=b"")


def test_the_time_is_in_whole_milliseconds() -> None:
    assert sample_event(time=samples.NOW + 0.123456).milliseconds == samples.NOW * 1000 + 123
    assert sample_event(time=samples.NOW + 0.999).milliseconds == samples.NOW * 1000 + 999


def test_the_software_is_its_version() -> None:
    data = orjson.dumps({"id": "1", "time": "2027-01-15T08:00:00Z", "type": "x", "software": "cdi-dvp-gateway/0.2.0"})
    assert event(data, origin=LOG, index=0, leaf_hash=b"").software == "0.2.0"
    assert sample_event().software == "0.1.0"


@pytest.mark.parametrize(
    ("changes", "severity", "status"),
    [
        ({"type": "verification.decided", "outcome": "MATCH"}, Severity.INFORMATIONAL, Status.SUCCESS),
        ({"type": "verification.decided", "outcome": "MISMATCH"}, Severity.MEDIUM, Status.SUCCESS),
        ({"type": "verification.decided", "outcome": "SIGNATURE_INVALID"}, Severity.HIGH, Status.SUCCESS),
        (
            {"type": "verification.decided", "outcome": "INDETERMINATE", "reason": "ANSWER_UNTRUSTED"},
            Severity.HIGH,
            Status.SUCCESS,
        ),
        ({"type": "admission.refused", "outcome": None, "reason": "RATE_LIMITED"}, Severity.LOW, Status.FAILURE),
        ({"type": "consent.rejected", "outcome": None}, Severity.LOW, Status.FAILURE),
        ({"type": "audit.erased", "outcome": None}, Severity.MEDIUM, Status.SUCCESS),
        ({"type": "audit.recovered", "outcome": None}, Severity.HIGH, Status.SUCCESS),
    ],
)
def test_alarms_refusals_and_acts_at_the_log_stand_out(
    changes: dict[str, str | None], severity: Severity, status: Status
) -> None:
    found = sample_event(actor=Actor(participant=samples.BANK, role="bank"), **changes)
    assert (found.severity, found.status) == (severity, status)
