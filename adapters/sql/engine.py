"""Engines as this product needs them: SQLite durable and with its checkpoints elsewhere; PostgreSQL with time limits.

An engine has no pool: who works with the database owns one connection and its thread.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

_WAL_PAGES_MAX = 16_384  # 64 MiB at 4 KiB a page
_CUT_OFF_MILLISECONDS = 200
_LOCK_NOT_AVAILABLE = "55P03"  # PostgreSQL, appendix A
_KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}  # s, s, unanswered


def create(url: str | URL, *, reads_only: bool = False, erases: bool = False, timeout_seconds: float = 5.0) -> Engine:
    """An engine whose transactions are ready to write (or only read). `timeout_seconds`: to connect, and to wait for
    a lock. Raises ValueError for another database than SQLite in a file or PostgreSQL.

    `erases`: what is deleted is overwritten in SQLite's file. A copy stays in its write-ahead log until that is cut
    off (`Checkpointer.cut_off_soon`). PostgreSQL keeps one in the table until its next VACUUM, and in the WAL that it
    archives. Backups, and the blocks that a file system gave free, are for whoever keeps them.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed, reads_only=reads_only, erases=erases, timeout_seconds=timeout_seconds)
    if parsed.get_backend_name() == "postgresql":
        return _postgresql(parsed, reads_only=reads_only, timeout_seconds=timeout_seconds)
    raise ValueError(f"database {parsed.get_backend_name()} is not supported: use sqlite or postgresql")


def lock_timed_out(error: BaseException | None) -> bool:
    """Whether the error, or what it came from, is that others held a lock for too long."""
    while error is not None:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            return True
        if getattr(error, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            return True
        error = error.__cause__
    return False


def _sqlite(url: URL, *, reads_only: bool, erases: bool, timeout_seconds: float) -> Engine:
    if url.database in {None, "", ":memory:"}:
        raise ValueError("SQLite needs a file: several connections work on one database")
    # hide_parameters: errors carry the statement, never the values.
    engine = create_engine(
        url,
        poolclass=NullPool,
        hide_parameters=True,
        paramstyle="named",  # as psycopg's: values go to both drivers as they are
        connect_args={"timeout": timeout_seconds},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # sqlite3 begins nothing by itself; `begin` below does
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",  # NORMAL would acknowledge commits that a power cut takes back
            "foreign_keys = ON",
            # A checkpoint inside a commit made the waiting callers wait for its syncs too; see Checkpointer.
            "wal_autocheckpoint = 0",
            f"secure_delete = {'ON' if erases else 'OFF'}",
            f"query_only = {'ON' if reads_only else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    # IMMEDIATE: a transaction that first reads and then cannot get the write lock would have to fail in its middle.
    begin = "BEGIN" if reads_only else "BEGIN IMMEDIATE"

    @event.listens_for(engine, "begin")
    def begins(connection: Connection) -> None:
        try:
            connection.connection.cursor().execute(begin)  # by SQLAlchemy it would cost thrice
        except sqlite3.Error as error:
            raise OperationalError(begin, None, error) from error

    return engine


def _postgresql(url: URL, *, reads_only: bool, timeout_seconds: float) -> Engine:
    milliseconds = int(timeout_seconds * 1000)
    options = [
        f"-c lock_timeout={milliseconds}",
        f"-c statement_timeout={2 * milliseconds}",
        f"-c idle_in_transaction_session_timeout={2 * milliseconds}",
        f"-c default_transaction_read_only={'on' if reads_only else 'off'}",
        "-c synchronous_commit=on",
    ]
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        poolclass=NullPool,
        hide_parameters=True,
        isolation_level="READ COMMITTED",  # a row that was waited for is read as its last writer left it
        connect_args={
            "connect_timeout": max(2, round(timeout_seconds)),
            "options": " ".join(options),
            "tcp_user_timeout": 2 * milliseconds,  # a peer that vanished, ms
            **_KEEPALIVES,  # a firewall forgets no connection of a quiet night
        },
    )


class Checkpointer:
    """Moves SQLite's write-ahead log into its file on a connection and thread of its own.

    A crash at any point loses nothing: what was not moved is still in the log. Does nothing on PostgreSQL.
    """

    def __init__(self, engine: Engine, *, interval_seconds: float = 1.0) -> None:
        self._engine = engine
        self._interval_seconds = interval_seconds
        self._stop = threading.Event()
        self._cut_off = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wal-checkpoint", daemon=True)
        self._started = False

    def start(self) -> None:
        if self._engine.dialect.name == "sqlite":
            self._started = True
            self._thread.start()

    def cut_off_soon(self) -> None:
        """Have the log cut off to nothing, since it holds what was erased: with the next checkpoint, or the first one
        that meets no reader, and at the latest when the last connection is closed."""
        self._cut_off.set()

    def close(self) -> None:
        """Blocks until the checkpoint under way is done, and the log is cut off if it was to be."""
        self._stop.set()
        if self._started:
            self._thread.join()
            if self._cut_off.is_set():
                self._try()

    def _run(self) -> None:
        while not self._stop.wait(self._interval_seconds):
            self._try()

    def _try(self) -> None:
        try:
            self.checkpoint()
        except (SQLAlchemyError, sqlite3.Error):
            # A locked or full disk shows to the writers, who report it; the log just grows until the next try.
            return

    def checkpoint(self) -> None:
        # The bare connection: SQLAlchemy would begin a transaction first, and nothing can be moved inside one.
        connection = self._engine.raw_connection()
        try:
            if self._cut_off.is_set():
                # It keeps writers out while it waits for readers, so not for long.
                connection.cursor().execute(f"PRAGMA busy_timeout = {_CUT_OFF_MILLISECONDS}")
                busy, _, _ = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                if not busy:
                    self._cut_off.clear()
                return
            _busy, pages, moved = connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            # PASSIVE never makes a writer wait, but under steady load the log may never be wholly moved and grows.
            # RESTART waits for the writer once, and the log starts from its beginning.
            if pages > _WAL_PAGES_MAX and moved == pages:
                connection.cursor().execute("PRAGMA wal_checkpoint(RESTART)")
        finally:
            connection.close()
