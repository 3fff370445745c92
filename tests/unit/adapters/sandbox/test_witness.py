"""The witness's memory and its refusals, by the clauses of c2sp.org/tlog-witness."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.sandbox.witness import Witness, WitnessRefused
from gateway.audit import note, tree, witnessing
from gateway.audit.note import COSIGNATURE_V1, NoteSigner
from tests.fakes import FakeClock
from tests.fakes_attestation import ORIGIN, GrowingLog

NAME = "witness.example/w1"
KEY = Ed25519PrivateKey.generate()
CLOCK = FakeClock()

Opened = Callable[[], Witness]


@pytest.fixture
def log() -> GrowingLog:
    return GrowingLog(20)


@pytest.fixture
def opened(tmp_path: Path, log: GrowingLog) -> Opened:
    """The witness as it starts, with what its file holds."""

    def open_it() -> Witness:
        signer = NoteSigner(NAME, KEY, type=COSIGNATURE_V1)
        return Witness(signer, [log.signer.verifier], state_file=tmp_path / "state/cosigned.db", clock=CLOCK)

    return open_it


def request(log: GrowingLog, old: int, size: int, *, proof: list[bytes] | None = None) -> bytes:
    path = tree.consistency_path(old, size, log.node) if old else ()
    return witnessing.render(old, path if proof is None else proof, log.note(size))


def refusal(witness: Witness, body: bytes) -> tuple[int, int | None]:
    with pytest.raises(WitnessRefused) as refused:
        witness.add_checkpoint(body)
    return refused.value.status, refused.value.size


def test_what_is_consistent_is_cosigned_at_the_witnesss_time(opened: Opened, log: GrowingLog) -> None:
    witness = opened()
    for old, size in ((0, 7), (7, 7), (7, 16), (16, 20)):
        answer = witness.add_checkpoint(request(log, old, size))
        text = log.head(size).text
        assert witnessing.cosignature(text, answer.encode(), witness_key()) == (answer, int(CLOCK.now()))
        assert note.open_checkpoint(log.note(size) + answer, origin=ORIGIN, keys=[log.signer.verifier]).size == size


def test_a_restart_remembers_what_was_cosigned(opened: Opened, log: GrowingLog) -> None:
    first = opened()
    first.add_checkpoint(request(log, 0, 13))
    # Not closed: a process that is killed closes nothing.
    assert refusal(opened(), request(log, 0, 20)) == (409, 13)
    assert opened().add_checkpoint(request(log, 13, 20))
    assert refusal(first, request(log, 13, 20)) == (409, 20)


def test_another_old_size_is_told_the_right_one(opened: Opened, log: GrowingLog) -> None:
    witness = opened()
    assert refusal(witness, request(log, 3, 7)) == (409, 0)
    witness.add_checkpoint(request(log, 0, 7))
    assert refusal(witness, request(log, 0, 13)) == (409, 7)
    assert refusal(witness, request(log, 13, 20)) == (409, 7)


def test_another_root_at_the_same_size_is_refused(opened: Opened, log: GrowingLog) -> None:
    witness = opened()
    witness.add_checkpoint(request(log, 0, 13))
    forked = GrowingLog(20, salt="another", key=log.key)
    assert refusal(witness, request(forked, 13, 13)) == (409, 13)


def test_a_forked_log_is_refused_whatever_it_proves(opened: Opened, log: GrowingLog) -> None:
    witness = opened()
    witness.add_checkpoint(request(log, 0, 13))
    forked = GrowingLog(20, salt="another", key=log.key)
    assert refusal(witness, request(forked, 13, 20)) == (422, None)
    assert refusal(witness, request(log, 13, 20, proof=[])) == (422, None)
    assert witness.add_checkpoint(request(log, 13, 20))


def test_a_log_that_went_back_is_not_cosigned(opened: Opened, log: GrowingLog) -> None:
    witness = opened()
    witness.add_checkpoint(request(log, 0, 20))
    assert refusal(witness, request(log, 0, 13)) == (409, 20)
    assert refusal(witness, witnessing.render(20, [], log.note(13))) == (400, None)


def test_a_proof_from_nothing_is_refused(opened: Opened, log: GrowingLog) -> None:
    assert refusal(opened(), request(log, 0, 13, proof=[bytes(32)])) == (422, None)


def test_who_is_not_known_is_refused(opened: Opened, log: GrowingLog) -> None:
    witness = opened()
    stranger = NoteSigner("stranger.example/log", Ed25519PrivateKey.generate())
    text = log.head().text.replace(ORIGIN, "stranger.example/log")
    unknown = note.signed(text, [stranger.line(text)])
    assert refusal(witness, witnessing.render(0, [], unknown)) == (404, None)
    impostor = GrowingLog(20)
    assert refusal(witness, request(impostor, 0, 20)) == (403, None)


@pytest.mark.parametrize("body", [b"", b"old 0\n\nno checkpoint\n", b"\xff\xfe\n\n"])
def test_what_is_no_request_is_refused(opened: Opened, body: bytes) -> None:
    assert refusal(opened(), body) == (400, None)


def witness_key() -> note.VerifierKey:
    return NoteSigner(NAME, KEY, type=COSIGNATURE_V1).verifier
