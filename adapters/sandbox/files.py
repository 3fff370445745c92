"""How the sandbox writes its files: whole or not at all, secrets readable by their owner only, lines synced."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson


def write_public(file: Path, data: bytes) -> None:
    """Replace the file at once: a reader sees the old bytes or the new ones."""
    _replace(file, data, 0o644)


def write_secret(file: Path, data: bytes) -> None:
    _replace(file, data, 0o600)


def append_line(file: Path, line: bytes) -> None:
    """One more line, durable on return."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as stream:
        stream.write(line + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def read_lines(file: Path) -> list[bytes]:
    """The whole lines. A last line without its end was cut off by a crash before anyone relied on it: it is removed."""
    if not file.exists():
        return []
    data = file.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(file, whole)
    return data[:whole].split(b"\n")[:-1]


def read_json_lines(file: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in read_lines(file)]


def _replace(file: Path, data: bytes, mode: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)
