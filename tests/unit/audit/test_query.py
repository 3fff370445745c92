"""The query language: what each qualifier takes, what terms mean together, and that the text keeps no secret."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.audit.query import ALLOWED, TERMS_MAX, TEXT_MAX, Query, QueryInvalid, parse
from gateway.audit.searchable import Searchable, digest_pseudonym, microseconds
from gateway.core.pseudonym import pseudonym

KEYED = partial(pseudonym, b"k" * 32)
NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
UUID = "01900000-0000-7000-8000-000000000001"
DIGEST = "0123456789abcdef" * 4


def query(text: str, **changes: Any) -> Query:
    return parse(text, **({"now": NOW.timestamp(), "zone": UTC, "keyed": KEYED} | changes))


def row(**changes: Any) -> Searchable:
    values: dict[str, Any] = {"index": 7, "time": microseconds(NOW), "type": "verification.decided", "record": UUID}
    return Searchable(**(values | changes))


def test_one_qualifier_twice_is_any_of_and_different_ones_are_all_of() -> None:
    asked = query("outcome:MATCH outcome:REVOKED actor:BANKA01DC")
    assert asked.matches(row(outcome="REVOKED", actor="BANKA01DC"))
    assert asked.matches(row(outcome="MATCH", actor="BANKA01DC"))
    assert not asked.matches(row(outcome="EXPIRED", actor="BANKA01DC"))
    assert not asked.matches(row(outcome="MATCH", actor="BANKB01DC"))


def test_a_negation_is_none_of_and_holds_where_there_is_no_value() -> None:
    asked = query("-outcome:MATCH -outcome:REVOKED")
    assert asked.matches(row(outcome="EXPIRED"))
    assert asked.matches(row())
    assert not asked.matches(row(outcome="REVOKED"))


def test_nothing_asked_is_everything() -> None:
    assert query(" \t ").matches(row())
    assert str(query("")) == ""


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("actor:banka01dc", {"actor": "BANKA01DC"}),
        ("client:bank-a", {"client": "bank-a"}),
        (f"consent:{UUID}", {"consent": UUID}),
        (f"request:{UUID.upper()}", {"request": UUID}),
        (f"record:{UUID}", {"record": UUID}),
        ("outcome:match", {"outcome": "MATCH"}),
        ("type:verification.decided", {"type": "verification.decided"}),
        ("TYPE:verification.*", {"type": "verification.refused"}),
        ("subject:owner-7", {"subject": KEYED("subject", "owner-7")}),
        ('subject:"owner \\"7\\" \\\\"', {"subject": KEYED("subject", 'owner "7" \\')}),
        (f"subject:{'AB' * 32}", {"subject": "ab" * 32}),
        (f"digest:sm3:{DIGEST}", {"digests": (digest_pseudonym(KEYED, "SM3", DIGEST),)}),
        (f"digest:{DIGEST.upper()}", {"digests": (digest_pseudonym(KEYED, "SHA256", DIGEST),)}),
        ("index:7", {"index": 7}),
        ("index:5..7", {"index": 7}),
        ("index:..7", {"index": 7}),
        ("index:7..", {"index": 7}),
    ],
)
def test_each_qualifier_finds_its_field(text: str, fields: dict[str, Any]) -> None:
    asked = query(text)
    assert asked.matches(row(**fields))
    assert not asked.matches(row(index=8 if "7.." not in text else 6, type="consent.revoked", record="other"))


@pytest.mark.parametrize(
    ("text", "zone", "since", "until"),
    [
        ("from:2026-11-01", "UTC", "2026-11-01T00:00:00Z", None),
        ("to:2026-11-01", "UTC", None, "2026-11-02T00:00:00Z"),
        ("from:2026-11-01 to:2026-11-01", "Asia/Hong_Kong", "2026-10-31T16:00:00Z", "2026-11-01T16:00:00Z"),
        ("from:2026-11-01T10:00:00.5+08:00", "UTC", "2026-11-01T02:00:00.5Z", None),
        ("from:2026-11-01t10:00:00z", "Asia/Hong_Kong", "2026-11-01T10:00:00Z", None),
        ("to:2026-11-01T10:00", "Asia/Hong_Kong", None, "2026-11-01T02:00:00Z"),
        ("from:-7d to:-90m", "Asia/Hong_Kong", "2026-11-16T12:30:00Z", "2026-11-23T11:00:00Z"),
        ("from:-2w to:-1h", "UTC", "2026-11-09T12:30:00Z", "2026-11-23T11:30:00Z"),
        # The clock is set forward at 01:00 UTC: this day has 23 hours.
        ("from:2026-03-29 to:2026-03-29", "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
    ],
)
def test_times_are_instants_days_of_the_zone_or_ages(
    text: str, zone: str, since: str | None, until: str | None
) -> None:
    asked = query(text, zone=ZoneInfo(zone))
    expected = [microseconds(datetime.fromisoformat(time)) if time else None for time in (since, until)]
    assert [asked.since, asked.until] == expected


def test_a_period_has_its_beginning_and_not_its_end() -> None:
    asked = query("from:2026-11-23T12:30:00Z to:2026-11-23T12:30:01Z")
    assert asked.matches(row())
    assert asked.matches(row(time=microseconds(NOW) + 999_999))
    assert not asked.matches(row(time=microseconds(NOW) - 1))
    assert not asked.matches(row(time=microseconds(NOW) + 1_000_000))


def test_the_text_holds_pseudonyms_only_and_leads_back() -> None:
    asked = query(f"subject:owner-7 digest:{DIGEST} -digest:sm3:{DIGEST} from:-7d index:3..9")
    text = str(asked)
    assert "owner-7" not in text + repr(asked)
    assert DIGEST not in text + repr(asked)
    assert query(text, now=0.0) == asked


def test_the_owner_is_asked_for_where_somebody_can_be_asked() -> None:
    assert query("subject:?", ask=lambda: "owner-7") == query("subject:owner-7")
    with pytest.raises(QueryInvalid, match="asked"):
        query("subject:?")


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("owner-7", 1),
        ("type:a.b  owner-7", 11),
        ("holder:owner-7", 1),
        ("actor:", 1),
        ("actor:owner-seven", 1),
        ('client:"two words"', 1),
        ("request:owner-7", 1),
        ("consent:A123456(7)", 1),
        ("type:*", 1),
        ("type:verification", 1),
        ("digest:0123", 1),
        (f"digest:md5:{DIGEST}", 1),
        ("subject:" + "x" * 257, 1),
        ('subject:""', 1),
        ('subject:"open', 1),
        ('subject:a"b', 1),
        ("outcome:ｍａｔｃｈ", 1),
        ("index:..", 1),
        ("index:1...2", 1),
        ("index:99999999999999999999", 1),
        ("index:9999999999999999999", 1),
        ("-index:1", 1),
        ("-from:-1d", 1),
        ("from:2026-02-30", 1),
        ("from:0001-01-01T00:00:00+23:00", 1),
        ("to:9999-12-31", 1),
        ("from:-999999w", 1),
        ("from:yesterday", 1),
        ("from:2026-11-01 from:-1d", 17),
        ("index:1.. index:..2", 11),
        (" ".join(["outcome:MATCH"] * (TERMS_MAX + 1)), 14 * TERMS_MAX + 1),
        ("x" * (TEXT_MAX + 1), TEXT_MAX + 1),
        (" ".join(f"digest:{number:064x}" for number in range(20)), 1),  # too long once it is pseudonyms
    ],
)
def test_what_is_no_query_is_refused_with_its_place_and_without_its_value(text: str, position: int) -> None:
    with pytest.raises(QueryInvalid) as refused:
        query(text)
    assert refused.value.position == position
    assert "owner-" not in str(refused.value)
    assert DIGEST not in str(refused.value)


def test_every_qualifier_says_what_it_takes_when_it_gets_something_else() -> None:
    for name, takes in ALLOWED.items():
        with pytest.raises(QueryInvalid) as refused:
            query(f'{name}:"\t"')
        assert takes in refused.value.message
