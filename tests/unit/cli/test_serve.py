"""The gateway does not start on a configuration with mistakes, and says all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli.commands import run

EXAMPLE = Path(__file__).parents[3] / "config" / "gateway.yaml"


def test_configuration_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve"]) == 2
    assert capsys.readouterr().err == "cdi-gateway: Missing option '--config' / '-c'. See: cdi-gateway serve --help\n"


def test_configuration_with_mistakes_is_refused_with_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--config", str(EXAMPLE)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert f"cdi-gateway: {EXAMPLE}: bank.key_file: no such file, or not readable" in lines
    assert f"cdi-gateway: {EXAMPLE}: platforms.0.jwks_file: no such file, or not readable" in lines
