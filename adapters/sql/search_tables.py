"""The tables of the search index, as SQLAlchemy Core sees them: a database of its own, made from the log.

One row for each entry, one for each digest of its document. Entries arrive in order, so that only the indexes on
subject and digest are written at random places. Changes here need a migration.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, text

from adapters.sql.tables import RowNumber

index = MetaData()


def _by(column: str) -> Index:
    """For `column = ? ORDER BY idx`; entries without a value cost it nothing."""
    present = text(f"{column} IS NOT NULL")
    return Index(f"search_by_{column}", column, "idx", sqlite_where=present, postgresql_where=present)


entries = Table(
    "search_entries",
    index,
    Column("idx", RowNumber, primary_key=True, autoincrement=False),
    Column("time", BigInteger, nullable=False),  # µs since 1970
    Column("family", String(32), nullable=False),  # `verification` of `verification.decided`
    Column("type", String(65), nullable=False),
    Column("record", String(64), nullable=False),
    Column("actor", String(64)),
    Column("client", String(256)),
    Column("consent", String(64)),
    Column("request", String(64)),
    Column("outcome", String(64)),
    Column("subject", String(64)),  # pseudonym
    Index("search_by_time", "time", "idx"),
    Index("search_by_family", "family", "idx"),
    Index("search_by_type", "type", "idx"),
    Index("search_by_record", "record", "idx"),
    *(_by(column) for column in ("actor", "client", "consent", "request", "outcome", "subject")),
)

digests = Table(
    "search_digests",
    index,
    Column("digest", LargeBinary, primary_key=True),  # the first 16 bytes of its pseudonym
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Index("search_digests_by_entry", "idx"),
    sqlite_with_rowid=False,
)

position = Table(
    "search_position",
    index,
    Column("id", Integer, primary_key=True, autoincrement=False),  # 1
    Column("origin", String(256), nullable=False),
    Column("next", BigInteger, nullable=False),
    Column("last_leaf", LargeBinary, nullable=False),
    Column("pruned", BigInteger, nullable=False),
)
