"""A circuit breaker as a pure state machine: when to stop asking a platform that is down, and when to try again.

It judges availability only. Each permit carries the epoch in which it was given, so that what ends late, after the
breaker has moved on, changes nothing.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    CLOSED = "closed"  # all may ask
    OPEN = "open"  # nobody may
    HALF_OPEN = "half_open"  # one probe is under way


class Breaker:
    """`failures_max` failures in a row open it; after `open_seconds` one probe decides. `now`: monotonic seconds."""

    def __init__(self, *, failures_max: int, open_seconds: float) -> None:
        self._failures_max = failures_max
        self._open_seconds = open_seconds
        self._state = State.CLOSED
        self._failures = 0
        self._open_until = 0.0
        self._epoch = 0

    @property
    def state(self) -> State:
        return self._state

    def holds_back(self, now: float) -> bool:
        """Whether `enter` would refuse."""
        return self._state is State.HALF_OPEN or (self._state is State.OPEN and now < self._open_until)

    def enter(self, now: float) -> int | None:
        """A permit for one try, or None. Every permit is given back by exactly one of the calls below."""
        if self.holds_back(now):
            return None
        if self._state is State.OPEN:
            self._move(State.HALF_OPEN)
        return self._epoch

    def succeeded(self, permit: int) -> None:
        """The platform is there."""
        if permit != self._epoch:
            return
        self._failures = 0
        if self._state is State.HALF_OPEN:
            self._move(State.CLOSED)

    def failed(self, permit: int, now: float) -> None:
        """The platform was not there."""
        if permit != self._epoch:
            return
        self._failures += 1
        if self._state is State.HALF_OPEN or self._failures >= self._failures_max:
            self._open_until = now + self._open_seconds
            self._move(State.OPEN)

    def abandoned(self, permit: int) -> None:
        """The try ended without showing either. A probe's place is free again at once."""
        if permit == self._epoch and self._state is State.HALF_OPEN:
            self._move(State.OPEN)

    def _move(self, state: State) -> None:
        self._state = state
        self._failures = 0
        self._epoch += 1
