"""The trail beside the service: started before the first request, stopped behind the last record, and in the way of a
log that went back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import delete, select, update

from adapters.clock import SystemClock
from adapters.keys.file import AesGcmSealer
from adapters.keys.log_key import log_signers
from adapters.sql import engine as engines
from adapters.sql import tables
from adapters.sql.audit import open_audit_log
from gateway.app import StartRefused, serve
from gateway.app.serve import Service
from gateway.app.trail import Trail, open_trail
from gateway.audit import note, proof
from gateway.audit.note import Checkpoint
from gateway.audit.tree import Frontier
from gateway.exchange.recording import record
from gateway.observe.metrics import Metrics
from gateway.settings import Audit
from tests.fakes_app import ENOUGH, Events, Place, log_to, make_place
from tests.samples import ORIGIN


def changed(**audit: Any) -> dict[str, Any]:
    # No witness and no authority run here.
    return {"audit": {"witnesses": {}, "timestamps": None} | audit}


def place_in(folder: Path, **audit: Any) -> Place:
    return make_place(folder, changed(**audit))


@asynccontextmanager
async def opened(place: Place, *, metrics: Metrics | None = None) -> AsyncIterator[Trail]:
    settings, _ = place.loaded()
    async with (
        open_audit_log(
            settings.audit.url,
            name=settings.audit.origin,
            origin=ORIGIN,
            sealer=AesGcmSealer(settings.secrets.storage_key_file),
            queue_max=100,
            batch_max=64,
        ) as entries,
        open_trail(
            settings.audit,
            entries,
            keyed=lambda kind, value: value,
            clock=SystemClock(),
            metrics=metrics or Metrics(version="0"),
            log=log_to(Events()),
        ) as trail,
    ):
        yield trail


def published(settings: Audit) -> Checkpoint:
    keys = [signer.verifier for signer in log_signers(settings.origin, [settings.signing_key_file])]
    return note.open_checkpoint((settings.publish.dir / "checkpoint").read_bytes(), origin=settings.origin, keys=keys)


async def publish_five(place: Place) -> None:
    async with opened(place) as trail, asyncio.TaskGroup() as tasks:
        trail.follow(tasks)
        await trail.audit.append([record(0, "service.started") for _ in range(5)])
        trail.stop.set()


def cut(url: str, size: int) -> None:
    """Put the log back to an earlier state, as an old backup would."""
    with engines.create(url).connect() as connection, connection.begin():
        leaves = connection.execute(
            select(tables.entries.c.leaf_hash).where(tables.entries.c.idx < size).order_by(tables.entries.c.idx)
        ).scalars()
        frontier = Frontier()
        frontier.extend(bytes(leaf) for leaf in leaves)
        connection.execute(delete(tables.entries).where(tables.entries.c.idx >= size))
        connection.execute(update(tables.head).values(size=size, frontier=frontier.packed, root=frontier.root()))


async def test_a_record_is_proven_once_a_checkpoint_covers_it(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    metrics = Metrics(version="0")
    async with opened(place, metrics=metrics) as trail, asyncio.TaskGroup() as tasks:
        following = trail.follow(tasks)
        [position] = await trail.audit.append([record(0, "service.started")])
        assert await trail.publication.wait_covered(position.index, timeout_seconds=ENOUGH)
        text = await trail.publication.proof(position.index)
        assert text is not None
        settings = place.loaded()[0].audit
        keys = [signer.verifier for signer in log_signers(settings.origin, [settings.signing_key_file])]
        proof.verify(proof.parse(text), position.leaf_hash, origin=settings.origin, keys=keys)
        trail.stop.set()
        await asyncio.gather(*following)
    assert b"cdi_audit_published_size 1.0" in metrics.render()
    assert b"cdi_audit_published_lag_seconds 0.0" in metrics.render()


async def test_no_flood_of_readers_delays_a_checkpoint(tmp_path: Path) -> None:
    gate = threading.Event()
    async with opened(place_in(tmp_path)) as trail, asyncio.TaskGroup() as tasks:
        flood = [tasks.create_task(trail.reading(gate.wait)) for _ in range(64)]
        others = [tasks.create_task(asyncio.to_thread(gate.wait)) for _ in range(64)]
        following = trail.follow(tasks)
        try:
            [position] = await trail.audit.append([record(0, "service.started")])
            assert await trail.publication.wait_covered(position.index, timeout_seconds=ENOUGH)
            proving = tasks.create_task(trail.publication.proof(position.index))
        finally:
            gate.set()
            trail.stop.set()
        assert await proving is not None
        await asyncio.gather(*flood, *others, *following)


async def test_the_last_record_of_a_process_is_published(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    events = Events()
    service = Service(*place.loaded(), log_to(events))
    async with asyncio.timeout(2 * ENOUGH), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(service.run())
        await events.next("service.ready")
        service.stop.set()
        assert await running == 0
    async with opened(place) as trail:
        assert published(place.loaded()[0].audit).size == trail.publication.covered() == 2


async def test_a_log_that_went_back_refuses_the_start_and_stays_as_it_is(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    await publish_five(place)
    settings = place.loaded()[0].audit
    cut(settings.url, 3)
    with pytest.raises(StartRefused, match=r"has 3 entries, but 5 were signed"):
        await asyncio.to_thread(serve, place.config)
    with engines.create(settings.url).connect() as connection:
        assert connection.execute(select(tables.head.c.size)).scalar_one() == 3


async def test_a_folder_without_publication_for_too_long_makes_the_log_unhealthy(tmp_path: Path) -> None:
    place = place_in(tmp_path, publish={"dir": "log", "refuse_after_seconds": 0.001})
    async with opened(place) as trail:  # nobody runs the publisher
        assert trail.audit.healthy()
        [position] = await trail.audit.append([record(0, "service.started")])
        async with asyncio.timeout(ENOUGH):
            while trail.audit.healthy():  # noqa: ASYNC110 - what is awaited sets no event
                await asyncio.sleep(0)
        assert trail.log.healthy()  # that is no reason for the process to end
        assert len(await trail.audit.append([record(0, "service.stopped")])) == 1  # what was accepted finishes
        assert position.index == 0


async def test_the_published_log_is_served_where_that_is_configured(tmp_path: Path) -> None:
    place = place_in(tmp_path, publish={"dir": "log", "http": {"port": 0}})
    await publish_five(place)
    events = Events()
    service = Service(*place.loaded(), log_to(events))
    async with asyncio.timeout(2 * ENOUGH), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(service.run())
        await events.next("service.ready")
        [port] = [line["port"] for line in events.lines if line.get("listener") == "log"]
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/checkpoint") as answer:
            assert answer.status == 200
            assert (await answer.text()).startswith(place.loaded()[0].audit.origin)
        service.stop.set()
        assert await running == 0


async def test_an_unusable_folder_refuses_the_start(tmp_path: Path) -> None:
    place = place_in(tmp_path, publish={"dir": "file/log"})
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StartRefused, match="Not a directory"):
        await asyncio.to_thread(serve, place.config)
