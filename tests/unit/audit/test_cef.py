from __future__ import annotations

import re
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.cef import cef, escaped_header, escaped_value
from gateway.audit.event import Gap, event
from tests import samples
from tests.events import LOG, sample_event

VECTORS = Path(__file__).parents[2] / "vectors" / "siem"
TEXT = st.text(st.characters(codec="utf-8"), max_size=100)

_KEY = re.compile(r"(?:^| )([A-Za-z0-9]+)=")


def parsed(line: str) -> tuple[list[str], dict[str, str]]:
    """As a receiver reads it: header fields at unescaped pipes, then keys at unescaped equals signs."""
    header = re.split(r"(?<!\\)(?:\\\\)*\|", line, maxsplit=7)
    assert len(header) == 8
    extension = header.pop()
    starts = list(_KEY.finditer(extension))
    pairs = {}
    for match, following in zip(starts, [*starts[1:], None], strict=True):
        raw = extension[match.end() : following.start() if following else None]
        pairs[match[1]] = re.sub(r"\\(.)", lambda found: {"n": "\n", "r": "\r"}.get(found[1], found[1]), raw)
    return header, pairs


def unescaped_header(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


@pytest.mark.parametrize("path", sorted(VECTORS.glob("event-*.json")), ids=lambda path: path.stem)
def test_vector(path: Path) -> None:
    vector = orjson.loads(path.read_bytes())
    leaf = bytes.fromhex(vector["leafHash"])
    item = event(vector["entry"].encode(), origin=vector["origin"], index=vector["index"], leaf_hash=leaf)
    assert cef(item).decode() == vector["cef"]


def test_an_event_is_read_back() -> None:
    header, pairs = parsed(cef(sample_event(type="verification.decided", index=41)).decode())
    assert header == ["CEF:0", "cdi-dvp-gateway", "cdi-dvp-gateway", "0.1.0", *["verification.decided"] * 2, "1"]
    assert (pairs["cn1"], pairs["cn1Label"]) == ("41", "index")
    assert (pairs["outcome"], pairs["suid"], pairs["suser"]) == ("MATCH", samples.BANK, "bank-a")
    assert pairs["cs1"] == LOG
    assert pairs["flexString1"] == "CORPORATE_CREDIT_REPORT"


def test_nothing_private_is_in_it() -> None:
    line = cef(sample_event(evidence="canary-evidence")).decode()
    assert "canary-evidence" not in line
    assert "d" * 64 not in line
    assert "b" * 64 not in line


def test_an_alarm_is_severe() -> None:
    header, _ = parsed(cef(sample_event(outcome="SIGNATURE_INVALID")).decode())
    assert header[6] == "8"


def test_a_gap_says_what_is_missing() -> None:
    header, pairs = parsed(cef(Gap(origin=LOG, first=256, below=1_024, noticed=samples.NOW)).decode())
    assert header[4] == "log.gap"
    assert (pairs["cn1"], pairs["cn2"], pairs["cnt"], pairs["rt"]) == ("256", "1024", "768", f"{samples.NOW}000")


@given(TEXT)
def test_any_value_is_read_back_from_one_line(text: str) -> None:
    line = cef(sample_event(counterparty=text, reason=text)).decode()
    assert not {"\n", "\r"} & set(line)
    _, pairs = parsed(line)
    assert pairs.get("destinationServiceName", "") == pairs.get("reason", "") == text


@given(TEXT)
def test_a_header_field_has_no_bare_pipe_and_no_line_end(text: str) -> None:
    escaped = escaped_header(text)
    assert unescaped_header(escaped) == text.replace("\n", " ").replace("\r", " ")
    assert not re.search(r"(?<!\\)(?:\\\\)*\|", escaped)


def test_escaping_is_as_the_format_says() -> None:
    assert escaped_header("a|b\\c=d") == r"a\|b\\c=d"
    assert escaped_value("a|b\\c=d\ne\r") == r"a|b\\c\=d\ne\r"
