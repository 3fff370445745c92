"""What breaks below the store and the audit log: full disks, failed commits, a database that goes and comes back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError

from adapters.sql import engine as engines
from adapters.sql import migrations
from adapters.sql.audit import SqlAuditLog, open_audit_log
from adapters.sql.changes import Change, Work
from adapters.sql.store import SqlStore, open_store
from gateway.core.model import Consent, ConsentStatus
from gateway.errors import AuditUnavailable, ConsentConsumed, UpstreamUnavailable
from gateway.ports import Announced, ConsentStep, ExchangeStep, GrantStep, NewNotice
from tests import oauth_samples, samples
from tests.fakes import FakeSealer
from tests.postgresql import PostgreSQL

NOTICE = NewNotice(participant_id=samples.BANK, type="CONSENT_REVOKED", time=samples.NOW)


class Switch:
    """Lets commits of an engine fail while it is on, as a failed sync does."""

    def __init__(self, engine: Engine) -> None:
        self.on = False
        event.listen(engine, "commit", self._commit)

    def _commit(self, _connection: Any) -> None:
        if self.on:
            raise OperationalError("COMMIT", {}, OSError(5, "Input/output error"))


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    for schema in migrations.SCHEMAS:
        migrations.upgrade(url, schema)
    return url


def small_disk(engine: Engine, *, pages: int) -> None:
    """SQLite's own limit: it answers as it does on a full disk."""

    @event.listens_for(engine, "connect")
    def limit(connection: Any, _entry: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")


class Cutting(FakeSealer):
    """Cuts the log's connections when a key is made, which is in the middle of a transaction."""

    def __init__(self, url: str) -> None:
        self._url = url

    def seal(self, text: str, *, context: str) -> bytes:
        cut_all(self._url)
        return super().seal(text, context=context)


def cut_all(url: str) -> None:
    others = "SELECT pg_terminate_backend(pid, 9000) FROM pg_stat_activity WHERE datname = current_database()"
    with engines.create(url).connect() as connection:
        connection.execute(text(f"{others} AND pid <> pg_backend_pid()"))


def audit_log(url: str, writing: Engine) -> SqlAuditLog:
    return SqlAuditLog(
        writing,
        engines.create(url, reads_only=True),
        name="test/audit",
        origin=samples.ORIGIN,
        sealer=FakeSealer(),
        queue_max=1_000,
        batch_max=64,
    )


def store(url: str, writing: Engine) -> SqlStore:
    return SqlStore(
        writing,
        engines.create(url, reads_only=True),
        sealer=FakeSealer(),
        lease_owner="replica-1",
        queue_max=1_000,
        batch_max=64,
    )


async def test_a_failed_commit_ends_the_audit_log_for_this_process(url: str) -> None:
    writing = engines.create(url)
    switch = Switch(writing)
    log = audit_log(url, writing)
    await log.start()
    await log.append([samples.record()])
    switch.on = True
    failed = await asyncio.gather(*(log.append([samples.record()]) for _ in range(5)), return_exceptions=True)
    assert [type(one) for one in failed] == [AuditUnavailable] * 5
    switch.on = False  # the disk is well again, yet what was written in between is unknown
    with pytest.raises(AuditUnavailable):
        await log.append([samples.record()])
    assert not log.healthy()
    assert await log.size() == 1
    await log.close()


async def test_a_full_disk_ends_the_audit_log_and_keeps_what_was_acknowledged(url: str) -> None:
    writing = engines.create(url)
    small_disk(writing, pages=60)
    log = audit_log(url, writing)
    await log.start()
    acknowledged = 0

    async def fill() -> None:
        nonlocal acknowledged
        while True:
            await log.append([samples.record()])
            acknowledged += 1

    with pytest.raises(AuditUnavailable):
        await fill()
    assert not log.healthy()
    assert await log.size() == acknowledged > 0
    await log.close()
    async with open_audit_log(
        url, name="test/audit", origin=samples.ORIGIN, sealer=FakeSealer(), queue_max=1_000, batch_max=64
    ) as recovered:
        [position] = await recovered.append([samples.record()])
        assert position.index == acknowledged


async def test_a_failed_commit_fails_its_callers_and_the_store_goes_on(url: str) -> None:
    writing = engines.create(url)
    switch = Switch(writing)
    opened = store(url, writing)
    key = samples.idempotency()
    consent = samples.consent()
    switch.on = True
    with pytest.raises(UpstreamUnavailable):
        await opened.submit(lambda _: ConsentStep(consent=consent), key)
    assert not opened.healthy()
    switch.on = False
    assert await opened.submit(lambda _: ConsentStep(consent=consent), key) == consent
    assert opened.healthy()
    assert await opened.consent(consent.consent_id) == consent
    await opened.close()


async def test_a_revocation_whose_commit_failed_ends_and_announces_nothing(url: str) -> None:
    writing = engines.create(url)
    switch = Switch(writing)
    opened = store(url, writing)
    consent = samples.consent()
    grant = oauth_samples.grant(consent, code_hash=None)
    await opened.submit(lambda _: ConsentStep(consent=consent), samples.idempotency())
    await opened.authorization.add_grant(GrantStep(grant=grant))

    async def revoke() -> None:
        revoked = replace(consent, status=ConsentStatus.REVOKED)
        await opened.change_consent(consent.consent_id, lambda _: ConsentStep(consent=revoked))

    switch.on = True
    with pytest.raises(UpstreamUnavailable):
        await revoke()
    switch.on = False
    assert await opened.consent(consent.consent_id) == consent
    assert await opened.authorization.live_grant(grant.client_id, consent.consent_id) == grant
    assert await opened.authorization.revocations(after=0, now=samples.NOW) == Announced(rows=[], newest=0)
    await revoke()
    assert await opened.authorization.live_grant(grant.client_id, consent.consent_id) is None
    announced = await opened.authorization.revocations(after=0, now=samples.NOW)
    assert ([one.sequence for one in announced.rows], announced.newest) == ([1], 1)
    await opened.close()


async def test_a_full_disk_fails_writes_and_not_reads(url: str) -> None:
    writing = engines.create(url)
    small_disk(writing, pages=60)
    opened = store(url, writing)
    consent = samples.consent()
    await opened.submit(lambda _: ConsentStep(consent=consent), samples.idempotency())

    async def fill() -> None:
        while True:
            await opened.submit(lambda _: ConsentStep(consent=samples.consent()), samples.idempotency())

    with pytest.raises(UpstreamUnavailable):
        await fill()
    assert not opened.healthy()
    assert await opened.consent(consent.consent_id) == consent
    await opened.close()


async def test_a_database_that_cannot_be_opened_is_said_at_start(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'nowhere' / 'gateway.db'}"
    with pytest.raises(UpstreamUnavailable):
        async with open_store(url, sealer=FakeSealer(), lease_owner="r", queue_max=9, batch_max=9):
            pass
    with pytest.raises(AuditUnavailable):
        async with open_audit_log(url, name="n", origin=samples.ORIGIN, sealer=FakeSealer(), queue_max=9, batch_max=9):
            pass


async def test_the_store_survives_writing_to_a_server_that_is_away_and_the_audit_log_does_not(
    postgresql: PostgreSQL,
) -> None:
    url = postgresql.new_database()
    for schema in migrations.SCHEMAS:
        migrations.upgrade(url, schema)
    async with (
        open_store(url, sealer=FakeSealer(), lease_owner="r", queue_max=99, batch_max=9) as opened,
        open_audit_log(url, name="n", origin=samples.ORIGIN, sealer=FakeSealer(), queue_max=99, batch_max=9) as log,
    ):
        await opened.add_notices([NOTICE])
        await log.append([samples.record()])
        postgresql.stop()
        with pytest.raises(UpstreamUnavailable):
            await opened.add_notices([NOTICE])
        with pytest.raises(AuditUnavailable):
            await log.append([samples.record()])
        assert (opened.healthy(), log.healthy()) == (False, False)
        postgresql.start()
        await opened.add_notices([NOTICE])
        assert opened.healthy()
        assert len(await opened.notices(samples.BANK, after=0, limit=9)) == 2
        with pytest.raises(AuditUnavailable):
            await log.append([samples.record()])


async def test_an_idle_connection_that_was_cut_is_replaced_unnoticed(postgresql: PostgreSQL) -> None:
    url = postgresql.new_database()
    migrations.upgrade(url, "store")
    async with open_store(url, sealer=FakeSealer(), lease_owner="r", queue_max=99, batch_max=9) as opened:
        await opened.add_notices([NOTICE])
        postgresql.stop()
        postgresql.start()
        await opened.add_notices([NOTICE])
        assert len(await opened.notices(samples.BANK, after=0, limit=9)) == 2


async def test_the_audit_log_survives_a_restart_of_its_server_while_it_is_idle(postgresql: PostgreSQL) -> None:
    url = postgresql.new_database()
    migrations.upgrade(url, "audit")
    async with open_audit_log(
        url, name="n", origin=samples.ORIGIN, sealer=FakeSealer(), queue_max=99, batch_max=9
    ) as log:
        await log.append([samples.record()])
        postgresql.stop()
        postgresql.start()
        [position] = await log.append([samples.record()])
        assert (position.index, await log.size()) == (1, 2)
        assert log.healthy()


async def test_a_connection_cut_within_a_transaction_ends_the_audit_log(postgresql: PostgreSQL) -> None:
    url = postgresql.new_database()
    migrations.upgrade(url, "audit")
    async with open_audit_log(
        url, name="n", origin=samples.ORIGIN, sealer=Cutting(url), queue_max=99, batch_max=9
    ) as log:
        with pytest.raises(AuditUnavailable):
            await log.append([samples.record(consent=samples.consent())])
        assert not log.healthy()
        assert await log.size() == 0


async def test_a_connection_cut_at_the_commit_ends_the_audit_log(postgresql: PostgreSQL) -> None:
    url = postgresql.new_database()
    migrations.upgrade(url, "audit")
    writing = engines.create(url)
    log = audit_log(url, writing)
    await log.start()
    event.listen(writing, "commit", lambda _connection: cut_all(url))
    with pytest.raises(AuditUnavailable):
        await log.append([samples.record()])
    assert not log.healthy()
    assert await log.size() == 0
    await log.close()


async def test_a_repetition_that_waited_for_the_first_is_answered_and_not_refused(postgresql: PostgreSQL) -> None:
    """Two replicas get one request; the second waits for the consent while the first takes its only use."""
    url = postgresql.new_database()
    migrations.upgrade(url, "store")
    consent, key = samples.consent(max_uses=1), samples.idempotency()
    exchange = samples.exchange(consent)

    def refuse(_: Consent | None) -> ExchangeStep:
        raise ConsentConsumed()

    async with open_store(url, sealer=FakeSealer(), lease_owner="second", queue_max=99, batch_max=9) as second:
        await second.submit(lambda _: ConsentStep(consent=consent), samples.idempotency())
        with engines.create(url).connect() as first, engines.create(url).connect() as watcher:
            work = Work(first, FakeSealer(), "first")
            work.load([Change(apply=lambda _: None, consent_id=consent.consent_id)])
            repetition = asyncio.ensure_future(second.accept(consent.consent_id, key, lease_until=0.0, decide=refuse))
            while not watcher.execute(text("SELECT 1 FROM pg_locks WHERE NOT granted")).all():
                watcher.rollback()
                await asyncio.sleep(0)
            work.accept(consent.consent_id, key, lease_until=0.0, decide=lambda _: ExchangeStep(exchange=exchange))
            work.flush()
            first.commit()
        accepted = await repetition
    assert accepted.replayed
    assert accepted.exchange == exchange
