"""`audit show`: an entry opened, erased, pruned, doubled or absent, each said in words."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest

from gateway.app.desk import open_desk
from gateway.cli.commands import run
from tests import samples
from tests.unit.cli.audit.conftest import Append

RECORD = "01900000-0000-7000-8000-000000000001"


def test_private_fields_are_opened(config: Path, append: Append, capsys: pytest.CaptureFixture[str]) -> None:
    append([samples.record()])
    assert run(["audit", "show", "0", "--config", str(config)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("entry 0 of ")
    assert "every field is shown" in out
    assert '"digest": "' + "d" * 64 in out


def test_a_record_is_found_by_its_id_also_where_a_crash_doubled_it(
    config: Path, append: Append, capsys: pytest.CaptureFixture[str]
) -> None:
    append([samples.record(record_id=RECORD), samples.record(), samples.record(record_id=RECORD)])
    assert run(["audit", "show", RECORD.upper(), "--config", str(config), "--json"]) == 0
    entries = orjson.loads(capsys.readouterr().out)
    assert [entry["index"] for entry in entries] == [0, 2]
    assert {entry["entry"]["id"] for entry in entries} == {RECORD}


def test_an_erased_owner_is_said_in_words(config: Path, append: Append, capsys: pytest.CaptureFixture[str]) -> None:
    erased, other = (samples.consent(subject=letter * 64) for letter in "ab")
    append([samples.record(consent=erased), samples.record(consent=other)])
    asyncio.run(_erase(config, erased.subject))
    assert run(["audit", "show", "0", "--config", str(config)]) == 0
    out = capsys.readouterr().out
    assert "erased: the data owner's key was destroyed" in out
    assert "d" * 64 not in out
    assert run(["audit", "show", "1", "--config", str(config), "--json"]) == 0
    [entry] = orjson.loads(capsys.readouterr().out)
    assert entry["condition"] == "open"


async def _erase(config: Path, subject: str) -> None:
    async with open_desk(config) as desk:
        record = desk.operator.record(desk.clock.now(), "audit.erased", subject=subject)
        assert await desk.audit.erase(subject, record)


def test_who_looked_at_an_entry_is_on_record_under_its_subject(
    config: Path, append: Append, capsys: pytest.CaptureFixture[str]
) -> None:
    subject = "a" * 64
    append([samples.record(consent=samples.consent(subject=subject))])
    assert run(["audit", "show", "0", "--config", str(config)]) == 0
    capsys.readouterr()
    assert run(["audit", "search", f"subject:{subject}", "type:audit.read", "--config", str(config), "--json"]) == 0
    [entry] = orjson.loads(capsys.readouterr().out)["entries"]
    assert entry["entry"]["facts"] == {"act": "show", "index": 0}


@pytest.mark.parametrize("which", ["7", RECORD])
def test_what_is_not_there_is_a_negative_outcome(config: Path, which: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "show", which, "--config", str(config)]) == 1
    assert "no such entry" in capsys.readouterr().err


@pytest.mark.parametrize("which", ["-1", "one", "9" * 20, "٣", "12-34"])
def test_what_is_no_entry_is_wrong_usage(config: Path, which: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "show", "--config", str(config), "--", which]) == 2
    assert capsys.readouterr().err


def test_a_number_beyond_any_log_is_wrong_usage(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "show", str(2**53), "--config", str(config)]) == 2
    assert "give an index" in capsys.readouterr().err
