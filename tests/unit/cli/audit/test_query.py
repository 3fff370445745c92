"""How a command takes a query."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated
from zoneinfo import ZoneInfo

import pytest
import typer

from gateway.cli.audit.query import LANGUAGE, QueryCommand, Words, zone_of
from gateway.cli.commands import run
from gateway.cli.terminal import Refused

taken: list[tuple[list[str], str | None]] = []
app = typer.Typer()


@app.callback()
def group() -> None: ...


@app.command(cls=QueryCommand)
def find(query: Words = None, config: Annotated[str | None, typer.Option("--config", "-c")] = None) -> int:
    taken.append((query or [], config))
    return 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-outcome:MATCH", "-c", "f"], (["-outcome:MATCH"], "f")),
        (["type:a.b", "-client:house", "--config", "f"], (["type:a.b", "-client:house"], "f")),
        (["-c", "f", "--", "-actor:BANKA01DC", "type:a.b"], (["type:a.b", "-actor:BANKA01DC"], "f")),
        (["type:a.b -outcome:MATCH"], (["type:a.b -outcome:MATCH"], None)),
        (["-cf"], ([], "f")),
        ([], ([], None)),
    ],
)
def test_a_negated_term_is_no_option(arguments: list[str], expected: tuple[list[str], str | None]) -> None:
    taken.clear()
    assert run(["find", *arguments], app) == 0
    assert taken == [expected]


def test_an_unknown_option_is_still_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["find", "--outcome", "MATCH"], app) == 2
    assert "--help" in capsys.readouterr().err


def test_a_zone_is_known_by_its_name() -> None:
    assert zone_of("UTC") is UTC
    assert zone_of("Asia/Hong_Kong") == ZoneInfo("Asia/Hong_Kong")


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "", "/etc/localtime", "a\0b"])
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="--tz"):
        zone_of(name)


def test_the_help_names_every_qualifier() -> None:
    assert all(f"`{name}:`" in LANGUAGE for name in ("actor", "subject", "digest", "type", "from", "to", "index"))
