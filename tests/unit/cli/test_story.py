"""How the demo tells: plain lines off a terminal, and a story that is good only when every check is."""

from __future__ import annotations

import pytest

from gateway.cli.story import Story


def told(*, good: bool) -> Story:
    story = Story()
    story.begin("First")
    story.asked("bank-a → https://localhost:1", "GET /x")
    story.tell("[bold]as it is[/bold]")
    story.check("200", True)
    story.begin("Second")
    story.check("404", good)
    story.end()
    return story


def test_a_good_story_is_told_in_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(good=True).ok
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "1. First" in out
    assert "GET /x   [bank-a → https://localhost:1]" in out
    assert "[bold]as it is[/bold]" in out
    assert "2 of 2 steps" in out


def test_one_failed_check_spoils_the_story(capsys: pytest.CaptureFixture[str]) -> None:
    story = told(good=False)
    assert not story.ok
    assert [step["ok"] for step in story.body()["steps"]] == [True, False]
    out = capsys.readouterr().out
    assert "FAILED 404" in out
    assert "1 of 2 steps" in out


def test_a_step_without_a_check_is_not_good() -> None:
    story = Story(quiet=True)
    assert not story.ok
    story.begin("Nothing happened")
    assert not story.ok


def test_a_quiet_story_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    story = Story(quiet=True)
    story.begin("First")
    story.check("200", True)
    story.end()
    assert capsys.readouterr().out == ""
    assert story.body()["ok"]
