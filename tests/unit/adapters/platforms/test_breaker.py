"""The breaker's dialogue: failures, openness, one probe, and answers that come too late."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adapters.platforms.breaker import Breaker, State


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker(failures_max=2, open_seconds=10)
    for _ in range(2):
        fail(breaker, now)
    return breaker


def fail(breaker: Breaker, now: float) -> None:
    permit = breaker.enter(now)
    assert permit is not None
    breaker.failed(permit, now)


def succeed(breaker: Breaker, now: float) -> None:
    permit = breaker.enter(now)
    assert permit is not None
    breaker.succeeded(permit)


def test_failures_in_a_row_open_it() -> None:
    breaker = Breaker(failures_max=2, open_seconds=10)
    fail(breaker, 0)
    assert not breaker.holds_back(0)
    fail(breaker, 0)
    assert breaker.state is State.OPEN
    assert breaker.enter(9.9) is None


def test_a_success_in_between_starts_the_count_again() -> None:
    breaker = Breaker(failures_max=2, open_seconds=10)
    for _ in range(5):
        fail(breaker, 0)
        succeed(breaker, 0)
    assert breaker.state is State.CLOSED


def test_after_the_pause_one_probe_goes_through() -> None:
    breaker = opened()
    assert not breaker.holds_back(10)
    assert breaker.enter(10) is not None
    assert breaker.state is State.HALF_OPEN
    assert breaker.enter(10) is None
    assert breaker.holds_back(1_000)


def test_a_good_probe_closes_it() -> None:
    breaker = opened()
    succeed(breaker, 10)
    assert breaker.state is State.CLOSED
    fail(breaker, 10)
    assert breaker.state is State.CLOSED  # the count began anew


def test_a_bad_probe_opens_it_for_another_pause() -> None:
    breaker = opened()
    fail(breaker, 10)
    assert breaker.enter(19.9) is None
    assert breaker.enter(20) is not None


def test_an_abandoned_probe_makes_place_for_the_next() -> None:
    breaker = opened()
    permit = breaker.enter(10)
    assert permit is not None
    breaker.abandoned(permit)
    succeed(breaker, 10)
    assert breaker.state is State.CLOSED


def test_what_ends_late_changes_nothing() -> None:
    breaker = Breaker(failures_max=2, open_seconds=10)
    early, late = breaker.enter(0), breaker.enter(0)
    assert early is not None
    assert late is not None
    fail(breaker, 0)
    fail(breaker, 0)
    breaker.succeeded(early)
    assert breaker.state is State.OPEN
    probe = breaker.enter(10)
    assert probe is not None
    breaker.failed(late, 10)
    breaker.abandoned(late)
    assert breaker.state is State.HALF_OPEN
    breaker.succeeded(probe)
    assert breaker.state is State.CLOSED


@given(st.lists(st.tuples(st.sampled_from(["succeeded", "failed", "abandoned"]), st.floats(0, 20))))
def test_it_never_holds_back_for_ever(events: list[tuple[str, float]]) -> None:
    breaker, now = Breaker(failures_max=3, open_seconds=10), 0.0
    for event, pause in events:
        now += pause
        permit = breaker.enter(now)
        if permit is None:
            assert breaker.state is State.OPEN
        elif event == "failed":
            breaker.failed(permit, now)
        else:
            getattr(breaker, event)(permit)
    assert breaker.enter(now + 10) is not None
