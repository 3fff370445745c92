"""`audit hold`: set, listed, released; ids and reasons are codes."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from gateway.cli.commands import run

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
