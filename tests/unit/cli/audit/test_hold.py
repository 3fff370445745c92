"""`audit hold`: set, listed, released; ids and reasons are codes."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from gateway.cli.commands import run
from gateway.compliance import approval
from tests.two_people import approved, for_two_people
from tests.unit.cli.audit.conftest import settings_of

OWNER = "a" * 64


def hold(config: Path, command: str, *arguments: str) -> int:
    return run(["audit", "hold", command, *arguments, "--config", str(config)])


def test_holds_are_set_listed_and_released(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hold(config, "list") == 0
    assert capsys.readouterr().out == "no hold is set\n"
    assert hold(config, "add", "CASE-1", "--reason", "LITIGATION", "--subject", OWNER) == 0
    assert hold(config, "add", "CASE-2", "--reason", "INQUIRY", "--from", "300") == 0
    capsys.readouterr()
    assert hold(config, "list", "--json") == 0
    found = orjson.loads(capsys.readouterr().out)["holds"]
    assert [(item["hold"], item["subject"], item["from"]) for item in found] == [
        ("CASE-1", OWNER, 0),
        ("CASE-2", None, 300),
    ]
    assert hold(config, "list") == 0
    assert "everybody" in capsys.readouterr().out
    assert hold(config, "release", "CASE-1", "--reason", "CASE_CLOSED") == 0
    capsys.readouterr()
    hold(config, "list", "--json")
    assert [item["hold"] for item in orjson.loads(capsys.readouterr().out)["holds"]] == ["CASE-2"]


def test_an_id_is_used_once(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hold(config, "add", "CASE-1", "--reason", "LITIGATION")
    assert hold(config, "add", "CASE-1", "--reason", "LITIGATION") == 1
    assert "choose another id" in capsys.readouterr().err


def test_releasing_what_is_not_set_is_negative(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hold(config, "release", "CASE-1", "--reason", "CASE_CLOSED") == 1
    assert "there is no hold CASE-1" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("Ms Chan", "--reason", "LITIGATION"), ("CASE-1", "--reason", "she sued us")])
def test_names_and_free_text_are_refused(
    config: Path, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert hold(config, "add", *arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    hold(config, "list")
    assert capsys.readouterr().out == "no hold is set\n"


def test_the_owner_is_kept_as_a_pseudonym(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hold(config, "add", "CASE-1", "--reason", "LITIGATION", "--subject", "canary-owner", "--json") == 0
    captured = capsys.readouterr()
    assert len(orjson.loads(captured.out)["subject"]) == 64
    assert "canary" not in captured.out + captured.err


RELEASE = ("release", "CASE-1", "--reason", "CASE_CLOSED")


@pytest.fixture
def held(config: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A configuration in which two people release, and a hold."""
    for_two_people(config, "release")
    assert hold(config, "add", "CASE-1", "--reason", "LITIGATION", "--subject", OWNER, "--from", "7") == 0
    capsys.readouterr()
    return config


def test_two_people_release_the_hold_that_was_approved(
    held: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = tmp_path / "request.json"
    assert hold(held, *RELEASE, "--request-out", str(request)) == 2
    assert "a second person must approve this" in capsys.readouterr().err
    asked = approval.parse_request(request.read_bytes())
    assert asked.action == "release"
    assert dict(asked.what) | {"since": ""} == {
        "log": settings_of(held).audit.origin,
        "hold": "CASE-1",
        "since": "",
        "subject": OWNER,
        "from": 7,
        "reason": "CASE_CLOSED",
    }
    assert hold(held, *RELEASE, "--approval", str(approved(request))) == 0
    capsys.readouterr()
    assert run(["audit", "search", "type:audit.released", "-c", str(held), "--json"]) == 0
    [act] = orjson.loads(capsys.readouterr().out)["entries"]
    assert act["entry"]["facts"] == {"hold": "CASE-1", "approver": "officer-2", "approval": asked.nonce}


def test_an_approval_is_for_one_reason_and_one_hold(
    held: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = tmp_path / "request.json"
    hold(held, *RELEASE, "--request-out", str(request))
    given = ("--approval", str(approved(request)))
    assert hold(held, "release", "CASE-1", "--reason", "MISTAKE", *given) == 2
    hold(held, "add", "CASE-2", "--reason", "LITIGATION", "--subject", OWNER, "--from", "7")
    assert hold(held, "release", "CASE-2", "--reason", "CASE_CLOSED", *given) == 2
    assert capsys.readouterr().err.count("the approval is for something else") == 2
    assert hold(held, *RELEASE, *given) == 0


def test_an_approval_is_not_for_a_later_hold_of_the_same_id(
    held: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    requests = [tmp_path / "first.json", tmp_path / "second.json"]
    for request in requests:
        hold(held, *RELEASE, "--request-out", str(request))
    first, second = (("--approval", str(approved(request))) for request in requests)
    assert hold(held, *RELEASE, *first) == 0
    assert hold(held, "add", "CASE-1", "--reason", "LITIGATION", "--subject", OWNER, "--from", "7") == 0
    capsys.readouterr()
    assert hold(held, *RELEASE, *first) == 2
    assert hold(held, *RELEASE, *second) == 2
    assert capsys.readouterr().err.count("the approval is for something else") == 2


def test_what_is_not_held_asks_nobody(held: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hold(held, "release", "CASE-9", "--reason", "CASE_CLOSED") == 1
    assert "there is no hold CASE-9" in capsys.readouterr().err


def test_one_person_sets_a_hold_that_two_release(held: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hold(held, "add", "CASE-2", "--reason", "INQUIRY") == 0
    assert hold(held, "release", "CASE-2", "--reason", "CASE_CLOSED") == 2
    captured = capsys.readouterr()
    assert "hand over the JSON above" in captured.err
    assert "everybody" in captured.out
