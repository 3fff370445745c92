"""Migrations run from the configuration alone, twice without harm, and their state is a fact with an exit code."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from gateway.cli.commands import run

EXAMPLES = Path(__file__).parents[3] / "config"


@pytest.fixture
def config(tmp_path: Path) -> str:
    for name in ("gateway.yaml", "participants.yaml"):
        (tmp_path / name).write_bytes((EXAMPLES / name).read_bytes())
    return str(tmp_path / "gateway.yaml")


def test_new_database_has_no_schema_and_current_says_so(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["db", "current", "--config", config]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["store", "none"], ["audit", "none"], ["index", "none"]]
    assert all("run `cdi-gateway db upgrade`" in line for line in lines)


def test_upgrade_brings_all_schemas_to_this_version(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["db", "upgrade", "--config", config, "--json"]) == 0
    versions = orjson.loads(capsys.readouterr().out)
    assert set(versions) == {"store", "audit", "index"}
    assert run(["db", "upgrade", "--config", config]) == 0
    capsys.readouterr()
    assert run(["db", "current", "--config", config, "--json"]) == 0
    found = orjson.loads(capsys.readouterr().out)
    assert found == {schema: {"current": version, "needed": version} for schema, version in versions.items()}
    assert (Path(config).parent / "data" / "audit.db").is_file()


def test_database_that_cannot_be_used_is_one_line(
    tmp_path: Path, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "gateway.db").write_bytes(b"no database " * 100)
    assert run(["db", "upgrade", "--config", config]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("cdi-gateway: the store database cannot be used")


def test_wrong_configuration_is_refused_before_any_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["db", "upgrade", "--config", str(tmp_path / "absent.yaml")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
