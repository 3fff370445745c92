"""The schema's versions, run by Alembic from inside the package: no ini file, no working directory.

Three histories, `store`, `audit` and `index`, each with its own version table, so that they may share a database.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from adapters.sql import engine as engines

Schema = Literal["store", "audit", "index"]
SCHEMAS: tuple[Schema, ...] = ("store", "audit", "index")

_FOLDER = Path(__file__).parent


class SchemaOutdated(Exception):
    """The database's schema is not this version's: run `cdi-gateway db upgrade`."""


class DatabaseUnusable(OSError):
    """The database cannot be opened."""


def upgrade(url: str, schema: Schema) -> str:
    """Bring the schema to this version and return it. One transaction; running it twice changes nothing.

    A new SQLite file (and its folder) is readable by its owner only. Raises DatabaseUnusable.
    """
    _new_file(url)
    config = _config(schema)
    try:
        with engines.create(url).connect() as connection, connection.begin():
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except SQLAlchemyError as error:
        raise DatabaseUnusable(f"the {schema} database cannot be used: {type(error).__name__}") from error
    return newest(schema)


def current(url: str, schema: Schema) -> str | None:
    """The schema's version in this database; None before the first upgrade. Raises DatabaseUnusable."""
    if not _reachable(url):
        return None
    try:
        with engines.create(url, reads_only=True).connect() as connection, connection.begin():
            return _version(connection, schema)
    except SQLAlchemyError as error:
        raise DatabaseUnusable(f"the {schema} database cannot be used: {type(error).__name__}") from error


def newest(schema: Schema) -> str:
    """The version that this software needs."""
    head = ScriptDirectory.from_config(_config(schema)).get_current_head()
    if head is None:
        raise RuntimeError(f"no migrations for {schema}")
    return head


def check(url: str, schema: Schema) -> None:
    """Raises SchemaOutdated unless the database has exactly the version that this software needs."""
    found, needed = current(url, schema), newest(schema)
    if found != needed:
        raise SchemaOutdated(
            f"the {schema} database has schema {found or 'none'}, this version needs {needed}: "
            "run `cdi-gateway db upgrade`"
        )


def _version(connection: Connection, schema: Schema) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": f"{schema}_version"})
    return context.get_current_revision()


def _config(schema: Schema) -> Config:
    config = Config()
    folder = str(_FOLDER).replace("%", "%%")  # ConfigParser's own sign
    config.set_main_option("script_location", folder)
    config.set_main_option("version_locations", f"{folder}/{schema}")
    config.set_main_option("path_separator", "newline")
    config.attributes["version_table"] = f"{schema}_version"
    return config


def _file(url: str) -> Path | None:
    parsed = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def _reachable(url: str) -> bool:
    file = _file(url)
    return file is None or file.exists()  # opening an SQLite file that is not there would make it


def _new_file(url: str) -> None:
    file = _file(url)
    if file is not None and not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))  # its -wal and -shm files inherit the mode
