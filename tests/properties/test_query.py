"""Properties of the query language: any text is a query or is refused; a query's text is that query."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, timedelta, timezone
from functools import partial
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.query import ALLOWED, QueryInvalid, parse
from gateway.core.pseudonym import pseudonym

KEYED = partial(pseudonym, b"k" * 32)
NOW = 1_800_000_000.0

zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
values = st.one_of(
    st.text(max_size=40),
    st.from_regex(r"\A[0-9a-f]{64}\Z"),
    st.from_regex(r"\A(sm3|sha256|keyed):[0-9a-f]{64}\Z"),
    st.uuids().map(str),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.dates().map(str),
    st.from_regex(r"\A-[0-9]{1,6}[mhdw]\Z"),
    st.from_regex(r"\A[0-9]{0,19}\.\.[0-9]{0,19}\Z"),
    st.from_regex(r"\A[a-z]{1,8}\.([a-z_]{1,8}|\*)\Z"),
    st.from_regex(r"\A[A-Z_]{1,10}\Z"),
)


@st.composite
def terms(draw: st.DrawFn) -> str:
    value = draw(values)
    if draw(st.booleans()):
        value = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return draw(st.sampled_from(["", "-"])) + draw(st.sampled_from(sorted(ALLOWED))) + ":" + value


@given(text=st.one_of(st.text(), st.lists(terms(), max_size=5).map(" ".join)), zone=zones)
def test_any_text_is_a_query_or_is_refused(text: str, zone: timezone) -> None:
    try:
        query = parse(text, now=NOW, zone=zone, keyed=KEYED)
    except QueryInvalid as error:
        refused = error
    else:
        assert parse(str(query), now=0.0, zone=UTC, keyed=KEYED) == query
        return
    assert 1 <= refused.position <= len(text) + 1


@given(terms=st.lists(terms(), max_size=6), order=st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_of_terms_matters(terms: Sequence[str], order: Random) -> None:
    kept = []
    for term in terms:
        try:
            parse(" ".join([*kept, term]), now=NOW, zone=UTC, keyed=KEYED)
        except QueryInvalid:
            continue
        kept.append(term)
    query = parse(" ".join(kept), now=NOW, zone=UTC, keyed=KEYED)
    shuffled = [*kept, *(term for term in kept if not term.lstrip("-").startswith(("from:", "to:", "index:")))]
    order.shuffle(shuffled)
    assert parse(" ".join(shuffled), now=NOW, zone=UTC, keyed=KEYED) == query


@given(owner=st.text(max_size=60).filter(str.isprintable).map("陳{}".format))  # nothing of ours is spelt so
def test_an_owner_is_never_in_the_query(owner: str) -> None:
    quoted = owner.replace("\\", "\\\\").replace('"', '\\"')
    query = parse(f'-subject:"{quoted}"', now=NOW, zone=UTC, keyed=KEYED)
    assert owner not in str(query)
    assert owner not in repr(query)
    with pytest.raises(QueryInvalid) as refused:
        parse(f'subject:"{quoted}" subject:"{quoted}\t"', now=NOW, zone=UTC, keyed=KEYED)
    assert owner not in str(refused.value)
