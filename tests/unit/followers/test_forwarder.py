"""Forwarding: in order, at least once, from a durable place; trouble at the receiver stops nothing but itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from adapters.siem.syslog_tls import SyslogTls
from gateway.audit.event import Event, Gap
from gateway.audit.ocsf import ocsf
from gateway.audit.record import Record
from gateway.audit.syslog import syslog
from gateway.errors import UpstreamUnavailable
from gateway.followers.forwarder import Forwarder
from gateway.ports import Head, StoredEntry
from tests import samples
from tests.compliance_desk import OPERATOR, about, open_log
from tests.fakes import FakeClock
from tests.siem_receivers import Authority, running_syslog


class Receiver:
    """`ports.EventTarget`: takes what comes, or fails as often as it is told, before or after it took it."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.fail_before = 0
        self.fail_after = 0
        self.closed = False
        self.came = asyncio.Event()

    async def deliver(self, events: Sequence[bytes]) -> None:
        if self.fail_before:
            self.fail_before -= 1
            raise UpstreamUnavailable
        self.events += [orjson.loads(event) for event in events]
        self.came.set()
        if self.fail_after:
            self.fail_after -= 1
            raise UpstreamUnavailable

    async def close(self) -> None:
        self.closed = True

    def indices(self) -> list[int]:
        return [event["metadata"]["sequence"] for event in self.events]


class Observed:
    def __init__(self) -> None:
        self.lags: list[int] = []
        self.failures: list[str] = []
        self.recoveries = 0
        self.left_out: list[int] = []

    def lag(self, target: str, entries: int) -> None:
        assert target == "siem"
        self.lags.append(entries)

    def failed(self, target: str, error: Exception) -> None:
        assert target == "siem"
        self.failures.append(type(error).__name__)

    def recovered(self, target: str) -> None:
        assert target == "siem"
        self.recoveries += 1

    def unreadable(self, target: str, index: int) -> None:
        assert target == "siem"
        self.left_out.append(index)


def forwarder(log: Any, receiver: Any, observed: Observed, **changes: Any) -> Forwarder:
    values: dict[str, Any] = {
        "log": log,
        "cursors": log,
        "target": receiver,
        "render": ocsf,
        "clock": FakeClock(),
        "observer": observed,
        "batch_max": 10,
        "interval_seconds": 0.001,
        "retry_seconds_max": 0.001,
    }
    return Forwarder("siem", **(values | changes))


@contextlib.asynccontextmanager
async def running(made: Forwarder) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(made.run(stop))
        try:
            yield
        finally:
            stop.set()


async def until(receiver: Receiver, holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            receiver.came.clear()
            await receiver.came.wait()


def records(count: int) -> list[Record]:
    return [Record(record_id=samples.unique("r"), time=samples.NOW, type="consent.expired") for _ in range(count)]


async def test_every_entry_arrives_in_order_and_once(tmp_path: Path) -> None:
    receiver, observed = Receiver(), Observed()
    async with open_log(tmp_path) as log:
        await log.append(records(25))
        async with running(forwarder(log, receiver, observed)):
            await until(receiver, lambda: len(receiver.events) == 25)
            await log.append(records(3))
            await until(receiver, lambda: len(receiver.events) == 28)
        assert receiver.indices() == list(range(28))
        assert receiver.closed
        assert not observed.failures


async def test_a_restart_goes_on_where_the_last_one_stopped(tmp_path: Path) -> None:
    receiver, observed = Receiver(), Observed()
    async with open_log(tmp_path) as log:
        await log.append(records(12))
        assert await forwarder(log, receiver, observed).round() == 2
    async with open_log(tmp_path) as log:
        assert await forwarder(log, receiver, observed).round() == 0
        assert await forwarder(log, receiver, observed).round() == 0
    assert receiver.indices() == list(range(12))


async def test_a_death_between_delivery_and_its_note_repeats_the_batch(tmp_path: Path) -> None:
    class Dies:
        def __init__(self, log: Any) -> None:
            self._log = log

        async def cursor(self, name: str) -> int:
            found: int = await self._log.cursor(name)
            return found

        async def set_cursor(self, name: str, following: int) -> None:
            raise asyncio.CancelledError

    receiver = Receiver()
    async with open_log(tmp_path) as log:
        await log.append(records(5))
        with pytest.raises(asyncio.CancelledError):
            await forwarder(log, receiver, Observed(), cursors=Dies(log)).round()
        await forwarder(log, receiver, Observed()).round()
    assert receiver.indices() == [*range(5), *range(5)]


async def test_what_failed_is_tried_again_until_it_arrives(tmp_path: Path) -> None:
    receiver, observed = Receiver(), Observed()
    receiver.fail_before = 4
    async with open_log(tmp_path) as log:
        await log.append(records(15))
        async with running(forwarder(log, receiver, observed)):
            await until(receiver, lambda: len(receiver.events) == 15)
    assert receiver.indices() == list(range(15))
    assert observed.failures == ["UpstreamUnavailable"] * 4
    assert observed.recoveries == 1


async def test_a_batch_that_failed_in_the_middle_is_sent_whole(tmp_path: Path) -> None:
    receiver, observed = Receiver(), Observed()
    receiver.fail_after = 1
    async with open_log(tmp_path) as log:
        await log.append(records(4))
        async with running(forwarder(log, receiver, observed)):
            await until(receiver, lambda: len(receiver.events) == 8)
    assert receiver.indices() == [*range(4), *range(4)]


async def test_the_lag_is_told_also_while_nothing_arrives(tmp_path: Path) -> None:
    receiver, observed = Receiver(), Observed()
    receiver.fail_before = 1
    async with open_log(tmp_path) as log:
        await log.append(records(15))
        made = forwarder(log, receiver, observed)
        with pytest.raises(UpstreamUnavailable):
            await made.round()
        await made.round()
        await made.round()
    assert observed.lags == [15, 15, 5, 5, 0]


async def test_what_was_pruned_first_leaves_a_gap_that_is_told(tmp_path: Path) -> None:
    receiver = Receiver()
    async with open_log(tmp_path) as log:
        await log.append(records(300))
        await log.prune(256, OPERATOR.record(samples.NOW, "audit.pruned", facts={"below": 256}))
        made = forwarder(log, receiver, Observed(), batch_max=100)
        while await made.round():
            pass
    gap, *rest = receiver.events
    assert gap["unmapped"]["log"] == {"origin": "log.example", "index": 0, "below": 256}
    assert [event["metadata"]["sequence"] for event in rest] == list(range(256, 301))


class Scripted:
    """`ports.LogReader` and `ports.Cursors` of given entries."""

    def __init__(self, entries: Sequence[bytes | None], *, origin: str = "log.example", pruned: int = 0) -> None:
        self.stored = [StoredEntry(index=i, entry=data, leaf_hash=bytes(32)) for i, data in enumerate(entries)]
        self.origin = origin
        self.pruned = pruned
        self.places: dict[str, int] = {}

    async def head(self) -> Head:
        return Head(origin=self.origin, size=len(self.stored), root=bytes(32), pruned=self.pruned)

    async def entries(self, start: int, count: int) -> Sequence[StoredEntry]:
        return self.stored[start : start + count]

    async def cursor(self, name: str) -> int:
        return self.places.get(name, 0)

    async def set_cursor(self, name: str, following: int) -> None:
        self.places[name] = following


ENTRY = b'{"id":"1","time":"2027-01-15T08:00:00Z","type":"x"}'


async def test_bytes_that_are_no_entry_are_left_out_and_told(tmp_path: Path) -> None:
    receiver, observed = Receiver(), Observed()
    log = Scripted([ENTRY, b"\xff", b'{"type":"x","time":"soon"}', ENTRY])
    await forwarder(log, receiver, observed).round()
    assert receiver.indices() == [0, 3]
    assert observed.left_out == [1, 2]


async def test_entries_that_are_pruned_while_they_are_read_become_a_gap(tmp_path: Path) -> None:
    receiver = Receiver()
    log = Scripted([ENTRY, None, None, ENTRY])
    made = forwarder(log, receiver, Observed())
    await made.round()
    assert receiver.indices() == [0]
    log.pruned = 3
    await made.round()
    await made.round()
    assert [event["message"] for event in receiver.events[1:]] == [
        "entries 1 to 2 were pruned before they could be forwarded",
        "x",
    ]


async def test_a_log_with_a_new_name_is_forwarded_from_its_beginning(tmp_path: Path) -> None:
    receiver = Receiver()
    log = Scripted([ENTRY, ENTRY])
    made = forwarder(log, receiver, Observed())
    await made.round()
    log.origin = "log.example/2"  # after a rollback: `audit recover`
    await made.round()
    assert receiver.indices() == [0, 1, 0, 1]
    assert {event["metadata"]["log_name"] for event in receiver.events} == {"log.example", "log.example/2"}


async def test_an_entry_that_the_log_does_not_give_is_waited_for(tmp_path: Path) -> None:
    log = Scripted([ENTRY])
    log.stored, size = [], log.stored
    reader = Scripted([])
    reader.head = Scripted([data.entry for data in size]).head  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="missing"):
        await forwarder(reader, Receiver(), Observed()).round()


async def test_nothing_private_leaves(tmp_path: Path) -> None:
    receiver = Receiver()
    async with open_log(tmp_path) as log:
        await log.append([about("a" * 64, evidence="canary-evidence")])
        await forwarder(log, receiver, Observed()).round()
    sent = str(receiver.events)
    assert not [canary for canary in ("a" * 64, "d" * 64, "canary") if canary in sent]


async def test_syslog_messages_arrive_over_tls_with_the_index_of_the_log(tmp_path: Path) -> None:
    authority = Authority()

    def render(item: Event | Gap) -> bytes:
        return syslog(item, render=ocsf, hostname="gateway-1")

    async with running_syslog(authority.server()) as server, open_log(tmp_path) as log:
        server.cut_after = [3_000]
        await log.append(records(40))
        target = SyslogTls(server.url, ssl_context=authority.client(), timeout_seconds=20)
        async with running(forwarder(log, target, Observed(), render=render)):
            messages = await server.until(lambda: b'"sequence":39' in b"".join(server.messages[-1:]))
    found = [orjson.loads(message[message.index(b"{") :])["metadata"]["sequence"] for message in messages]
    # The receiver that died may have taken a batch with it; then its indices are missing, and that shows.
    assert found in (list(range(40)), list(range(10, 40)))
