"""Statements of the hot path: SQLAlchemy writes the text once per dialect, and the driver runs it as it is.

For a small statement that is a quarter of the work: nothing is looked up, converted or wrapped. Errors are the
driver's own (`engine.dialect.loaded_dbapi.Error`) and rows are tuples; the transaction stays SQLAlchemy's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from sqlalchemy import ColumnElement, Connection, Delete, Insert, Select, Table, Update, bindparam, insert
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine.interfaces import DBAPICursor

Values = Mapping[str, Any]
Row = Sequence[Any]


class Prepared:
    """A statement whose values have names (`bindparam`). Its methods begin a transaction if none is open."""

    def __init__(self, statement: Select[Any] | Insert | Update | Delete) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, Values]] = {}  # by dialect: the text, and the constants in it

    def rows(self, connection: Connection, values: Values) -> Sequence[Row]:
        text, constants = self._for(connection)
        with closing(_cursor(connection)) as cursor:
            cursor.execute(text, {**constants, **values})
            return cursor.fetchall()

    def run(self, connection: Connection, values: Values) -> int:
        """How many rows it touched."""
        text, constants = self._for(connection)
        with closing(_cursor(connection)) as cursor:
            cursor.execute(text, {**constants, **values})
            return cursor.rowcount

    def run_many(self, connection: Connection, many: Sequence[Values]) -> None:
        text, constants = self._for(connection)
        with closing(_cursor(connection)) as cursor:
            cursor.executemany(text, [{**constants, **values} for values in many] if constants else many)

    def _for(self, connection: Connection) -> tuple[str, Values]:
        dialect = connection.dialect
        if dialect.name not in self._compiled:
            compiled = self._statement.compile(dialect=dialect)
            constants = {name: value for name, value in compiled.params.items() if value is not None}
            self._compiled[dialect.name] = str(compiled), constants
        return self._compiled[dialect.name]


class PreparedLookup:
    """A query for the rows whose `column` is one of many keys.

    The list of keys is filled up to a power of two with its last one: a handful of texts serves every number of
    keys, so that the drivers find them among the statements that they keep prepared.
    """

    def __init__(self, query: Select[Any], column: ColumnElement[str]) -> None:
        self._query = query
        self._column = column
        self._sizes: dict[int, tuple[Prepared, list[str]]] = {}

    def rows(self, connection: Connection, keys: Sequence[str]) -> Sequence[Row]:
        if not keys:
            return ()
        size = 1 << (len(keys) - 1).bit_length()
        prepared, names = self._sizes.get(size) or self._prepare(size)
        filled = [*keys, *[keys[-1]] * (size - len(keys))]
        return prepared.rows(connection, dict(zip(names, filled, strict=True)))

    def _prepare(self, size: int) -> tuple[Prepared, list[str]]:
        names = [f"key_{number}" for number in range(size)]
        query = self._query.where(self._column.in_([bindparam(name, type_=self._column.type) for name in names]))
        self._sizes[size] = Prepared(query), names
        return self._sizes[size]


def insertion(table: Table, *columns: str) -> Prepared:
    """Inserts rows of these columns (all columns if none is named); brings nothing back."""
    names = columns or tuple(table.columns.keys())
    return Prepared(insert(table).values({name: bindparam(name) for name in names}).inline())


class Bulk:
    """Rows of a table by the thousand: PostgreSQL takes them by COPY, at two thirds of the cost of statements."""

    def __init__(self, table: Table) -> None:
        self._table = table
        values: dict[str, Any] = {column.name: bindparam(column.name) for column in table.columns}
        self._insert = str(insert(table).values(values).inline().compile(dialect=sqlite.dialect(paramstyle="qmark")))

    def add(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Each row has all columns, in the table's order."""
        with closing(_cursor(connection)) as cursor:
            if connection.dialect.name != "postgresql":
                cursor.executemany(self._insert, rows)
                return
            quote = connection.dialect.identifier_preparer.quote
            names = ", ".join(quote(column.name) for column in self._table.columns)
            driver: Any = cursor  # psycopg's
            with driver.copy(f"COPY {quote(self._table.name)} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)


def _cursor(connection: Connection) -> DBAPICursor:
    if not connection.in_transaction():
        connection.begin()
    return connection.connection.cursor()
