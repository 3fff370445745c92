"""Databases for the contract suites: SQLite always, PostgreSQL where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.sql import migrations


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with both schemas and no rows."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgresql").new_database()
    else:
        url = f"sqlite:///{tmp_path / 'gateway.db'}"
    for schema in migrations.SCHEMAS:
        migrations.upgrade(url, schema)
    return url
