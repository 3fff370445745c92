"""One data owner on a command line: an id becomes a pseudonym, a pseudonym stays, and `?` asks."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from gateway.app.desk import open_desk
from gateway.cli.audit.subject import pseudonym_of
from gateway.cli.terminal import Refused


def found(config: Path, subject: str) -> tuple[str, str]:
    """What is understood, and the pseudonym of the same text as an id."""

    async def ask() -> tuple[str, str]:
        async with open_desk(config) as desk:
            return pseudonym_of(subject, desk), desk.keyed("subject", subject)

    return asyncio.run(ask())


@pytest.mark.parametrize("owner", ["owner-7", "陳大文 (2)", 'a"b\\c', "from:-7d", "-x"])
def test_an_id_becomes_its_pseudonym(config: Path, owner: str) -> None:
    understood, pseudonym = found(config, owner)
    assert understood == pseudonym


def test_a_pseudonym_stays(config: Path) -> None:
    assert found(config, "A" * 64)[0] == "a" * 64


def test_a_question_mark_asks(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getpass", lambda _text: "owner-7")
    assert found(config, "?")[0] == found(config, "owner-7")[0]


@pytest.mark.parametrize("arguments", [("search", "subject:?"), ("erase", "--subject", "?", "--reason", "CASE-1")])
def test_without_a_terminal_nothing_is_asked(config: Path, arguments: tuple[str, ...]) -> None:
    # In a session of its own there is no terminal, whoever runs this.
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "audit", *arguments, "--config", str(config)],
        cwd=Path(__file__).parents[4],
        input="owner-7\n",
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "there is no terminal to ask for the data owner's id" in line
    assert "owner-7" not in done.stdout


def test_a_question_that_is_broken_off_ends_the_command(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken_off(_text: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", broken_off)
    with pytest.raises(typer.Abort):
        found(config, "?")


@pytest.mark.parametrize("owner", ["", "a\nb", "x" * 257])
def test_what_is_no_owner_is_refused_without_being_repeated(config: Path, owner: str) -> None:
    with pytest.raises(Refused) as refused:
        found(config, owner)
    assert refused.value.lines == ("--subject takes a data owner's id, a pseudonym of 64 hex digits, or ?",)
