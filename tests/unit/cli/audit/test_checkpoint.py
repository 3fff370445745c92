from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from gateway.cli.commands import run
from tests.published_cli import publish, write_log_key


def test_the_vkey_is_known_before_the_first_start(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vkey = write_log_key(config)
    assert run(["audit", "checkpoint", "--config", str(config)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"vkey {vkey}",
        "no checkpoint is published yet: the gateway does that when it runs",
    ]


def test_the_newest_checkpoint_is_printed_as_it_is(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vkey = write_log_key(config)
    folder = publish(config, 3)
    text = (folder / "checkpoint").read_text()
    assert run(["audit", "checkpoint", "--config", str(config)]) == 0
    assert capsys.readouterr().out == f"vkey {vkey}\n\n{text}"
    assert run(["audit", "checkpoint", "--config", str(config), "--json"]) == 0
    found = orjson.loads(capsys.readouterr().out)
    assert (found["vkeys"], found["size"], found["checkpoint"]) == ([vkey], 3, text)
    assert [line["name"] for line in found["signatures"]] == [found["origin"]]


def test_a_checkpoint_that_does_not_verify_is_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_log_key(config)
    folder = publish(config, 3)
    (folder / "checkpoint").write_text((folder / "checkpoint").read_text().replace("\n3\n", "\n4\n"))
    for arguments in ([], ["--json"]):
        assert run(["audit", "checkpoint", "--config", str(config), *arguments]) == 2
        assert "does not verify" in capsys.readouterr().err


def test_a_missing_key_file_is_named(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "checkpoint", "--config", str(config)]) == 2
    assert "audit-log.pem: cannot be read" in capsys.readouterr().err
