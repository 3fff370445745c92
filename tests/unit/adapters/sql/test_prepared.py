from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, LargeBinary, MetaData, String, Table, bindparam, select, update

from adapters.sql import engine as engines
from adapters.sql.prepared import Bulk, Prepared, PreparedLookup, insertion

_metadata = MetaData()
ROWS = Table(
    "things",
    _metadata,
    Column("name", String(16), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("data", LargeBinary),
)
ADD = insertion(ROWS)
BULK = Bulk(ROWS)
NUMBER = Prepared(select(ROWS.c.number, ROWS.c.data).where(ROWS.c.name == bindparam("of")))
RAISE = Prepared(update(ROWS).where(ROWS.c.number < 3).values(number=ROWS.c.number + bindparam("by")))
BY_NAME = PreparedLookup(select(ROWS.c.name).order_by(ROWS.c.name), ROWS.c.name)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        made: str = request.getfixturevalue("postgresql").new_database()
        return made
    return f"sqlite:///{tmp_path / 'things.db'}"


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    engine = engines.create(url)
    with engine.connect() as connection:
        with connection.begin():
            _metadata.create_all(connection)
        yield connection


def named(*names: str) -> list[dict[str, object]]:
    return [{"name": name, "number": number, "data": None} for number, name in enumerate(names)]


def test_rows_come_back_as_they_were_given(connection: Connection) -> None:
    ADD.run(connection, {"name": "one", "number": 1, "data": b"\x00\xff"})
    assert [tuple(row) for row in NUMBER.rows(connection, {"of": "one"})] == [(1, b"\x00\xff")]
    assert not NUMBER.rows(connection, {"of": "two"})


def test_constants_of_the_statement_need_no_value_and_the_touched_rows_are_counted(connection: Connection) -> None:
    ADD.run_many(connection, named("zero", "one", "two", "three"))
    assert RAISE.run(connection, {"by": 10}) == 3
    RAISE.run_many(connection, [{"by": 1}, {"by": 1}])
    assert [NUMBER.rows(connection, {"of": name})[0][0] for name in ("zero", "three")] == [10, 3]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 8, 9])
def test_a_lookup_finds_each_row_once_for_any_number_of_keys(connection: Connection, count: int) -> None:
    names = [f"name-{number}" for number in range(count)]
    ADD.run_many(connection, named(*names, "another"))
    assert [row[0] for row in BY_NAME.rows(connection, [*names, "nowhere"])] == names
    assert [row[0] for row in BY_NAME.rows(connection, names)] == names


def test_a_transaction_is_begun_and_can_be_undone(connection: Connection) -> None:
    ADD.run(connection, {"name": "one", "number": 1, "data": None})
    assert connection.in_transaction()
    connection.rollback()
    assert not NUMBER.rows(connection, {"of": "one"})


@pytest.mark.parametrize(
    "run",
    [
        lambda connection: ADD.run(connection, *named("one")),
        lambda connection: ADD.run_many(connection, named("one")),
        lambda connection: NUMBER.rows(connection, {}),
    ],
    ids=["run", "run_many", "rows"],
)
def test_errors_are_the_drivers_own(connection: Connection, run: Callable[[Connection], object]) -> None:
    ADD.run_many(connection, named("one"))
    with pytest.raises(connection.dialect.loaded_dbapi.Error):
        run(connection)


def test_rows_in_bulk_come_back_as_they_were_given(connection: Connection) -> None:
    rows = [("one", 1, b"\x00\xff\\n"), ("tab\t\\N\n", 2, None), ("", -3, b"")]
    BULK.add(connection, rows)
    BULK.add(connection, [])
    found = [NUMBER.rows(connection, {"of": name})[0] for name, _, _ in rows]
    assert [(number, data and bytes(data)) for number, data in found] == [row[1:] for row in rows]


def test_a_row_too_many_in_bulk_leaves_none(connection: Connection) -> None:
    driver = connection.dialect.loaded_dbapi
    with pytest.raises(driver.Error), connection.begin():
        BULK.add(connection, [("one", 1, None), ("one", 2, None)])
    assert not NUMBER.rows(connection, {"of": "one"})
