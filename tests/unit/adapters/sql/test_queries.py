"""What the worker's queries cost. What they answer is in the store's contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection

from adapters.sql import engine as engines
from adapters.sql import migrations, queries
from adapters.sql.changes import Work
from gateway.core.model import Consent, ExchangeStatus
from gateway.ports import ConsentStep, ExchangeStep
from tests import samples
from tests.fakes import FakeSealer

Query = Callable[[Connection], object]


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    migrations.upgrade(url, "store")
    with engines.create(url).connect() as connection, connection.begin():
        yield connection


def finish_exchanges(connection: Connection, count: int) -> None:
    work = Work(connection, FakeSealer(), "replica-1")
    consent = samples.consent()
    work.submit(lambda _: ConsentStep(consent=consent), samples.idempotency())
    for _ in range(count):
        step = ExchangeStep(exchange=replace(samples.exchange(consent), status=ExchangeStatus.SHARED))
        work.accept(consent.consent_id, samples.idempotency(), lease_until=0.0, decide=partial(_decided, step))
    work.flush()


def _decided(step: ExchangeStep, _consent: Consent | None) -> ExchangeStep:
    return step


def steps(connection: Connection, query: Query) -> int:
    """How many instructions SQLite runs for it."""
    ran: list[None] = []
    driver = connection.connection.dbapi_connection
    assert driver is not None
    driver.set_progress_handler(lambda: ran.append(None), 1)
    query(connection)
    driver.set_progress_handler(None, 0)
    return len(ran)


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(
            lambda connection: queries.claim_due(
                connection, FakeSealer(), now=samples.NOW, lease_until=samples.NOW + 1.0, lease_owner="r", limit=9
            ),
            id="claim_due",
        ),
        pytest.param(queries.count_open, id="count_open"),
    ],
)
def test_finished_exchanges_are_not_even_looked_at(connection: Connection, query: Query) -> None:
    before = steps(connection, query)
    assert before > 0
    finish_exchanges(connection, 100)
    assert steps(connection, query) == before
