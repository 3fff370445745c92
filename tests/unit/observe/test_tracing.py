from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.observe.tracing import CHILD_RANDOM_BYTES, child, parse_traceparent, trace_id
from gateway.ports import TraceContext

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"
FORM = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]")


def test_valid_context_is_continued() -> None:
    assert parse_traceparent(GOOD) == TraceContext(traceparent=GOOD)


def test_later_version_is_read_as_version_00() -> None:
    assert parse_traceparent(f"cc-{TRACE}-{SPAN}-09-what-comes") == TraceContext(traceparent=GOOD)


@pytest.mark.parametrize(
    "field",
    [
        None,
        "",
        GOOD.upper(),
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        GOOD + "-more",
        GOOD + "\n",
        GOOD + " ",
        f"cc-{TRACE}-{SPAN}-01x",
        f"cc-{TRACE}-{SPAN}-01-" + "x" * 600,
        GOOD.replace("4", "\u0664"),
        GOOD[:-1],
    ],
)
def test_invalid_context_is_not_continued(field: str | None) -> None:
    assert parse_traceparent(field) is None


def test_child_keeps_trace_and_flags_and_has_its_own_span() -> None:
    made = child(TraceContext(traceparent=GOOD), bytes(range(1, 25)))
    assert made.traceparent == f"00-{TRACE}-1112131415161718-01"
    assert trace_id(made) == TRACE


def test_new_trace_is_not_sampled() -> None:
    assert child(None, bytes(range(1, 25))).traceparent.endswith("-00")


def test_child_takes_exactly_its_random_bytes() -> None:
    with pytest.raises(ValueError, match="random bytes"):
        child(None, b"short")


@given(st.text(max_size=80) | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}.?", fullmatch=True))
@example(GOOD)
def test_whatever_is_parsed_comes_out_in_form(field: str) -> None:
    parsed = parse_traceparent(field)
    assert parsed is None or FORM.fullmatch(parsed.traceparent)


@given(st.binary(min_size=CHILD_RANDOM_BYTES, max_size=CHILD_RANDOM_BYTES))
@example(bytes(CHILD_RANDOM_BYTES))
def test_every_child_is_a_valid_context(random_bytes: bytes) -> None:
    assert parse_traceparent(child(None, random_bytes).traceparent) is not None
    assert parse_traceparent(child(TraceContext(traceparent=GOOD), random_bytes).traceparent) is not None
