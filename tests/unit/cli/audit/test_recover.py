"""The break-glass at the command line: refused while there is a better way, then a new name, a record and a new key."""

from __future__ import annotations

import io
from pathlib import Path

import orjson
import pytest
import yaml

from gateway.cli.commands import run
from tests.published_cli import publish, settings_of, write_log_key


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
