"""What the bytes of an entry must be. That what passes is RFC 8785 is checked against a library of its own."""

from __future__ import annotations

import orjson
import pytest
import rfc8785

from gateway.audit.verifying.entries import ENTRY_BYTES_MAX, examined, pruned_below
from tests.published_log import entry

REFUSED = {
    b"": "is not JSON",
    b"{": "is not JSON",
    b"\xff": "is not JSON",
    b'{"v":1,"v":1}': "is not in canonical form (RFC 8785)",
    b"[1]": "is not a JSON object",
    b"1": "is not a JSON object",
    b'{"v": 1}': "is not in canonical form (RFC 8785)",
    b'{"v":1,"a":2}': "is not in canonical form (RFC 8785)",
    b'{"a":1.5,"v":1}': "is not in canonical form (RFC 8785)",
    b'{"a":1.0,"v":1}': "is not in canonical form (RFC 8785)",
    b'{"a":[{"b":[1e3]}],"v":1}': "is not in canonical form (RFC 8785)",
    b'{"a":9007199254740992,"v":1}': "is not in canonical form (RFC 8785)",
    b'{"a":-0,"v":1}': "is not in canonical form (RFC 8785)",
    b'{"a":"\\u0041","v":1}': "is not in canonical form (RFC 8785)",
    b'{"v":2}': "is not of version 1",
    b'{"v":true}': "is not of version 1",
    b'{"v":"1"}': "is not of version 1",
    b"{}": "is not of version 1",
    b'{"a":' + b"[" * 1_100 + b"]" * 1_100 + b',"v":1}': "is not JSON",
    b'{"a":' + b"[" * 300 + b"]" * 300 + b',"v":1}': "is not JSON",
}


@pytest.mark.parametrize("data", REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_entry_is_named(data: bytes) -> None:
    assert examined(data) == REFUSED[data]


def test_an_entry_is_taken() -> None:
    data = entry(7, facts={"a": 9_007_199_254_740_991, "b": "名"}, nothing=None, yes=True, list=[1, "a", {"b": []}])
    assert examined(data) == orjson.loads(data)
    assert rfc8785.dumps(orjson.loads(data)) == data


def test_longest_entry_is_taken_and_a_longer_one_is_not() -> None:
    frame = len(entry(0, text=""))
    assert not isinstance(examined(entry(0, text="a" * (ENTRY_BYTES_MAX - frame))), str)
    assert examined(entry(0, text="a" * (ENTRY_BYTES_MAX - frame + 1))) == "is longer than an entry may be"


@pytest.mark.parametrize(
    ("body", "below"),
    [
        ({"type": "audit.pruned", "facts": {"below": 512}}, 512),
        ({"type": "audit.read", "facts": {"below": 512}}, 0),
        ({"type": "audit.pruned"}, 0),
        ({"type": "audit.pruned", "facts": []}, 0),
        ({"type": "audit.pruned", "facts": {"below": "512"}}, 0),
        ({"type": "audit.pruned", "facts": {"below": True}}, 0),
    ],
)
def test_only_a_record_of_pruning_lets_entries_be_absent(body: dict[str, object], below: int) -> None:
    assert pruned_below(body) == below
