from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from adapters.tiles.directory import TileDirectory
from gateway.cli.commands import run
from tests.fakes_trail import files_of
from tests.published_cli import publish, write_log_key


def test_another_folder_gets_the_same_bytes_beside_a_running_gateway(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_log_key(config)
    folder = publish(config, 300)
    gateway = TileDirectory(folder)
    assert gateway.lock()
    assert run(["audit", "rebuild", "--config", str(config), "--out", str(tmp_path / "copy"), "--json"]) == 0
    assert orjson.loads(capsys.readouterr().out) == {
        "size": 300,
        "dir": str(tmp_path / "copy"),
        "checkpoint": True,
    }
    assert files_of(tmp_path / "copy") == files_of(folder)
    gateway.unlock()
    assert run(["audit", "rebuild", "--config", str(config), "--out", str(tmp_path / "copy")]) == 2
    assert "holds a published log already" in capsys.readouterr().err


def test_the_published_folder_is_repaired_when_no_gateway_runs(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_log_key(config)
    folder = publish(config, 300)
    before = files_of(folder)
    (folder / "tile/0/000").write_bytes(b"")
    gateway = TileDirectory(folder)
    gateway.lock()
    assert run(["audit", "rebuild", "--config", str(config)]) == 1
    assert "stop it first" in capsys.readouterr().err
    gateway.unlock()
    assert run(["audit", "rebuild", "--config", str(config)]) == 0
    assert capsys.readouterr().out == f"{folder}: files of 300 entries\n"
    assert files_of(folder) == before


def test_a_log_of_another_history_is_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_log_key(config)
    folder = publish(config, 5)
    before = files_of(folder)
    (folder.parent / "audit.db").rename(folder.parent / "lost.db")
    assert run(["db", "upgrade", "--config", str(config)]) == 0
    capsys.readouterr()
    assert run(["audit", "rebuild", "--config", str(config)]) == 1
    assert "0 entries, but 5 were signed" in capsys.readouterr().err
    assert files_of(folder) == before
