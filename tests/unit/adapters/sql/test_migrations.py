from __future__ import annotations

import stat
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from adapters.sql import authorization_tables, migrations, search_tables, tables
from adapters.sql import engine as engines
from adapters.sql.migrations import DatabaseUnusable, Schema, SchemaOutdated
from tests.postgresql import PostgreSQL

METADATA = {"store": authorization_tables.store, "audit": tables.audit, "index": search_tables.index}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'gateway.db'}"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.new_database()


@pytest.mark.parametrize("schema", migrations.SCHEMAS)
def test_migrations_lead_to_the_tables_that_the_code_uses(url: str, schema: Schema) -> None:
    migrations.upgrade(url, schema)
    with engines.create(url).connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": f"{schema}_version"})
        assert compare_metadata(context, METADATA[schema]) == []


def test_all_schemas_live_in_one_database(url: str) -> None:
    for schema in migrations.SCHEMAS:
        assert migrations.current(url, schema) is None
        assert migrations.upgrade(url, schema) == migrations.newest(schema) == migrations.current(url, schema)
        migrations.check(url, schema)


def test_upgrading_twice_changes_nothing(url: str) -> None:
    migrations.upgrade(url, "store")
    migrations.upgrade(url, "store")
    assert migrations.current(url, "store") == migrations.newest("store")


def test_a_database_without_schema_is_refused_and_says_what_to_do(url: str) -> None:
    with pytest.raises(SchemaOutdated, match="db upgrade"):
        migrations.check(url, "audit")


def test_asking_makes_no_file(tmp_path: Path) -> None:
    assert migrations.current(f"sqlite:///{tmp_path / 'one.db'}", "store") is None
    assert not (tmp_path / "one.db").exists()


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "data" / "one.db"
    migrations.upgrade(f"sqlite:///{file}", "store")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_what_is_no_database_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "one.db").write_bytes(b"this is a letter, not a database" * 100)
    for act in (migrations.upgrade, migrations.current):
        with pytest.raises(DatabaseUnusable):
            act(f"sqlite:///{tmp_path / 'one.db'}", "store")
