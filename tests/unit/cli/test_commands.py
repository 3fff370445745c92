"""Every refusal is a line on standard error that says what to do, with its documented exit code; no traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from gateway.cli.commands import run
from gateway.cli.terminal import Refused
from gateway.errors import AuditUnavailable
from gateway.settings import SettingsError


def raising(error: BaseException) -> typer.Typer:
    application = typer.Typer()

    @application.command()
    def fail() -> None:
        raise error

    return application


def test_help_teaches_every_command_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    for word in ("serve", "config", "digest", "db", "sandbox", "demo", "Start here", "Exit codes"):
        assert word in text


@pytest.mark.parametrize("arguments", [["config", "-h"], ["config", "check", "--help"], ["db", "upgrade", "-h"]])
def test_every_command_has_its_own_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    assert f"Usage: cdi-gateway {' '.join(arguments[:-1])}" in capsys.readouterr().out


def test_no_command_is_wrong_usage_and_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert "Usage: cdi-gateway" in capsys.readouterr().out


def test_version_is_the_distribution_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("cdi-gateway 0.")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["frobnicate"], "No such command 'frobnicate'. See: cdi-gateway --help"),
        (["config", "check", "--bogus"], "No such option: --bogus. See: cdi-gateway config check --help"),
        (["digest"], "Missing argument 'FILE…'. See: cdi-gateway digest --help"),
        (["db"], "Missing command. See: cdi-gateway db --help"),
    ],
)
def test_wrong_usage_is_one_line_with_the_way_to_help(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert capsys.readouterr().err == f"cdi-gateway: {line}\n"


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (Refused("do this", "and that"), 2, ["do this", "and that"]),
        (Refused("the check failed", code=1), 1, ["the check failed"]),
        (SettingsError(Path("g.yaml"), [("bank.port", "is wrong"), ("", "is bad")]), 2, None),
        (AuditUnavailable(private="canary"), 1, ["AUDIT_UNAVAILABLE: The audit log cannot be written"]),
        (PermissionError(13, "Permission denied", "data"), 1, ["stopped: data: Permission denied"]),
        (ModuleNotFoundError("canary", name="fpdf"), 2, None),
        (typer.Abort(), 1, ["stopped: interrupted"]),
        (typer.Exit(1), 1, []),
        (KeyboardInterrupt(), 130, []),
    ],
)
def test_refusal_is_lines_and_an_exit_code(
    error: BaseException, code: int, lines: list[str] | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([], raising(error)) == code
    said = capsys.readouterr().err.splitlines()
    if lines is not None:
        assert [line.removeprefix("cdi-gateway: ") for line in said] == lines
    assert "canary" not in "".join(said)


def test_settings_mistakes_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    run([], raising(SettingsError(Path("g.yaml"), [("bank.port", "is wrong"), ("", "is bad")])))
    assert capsys.readouterr().err == "cdi-gateway: g.yaml: bank.port: is wrong\ncdi-gateway: g.yaml: is bad\n"


def test_programmer_s_error_shows_its_place_and_no_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([], raising(ValueError("canary"))) == 1
    line = capsys.readouterr().err
    assert line.startswith("cdi-gateway: internal error ValueError at test_commands.py:")
    assert "canary" not in line


def test_command_returns_its_exit_code() -> None:
    application = typer.Typer()

    @application.command()
    def negative() -> int:
        return 1

    assert run([], application) == 1


def test_module_is_the_same_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "--version"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("cdi-gateway 0.")
    assert done.stderr == ""
