"""When to ask again."""

from __future__ import annotations

from gateway.exchange.pace import Pace

PACE = Pace(deadline=600, retry_first=2, retry_max=60, lease=30)


def test_pauses_double_up_to_the_longest_within_a_fifth() -> None:
    for attempts, nominal in ((0, 2), (1, 4), (2, 8), (4, 32), (5, 60), (10_000, 60)):
        for _ in range(50):
            assert nominal * 0.8 <= PACE.pause(attempts) <= nominal * 1.2


def test_pauses_are_spread() -> None:
    assert len({PACE.pause(3) for _ in range(50)}) > 10


def test_a_question_leaves_time_in_its_lease_to_save_the_answer() -> None:
    assert PACE.question == 20
