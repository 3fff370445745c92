"""Times and dates as people in Hong Kong write them. Pure: the time is an argument."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

from gateway.pages.languages import Language

# Hong Kong has had no summer time since 1979: a fixed offset needs no time zone database on a slim image.
HONG_KONG = timezone(timedelta(hours=8))
# The year 9999 in UTC+8 and nothing later, which `datetime` could not hold.
SECONDS_MAX = 253_402_185_600

_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_ZONE = {Language.EN: " (Hong Kong time)", Language.ZH_HANT: "（香港時間）"}


def moment(seconds: float, language: Language) -> str:
    """`31 December 2026, 08:00 (Hong Kong time)` or `2026年12月31日 08:00（香港時間）`."""
    local = _local(seconds)
    separator = ", " if language is Language.EN else " "
    return f"{day(local.date(), language)}{separator}{local:%H:%M}{_ZONE[language]}"


def machine(seconds: float) -> str:
    """The same for a `datetime` attribute: RFC 3339 with the offset."""
    return _local(seconds).isoformat(timespec="seconds")


def day(value: date, language: Language) -> str:
    """A calendar date, without a zone."""
    if language is Language.EN:
        return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"
    return f"{value.year}年{value.month}月{value.day}日"


def _local(seconds: float) -> datetime:
    return datetime.fromtimestamp(min(max(seconds, 0), SECONDS_MAX), UTC).astimezone(HONG_KONG)
