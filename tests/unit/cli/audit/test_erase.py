"""`audit erase`: what becomes unreadable is said first, holds and second people stop it, and a repeat is no mistake."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
import yaml

from gateway.cli.commands import run
from gateway.compliance import approval
from tests import samples
from tests.two_people import approved, for_two_people
from tests.unit.cli.audit.conftest import Append, settings_of

OWNER, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def owners(append: Append) -> None:
    append([samples.record(consent=samples.consent(subject=subject)) for subject in (OWNER, OTHER)])


def erase(config: Path, *arguments: str, subject: str = OWNER, reason: str = "OWNER_REQUEST") -> int:
    return run(
        ["audit", "erase", "--config", str(config), "--subject", subject, "--reason", reason, "--yes", *arguments]
    )


def shown(config: Path, index: int, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert run(["audit", "show", str(index), "--config", str(config)]) == 0
    return capsys.readouterr().out


@pytest.mark.usefixtures("owners")
def test_what_becomes_unreadable_is_said_and_then_is(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert erase(config) == 0
    out = capsys.readouterr().out
    assert "entries about them: 1; with private fields, which become unreadable: 1" in out
    assert "erased: the key is destroyed" in out
    assert "erased" in shown(config, 0, capsys)
    assert "d" * 64 in shown(config, 1, capsys)


@pytest.mark.usefixtures("owners")
def test_a_repeat_says_that_nothing_is_left(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    erase(config)
    capsys.readouterr()
    assert erase(config, "--json") == 0
    found = orjson.loads(capsys.readouterr().out)
    assert found == {"subject": OWNER, "erased": False, "entries": 3, "sealed": 1}


@pytest.mark.usefixtures("owners")
def test_without_a_yes_it_asks(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _text: "n")
    arguments = ["audit", "erase", "-c", str(config), "--subject", OWNER, "--reason", "OWNER_REQUEST"]
    assert run(arguments) == 1
    assert "d" * 64 in shown(config, 0, capsys)


@pytest.mark.usefixtures("owners")
def test_an_owner_is_named_by_id_and_no_output_repeats_it(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert erase(config, subject="canary-owner-7") == 0
    captured = capsys.readouterr()
    assert "entries about them: 0;" in captured.out
    assert "nothing to erase" in captured.out
    assert "canary" not in captured.out + captured.err


@pytest.mark.usefixtures("owners")
def test_a_hold_stops_it(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hold = ["audit", "hold", "add", "CASE-1", "-c", str(config), "--reason", "LITIGATION", "--subject", OWNER]
    assert run(hold) == 0
    assert erase(config) == 1
    assert "a legal hold forbids it (CASE-1)" in capsys.readouterr().err
    assert erase(config, subject=OTHER) == 0
    assert run(["audit", "hold", "release", "CASE-1", "-c", str(config), "--reason", "CASE_CLOSED"]) == 0
    assert erase(config) == 0


@pytest.mark.parametrize("reason", ["she asked us", "lower", ""])
def test_a_reason_is_a_code(config: Path, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert erase(config, reason=reason) == 2
    assert "--reason takes a code" in capsys.readouterr().err


@pytest.mark.usefixtures("owners")
def test_two_people_erase_with_a_request_and_its_approval(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for_two_people(config, "erase")
    request = tmp_path / "request.json"
    assert erase(config, "--request-out", str(request)) == 2
    assert "a second person must approve this" in capsys.readouterr().err
    assert "d" * 64 in shown(config, 0, capsys)
    approval_file = approved(request)
    assert erase(config, "--approval", str(approval_file)) == 0
    assert "erased" in shown(config, 0, capsys)
    assert erase(config, "--approval", str(approval_file)) == 2
    assert "the approval was used before" in capsys.readouterr().err


@pytest.mark.usefixtures("owners")
def test_a_request_replaces_no_file(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for_two_people(config, "erase")
    there = tmp_path / "there.json"
    there.write_text("another's")
    assert erase(config, "--request-out", str(there)) == 2
    assert "is there already: give another --request-out" in capsys.readouterr().err
    assert there.read_text() == "another's"
    assert erase(config, "--request-out", str(tmp_path / "nowhere" / "request.json")) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.usefixtures("owners")
def test_one_key_under_two_names_is_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for_two_people(config, "erase")
    key = config.parent / "officer-2.pub.pem"
    (config.parent / "officer-3.pub.pem").write_bytes(b"The same:\n" + key.read_bytes())
    document = yaml.safe_load(config.read_bytes())
    document["audit"]["second_person"]["approvers"].append(
        {"name": "officer-3", "public_key_file": "officer-3.pub.pem"}
    )
    config.write_text(yaml.safe_dump(document))
    assert erase(config) == 2
    assert "officer-2 and officer-3 have one key" in capsys.readouterr().err


@pytest.mark.usefixtures("owners")
def test_an_approval_of_another_erasure_is_refused(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for_two_people(config, "erase")
    request = tmp_path / "request.json"
    erase(config, "--request-out", str(request))
    approval_file = approved(request)
    assert erase(config, "--approval", str(approval_file), subject=OTHER) == 2
    assert "the approval is not accepted" in capsys.readouterr().err
    assert "d" * 64 in shown(config, 1, capsys)


def test_an_approval_that_cannot_be_read_is_said(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert erase(config, "--approval", str(config.parent / "absent.jws")) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.usefixtures("owners")
def test_the_request_is_printed_where_no_file_is_named(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for_two_people(config, "erase")
    assert erase(config, "--json") == 2
    captured = capsys.readouterr()
    asked = approval.parse_request(captured.out.encode())
    assert (asked.action, asked.what) == (
        "erase",
        {"log": settings_of(config).audit.origin, "subject": OWNER, "reason": "OWNER_REQUEST"},
    )
    assert "hand over the JSON above" in captured.err


@pytest.mark.usefixtures("owners")
def test_who_only_looks_is_on_record(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _text: "n")
    assert run(["audit", "erase", "-c", str(config), "--subject", OWNER, "--reason", "OWNER_REQUEST"]) == 1
    capsys.readouterr()
    assert run(["audit", "search", "-c", str(config), "--json", "type:audit.read", f"subject:{OWNER}"]) == 0
    [read] = orjson.loads(capsys.readouterr().out)["entries"]
    assert (read["entry"]["facts"], read["entry"]["count"]) == ({"act": "erase"}, 1)
