from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.retention import CLASSES, Dated, Reach, Retention, retention_class

DAY = 86_400
NOW = 1_800_000_000.0
DAYS = {"standard": 100, "operational": 10}


def dated(index: int, age_days: float, retention: str = "standard") -> Dated:
    moment = datetime.fromtimestamp(NOW - age_days * DAY, UTC).isoformat(timespec="microseconds")
    return Dated(index=index, time=moment.replace("+00:00", "Z"), retention=retention)


def aged(*ages: float, retention: str = "standard") -> list[Dated]:
    return [dated(index, age, retention) for index, age in enumerate(ages)]


def reach(entries: Sequence[Dated], limit: int = 10**9, start: int = 0) -> Reach:
    found = Reach(start=start, limit=limit, now=NOW, days=DAYS)
    for entry in entries:
        if not found.take(entry):
            break
    return found


def below(entries: Sequence[Dated], limit: int = 10**9) -> int:
    return reach(entries, limit).below


def test_consents_and_verifications_are_standard_and_starts_are_operational() -> None:
    assert retention_class("verification.decided") is Retention.STANDARD
    assert retention_class("consent.revoked") is Retention.STANDARD
    assert retention_class("service.started") is Retention.OPERATIONAL
    assert retention_class("admission.refused") is Retention.OPERATIONAL


def test_what_explains_the_log_itself_is_kept_as_long_as_anything() -> None:
    assert not [name for name in CLASSES if name.startswith("audit.") or name == "key.rotated"]


def test_only_whole_bundles_go() -> None:
    assert below(aged(*[101.0] * 255)) == 0
    assert below(aged(*[101.0] * 256)) == 256
    assert below(aged(*[101.0] * 600)) == 512


def test_a_young_entry_keeps_its_bundle_and_all_that_follows() -> None:
    entries = aged(*[101.0] * 300, 99.0, *[101.0] * 500)
    found = reach(entries)
    assert (found.below, found.kept) == (256, entries[300])


def test_each_class_has_its_own_days() -> None:
    assert below(aged(*[11.0] * 256, retention="operational")) == 256
    assert below(aged(*[11.0] * 256)) == 0


def test_a_class_that_is_not_known_is_kept_for_ever() -> None:
    assert below(aged(*[10_000.0] * 256, retention="litigation")) == 0


def test_nothing_from_the_limit_on_goes() -> None:
    assert below(aged(*[101.0] * 600), limit=511) == 256
    assert below(aged(*[101.0] * 600), limit=512) == 512


def test_a_clock_that_went_back_makes_nothing_older_than_what_came_before() -> None:
    entries = aged(*[101.0] * 256, 50.0, *[5_000.0] * 255)
    assert below(entries) == 256


def test_the_newest_time_that_goes_is_of_the_pruned_bundles_only() -> None:
    entries = aged(*[300.0] * 255, 200.0, *[150.0] * 10)
    assert reach(entries).newest == entries[255].time
    assert reach([], start=512).newest is None


def test_a_time_that_is_none_is_a_broken_entry() -> None:
    with pytest.raises(ValueError):
        reach([Dated(index=0, time="soon", retention="standard")])


@given(
    ages=st.lists(st.sampled_from([1.0, 9.0, 11.0, 99.0, 101.0, 4_000.0]), max_size=40),
    names=st.lists(st.sampled_from(["standard", "operational"]), min_size=40, max_size=40),
    limit=st.integers(0, 40 * 64),
)
def test_no_entry_goes_before_its_time(ages: list[float], names: list[str], limit: int) -> None:
    entries = [dated(index, ages[index // 64], names[index // 64]) for index in range(64 * len(ages))]
    found = below(entries, limit)
    assert found % 256 == 0
    assert found <= limit
    for entry in entries[:found]:
        assert ages[entry.index // 64] >= DAYS[entry.retention]
