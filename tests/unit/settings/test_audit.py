"""Rules within the audit section: what fits together and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.settings import Approver, Audit, Forward, SecondPerson, Witness, Witnesses
from gateway.settings.audit import Timestamps

VKEY = "witness.example+01234567+" + "A" * 44
WITNESS = Witness(vkey=VKEY, url="https://witness.example")


def test_quorum_above_the_number_of_witnesses_is_refused() -> None:
    assert Witnesses(witnesses=(WITNESS,), quorum=1).quorum == 1
    with pytest.raises(ValidationError, match="quorum"):
        Witnesses(witnesses=(WITNESS,), quorum=2)


def test_witness_that_is_listed_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match="differ"):
        Witnesses(witnesses=(WITNESS, WITNESS), quorum=2)


def test_limit_on_witnesses_without_a_quorum_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs a quorum"):
        Witnesses(witnesses=(WITNESS,), refuse_after_seconds=60)


def test_limit_on_time_stamps_leaves_time_to_get_one() -> None:
    given: dict[str, Any] = {"url": "https://tsa.example", "ca_file": Path("roots.pem"), "interval_seconds": 60}
    assert Timestamps(**given, refuse_after_seconds=120).refuse_after_seconds == 120
    with pytest.raises(ValidationError, match="must be more than"):
        Timestamps(**given, refuse_after_seconds=65)


@pytest.mark.parametrize("vkey", ["witness.example", "a b+01234567+" + "A" * 44, "w+0123+" + "A" * 44, VKEY[:-1]])
def test_malformed_verifier_key_is_refused(vkey: str) -> None:
    with pytest.raises(ValidationError, match="vkey"):
        Witness(vkey=vkey, url="https://witness.example")


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"format": "cef"}, "cef needs"),
        ({"certificate_file": Path("c.pem")}, "belong together"),
        ({"key_file": Path("c.key")}, "belong together"),
        ({"url": "http://siem.example"}, "url"),
        ({"url": "syslog://siem.example:514"}, "url"),
        ({"name": "SIEM"}, "name"),
    ],
)
def test_target_that_does_not_fit_is_refused(changes: dict[str, Any], wrong: str) -> None:
    given = {"name": "siem", "url": "https://siem.example/events"}
    assert Forward(**given).format == "ocsf"
    with pytest.raises(ValidationError, match=wrong):
        Forward(**(given | changes))


def test_second_person_needs_somebody_who_can_approve() -> None:
    approver = Approver(name="officer-2", public_key_file=Path("officer-2.pem"))
    assert SecondPerson(actions=("export",), approvers=(approver,)).actions == ("export",)
    with pytest.raises(ValidationError, match="approvers"):
        SecondPerson(actions=("export",))


@pytest.mark.parametrize("action", ["export", "erase", "prune", "release", "recover"])
def test_acts_for_two_people_are_named(action: str) -> None:
    approver = {"name": "officer-2", "public_key_file": "officer-2.pem"}
    assert SecondPerson.model_validate({"actions": [action], "approvers": [approver]}).actions == (action,)
    with pytest.raises(ValidationError, match="actions"):
        SecondPerson.model_validate({"actions": ["read"], "approvers": [approver]})


@pytest.mark.parametrize(("name", "file"), [("officer-3", "officer-2.pem"), ("Officer-2", "officer-3.pem")])
def test_one_person_listed_twice_is_refused(name: str, file: str) -> None:
    first = Approver(name="officer-2", public_key_file=Path("officer-2.pem"))
    with pytest.raises(ValidationError, match="must differ"):
        SecondPerson(approvers=(first, Approver(name=name, public_key_file=Path(file))))


@pytest.mark.parametrize("origin", ["", "two words", "a+b", "é"])
def test_origin_that_no_signed_note_can_carry_is_refused(origin: str) -> None:
    with pytest.raises(ValidationError, match="origin"):
        Audit(origin=origin, signing_key_file=Path("key.pem"))


def test_origin_and_signing_key_must_be_given() -> None:
    with pytest.raises(ValidationError) as refused:
        Audit()  # type: ignore[call-arg]
    assert {error["loc"] for error in refused.value.errors()} == {("origin",), ("signing_key_file",)}
