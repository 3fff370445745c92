from __future__ import annotations

import io
import logging
import warnings
from typing import Any

import orjson
import pytest

from gateway.observe.logs import TEXT_LENGTH_MAX, configure, place

CANARY = "owner-7 HKG:12345678"


def lines(stream: io.BytesIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


def fail(error: BaseException) -> None:
    raise error


def caught(error: BaseException) -> BaseException:
    with pytest.raises(type(error)) as raised:
        fail(error)
    return raised.value


def test_event_is_one_json_line() -> None:
    stream = io.BytesIO()
    configure("info", stream).event("request.done", route="GET /x", status=200)
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["route"], line["status"]) == ("request.done", "info", "GET /x", 200)
    assert line["time"].endswith("Z")


def test_unlisted_fields_are_dropped_and_counted() -> None:
    stream = io.BytesIO()
    fields: dict[str, Any] = {"path": CANARY, "token": CANARY, "name": [CANARY], "state": b"x", "reason": "code"}
    configure("info", stream).event("x", **fields)
    (line,) = lines(stream)
    assert line["dropped"] == 4
    assert line["reason"] == "code"
    assert CANARY.encode() not in stream.getvalue()


def test_field_cannot_replace_the_frame_of_a_line() -> None:
    stream = io.BytesIO()
    fields: dict[str, Any] = {"time": "never", "level": "info"}
    log = configure("info", stream)
    log.event("x", **fields)
    assert all(line["time"] != "never" for line in lines(stream))


def test_text_is_cut() -> None:
    stream = io.BytesIO()
    configure("info", stream).event("x", reason="r" * 10_000)
    assert len(lines(stream)[0]["reason"]) == TEXT_LENGTH_MAX


def test_absent_values_are_left_out() -> None:
    stream = io.BytesIO()
    configure("info", stream).event("x", participant=None)
    assert "participant" not in lines(stream)[0]


def test_lower_levels_are_not_written() -> None:
    stream = io.BytesIO()
    log = configure("warning", stream)
    log.event("quiet")
    log.event("loud", level="warning")
    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_failure_gives_type_and_place_without_message() -> None:
    stream = io.BytesIO()
    configure("info", stream).failure("request.failed", caught(KeyError(CANARY)))
    (line,) = lines(stream)
    assert line["error"] == "KeyError"
    assert line["location"].startswith(__name__)
    assert CANARY.encode() not in stream.getvalue()


def test_library_message_is_reduced_to_its_logger() -> None:
    stream = io.BytesIO()
    configure("info", stream)
    logging.getLogger("some.dependency").error("broken: %s", CANARY)
    (line,) = lines(stream)
    assert (line["event"], line["logger"], line["level"]) == ("library.message", "some.dependency", "error")
    assert CANARY.encode() not in stream.getvalue()


def test_library_exception_is_reduced_to_its_type() -> None:
    stream = io.BytesIO()
    configure("info", stream)
    logging.getLogger("lib").error("broken", exc_info=caught(ValueError(CANARY)))
    assert lines(stream)[0]["error"] == "ValueError"
    assert CANARY.encode() not in stream.getvalue()


def test_library_chatter_below_warning_is_not_written() -> None:
    stream = io.BytesIO()
    configure("debug", stream)
    logging.getLogger("lib").info(CANARY)
    assert stream.getvalue() == b""


def test_warnings_are_reduced_as_well() -> None:
    stream = io.BytesIO()
    logging.captureWarnings(False)
    configure("info", stream)
    warnings.showwarning(UserWarning(CANARY), UserWarning, "somewhere.py", 1)
    logging.captureWarnings(False)
    assert lines(stream)[0]["logger"] == "py.warnings"
    assert CANARY.encode() not in stream.getvalue()


def test_stream_that_breaks_stops_nothing() -> None:
    stream = io.BytesIO()
    log = configure("info", stream)
    stream.close()
    log.event("x")
    assert stream.closed


def test_place_of_a_group_is_that_of_its_first_member() -> None:
    group = ExceptionGroup("both", [caught(ValueError("a"))])  # type: ignore[list-item]  # an Exception
    assert place(group) == place(group.exceptions[0])


def test_place_of_an_exception_that_was_never_raised_is_unknown() -> None:
    assert place(ValueError("x")) == "unknown"


def test_place_prefers_the_frame_that_is_ours() -> None:
    from gateway.core.canonical import canonical

    with pytest.raises(ValueError, match="canonical form") as raised:
        canonical({"a": 1.5})
    assert place(raised.value).startswith("gateway.core.canonical:")
