"""Quorum, pauses and memory, with witnesses that answer as they are told and a folder that is real."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from adapters.tiles.directory import TileDirectory
from gateway.audit import note
from gateway.audit.published import WITNESSED
from gateway.errors import AuditUnavailable
from gateway.followers.cosigning import PAUSE_SECONDS_MAX, Cosigning
from gateway.ports import NotCosigned
from tests.fakes import FakeClock
from tests.fakes_attestation import ORIGIN, FakeWitness, GrowingLog, SpyCosigning

FAILED = NotCosigned(reason="unreachable")


class Scene:
    def __init__(self, folder: Path, *, witnesses: int = 3, quorum: int = 2) -> None:
        self.clock = FakeClock()
        self.log = GrowingLog(1)
        self.witnesses = [FakeWitness(f"w{number}", time=int(self.clock.now())) for number in range(witnesses)]
        self.store = TileDirectory(folder)
        self.quorum = quorum
        self.start()

    def start(self) -> None:
        """As a process starts: nothing remembered but what is in the folder."""
        self.spy = SpyCosigning()
        self.cosigning = Cosigning(
            self.witnesses,
            quorum=self.quorum,
            timeout_seconds=0.02,
            store=self.store,
            clock=self.clock,
            observer=self.spy,
        )

    async def publish(self) -> bytes:
        """One more checkpoint, with the cosignatures that came."""
        self.log.grow(1)
        signed = self.log.note()
        lines = await self.cosigning.cosign(signed, self.log.head(), self.log.node)
        return (signed + "".join(lines)).encode()

    def fail(self, *numbers: int, says: NotCosigned | Exception | None = FAILED) -> None:
        for number in numbers:
            self.witnesses[number].says = says

    def signers(self, checkpoint: bytes) -> Sequence[str]:
        keys = [witness.signer.verifier for witness in self.witnesses]
        return [found.key.name for found in note.verify(note.parse(checkpoint), keys)]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def test_every_witness_cosigns(scene: Scene) -> None:
    assert sorted(scene.signers(await scene.publish())) == ["w0", "w1", "w2"]
    assert scene.cosigning.lag_seconds() == 0.0
    assert scene.spy.seen == []


async def test_what_came_in_time_is_published(scene: Scene) -> None:
    scene.witnesses[0].hangs = True
    scene.fail(1, says=ValueError("a bug"))
    assert scene.signers(await scene.publish()) == ["w2"]
    assert sorted(scene.spy.seen) == ["quorum missed", "w0 failed timeout", "w1 broke ValueError", "w1 failed internal"]


async def test_a_quorum_of_them_is_enough(scene: Scene) -> None:
    scene.fail(0)
    await scene.publish()
    scene.clock.advance(1_000)
    assert scene.cosigning.lag_seconds() == 0.0
    assert scene.spy.seen == ["w0 failed unreachable"]


async def test_a_witness_that_is_listed_twice_counts_once(tmp_path: Path) -> None:
    scene = Scene(tmp_path, witnesses=1, quorum=2)
    scene.witnesses.append(scene.witnesses[0])
    scene.start()
    assert scene.signers(await scene.publish()) == ["w0"]
    assert scene.spy.seen == ["quorum missed"]


async def test_without_a_quorum_the_lag_grows(scene: Scene) -> None:
    await scene.publish()
    scene.fail(0, 1)
    await scene.publish()
    scene.clock.advance(60)
    assert scene.cosigning.lag_seconds() == 60.0
    scene.fail(0, says=None)
    await scene.publish()
    assert scene.cosigning.lag_seconds() == 0.0
    assert scene.spy.seen == [
        "w0 failed unreachable",
        "w1 failed unreachable",
        "quorum missed",
        "w0 recovered",
        "w1 failed unreachable again",
        "quorum reached",
    ]


async def test_cosignatures_on_one_checkpoint_add_up(scene: Scene) -> None:
    scene.fail(1, 2)
    await scene.publish()
    assert scene.spy.seen[-1] == "quorum missed"
    scene.fail(0)
    scene.fail(1, says=None)
    scene.clock.advance(PAUSE_SECONDS_MAX)
    lines = await scene.cosigning.cosign(scene.log.note(), scene.log.head(), scene.log.node)
    assert sorted(scene.signers((scene.log.note() + "".join(lines)).encode())) == ["w0", "w1"]
    assert len(scene.witnesses[0].asked) == 1  # it has cosigned this one
    assert scene.cosigning.lag_seconds() == 0.0


async def test_a_log_at_rest_asks_again_for_its_newest_checkpoint(scene: Scene) -> None:
    assert not scene.cosigning.incomplete()
    scene.fail(0, 1, 2)
    await scene.publish()
    assert not scene.cosigning.incomplete()  # all of them have just failed
    scene.clock.advance(PAUSE_SECONDS_MAX)
    assert scene.cosigning.incomplete()
    scene.fail(0, 1, 2, says=None)
    await scene.cosigning.cosign(scene.log.note(), scene.log.head(), scene.log.node)
    assert not scene.cosigning.incomplete()


async def test_a_witness_that_fails_is_asked_less_and_less(scene: Scene) -> None:
    scene.fail(0)
    for _ in range(40):
        await scene.publish()
        scene.clock.advance(0.5)
    assert len(scene.witnesses[1].asked) == 40
    assert len(scene.witnesses[0].asked) == 7  # after 0, .5, 1.5, 3.5, 7.5, 12.5 and 17.5 seconds
    assert scene.spy.seen.count("w0 failed unreachable") == 1
    scene.fail(0, says=None)
    scene.clock.advance(PAUSE_SECONDS_MAX)
    await scene.publish()
    assert scene.spy.seen[-1] == "w0 recovered"


async def test_a_conflict_is_told_each_time(scene: Scene) -> None:
    scene.fail(0, says=NotCosigned(reason="other_history", conflict=True))
    for _ in range(2):
        await scene.publish()
        scene.clock.advance(PAUSE_SECONDS_MAX)
    assert scene.spy.seen == ["w0 conflict other_history", "w0 conflict other_history again"]


async def test_a_restart_knows_since_when_a_quorum_is_missing(scene: Scene) -> None:
    witnessed = await scene.publish()
    scene.fail(0, 1, 2)
    for _ in range(3):
        newest = await scene.publish()
        scene.clock.advance(20)
    assert scene.store.read(WITNESSED) == witnessed
    assert note.open_checkpoint(witnessed, origin=ORIGIN, keys=[scene.log.signer.verifier]).size == 2
    scene.start()
    await scene.cosigning.seen(newest)
    assert scene.cosigning.lag_seconds() == 60.0
    await scene.cosigning.seen(newest)
    assert scene.cosigning.lag_seconds() == 60.0
    await scene.cosigning.seen(witnessed)
    assert scene.cosigning.lag_seconds() == 0.0


async def test_another_process_that_takes_over_keeps_what_it_saw(scene: Scene) -> None:
    witnessed = await scene.publish()
    scene.start()
    await scene.cosigning.seen(witnessed)
    scene.fail(0, 1, 2)
    await scene.publish()
    assert scene.store.read(WITNESSED) == witnessed


async def test_a_log_that_was_never_witnessed_counts_from_its_start(scene: Scene) -> None:
    scene.fail(0, 1, 2)
    newest = await scene.publish()
    scene.clock.advance(30)
    scene.start()
    await scene.cosigning.seen(newest)
    scene.clock.advance(5)
    assert scene.cosigning.lag_seconds() == 5.0


async def test_a_folder_that_cannot_be_used_stops_no_publication(scene: Scene) -> None:
    def broken(*_: object) -> None:
        raise AuditUnavailable(private="disk")

    await scene.publish()
    scene.store = type("Broken", (), {"read": broken, "write": broken})()  # type: ignore[assignment]
    scene.start()
    await scene.cosigning.seen(scene.log.note().encode())
    assert scene.spy.seen == ["forgotten"]
    await scene.publish()
    scene.fail(0, 1, 2)
    assert scene.signers(await scene.publish()) == []
    assert scene.spy.seen[-2:] == ["quorum missed", "forgotten"]


async def test_witnesses_are_asked_at_the_same_time(scene: Scene) -> None:
    for witness in scene.witnesses:
        witness.hangs = True
    assert scene.signers(await scene.publish()) == []
    assert [witness.asked for witness in scene.witnesses] == [[2], [2], [2]]
