"""The one query language of search, export, tail and console. Pure: the clock, the zone and the key are given.

`type:verification.* -outcome:MATCH from:-7d`: one qualifier given twice means any of its values, different ones all
of them, `-` none of them. A `Query` holds no identity and no digest, only their keyed pseudonyms: its text may be
kept in the log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum

from gateway.audit.searchable import Keyed, Searchable, digest_pseudonym, microseconds
from gateway.core.model import HashAlgorithm

TEXT_MAX = 2_048  # characters, of what is asked and of its normal form
TERMS_MAX = 32
INDEX_MAX = 2**53 - 1  # what RFC 8785 can write: a larger number could not be put on record

_MICRO = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}

_TERM = re.compile(r'(?P<negated>-?)(?P<name>[A-Za-z]{1,16}):(?P<value>"(?:[^"\\]|\\["\\])*"|[^\s"]*)(?=\s|$)')
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HEX = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"(?:(?P<kind>sm3|sha256|keyed):)?(?P<hex>[0-9a-f]{64})")
_RANGE = re.compile(r"(?P<first>[0-9]{0,19})(?P<dots>\.\.)?(?P<last>[0-9]{0,19})")
_RELATIVE = re.compile(r"-(?P<count>[0-9]{1,6})(?P<unit>[mhdw])")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})?"
)


class Qualifier(StrEnum):
    ACTOR = "actor"
    CLIENT = "client"
    CONSENT = "consent"
    REQUEST = "request"
    RECORD = "record"
    SUBJECT = "subject"
    DIGEST = "digest"
    OUTCOME = "outcome"
    TYPE = "type"


ALLOWED: Mapping[str, str] = {
    "actor": "a participant id",
    "client": "a client id, or the name of a person at the log (no space)",
    "consent": "a consent id (UUID)",
    "request": "a data request id (UUID)",
    "record": "a record id (UUID)",
    "subject": "a data owner's id or pseudonym (64 hex digits), or ? to be asked for it",
    "digest": "64 hex digits, or sm3: or sha256: and 64 hex digits",
    "outcome": "an outcome, as MATCH",
    "type": "a record type, as verification.decided or verification.*",
    "from": "a time (RFC 3339), a date, or how long ago, as -7d (m, h, d, w)",
    "to": "a time (RFC 3339; entries before it), a date (with that day), or how long ago",
    "index": "an index or a range, as 100..200 (both with it), 100.. or ..200",
}
"""Every qualifier and what it takes, for messages and help."""

# A value is kept in the log with the query: each form is as narrow as the field it is compared with, so that a name
# or a number of a person does not get there by a slip.
_PLAIN: Mapping[str, tuple[re.Pattern[str], Callable[[str], str]]] = {
    "actor": (re.compile(r"[A-Z0-9]{4,32}"), str.upper),
    "client": (re.compile(r"[!#-\[\]-~]{1,256}"), str),
    "consent": (_UUID, str.lower),
    "request": (_UUID, str.lower),
    "record": (_UUID, str.lower),
    "outcome": (re.compile(r"[A-Z_]{1,64}"), str.upper),
    "type": (re.compile(r"[a-z]{1,32}\.(?:[a-z_]{1,32}|\*)"), str.lower),
}


class QueryInvalid(ValueError):
    """The text is no query. `position` counts characters from 1. Says what is allowed, never what was given."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(f"query, at character {position}: {message}")
        self.position = position
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """Any of the values; negated: none of them. Values are normal, sorted, and pseudonyms where they are private."""

    qualifier: Qualifier
    values: tuple[str, ...]
    negated: bool = False

    def matches(self, row: Searchable) -> bool:
        return any(_has(row, self.qualifier, value) for value in self.values) is not self.negated

    def __str__(self) -> str:
        sign, prefix = "-" if self.negated else "", "keyed:" if self.qualifier is Qualifier.DIGEST else ""
        return " ".join(f"{sign}{self.qualifier.value}:{prefix}{value}" for value in self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """All terms and bounds hold. No term and no bound: every entry. Equal queries have equal texts."""

    terms: tuple[Term, ...] = ()  # by qualifier, one for each sign
    since: int | None = None  # µs since 1970, with it
    until: int | None = None  # µs since 1970, without it
    first: int | None = None  # index, with it
    last: int | None = None  # index, with it

    def matches(self, row: Searchable) -> bool:
        return (
            (self.since is None or row.time >= self.since)
            and (self.until is None or row.time < self.until)
            and (self.first is None or row.index >= self.first)
            and (self.last is None or row.index <= self.last)
            and all(term.matches(row) for term in self.terms)
        )

    def only(self, qualifier: Qualifier) -> str | None:
        """The one value that this qualifier must have, if there is just one."""
        for term in self.terms:
            if term.qualifier is qualifier and not term.negated and len(term.values) == 1:
                return term.values[0]
        return None

    def __str__(self) -> str:
        """The normal form; `parse` leads back to it. Without identities and digests."""
        parts = [str(term) for term in self.terms]
        if self.since is not None:
            parts.append(f"from:{_instant(self.since)}")
        if self.until is not None:
            parts.append(f"to:{_instant(self.until)}")
        if self.first is not None or self.last is not None:
            first, last = ("" if bound is None else str(bound) for bound in (self.first, self.last))
            parts.append(f"index:{first}..{last}")
        return " ".join(parts)


def parse(text: str, *, now: float, zone: tzinfo, keyed: Keyed, ask: Callable[[], str] | None = None) -> Query:
    """The query. A date is a day of `zone`, and so is a time without an offset; `now` is what `-7d` counts from.

    `keyed` makes pseudonyms; `ask` gives the data owner's id for `subject:?`. Raises QueryInvalid.
    """
    if len(text) > TEXT_MAX:
        raise QueryInvalid(TEXT_MAX + 1, f"a query has at most {TEXT_MAX} characters")
    values: dict[tuple[str, bool], set[str]] = {}
    bounds: dict[str, int | None] = {}
    moments = _Moments(now=now, zone=zone)
    for number, (position, negated, name, value) in enumerate(_terms(text), start=1):
        if number > TERMS_MAX:
            raise QueryInvalid(position, f"a query has at most {TERMS_MAX} terms")
        if name in {"from", "to", "index"}:
            if negated:
                raise QueryInvalid(position, f"{name}: cannot be negated")
            found = _range(value, position) if name == "index" else moments.bound(name, value, position)
            if bounds.keys() & found.keys():
                raise QueryInvalid(position, f"{name}: is given twice")
            bounds.update(found)
        else:
            values.setdefault((name, negated), set()).update(_values(name, value, position, keyed, ask))
    query = Query(
        terms=tuple(
            Term(qualifier=Qualifier(name), values=tuple(sorted(values[name, negated])), negated=negated)
            for name, negated in sorted(values)
        ),
        **bounds,
    )
    if len(str(query)) > TEXT_MAX:
        raise QueryInvalid(1, f"a query has at most {TEXT_MAX} characters in its normal form")
    return query


def _terms(text: str) -> Iterator[tuple[int, bool, str, str]]:
    """(position, negated, qualifier, value) of each term."""
    place = 0
    while True:
        place += len(text[place:]) - len(text[place:].lstrip())
        if place == len(text):
            return
        match = _TERM.match(text, place)
        if match is None:
            raise QueryInvalid(place + 1, f'expected qualifier:value (quote a value with spaces: "…"); {_qualifiers()}')
        name, value = match["name"].lower(), match["value"]
        if name not in ALLOWED:
            raise QueryInvalid(place + 1, f"no such qualifier; {_qualifiers()}")
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        yield place + 1, bool(match["negated"]), name, value
        place = match.end()


def _values(name: str, value: str, position: int, keyed: Keyed, ask: Callable[[], str] | None) -> set[str]:
    """Several for a digest of no named algorithm: whichever it is of."""
    if name == "subject":
        return {_subject(value, position, keyed, ask)}
    if name == "digest":
        match = _DIGEST.fullmatch(value.lower())
        if match is None:
            raise QueryInvalid(position, f"digest: takes {ALLOWED['digest']}")
        if match["kind"] == "keyed":
            return {match["hex"]}
        algorithms = [match["kind"].upper()] if match["kind"] else [algorithm.value for algorithm in HashAlgorithm]
        return {digest_pseudonym(keyed, algorithm, match["hex"]) for algorithm in algorithms}
    pattern, normal = _PLAIN[name]
    if not value.isascii() or not pattern.fullmatch(normal(value)):
        raise QueryInvalid(position, f"{name}: takes {ALLOWED[name]}")
    return {normal(value)}


def _subject(value: str, position: int, keyed: Keyed, ask: Callable[[], str] | None) -> str:
    if value == "?":
        if ask is None:
            raise QueryInvalid(position, "subject:? is only for where somebody can be asked")
        value = ask()
    if _HEX.fullmatch(value.lower()):
        return value.lower()
    if not 1 <= len(value) <= 256 or not value.isprintable():
        raise QueryInvalid(position, f"subject: takes {ALLOWED['subject']}")
    return keyed("subject", value)


def _range(value: str, position: int) -> dict[str, int | None]:
    match = _RANGE.fullmatch(value)
    wrong = QueryInvalid(position, f"index: takes {ALLOWED['index']}")
    if match is None or not (match["first"] or match["last"]) or (match["last"] and not match["dots"]):
        raise wrong
    first = int(match["first"]) if match["first"] else None
    last = int(match["last"]) if match["last"] else first if not match["dots"] else None
    if any(bound is not None and bound > INDEX_MAX for bound in (first, last)):
        raise wrong
    return {"first": first, "last": last}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moments:
    now: float
    zone: tzinfo

    def bound(self, name: str, value: str, position: int) -> dict[str, int | None]:
        try:
            moment = self._moment(value, end_of_day=name == "to")
        except (ValueError, OverflowError):  # a 31st of February, a year 10000
            moment = None
        if moment is None:
            raise QueryInvalid(position, f"{name}: takes {ALLOWED[name]}")
        return {"since" if name == "from" else "until": moment}

    def _moment(self, value: str, *, end_of_day: bool) -> int | None:
        if match := _RELATIVE.fullmatch(value):
            moment = int(self.now * _MICRO) - int(match["count"]) * _UNITS[match["unit"]] * _MICRO
            _instant(moment)  # it must be a time that can be written
            return moment
        if _DATE.fullmatch(value):
            day = date.fromisoformat(value) + timedelta(days=1 if end_of_day else 0)
            return microseconds(datetime.combine(day, time.min, self.zone).astimezone(UTC))
        if _INSTANT.fullmatch(value):
            moment_ = datetime.fromisoformat(value.upper())
            if moment_.tzinfo is None:
                moment_ = moment_.replace(tzinfo=self.zone)
            return microseconds(moment_.astimezone(UTC))
        return None


def _has(row: Searchable, qualifier: Qualifier, value: str) -> bool:
    if qualifier is Qualifier.DIGEST:
        return value in row.digests
    if qualifier is Qualifier.TYPE and value.endswith(".*"):
        return row.family == value[:-2]
    found: str | None = getattr(row, qualifier.value)
    return found == value


def _instant(moment: int) -> str:
    text = (_EPOCH + timedelta(microseconds=moment)).isoformat(timespec="microseconds")
    return text.removesuffix("+00:00").removesuffix(".000000") + "Z"


def _qualifiers() -> str:
    return f"qualifiers: {' '.join(f'{name}:' for name in ALLOWED)}"
