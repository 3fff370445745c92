from __future__ import annotations

from datetime import date

import pytest

from gateway.pages import times
from gateway.pages.languages import Language


def test_a_time_is_hong_kongs_and_says_so_in_the_form_of_the_language() -> None:
    assert times.moment(1_798_732_800, Language.EN) == "1 January 2027, 00:00 (Hong Kong time)"
    assert times.moment(1_798_732_800.9, Language.ZH_HANT) == "2027年1月1日 00:00（香港時間）"
    assert times.machine(1_798_732_800) == "2027-01-01T00:00:00+08:00"


def test_a_date_has_no_zone() -> None:
    assert times.day(date(2026, 6, 30), Language.EN) == "30 June 2026"
    assert times.day(date(2026, 6, 30), Language.ZH_HANT) == "2026年6月30日"


@pytest.mark.parametrize(("seconds", "year"), [(-1.0, "1970"), (1e300, "9999"), (float("inf"), "9999")])
def test_a_time_beyond_the_calendar_is_shown_as_its_end(seconds: float, year: str) -> None:
    assert year in times.moment(seconds, Language.EN)
    assert times.machine(seconds).startswith(year)
