"""The break-glass at the command line: refused while there is a better way, then a new name, a record and a new key."""

from __future__ import annotations

import io
from pathlib import Path

import orjson
import pytest
import yaml

from gateway.cli.commands import run
from gateway.compliance import approval
from tests.published_cli import publish, settings_of, write_log_key
from tests.two_people import approved, for_two_people


@pytest.fixture
def old(config: Path) -> Path:
    """The checkpoint of a log whose database is lost, but for an old backup of it."""
    write_log_key(config)
    database = Path(settings_of(config).audit.url.removeprefix("sqlite:///"))
    publish(config, 3)
    backup = database.read_bytes()
    folder = publish(config, 4)
    for file in database.parent.glob(f"{database.name}*"):
        file.unlink()
    database.write_bytes(backup)
    return folder / "checkpoint"


def rename(config: Path, origin: str, folder: str) -> None:
    document = yaml.safe_load(config.read_bytes())
    document["audit"]["origin"] = origin
    document["audit"]["publish"] = {"dir": folder}
    config.write_text(yaml.safe_dump(document))


def recover(config: Path, old: Path, *more: str) -> int:
    return run(["audit", "recover", "--config", str(config), "--from", str(old), "--yes", *more])


def test_the_log_goes_on_under_its_new_name(config: Path, old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rename(config, "test.example/audit-2", "data/log-2")
    assert recover(config, old, "--json") == 0
    facts = orjson.loads(capsys.readouterr().out)
    assert (facts["origin"], facts["kept"], facts["signed"]) == ("test.example/audit-2", 3, 7)
    folder = publish(config)
    assert folder != old.parent
    assert run(["audit", "checkpoint", "--config", str(config), "--json"]) == 0
    found = orjson.loads(capsys.readouterr().out)
    assert (found["size"], found["vkeys"]) == (4, [facts["vkey"]])
    assert run(["audit", "show", "3", "--config", str(config), "--json"]) == 0
    [shown] = orjson.loads(capsys.readouterr().out)
    assert shown["entry"]["type"] == "audit.recovered"
    assert shown["entry"]["facts"]["size"] == 7
    # Once is enough.
    assert recover(config, old) == 2
    assert "holds a published log" in capsys.readouterr().err


def test_the_old_name_is_not_used_again(config: Path, old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert recover(config, old) == 2
    assert "needs a new name first" in capsys.readouterr().err


def test_a_new_name_needs_a_new_folder(config: Path, old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rename(config, "test.example/audit-2", "data/log")
    assert recover(config, old) == 2
    assert "a new folder" in capsys.readouterr().err


def test_a_log_that_lost_nothing_is_not_recovered(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_log_key(config)
    folder = publish(config, 3)
    rename(config, "test.example/audit-2", "data/log-2")
    assert recover(config, folder / "checkpoint") == 1
    assert "nothing to recover from" in capsys.readouterr().err


def test_a_checkpoint_that_nobody_signed_is_refused(
    config: Path, old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rename(config, "test.example/audit-2", "data/log-2")
    old.write_text(old.read_text().replace("\n7\n", "\n9\n"))
    assert recover(config, old) == 2
    assert "give the old log's verifier key" in capsys.readouterr().err


def test_a_key_that_was_replaced_is_given(config: Path, old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vkey = write_log_key(config, 1)
    rename(config, "test.example/audit-2", "data/log-2")
    write_log_key(config, 2)
    assert recover(config, old) == 2
    capsys.readouterr()
    assert recover(config, old, "--key", vkey) == 0


def test_nothing_happens_without_a_yes(
    config: Path, old: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rename(config, "test.example/audit-2", "data/log-2")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert run(["audit", "recover", "--config", str(config), "--from", str(old)]) == 1
    assert "interrupted" in capsys.readouterr().err
    assert recover(config, old) == 0  # it still has its old name


@pytest.fixture
def for_two(config: Path, old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A request for the recovery, which takes two people."""
    rename(config, "test.example/audit-2", "data/log-2")
    for_two_people(config, "recover")
    request = tmp_path / "request.json"
    assert recover(config, old, "--request-out", str(request)) == 2
    assert "a second person must approve this" in capsys.readouterr().err
    return request


def test_two_people_recover_what_was_approved(
    config: Path, old: Path, for_two: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = approval.parse_request(for_two.read_bytes())
    assert asked.action == "recover"
    assert (asked.what["kept"], asked.what["size"], asked.what["newOrigin"]) == (3, 7, "test.example/audit-2")
    assert recover(config, old, "--approval", str(approved(for_two))) == 0
    capsys.readouterr()
    assert run(["audit", "show", "3", "--config", str(config), "--json"]) == 0
    [shown] = orjson.loads(capsys.readouterr().out)
    assert shown["entry"]["facts"] == {**asked.what, "approver": "officer-2", "approval": asked.nonce}


def test_an_approval_is_for_one_new_name(
    config: Path, old: Path, for_two: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--approval", str(approved(for_two)))
    rename(config, "test.example/audit-3", "data/log-3")
    assert recover(config, old, *given) == 2
    assert "the approval is for something else" in capsys.readouterr().err
    rename(config, "test.example/audit-2", "data/log-2")
    assert recover(config, old, *given) == 0  # it still has its old name, and the approval is not used up


def test_an_approval_of_another_act_is_refused(
    config: Path, old: Path, for_two: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = approval.parse_request(for_two.read_bytes())
    other = approval.request("prune", asked.what, asked.requester, asked.time)
    for_two.write_bytes(orjson.dumps(other.document()))
    assert recover(config, old, "--approval", str(approved(for_two))) == 2
    assert "the approval is for another action" in capsys.readouterr().err
