"""The manifest says what was searched and found; a range is put together from its edges and its leaves."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import schemas
from gateway.audit import case, note
from gateway.audit.case import Contents, Made
from gateway.audit.note import Checkpoint
from gateway.audit.query import Qualifier, Query, Term
from gateway.core import merkle
from tests.published_log import ORIGIN, log_signer

LEAVES = [merkle.leaf_hash(bytes([index])) for index in range(21)]
HEAD = Checkpoint(origin=ORIGIN, size=len(LEAVES), root=merkle.root(LEAVES))
QUERY = Query(
    terms=(Term(qualifier=Qualifier.TYPE, values=("verification.*",), negated=True),),
    since=1_800_000_000_000_001,
    until=-1,
    first=3,
    last=9,
)
MADE = Made(time=1_800_000_000.5, operator="officer-1", participant="HKGATEWAY01", software="cdi-dvp-gateway/0")


def node(level: int, place: int) -> bytes:
    return merkle.root(LEAVES[place << level : (place + 1) << level])


def contents(**changes: Any) -> Contents:
    values: dict[str, Any] = {"head": HEAD, "query": QUERY, "first": 3, "end": 10, "records": [4, 8], "erased": 1}
    values |= {"unreadable": 0, "whole": False, "timestamps": [9], "files": {"b": "1" * 64, "a": "2" * 64}}
    return Contents(**(values | changes))


def manifest(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(case.manifest(contents(**changes), MADE, node))
    return found


@pytest.mark.parametrize("changes", [{}, {"whole": True}, {"first": 0, "end": 0, "records": [], "timestamps": []}])
def test_the_manifest_follows_its_schema(changes: dict[str, Any]) -> None:
    schema = schemas.load()["audit/v1/case-manifest"]
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(manifest(**changes))


def test_the_manifest_says_what_was_searched_and_found() -> None:
    found = manifest()
    assert found["query"]["text"] == str(QUERY)
    assert (found["query"]["since"], found["query"]["until"]) == (
        "2027-01-15T08:00:00.000001Z",
        "1969-12-31T23:59:59.999999Z",
    )
    assert found["query"]["terms"] == [{"qualifier": "type", "values": ["verification.*"], "negated": True}]
    assert (found["range"], found["records"], found["completeness"]) == ({"first": 3, "end": 10}, [4, 8], "stated")
    assert "entries 3 to 9" in found["statement"]
    assert "signed statement of the keeper" in found["statement"]
    assert list(found["files"]) == ["a", "b"]
    assert "search can be repeated" in manifest(whole=True)["statement"]
    assert "No entry was searched" in manifest(first=5, end=5, records=[])["statement"]


def test_the_note_is_signed_under_a_name_of_its_own() -> None:
    signer = log_signer(name=case.case_name(ORIGIN))
    data = case.manifest_note(b"manifest", [signer], ORIGIN)
    signed = note.parse(data)
    assert note.verify(signed, [signer.verifier])
    assert not note.verify(signed, [log_signer().verifier])
    with pytest.raises(note.NoteInvalid):
        note.checkpoint(signed.text)


@given(st.integers(0, 2_000), st.integers(0, 2_000))
def test_subtrees_fill_their_range_exactly(one: int, other: int) -> None:
    low, high = sorted((one, other))
    place = low
    for level, number in case.subtrees(low, high):
        assert number << level == place
        place += 1 << level
    assert place == high
    assert len(case.subtrees(low, high)) <= 2 * 11


def test_a_pruned_entry_is_its_leaf_hash() -> None:
    assert case.ranged(b"{}", LEAVES[0]) == b"\x00\x02{}"
    assert case.ranged(None, LEAVES[0]) == b"\x00\x00" + LEAVES[0]


@pytest.mark.parametrize(
    ("sizes", "records", "chosen"),
    [
        ([], [3], []),
        ([2, 5, 9, 30], [3], [5, 9]),
        ([2], [3], [2]),
        ([4], [3], [4]),
        ([5, 9], [], [5, 9]),
        ([0], [], []),
    ],
)
def test_time_stamps_are_the_first_that_covers_all_and_the_newest(
    sizes: list[int], records: list[int], chosen: list[int]
) -> None:
    assert case.stamps(sizes, head=20, records=records) == chosen


def test_keys_are_lines_with_what_they_are() -> None:
    assert case.vkeys(["l"], ["w"]).decode().splitlines()[1:] == ["log l", "witness w"]
