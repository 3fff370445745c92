"""When a response is whole, when it is too much, and when its connection can carry another."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.platforms.response import (
    FIELDS_MAX,
    OVERHEAD_BYTES_MAX,
    Response,
    ResponseError,
    ResponseReader,
    ResponseTooLarge,
)
from tests.fakes_wire import answer, head

CHUNKED = head("200 OK", "Transfer-Encoding: chunked") + b"3;ext=1\r\na.b\r\n2\r\n.c\r\n0\r\nTrailer: x\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Type: text/plain\r\n\r\n"


def reader(body_bytes_max: int = 1_000) -> ResponseReader:
    return ResponseReader(media_type=b"application/jose", body_bytes_max=body_bytes_max)


def read(*pieces: bytes) -> ResponseReader:
    made = reader()
    for piece in pieces:
        made.feed(piece)
    return made


def whole(body: bytes = b"a.b.c", status: int = 200) -> Response:
    return Response(status=status, body=body, pause_seconds=0.0)


@pytest.mark.parametrize(
    "data", [answer(), CHUNKED, INTERIM + answer(), INTERIM + CHUNKED], ids=["length", "chunked", "interim", "both"]
)
@given(cuts=st.lists(st.integers(min_value=1, max_value=400)))
def test_however_the_bytes_are_cut_the_response_is_the_same(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    made = read(*(data[start:end] for start, end in itertools.pairwise(edges)))
    assert (made.response, made.reusable) == (whole(), True)


def test_nothing_is_answered_before_the_end() -> None:
    data = answer()
    made = read(data[:-1])
    assert made.response is None
    assert not made.reusable
    made.feed(data[-1:])
    assert made.response == whole()


def test_one_connection_carries_many_responses() -> None:
    made = reader()
    for body in (b"first", b"", b"third"):
        made.begin()
        assert made.response is None
        made.feed(answer(body))
        assert (made.response, made.reusable) == (whole(body), True)


@pytest.mark.parametrize(
    "data",
    [
        answer(b"a.b.c", "Connection: close"),
        answer(version="1.0"),
        answer() + b"H",
        answer() + b"garbage",
        answer() + answer(b"the answer to the next question"),
        answer(b"a.b.c", "Connection: close") + b"garbage",
    ],
)
def test_a_response_counts_but_its_connection_carries_no_other(data: bytes) -> None:
    made = read(data)
    assert (made.response, made.reusable) == (whole(), False)


def test_a_body_without_length_ends_with_the_connection() -> None:
    made = read(head() + b"a.b", b".c")
    assert made.response is None
    made.finish()
    assert (made.response, made.reusable) == (whole(), False)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        head()[:-2],
        INTERIM,
        answer()[:-1],
        CHUNKED[:-2],
        head("200 OK", "Transfer-Encoding: gzip") + b"a.b.c",
    ],
)
def test_a_response_that_is_cut_is_none(data: bytes) -> None:
    made = read(data)
    made.finish()
    assert made.response is None


@pytest.mark.parametrize("media_type", ["text/html", "application/jose+json", ""])
def test_a_page_is_its_status_and_is_not_waited_for(media_type: str) -> None:
    made = read(head("503 Busy", "Content-Length: 5000", "Retry-After: 7", media_type=media_type))
    assert (made.response, made.reusable) == (Response(status=503, body=b"", pause_seconds=7.0), False)


def test_a_page_that_came_whole_keeps_its_connection_and_loses_its_text() -> None:
    page = b"<html>" * 1_000
    made = read(head("503 Busy", f"Content-Length: {len(page)}", media_type="text/html") + page)
    assert (made.response, made.reusable) == (whole(b"", 503), True)


def test_a_switch_of_protocols_is_no_interim_response() -> None:
    for fields in ("", "Upgrade: h2c\r\nConnection: upgrade\r\n"):
        made = read(f"HTTP/1.1 101 Switching\r\n{fields}\r\n".encode() + b"binary")
        assert (made.response, made.reusable) == (whole(b"", 101), False)


@pytest.mark.parametrize(
    "data",
    [
        head("200 OK", "Content-Length: 1001"),
        head("200 OK", "Content-Length: 999999999999"),
        answer(b"a" * 1_001),
        head() + b"a" * 1_001,
        head("200 OK", "Transfer-Encoding: chunked") + b"3e9\r\n" + b"a" * 1_001,
    ],
)
def test_a_body_beyond_the_limit_is_refused_as_soon_as_it_shows(data: bytes) -> None:
    with pytest.raises(ResponseTooLarge):
        read(data)


def test_a_body_at_the_limit_is_read() -> None:
    assert read(answer(b"a" * 1_000)).response == whole(b"a" * 1_000)


@pytest.mark.parametrize(
    "data",
    [
        head("200 OK", "X: " + "a" * OVERHEAD_BYTES_MAX),
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * OVERHEAD_BYTES_MAX,  # and no end
        b"HTTP/1.1 200 " + b"a" * OVERHEAD_BYTES_MAX,
        answer(b"a.b.c", *(f"X-{number}: a" for number in range(FIELDS_MAX))),
        b"HTTP/1.1 100 Continue\r\n\r\n" * 2_000,
        head("200 OK", "Transfer-Encoding: chunked") + b"1;" + b"x" * OVERHEAD_BYTES_MAX,
        head("200 OK", "Transfer-Encoding: chunked") + b"0\r\nX: " + b"a" * OVERHEAD_BYTES_MAX,
    ],
    ids=["field", "endless field", "reason", "fields", "interim", "chunk extension", "trailer"],
)
@pytest.mark.parametrize("piece", [10_000, 1_000_000])
def test_what_is_not_body_is_bounded(data: bytes, piece: int) -> None:
    with pytest.raises(ResponseError):
        read(*(data[start : start + piece] for start in range(0, len(data), piece)))


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"\x16\x03\x01\x02\x00",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        head("200 OK", "Content-Length: +5"),
        head("200 OK", "Content-Length: 99999999999999999999"),
        head("200 OK", "Content-Length: 5", "Content-Length: 6"),
        head("200 OK", "Content-Length: 5", "Transfer-Encoding: chunked"),
        head("200 OK", "Bad Name: 1"),
        head("200 OK", "X: 1", " folded: 2"),
        head("200 OK", "Transfer-Encoding: chunked") + b"zz\r\n",
    ],
)
def test_what_is_not_http_is_an_error(data: bytes) -> None:
    with pytest.raises(ResponseError):
        read(data)


def test_the_first_of_two_fields_counts_and_a_trailer_never() -> None:
    made = read(
        head("503 Busy", "Transfer-Encoding: chunked", "Content-Type: text/html", "Retry-After: 1", "Retry-After: 2"),
        b"1\r\na\r\n0\r\nRetry-After: 3\r\n\r\n",
    )
    assert made.response == Response(status=503, body=b"a", pause_seconds=1.0)


@pytest.mark.parametrize("value", ["", "soon", "-1", "1e9", "999999", "²", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_an_unreadable_retry_after_is_no_pause(value: str) -> None:
    made = read(head("503 Busy", f"Retry-After: {value}", media_type="text/html"))
    assert made.response == whole(b"", 503)
