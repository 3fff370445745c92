from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.cef import cef
from gateway.audit.event import Event, Gap, event
from gateway.audit.ocsf import ocsf
from gateway.audit.syslog import framed, parameter, syslog, text, token
from tests import samples
from tests.events import LOG, sample_event

VECTORS = Path(__file__).parents[2] / "vectors" / "siem"
TEXT = st.text(st.characters(codec="utf-8"), max_size=100)
_MESSAGE = re.compile(
    rb"<(?P<pri>\d{1,3})>1 (?P<time>\S+) (?P<host>\S{1,255}) (?P<app>\S{1,48}) (?P<proc>\S{1,128}) (?P<msgid>\S{1,32})"
    rb' (?P<data>-|(?:\[[^ =\]"]{1,32}(?: [^ =\]"]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*\])+) (?P<text>.*)',
    re.DOTALL,
)
_PARAMETER = re.compile(r' ([^ =\]"]+)="((?:[^"\\\]]|\\["\\\]])*)"')


def unframed(data: bytes) -> bytes:
    length, _, message = data.partition(b" ")
    assert int(length) == len(message)
    return message


def parsed(data: bytes) -> dict[str, Any]:
    """As a receiver reads it, by the ABNF of RFC 5424 §6."""
    found = _MESSAGE.fullmatch(unframed(data))
    assert found, data
    fields: dict[str, Any] = dict(found.groupdict())
    fields["parameters"] = {
        name: re.sub(r"\\(.)", r"\1", value) for name, value in _PARAMETER.findall(fields["data"].decode())
    }
    return fields


def message(item: Event | Gap, hostname: str = "gateway-1") -> dict[str, Any]:
    return parsed(syslog(item, render=ocsf, hostname=hostname))


@pytest.mark.parametrize("path", sorted(VECTORS.glob("event-*.json")), ids=lambda path: path.stem)
def test_vector(path: Path) -> None:
    vector = orjson.loads(path.read_bytes())
    leaf = bytes.fromhex(vector["leafHash"])
    item = event(vector["entry"].encode(), origin=vector["origin"], index=vector["index"], leaf_hash=leaf)
    assert syslog(item, render=cef, hostname="gateway-1").decode() == vector["syslog"]


def test_a_message_has_the_parts_of_the_standard() -> None:
    found = message(sample_event(type="verification.decided", index=41))
    assert found["pri"] == b"110"  # 13 * 8 + 6
    assert found["time"] == b"2027-01-15T08:00:00.123456Z"
    assert (found["host"], found["app"], found["proc"]) == (b"gateway-1", b"cdi-gateway", b"-")
    assert found["msgid"] == b"verification.decided"
    assert found["parameters"] == {"sequenceId": "42", "software": "cdi-dvp-gateway", "swVersion": "0.1.0"}


def test_the_text_is_what_was_rendered() -> None:
    item = sample_event()
    assert parsed(syslog(item, render=cef, hostname="h"))["text"] == cef(item)


@pytest.mark.parametrize(("outcome", "pri"), [("MATCH", b"110"), ("MISMATCH", b"108"), ("SIGNATURE_INVALID", b"106")])
def test_the_level_follows_the_severity(outcome: str, pri: bytes) -> None:
    assert message(sample_event(outcome=outcome))["pri"] == pri


@pytest.mark.parametrize(("index", "number"), [(0, "1"), (2**31 - 2, "2147483647"), (2**31 - 1, "1")])
def test_the_sequence_id_counts_from_one_and_starts_again_at_its_limit(index: int, number: str) -> None:
    assert message(sample_event(index=index))["parameters"]["sequenceId"] == number


def test_a_gap_is_a_message_too() -> None:
    found = message(Gap(origin=LOG, first=256, below=1_024, noticed=samples.NOW + 0.5))
    assert (found["msgid"], found["time"]) == (b"log.gap", b"2027-01-15T08:00:00.500+00:00")
    assert found["parameters"]["sequenceId"] == "257"


def test_only_what_is_not_ascii_has_a_byte_order_mark() -> None:
    assert text(b"plain") == b"plain"
    assert text("滙".encode()) == b"\xef\xbb\xbf" + "滙".encode()


def test_a_name_that_is_empty_or_long_stays_a_field() -> None:
    assert message(sample_event(), hostname="")["host"] == b"-"
    assert message(sample_event(), hostname="h" * 300)["host"] == b"h" * 255
    assert message(sample_event(type="t" * 40))["msgid"] == b"t" * 32


@given(TEXT)
def test_any_text_makes_a_message_that_is_read_back(value: str) -> None:
    found = message(sample_event(counterparty=value), hostname=value)
    assert re.fullmatch(rb"[\x21-\x7e]{1,255}", found["host"])


@given(TEXT)
def test_a_parameter_is_read_back(value: str) -> None:
    (found,) = _PARAMETER.findall(f"[x {parameter('name', value)}]")
    assert found[0] == "name"
    assert re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL) == value


@given(TEXT)
def test_a_token_is_printable_ascii_without_spaces(value: str) -> None:
    assert re.fullmatch(r"[\x21-\x7e]{1,32}", token(value, 32))


@given(st.lists(st.binary(max_size=300)))
def test_frames_are_cut_apart_again(messages: list[bytes]) -> None:
    data = b"".join(framed(item) for item in messages)
    found = []
    while data:
        length, _, rest = data.partition(b" ")
        found.append(rest[: int(length)])
        data = rest[int(length) :]
    assert found == messages
