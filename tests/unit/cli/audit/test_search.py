"""`audit search` beside a log in use: what it finds, how it pages, what it leaves on record, and what it never says."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from gateway.app.desk import user_name
from gateway.audit.record import Actor
from gateway.cli.commands import run
from tests import samples
from tests.unit.cli.audit.conftest import Append, settings_of

OWNER = "owner-with-a-name"


def found(out: str) -> list[int]:
    return [entry["index"] for entry in orjson.loads(out)["entries"]]


def test_negated_terms_stand_beside_options(config: Path, append: Append, capsys: pytest.CaptureFixture[str]) -> None:
    append([samples.record(outcome=outcome) for outcome in ("MATCH", "MISMATCH", "MATCH", "REVOKED")])
    words = ["-outcome:match", "type:verification.*", "-client:house"]
    assert run(["audit", "search", *words, "--config", str(config), "--json"]) == 0
    assert found(capsys.readouterr().out) == [3, 1]


def test_pages_follow_each_other_in_both_orders(
    config: Path, append: Append, capsys: pytest.CaptureFixture[str]
) -> None:
    append([samples.record() for _ in range(5)])
    search = ["audit", "search", "type:verification.intended", "--config", str(config), "--limit", "2", "--json"]
    for order, pages in (([], [[4, 3], [2, 1], [0]]), (["--oldest-first"], [[0, 1], [2, 3], [4]])):
        after: list[str] = []
        for page in pages:
            assert run([*search, *order, *after]) == 0
            out = capsys.readouterr().out
            assert found(out) == page
            after = ["--after", str(orjson.loads(out)["next"])]
        assert orjson.loads(out)["next"] is None


def test_a_line_for_people_has_its_time_in_their_zone_and_says_how_to_go_on(
    config: Path, append: Append, capsys: pytest.CaptureFixture[str]
) -> None:
    append([samples.record(outcome=None, reason="TIMEOUT"), samples.record()])
    assert run(["audit", "search", "--config", str(config), "--limit", "1", "--tz", "Asia/Hong_Kong"]) == 0
    heading, line, more = capsys.readouterr().out.splitlines()
    assert heading.split() == ["index", "time", "type", "actor", "request", "outcome"]
    assert "2027-01-15T16:00:00.123456+08:00" in line
    assert line.split()[0] == "1"
    assert line.endswith("MATCH")
    assert more == "more: the same with --after 1"


def test_lines_of_json_are_the_entries_and_nothing_else(
    config: Path, append: Append, capsys: pytest.CaptureFixture[str]
) -> None:
    append([samples.record() for _ in range(3)])
    assert run(["audit", "search", "--config", str(config), "--limit", "2", "--jsonl"]) == 0
    captured = capsys.readouterr()
    entries = [orjson.loads(line) for line in captured.out.splitlines()]
    assert [entry["index"] for entry in entries] == [2, 1]
    assert entries[0]["entry"]["document"]["digest"] == "d" * 64
    assert "--after 1" in captured.err


def test_a_search_is_on_record_with_who_and_what_for(
    config: Path, append: Append, capsys: pytest.CaptureFixture[str]
) -> None:
    append([samples.record()])
    assert run(["audit", "search", "type:audit.read", "--config", str(config), "--json"]) == 0
    assert found(capsys.readouterr().out) == []  # its own record comes after what it looked at
    assert run(["audit", "search", f"client:{user_name()}", "--config", str(config), "--json"]) == 0
    [entry] = orjson.loads(capsys.readouterr().out)["entries"]
    assert entry["entry"]["type"] == "audit.read"
    assert entry["entry"]["actor"]["participant"] == settings_of(config).deployment.participant_id
    assert entry["entry"]["facts"] == {"act": "search", "query": "type:audit.read", "limit": 50, "order": "newest"}
    assert entry["entry"]["count"] == 0


def test_an_owner_is_asked_for_and_found_by_pseudonym(
    config: Path, append: Append, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(text: str) -> str:
        asked.append(text)
        return OWNER

    monkeypatch.setattr("getpass.getpass", answer)
    assert run(["audit", "search", "subject:?", "--config", str(config), "--json"]) == 0
    pseudonym = orjson.loads(capsys.readouterr().out)["query"].removeprefix("subject:")
    append([samples.record(consent=samples.consent(subject=pseudonym)), samples.record()])
    assert run(["audit", "search", "subject:?", "type:verification.*", "--config", str(config), "--json"]) == 0
    assert found(capsys.readouterr().out) == [1]
    assert len(asked) == 2


def test_neither_owner_nor_digest_of_a_query_is_kept_anywhere(
    config: Path, append: Append, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = "0123456789abcdef" * 4
    words = [f"subject:{OWNER}", f"-digest:sm3:{digest}", f"digest:{digest}"]
    assert run(["audit", "search", *words, "--config", str(config)]) == 0
    captured = capsys.readouterr()
    settings = settings_of(config)
    kept = b"".join(
        file.read_bytes()
        for url in (settings.audit.url, settings.audit.index_url)
        for file in Path(url.removeprefix("sqlite:///")).parent.glob("*")
    )
    assert b"audit.read" in kept
    for secret in (OWNER, digest, digest[:32]):
        assert secret not in captured.out + captured.err
        assert secret.encode() not in kept
        assert bytes.fromhex(digest) not in kept


def test_a_wrong_query_is_one_line_that_names_the_place_and_what_is_allowed(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "search", "type:x.y", "owner:secret", "--config", str(config)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "at character 10" in line
    assert "subject:" in line
    assert "secret" not in line
    assert run(["audit", "search", "--tz", "Mars/Olympus", "--config", str(config)]) == 2
    assert run(["audit", "search", "--json", "--jsonl", "--config", str(config)]) == 2


def test_nothing_is_shown_when_it_cannot_be_recorded(
    config: Path, append: Append, capsys: pytest.CaptureFixture[str]
) -> None:
    append([samples.record(actor=replace(Actor(participant="BANKA01DC", role="bank"), client="visible"))])
    file = settings_of(config).audit.url.removeprefix("sqlite:///")
    with sqlite3.connect(file) as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON entries BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
    assert run(["audit", "search", "--config", str(config)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "AUDIT_UNAVAILABLE" in captured.err


def test_an_index_without_schema_says_what_to_do(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path(settings_of(config).audit.index_url.removeprefix("sqlite:///")).unlink()
    assert run(["audit", "search", "--config", str(config)]) == 2
    assert "cdi-gateway db upgrade" in capsys.readouterr().err
