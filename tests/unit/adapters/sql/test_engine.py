from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from adapters.sql import engine as engines
from adapters.sql.engine import Checkpointer, lock_timed_out


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'one.db'}"


def pragma(url: str, name: str, *, reads_only: bool = False) -> object:
    with engines.create(url, reads_only=reads_only).connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


def test_sqlite_commits_survive_a_power_cut(url: str) -> None:
    assert pragma(url, "journal_mode") == "wal"
    assert pragma(url, "synchronous") == 2  # FULL


def test_sqlite_never_checkpoints_in_a_commit(url: str) -> None:
    assert pragma(url, "wal_autocheckpoint") == 0


def test_sqlite_checks_foreign_keys(url: str) -> None:
    assert pragma(url, "foreign_keys") == 1


def test_a_reading_engine_cannot_write(url: str) -> None:
    with engines.create(url).connect() as connection, connection.begin():
        connection.execute(text("CREATE TABLE t (x INTEGER)"))
    with engines.create(url, reads_only=True).connect() as connection, pytest.raises(OperationalError):
        connection.execute(text("INSERT INTO t VALUES (1)"))


def test_a_writing_transaction_has_the_lock_from_its_beginning(url: str) -> None:
    with engines.create(url).connect() as first, first.begin():
        second = engines.create(url, timeout_seconds=0.01).connect()
        with pytest.raises(OperationalError, match="locked"):
            second.begin()


def test_the_log_is_moved_into_the_file_while_the_writer_stays_connected(url: str, tmp_path: Path) -> None:
    engine = engines.create(url)
    rounds = threading.Semaphore(0)
    with engine.connect() as connection:
        with connection.begin():
            connection.execute(text("CREATE TABLE t (x TEXT)"))
        before = (tmp_path / "one.db").stat().st_size
        event.listen(engine, "connect", lambda *_: rounds.release())
        checkpointer = Checkpointer(engine, interval_seconds=0.001)
        checkpointer.start()
        assert [rounds.acquire(timeout=60) for _ in range(2)] == [True, True]  # the second begins after the first
        checkpointer.close()
        assert (tmp_path / "one.db").stat().st_size > before


def test_a_checkpoint_during_a_transaction_fails_nobody(url: str) -> None:
    engine = engines.create(url)
    with engine.connect() as connection, connection.begin():
        connection.execute(text("CREATE TABLE t (x TEXT)"))
        Checkpointer(engine).checkpoint()


def test_the_log_is_cut_off_once_no_reader_needs_it(url: str, tmp_path: Path) -> None:
    log, engine = tmp_path / "one.db-wal", engines.create(url, erases=True)
    checkpointer = Checkpointer(engine)
    with engine.connect() as connection:
        with connection.begin():
            connection.execute(text("CREATE TABLE t (x TEXT)"))
        with engines.create(url, reads_only=True).connect() as reader, reader.begin():
            reader.execute(text("SELECT * FROM t")).all()
            with connection.begin():
                connection.execute(text("INSERT INTO t VALUES ('erased')"))
            checkpointer.cut_off_soon()
            checkpointer.checkpoint()
            assert log.stat().st_size > 0
        checkpointer.checkpoint()
        assert log.stat().st_size == 0


def test_what_is_deleted_is_overwritten_where_things_are_erased(url: str) -> None:
    for erases in (False, True):
        with engines.create(url, erases=erases).connect() as connection:
            assert connection.exec_driver_sql("PRAGMA secure_delete").scalar_one() == erases


def test_a_lock_that_was_waited_for_in_vain_is_told_from_other_errors(url: str) -> None:
    with engines.create(url).connect() as first, first.begin():
        with pytest.raises(OperationalError) as locked:
            engines.create(url, timeout_seconds=0.01).connect().begin()
        with pytest.raises(OperationalError) as unknown:
            first.execute(text("SELECT * FROM nothing"))
    assert lock_timed_out(locked.value)
    assert not lock_timed_out(unknown.value)
    assert not lock_timed_out(None)


def test_a_checkpointer_that_never_started_closes(url: str) -> None:
    Checkpointer(engines.create(url)).close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://host/db"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"file|supported"):
        engines.create(url)


def test_postgresql_has_time_limits_and_no_values_in_errors() -> None:
    engine = engines.create("postgresql://bank@db/gateway", timeout_seconds=3)
    assert engine.dialect.driver == "psycopg"
    assert engine.hide_parameters


def test_a_connection_to_postgresql_stays_alive_while_it_is_idle() -> None:
    asked: dict[str, object] = {}
    engine = engines.create("postgresql://bank@db/gateway", timeout_seconds=3)

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: object, _entry: object, _arguments: object, values: dict[str, object]) -> None:
        asked.update(values)
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        engine.connect()
    assert {name: asked[name] for name in asked if name.startswith(("keepalives", "tcp"))} == {
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 6_000,
    }
