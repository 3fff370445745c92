"""`audit tail`: the newest entries, then what other processes append, until it is interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from gateway.cli.commands import run
from tests import samples
from tests.unit.cli.audit.conftest import Append


def test_the_newest_entries_come_last(config: Path, append: Append, capsys: pytest.CaptureFixture[str]) -> None:
    append([samples.record() for _ in range(5)])
    assert run(["audit", "tail", "type:verification.*", "--lines", "2", "--config", str(config)]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["3", "4"]


def test_what_is_appended_meanwhile_follows_until_an_interrupt(config: Path, append: Append) -> None:
    append([samples.record(outcome="MATCH"), samples.record(outcome="MISMATCH")])
    arguments = ["audit", "tail", "-outcome:MISMATCH", "--follow", "--lines", "3", "--jsonl", "--config", str(config)]
    with subprocess.Popen([sys.executable, "-m", "gateway", *arguments], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert orjson.loads(process.stdout.readline())["index"] == 0
        began = orjson.loads(process.stdout.readline())  # of this very act, appended before the line above was shown
        assert began["entry"]["facts"] == {"act": "tail", "query": "-outcome:MISMATCH", "lines": 3, "follow": 1}
        append([samples.record(outcome="MISMATCH"), samples.record(outcome="REVOKED")])
        assert orjson.loads(process.stdout.readline())["entry"]["outcome"] == "REVOKED"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == b""
        assert process.wait() == 0


def test_its_end_is_on_record_with_how_much_was_shown(config: Path, append: Append) -> None:
    append([samples.record()])
    arguments = [sys.executable, "-m", "gateway", "audit", "tail", "--follow", "--config", str(config)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(2):  # the record above, and its own
            process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    last = subprocess.run(
        [*arguments[:4], "tail", "--lines", "1", "--jsonl", "--config", str(config)], stdout=subprocess.PIPE, check=True
    )
    entry = orjson.loads(last.stdout)["entry"]
    assert entry["facts"] == {"act": "tail-end", "query": "", "size": 2}
    assert entry["count"] == 1
