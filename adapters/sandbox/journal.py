"""What the platform was asked, by its own record: in memory for `GET /journal`, and in a file that outlives restarts.

Tests look here for what must never arrive (identities, document bytes) and for questions that came twice.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import orjson

from adapters.sandbox.files import read_lines

ENTRIES_MAX = 10_000  # in memory; the file has them all


class Journal:
    """Entries are numbered from 1, also across restarts. A line is handed to the system at once and not synced:
    it survives the end of the process, and a question costs no disk wait."""

    def __init__(self, file: Path) -> None:
        lines = read_lines(file)
        self._entries: deque[dict[str, Any]] = deque(
            (orjson.loads(line) for line in lines[-ENTRIES_MAX:]), maxlen=ENTRIES_MAX
        )
        self.sequence = len(lines)
        file.parent.mkdir(parents=True, exist_ok=True)
        self._stream = file.open("ab", buffering=0)

    def add(self, entry: dict[str, Any]) -> None:
        self.sequence += 1
        entry = {"sequence": self.sequence, **entry}
        self._entries.append(entry)
        self._stream.write(orjson.dumps(entry) + b"\n")

    def after(self, sequence: int, *, limit: int) -> list[dict[str, Any]]:
        """Entries behind this sequence number, oldest first."""
        behind = [entry for entry in self._entries if entry["sequence"] > sequence]
        return behind[:limit]

    def close(self) -> None:
        self._stream.close()
