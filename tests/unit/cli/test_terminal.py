"""Facts go to standard output as they are, errors to standard error in one line."""

from __future__ import annotations

import orjson
import pytest
from rich.table import Table

from gateway.cli.terminal import complain, say, say_json, show


def test_text_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    line = "[bold]no markup[/bold] " + "x" * 300
    say(line)
    assert capsys.readouterr().out == f"{line}\n"


def test_json_is_one_document_with_its_characters(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"name": "數據", "list": [1, None]})
    text = capsys.readouterr().out
    assert orjson.loads(text) == {"name": "數據", "list": [1, None]}
    assert "數據" in text


def test_error_is_one_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    complain("two\nlines [red]here[/red] " + "x" * 300)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "cdi-gateway: two lines [red]here[/red] " + "x" * 300 + "\n"


def test_table_is_plain_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("name", box=None)
    table.add_row("bank")
    show(table)
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == ["name", "bank"]
