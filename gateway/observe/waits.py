"""How long a request waited on others, so that the gateway's own time can be told apart.

The sum belongs to the request's context: tasks that it starts add to the same one.
"""

from __future__ import annotations

from contextvars import ContextVar


class Waits:
    """Seconds spent on others so far."""

    __slots__ = ("seconds",)

    def __init__(self) -> None:
        self.seconds = 0.0


_CURRENT: ContextVar[Waits | None] = ContextVar("waits", default=None)


def begin() -> Waits:
    """A new sum for the request that begins in this context."""
    waits = Waits()
    _CURRENT.set(waits)
    return waits


def add(seconds: float) -> None:
    """Add to the sum of the request behind this call; nothing when it is no request's, as in the worker."""
    waits = _CURRENT.get()
    if waits is not None:
        waits.seconds += seconds
