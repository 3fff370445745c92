"""When a checkpoint is time-stamped, what is kept of it, and how old the rest is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from adapters.tiles.directory import TileDirectory
from gateway.audit import published
from gateway.errors import AuditUnavailable
from gateway.followers.timestamping import LIST_SECONDS, RETRY_FIRST_SECONDS, Timestamping
from gateway.ports import Head, StoredEntry
from tests.fakes import FakeClock
from tests.fakes_attestation import ORIGIN, UNREACHABLE, FakeAuthority, GrowingLog, SpyTimestamping

INTERVAL = 100.0


class Scene:
    """A log whose entries have times, and its folder. It is `ports.LogReader` itself."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.log = GrowingLog()
        self.times: list[float] = []
        self.pruned = 0
        self.fails: Exception | None = None
        self.authority = FakeAuthority()
        self.store = TileDirectory(folder)
        assert self.store.lock()
        self.start()

    def start(self, store: TileDirectory | None = None) -> None:
        """As a process starts."""
        self.spy = SpyTimestamping()
        self.following = Timestamping(
            self.authority,
            store or self.store,
            self,
            interval_seconds=INTERVAL,
            clock=self.clock,
            observer=self.spy,
        )

    def append(self, count: int = 1, *, publish: bool = True) -> bytes:
        self.log.grow(count)
        self.times += [self.clock.now()] * count
        checkpoint = self.log.note().encode()
        if publish:
            self.store.write([("checkpoint", checkpoint)])
        return checkpoint

    async def head(self) -> Head:
        head = self.log.head()
        return Head(origin=ORIGIN, size=head.size, root=head.root, pruned=self.pruned)

    async def entries(self, start: int, count: int) -> Sequence[StoredEntry]:
        if self.fails is not None:
            raise self.fails
        return [
            StoredEntry(
                index=index,
                entry=orjson.dumps({"time": datetime.fromtimestamp(self.times[index], UTC).isoformat()}),
                leaf_hash=self.log.leaves[index],
            )
            for index in range(start, min(start + count, len(self.times)))
        ]

    async def rounds(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            await self.following.round()
            self.clock.advance(1)

    async def rounds_failing(self, seconds: float) -> None:
        """As the loop goes when a round raises."""
        for _ in range(int(seconds)):
            await self.following.attempt()
            self.clock.advance(1)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def test_token_and_checkpoint_are_kept_side_by_side(scene: Scene) -> None:
    checkpoint = scene.append(5)
    await scene.following.round()
    assert scene.store.read("timestamps/5.checkpoint") == checkpoint
    assert scene.store.read("timestamps/5.tsr") == b"token over " + checkpoint
    assert scene.spy.seen == ["stamped 5"]
    assert scene.following.lag_seconds() == 0.0


async def test_one_at_each_interval_in_which_the_log_grew(scene: Scene) -> None:
    scene.append()
    await scene.rounds(150)
    assert scene.spy.seen == ["stamped 1"]
    for _ in range(250):
        scene.append()
        await scene.rounds(1)
    assert scene.spy.seen == ["stamped 1", "stamped 2", "stamped 102", "stamped 202"]


async def test_the_lag_is_the_age_of_the_oldest_entry_without_one(scene: Scene) -> None:
    scene.authority.fails = UNREACHABLE
    scene.append()
    await scene.rounds_failing(200)
    scene.append()
    await scene.rounds_failing(100)
    assert scene.following.lag_seconds() == 300.0
    scene.authority.fails = None
    await scene.rounds(60)
    assert scene.following.lag_seconds() == 0.0


async def test_a_restart_knows_the_lag_and_what_is_stamped(scene: Scene) -> None:
    scene.append(3)
    await scene.following.round()
    scene.append(2)
    scene.clock.advance(50)
    scene.authority.fails = UNREACHABLE
    scene.start()
    with pytest.raises(type(UNREACHABLE)):
        await scene.following.round()
    assert scene.following.lag_seconds() == 50.0
    scene.authority.fails = None
    scene.start()
    await scene.following.round()
    assert scene.store.stamped() == [3, 5]


async def test_an_authority_that_fails_is_asked_again_with_pauses(scene: Scene) -> None:
    scene.authority.fails = UNREACHABLE
    scene.append()
    await scene.rounds_failing(60)
    assert len(scene.authority.asked) == 5  # after 0, 2, 6, 14 and 30 seconds
    assert RETRY_FIRST_SECONDS == 2.0
    assert scene.spy.seen == ["failed timestamp_unreachable", *["failed timestamp_unreachable again"] * 4]
    assert scene.store.stamped() == []


async def test_who_does_not_publish_asks_nobody_and_follows_the_folder(scene: Scene) -> None:
    scene.append(2)
    await scene.following.round()
    other = TileDirectory(scene.store.folder)
    first = scene.following
    scene.start(other)
    scene.append(2)
    scene.clock.advance(INTERVAL)
    await scene.following.round()
    assert scene.following.lag_seconds() == INTERVAL
    assert len(scene.authority.asked) == 1
    await first.round()
    scene.clock.advance(LIST_SECONDS)
    await scene.following.round()
    assert scene.following.lag_seconds() == 0.0


async def test_a_crash_between_the_two_files_is_made_good(scene: Scene) -> None:
    checkpoint = scene.append(4)
    scene.store.write([(published.stamped(4), checkpoint)])
    await scene.following.round()
    assert scene.store.stamped() == [4]
    assert scene.store.read(published.token(4)) is not None


async def test_without_a_checkpoint_there_is_nothing_to_stamp(scene: Scene) -> None:
    scene.append(publish=False)
    await scene.following.round()
    assert scene.authority.asked == []
    assert scene.following.lag_seconds() == 0.0
    scene.clock.advance(5)
    assert scene.following.lag_seconds() == 5.0


async def test_pruned_entries_have_no_age(scene: Scene) -> None:
    scene.append(3, publish=False)
    scene.clock.advance(500)
    scene.append(1, publish=False)
    scene.pruned = 3
    await scene.following.round()
    assert scene.following.lag_seconds() == 0.0


async def test_trouble_ends_no_loop_and_is_told(scene: Scene) -> None:
    stop = asyncio.Event()
    scene.append()
    scene.fails = AuditUnavailable(private="database")
    tell = scene.spy.stamp_failed

    def told(error: Exception, reason: str, *, first: bool) -> None:
        tell(error, reason, first=first)
        stop.set()

    scene.spy.stamp_failed = told  # type: ignore[method-assign]
    await scene.following.run(stop)
    assert scene.spy.seen == ["failed database"]
