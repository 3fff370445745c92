"""The journal outlives restarts, and is bounded in memory only."""

from __future__ import annotations

from pathlib import Path

from adapters.sandbox.journal import ENTRIES_MAX, Journal


def test_numbering_goes_on_after_a_restart(tmp_path: Path) -> None:
    first = Journal(tmp_path / "journal.jsonl")
    first.add({"messageId": "a"})
    again = Journal(tmp_path / "journal.jsonl")  # the first one was killed: it never closed
    again.add({"messageId": "b"})
    assert [(entry["sequence"], entry["messageId"]) for entry in again.after(0, limit=10)] == [(1, "a"), (2, "b")]
    first.close()
    again.close()


def test_a_reader_continues_behind_what_it_saw(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    for number in range(5):
        journal.add({"n": number})
    assert [entry["n"] for entry in journal.after(2, limit=2)] == [2, 3]
    assert journal.after(5, limit=2) == []
    journal.close()


def test_memory_is_bounded_and_the_file_has_all(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    for number in range(ENTRIES_MAX + 5):
        journal.add({"n": number})
    journal.close()
    assert journal.after(0, limit=1)[0]["sequence"] == 6
    assert len((tmp_path / "journal.jsonl").read_bytes().splitlines()) == ENTRIES_MAX + 5
