"""The life of the process: what it says when it starts, reloads and ends, and what it refuses."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson
import pytest
import yaml
from sqlalchemy import update

from adapters.clock import SystemClock
from adapters.sandbox.cast import CREDIT_SOURCE, PLATFORM_ID
from adapters.sql import engine as engines
from adapters.sql import migrations, tables
from adapters.sql.audit import open_audit_log
from gateway.app import StartRefused, serve
from gateway.app.serve import Service
from gateway.tls import peer_certificate
from tests.fakes import FakeSealer
from tests.fakes_app import ENOUGH, Events, Place, log_to, make_place
from tests.samples import ORIGIN


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """The service tunes the collector of its process; this one goes on."""
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    service: Service
    events: Events
    task: asyncio.Task[int]

    def address(self, listener: str) -> str:
        scheme = "http" if listener == "ops" else "https"
        return f"{scheme}://localhost:{getattr(self.service.settings, listener).port}"


@asynccontextmanager
async def running(place: Place) -> AsyncIterator[Running]:
    events = Events()
    service = Service(*place.loaded(), log_to(events))
    async with asyncio.timeout(2 * ENOUGH), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(service.run())
        await events.next("service.ready")
        yield Running(service=service, events=events, task=task)
        service.stop.set()


async def recorded(one: Running) -> list[str]:
    audit = one.service.settings.audit
    async with open_audit_log(
        audit.url, name=audit.origin, origin=ORIGIN, sealer=FakeSealer(), queue_max=10, batch_max=10
    ) as log:
        return [orjson.loads(stored.entry)["type"] async for stored in log.read()]


async def refusal(one: Running, place: Place, label: str) -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{one.address('bank')}/cdi/v1/consents", ssl=place.client(label)) as answer,
    ):
        code: str = (await answer.json(content_type=None))["code"]
        return code


async def test_start_and_stop_are_recorded_and_a_good_end_is_zero(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    async with running(place) as one, aiohttp.ClientSession() as session:
        async with session.get(f"{one.address('ops')}/readyz") as answer:
            assert answer.status == 200
        os.kill(os.getpid(), signal.SIGTERM)
        await one.events.next("service.stopped")
    assert one.task.result() == 0
    assert await recorded(one) == ["service.started", "service.stopped"]


async def test_refusals_are_written_before_the_end(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    async with running(place) as one:
        assert await refusal(one, place, "bank-a") == "TOKEN_MISSING"
    assert await recorded(one) == ["service.started", "admission.refused", "service.stopped"]


async def test_a_reload_knows_at_once_who_may_still_come(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    async with running(place) as one:
        assert await refusal(one, place, "bank-b") == "TOKEN_MISSING"
        place.keep("BANKA01DC", PLATFORM_ID, CREDIT_SOURCE.participant_id)
        os.kill(os.getpid(), signal.SIGHUP)
        await one.events.next("reload.done")
        assert await refusal(one, place, "bank-b") == "CERT_UNKNOWN"
        assert await refusal(one, place, "bank-a") == "TOKEN_MISSING"
    assert (await recorded(one))[:2] == ["service.started", "config.loaded"]


async def test_a_reload_of_broken_files_changes_nothing(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    async with running(place) as one:
        place.participants_file.write_text("participants: nobody")
        os.kill(os.getpid(), signal.SIGHUP)
        await one.events.next("reload.refused")
        assert await refusal(one, place, "bank-b") == "TOKEN_MISSING"
    assert "config.loaded" not in await recorded(one)


async def test_a_reload_knows_at_once_which_clients_may_have_tokens(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    form = {"grant_type": "client_credentials", "client_id": "bank-a-loans", "scope": "cdi:consents"}

    async def asked(one: Running) -> tuple[int, str | None]:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{one.address('bank')}/oauth/token", data=form, ssl=place.client("bank-a")) as answer,
        ):
            return answer.status, (await answer.json()).get("error")

    async with running(place) as one:
        assert await asked(one) == (200, None)
        registry = place.participants()
        registry["participants"][0]["clients"] = [{"id": "bank-a-loans"}]
        place.participants_file.write_text(yaml.safe_dump(registry))
        os.kill(os.getpid(), signal.SIGHUP)
        await one.events.next("reload.done")
        assert await asked(one) == (401, "invalid_client")


async def test_a_reload_with_a_clients_key_set_of_no_use_changes_nothing(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    async with running(place) as one:
        (tmp_path / "clients/bank-a-jwt/jwks.json").write_bytes(b'{"keys":[]}')
        os.kill(os.getpid(), signal.SIGHUP)
        await one.events.next("reload.refused")
        assert await refusal(one, place, "bank-b") == "TOKEN_MISSING"


async def test_a_reload_takes_the_consent_listeners_new_certificate(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    browser = ssl.create_default_context(cafile=tmp_path / "pki/ca.pem")

    async def shown(one: Running) -> str:
        consent = one.service.settings.consent
        assert consent is not None
        _, writer = await asyncio.open_connection("localhost", consent.port, ssl=browser)
        certificate = peer_certificate(writer.transport)
        writer.transport.abort()
        assert certificate is not None
        return certificate.sha256

    async with running(place) as one:
        before = await shown(one)
        renewed = place.credentials.authority("servers").server("gateway", now=int(SystemClock().now()))
        renewed.write(tmp_path / "gateway/tls/server/cert.pem", tmp_path / "gateway/tls/server/key.pem")
        os.kill(os.getpid(), signal.SIGHUP)
        await one.events.next("reload.done")
        assert await shown(one) == renewed.sha256 != before


async def test_a_dead_audit_log_ends_the_process_with_one(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    async with running(place) as one:
        with engines.create(one.service.settings.audit.url).connect() as connection, connection.begin():
            # Recovered behind its back: this process may append no more.
            connection.execute(update(tables.head).values(epoch=tables.head.c.epoch + 1))
        os.kill(os.getpid(), signal.SIGHUP)
        await one.events.next("reload.refused")
        await one.events.next("audit.failed")
        await one.events.next("service.stopped")
    assert one.task.result() == 1


async def test_a_port_in_use_refuses_the_start(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    async with running(place):
        second = tmp_path / "second"
        second.mkdir()
        other = make_place(second)
        settings, participants = other.loaded()
        taken = place.loaded()[0].bank.port
        settings = settings.model_copy(update={"bank": settings.bank.model_copy(update={"port": taken})})
        with pytest.raises(OSError, match="in use"):
            await Service(settings, participants, log_to(Events())).run()


async def test_an_outdated_database_refuses_the_start(tmp_path: Path) -> None:
    place = make_place(tmp_path, migrated=False)
    with pytest.raises(migrations.SchemaOutdated):
        await Service(*place.loaded(), log_to(Events())).run()


def test_serve_says_what_to_do_when_it_cannot_start(tmp_path: Path) -> None:
    place = make_place(tmp_path, migrated=False)
    with pytest.raises(StartRefused, match="db upgrade"):
        serve(place.config)
