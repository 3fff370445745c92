"""What is remembered expires, is bounded, and can be taken once."""

from __future__ import annotations

from adapters.sandbox.bounded import Bounded


def test_it_is_found_until_its_time_is_over() -> None:
    kept = Bounded[str](10, lifetime_seconds=60)
    name = kept.add("value", now=100)
    assert len(name) == 43
    assert (kept.get(name, now=159), kept.get(name, now=160)) == ("value", None)


def test_it_is_taken_once() -> None:
    kept = Bounded[str](10, lifetime_seconds=60)
    name = kept.add("value", now=100)
    assert (kept.take(name, now=100), kept.take(name, now=100), kept.get(name, now=100)) == ("value", None, None)
    assert kept.take(kept.add("late", now=100), now=160) is None


def test_the_oldest_goes_when_there_are_too_many_and_the_expired_before_it() -> None:
    kept = Bounded[int](3, lifetime_seconds=60)
    names = [kept.add(number, now=100 + number) for number in range(5)]
    assert [kept.get(name, now=105) for name in names] == [None, None, 2, 3, 4]
    kept.add(5, now=200)
    assert len(kept) == 1


def test_what_is_put_again_lives_from_then_on() -> None:
    kept = Bounded[int](2, lifetime_seconds=60)
    kept.put("a", 1, now=100)
    kept.put("b", 1, now=110)
    kept.put("a", 2, now=120)
    kept.put("c", 1, now=130)
    assert [kept.get(name, now=130) for name in "abc"] == [2, None, 1]
