"""Requests and answers of the witness protocol, down to the byte. The request is the specification's own example."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit import note, witnessing
from gateway.audit.note import COSIGNATURE_V1, NoteInvalid, NoteSigner
from gateway.audit.witnessing import AddCheckpoint, RequestInvalid, cosignature, parse, render, witness_size

NOTE = """\
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
"""  # noqa: E501
EXAMPLE = f"""\
old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

{NOTE}""".encode()
ANSWER = """\
— witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatVs0pWh6Up69HVOw==
— witness.example/w1 I7rEps0pvK2UqkS2gSpVUDhrhVtQV9lgF6pRrWAvjJHjyWpW7VcE3SiOlVlbQNt64vWhO+DlkL0+UfzuOBMh9ChdMkP1vi/lCAsmlw==
"""  # noqa: E501

TEXT = note.checkpoint(note.parse(NOTE).text).text
WITNESS = NoteSigner("witness.example/w1", Ed25519PrivateKey.generate(), type=COSIGNATURE_V1)
OTHER = NoteSigner("witness.example/w2", Ed25519PrivateKey.generate(), type=COSIGNATURE_V1)
KEY = WITNESS.verifier


def test_the_specifications_example_is_read_and_written_to_the_byte() -> None:
    request = parse(EXAMPLE)
    assert (request.old, len(request.proof), request.note.decode()) == (20_852_014, 4, NOTE)
    assert note.checkpoint(note.parse(request.note).text).size == 20_852_163
    assert render(request.old, request.proof, NOTE) == EXAMPLE


@given(old=st.integers(0, 2**62), proof=st.lists(st.binary(min_size=32, max_size=32), max_size=63))
def test_what_is_rendered_parses_to_itself(old: int, proof: list[bytes]) -> None:
    assert parse(render(old, proof, NOTE)) == AddCheckpoint(old=old, proof=tuple(proof), note=NOTE.encode())


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        EXAMPLE.replace(b"old 20852014", b"old 020852014"),
        EXAMPLE.replace(b"old 20852014", b"old -1"),
        EXAMPLE.replace(b"old 20852014", b"Old 20852014"),
        EXAMPLE.replace(b"old 20852014", b"old  20852014"),
        EXAMPLE.replace(b"old 20852014", "old ٣".encode()),
        EXAMPLE.replace(b"old 20852014\n", b""),
        EXAMPLE.replace(b"kaw=\n", b"kaw=\r\n"),
        EXAMPLE.replace(b"kaw=\n", b"kaw\n"),
        EXAMPLE.replace(b"kaw=\n", b"kax=\n"),  # bits that base64 leaves over
        EXAMPLE.replace(b"PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=", base64.b64encode(bytes(31))),
        EXAMPLE.split(b"\n\n")[0],
        render(1, [bytes(32)] * 64, NOTE),
    ],
)
def test_what_is_no_request_is_refused(wrong: bytes) -> None:
    with pytest.raises(RequestInvalid):
        parse(wrong)


@pytest.mark.parametrize(("body", "size"), [(b"0\n", 0), (b"20852014\n", 20_852_014)])
def test_a_conflict_tells_the_witnesss_size(body: bytes, size: int) -> None:
    assert witness_size(body) == size


@pytest.mark.parametrize(
    "body", [b"", b"7", b"07\n", b"-7\n", b"7\n\n", b" 7\n", b"7\r\n", b"9" * 20 + b"\n", b"<html>\n"]
)
def test_a_conflict_that_tells_no_size_has_none(body: bytes) -> None:
    assert witness_size(body) is None


def test_the_newest_cosignature_of_the_key_is_taken_and_others_are_left() -> None:
    older, newer = WITNESS.line(TEXT, time=10), WITNESS.line(TEXT, time=11)
    answer = OTHER.line(TEXT, time=12) + newer + older
    assert cosignature(TEXT, answer.encode(), KEY) == (newer, 11)


def test_the_specifications_answer_has_nothing_of_an_unknown_key() -> None:
    with pytest.raises(NoteInvalid, match="no cosignature"):
        cosignature(TEXT, ANSWER.encode(), KEY)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\n",
        b"\xff\n",
        WITNESS.line(TEXT, time=1).rstrip("\n").encode(),
        WITNESS.line("another\n1\nAAAA\n", time=1).encode(),  # of another checkpoint
        (WITNESS.line(TEXT, time=1) + "garbage\n").encode(),
        (WITNESS.line(TEXT, time=1) + WITNESS.line("x\n", time=1)).encode(),  # one that holds, and one that does not
        WITNESS.line(TEXT, time=1).encode() * 33,
        OTHER.line(TEXT, time=1).replace("w2", "w1").encode(),  # under the other's name
    ],
)
def test_what_is_no_cosignature_over_this_checkpoint_is_refused(answer: bytes) -> None:
    with pytest.raises(NoteInvalid):
        cosignature(TEXT, answer, KEY)


def test_a_logs_own_key_is_no_witness() -> None:
    log = NoteSigner("witness.example/w1", Ed25519PrivateKey.generate())
    with pytest.raises(NoteInvalid, match="cosignature/v1"):
        cosignature(TEXT, log.line(TEXT).encode(), log.verifier)


def test_the_path_is_the_specifications() -> None:
    assert (witnessing.PATH, witnessing.SIZE_TYPE) == ("add-checkpoint", "text/x.tlog.size")
