"""New time-ordered ids. Their random part is drawn from the system in bulk.

Each call of `os.urandom` hands Python's lock to another thread and waits to have it back, which costs more than what
it brings. Ids are unique, not secret.
"""

from __future__ import annotations

import os

from gateway.core.ids import uuid7

_PART_BYTES, _PARTS = 10, 256
_parts: list[bytes] = []


def new_id(now: float) -> str:
    """A UUIDv7 for `now` (Unix seconds). From any thread: a part is popped once, by whom ever."""
    try:
        part = _parts.pop()
    except IndexError:
        block = os.urandom(_PART_BYTES * _PARTS)
        part, *rest = (block[start : start + _PART_BYTES] for start in range(0, len(block), _PART_BYTES))
        _parts.extend(rest)
    return uuid7(now, part)
