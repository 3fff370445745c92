"""What the migrations of the audit log make of the rows of earlier versions."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text

from adapters.sql import engine as engines
from adapters.sql import migrations
from adapters.sql.audit import open_audit_log
from gateway.core.merkle import leaf_hash, root
from tests import samples
from tests.fakes import FakeSealer
from tests.postgresql import PostgreSQL


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'audit.db'}"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.new_database()


def at_version(url: str, version: str) -> None:
    config = migrations._config("audit")
    with engines.create(url).connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, version)


def fill(url: str, entries: list[bytes], *, size: int) -> None:
    with engines.create(url).connect() as connection, connection.begin():
        connection.execute(text("INSERT INTO head VALUES (1, 'old/log', :size, 7)"), {"size": size})
        connection.execute(
            text("INSERT INTO entries VALUES (:index, :entry, :leaf)"),
            [{"index": index, "entry": data, "leaf": leaf_hash(data)} for index, data in enumerate(entries)],
        )


async def test_a_log_of_the_first_version_goes_on_with_the_tree_of_its_entries(url: str) -> None:
    at_version(url, "audit_0001")
    entries = [b'{"number":%d}' % number for number in range(11)]
    fill(url, entries, size=11)
    migrations.upgrade(url, "audit")
    values = {"origin": samples.ORIGIN, "sealer": FakeSealer(), "queue_max": 9, "batch_max": 9}
    async with open_audit_log(url, name="old/log", **values) as log:  # type: ignore[arg-type]
        head = await log.head()
        assert (head.size, head.root, head.pruned) == (11, root([leaf_hash(entry) for entry in entries]), 0)
        assert (await log.append([samples.record()]))[0].index == 11


def test_a_log_that_misses_an_entry_is_not_upgraded(url: str) -> None:
    at_version(url, "audit_0001")
    fill(url, [b"{}"], size=2)
    with pytest.raises(ValueError, match="entry 1 is missing"):
        migrations.upgrade(url, "audit")
    assert migrations.current(url, "audit") == "audit_0001"
