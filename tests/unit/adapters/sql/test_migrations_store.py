"""What the migrations of the store make of the rows of earlier versions."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from alembic import command
from sqlalchemy import text

from adapters.sql import engine as engines
from adapters.sql import migrations, rows
from adapters.sql.store import open_store
from gateway.core.model import Approval, Consent, ConsentStatus
from gateway.ports import Announced, ExchangeStep
from tests import samples
from tests.fakes import FakeSealer
from tests.postgresql import PostgreSQL


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.new_database()


def at_version(url: str, version: str) -> None:
    config = migrations._config("store")
    with engines.create(url).connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, version)


def fill(url: str, consents: list[Consent]) -> None:
    """As version 0001 wrote them: the subject among the terms, nothing about the approval."""
    values = []
    for consent in consents:
        row = rows.consent_row(consent, samples.idempotency(), FakeSealer())
        row["terms"] = orjson.dumps(orjson.loads(row["terms"]) | {"subject": row.pop("subject")})
        del row["approval"]
        values.append(row)
    names = ", ".join(values[0])
    places = ", ".join(f":{name}" for name in values[0])
    with engines.create(url).connect() as connection, connection.begin():
        connection.execute(text(f"INSERT INTO consents ({names}) VALUES ({places})"), values)


async def test_consents_of_the_first_version_keep_everything_and_know_their_owner(url: str) -> None:
    at_version(url, "store_0001")
    approvals = {ConsentStatus.VALID: Approval.ISSUER, ConsentStatus.CONSUMED: Approval.ISSUER}
    consents = [
        samples.consent(status=status, subject=f"{number}" * 64, approval=approvals.get(status))
        for number, status in enumerate(ConsentStatus)
    ]
    fill(url, consents)
    migrations.upgrade(url, "store")
    async with open_store(url, sealer=FakeSealer(), lease_owner="r", queue_max=99, batch_max=9) as store:
        for consent in consents:
            assert await store.consent(consent.consent_id) == consent
            assert await store.authorization.consents_of(consent.subject, after=None, limit=9) == [consent]
        # They go on as they would have.
        made = await store.accept(
            consents[1].consent_id,
            samples.idempotency(),
            lease_until=0.0,
            decide=lambda found: ExchangeStep(exchange=samples.exchange(found or consents[0])),
        )
        assert made.exchange.consent_id == consents[1].consent_id
        assert await store.authorization.revocations(after=0, now=0) == Announced(rows=[], newest=0)


def test_more_consents_than_one_page_are_filled(url: str) -> None:
    at_version(url, "store_0001")
    fill(url, [samples.consent(subject=f"{number:064}") for number in range(10_003)])
    migrations.upgrade(url, "store")
    with engines.create(url).connect() as connection:
        [(filled, least)] = connection.execute(text("SELECT count(DISTINCT subject), min(subject) FROM consents")).all()
    assert (filled, least) == (10_003, f"{0:064}")
