"""The tables, as SQLAlchemy Core sees them. Two databases (which may be one): `store` and `audit`. Those of the
authorization server, in `store` too, are in `authorization_tables`.

What is queried or compared has a column; the rest of an object is one JSON value. No document content, no identity
and no free text is in any of them; vouchers are sealed. Changes here need a migration.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    text,
)

from gateway.core.lifecycle import OPEN_EXCHANGE

store = MetaData()
audit = MetaData()

_Id = String(64)
_Seconds = BigInteger
# SQLite gives row numbers by itself only to a column of exactly the type INTEGER.
RowNumber = BigInteger().with_variant(Integer(), "sqlite")

consents = Table(
    "consents",
    store,
    Column("consent_id", _Id, primary_key=True),
    Column("consumer_id", _Id, nullable=False),
    Column("status", String(32), nullable=False),
    Column("expire_time", _Seconds, nullable=False),
    Column("subject", _Id, nullable=False, server_default=""),  # pseudonym of the data owner; the default fills nothing
    Column("approval", String(32)),  # `model.Approval`
    Column("reserved", Integer, nullable=False),
    Column("used", Integer, nullable=False),
    Column("reject_code", String(64)),
    Column("created_at", _Seconds, nullable=False),
    Column("updated_at", _Seconds, nullable=False),
    Column("voucher", LargeBinary),  # scope.udr, sealed with the consent id
    Column("terms", LargeBinary, nullable=False),  # what the owner agreed to; never changes
    Column("idempotency_key", String(128), nullable=False, unique=True),
    Column("fingerprint", String(128), nullable=False),
    Index("consents_by_consumer", "consumer_id", "created_at", "consent_id"),
    Index("consents_by_status", "status", "expire_time"),
    Index("consents_by_subject", "subject", "created_at", "consent_id"),
)

OPEN_SQL = "status IN (" + ", ".join(f"'{status.value}'" for status in sorted(OPEN_EXCHANGE)) + ")"
"""The due index covers open exchanges only: finished ones, which are nearly all, cost it nothing."""

exchanges = Table(
    "exchanges",
    store,
    Column("exchange_id", _Id, primary_key=True),  # time-ordered (UUIDv7)
    Column("consumer_id", _Id, nullable=False),
    Column("consent_id", _Id, ForeignKey("consents.consent_id"), nullable=False),
    Column("status", String(32), nullable=False),
    Column("version", Integer, nullable=False),
    Column("next_attempt_at", Double, nullable=False),
    Column("lease_until", Double, nullable=False),
    Column("lease_owner", _Id, nullable=False),  # tells people which process has it; the lease is `lease_until`
    Column("evidence_id", String(128)),  # of a delivered MATCH only
    Column("voucher", LargeBinary),  # scope.udr, sealed with the exchange id
    Column("request", LargeBinary, nullable=False),  # what was asked; never changes
    Column("progress", LargeBinary, nullable=False),  # what came of it
    Column("idempotency_key", String(128), nullable=False, unique=True),
    Column("fingerprint", String(128), nullable=False),
    Index("exchanges_by_consumer", "consumer_id", "exchange_id"),
    Index("exchanges_due", "next_attempt_at", sqlite_where=text(OPEN_SQL), postgresql_where=text(OPEN_SQL)),
    Index(
        "exchanges_by_evidence",
        "evidence_id",
        "exchange_id",
        sqlite_where=text("evidence_id IS NOT NULL"),
        postgresql_where=text("evidence_id IS NOT NULL"),
    ),
)

notices = Table(
    "notices",
    store,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),  # from `counters`
    Column("participant_id", _Id, nullable=False),
    Column("type", String(64), nullable=False),
    Column("time", _Seconds, nullable=False),
    Column("consent_id", _Id),
    Column("exchange_id", _Id),
    Column("evidence_id", String(128)),
    Column("detail", String(128)),
    Index("notices_by_participant", "participant_id", "sequence"),
    Index(
        "notices_by_evidence",
        "evidence_id",
        "exchange_id",
        sqlite_where=text("evidence_id IS NOT NULL"),
        postgresql_where=text("evidence_id IS NOT NULL"),
    ),
)

# A database sequence hands out numbers before commit, so that a reader could pass one that commits later. These rows
# (`notices`, `revocations`) stay locked until their transaction ends: numbers become visible in their order.
counters = Table(
    "counters",
    store,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

outbox = Table(
    "outbox",
    store,
    Column("row_number", RowNumber, primary_key=True, autoincrement=True),
    Column("record", LargeBinary, nullable=False),
    # A row number is never given twice: removing one that another process removed before must not hit a new record.
    sqlite_autoincrement=True,
)

entries = Table(
    "entries",
    audit,
    Column("idx", RowNumber, primary_key=True, autoincrement=False),  # from 0, without gaps
    Column("entry", LargeBinary, nullable=False),  # RFC 8785 bytes; none left once pruned
    Column("leaf_hash", LargeBinary, nullable=False),  # RFC 6962 §2.1
)

head = Table(
    "head",
    audit,
    Column("id", Integer, primary_key=True, autoincrement=False),  # 1
    Column("origin", String(256), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("frontier", LargeBinary, nullable=False),  # `audit.tree.Frontier.packed`
    Column("root", LargeBinary, nullable=False),  # RFC 6962 §2.1, over all leaf hashes
    Column("epoch", BigInteger, nullable=False),  # counts the recoveries; a writer of an earlier one is dead
    Column("erasures", BigInteger, nullable=False),  # counts them, so that every writer forgets the keys it remembers
    Column("pruned", BigInteger, nullable=False),  # entries below are pruned
    Column("emptied", BigInteger, nullable=False),  # and below here their bytes are gone; behind `pruned` for a while
)

subject_keys = Table(
    "subject_keys",
    audit,
    Column("key_id", _Id, primary_key=True),
    Column("subject", String(256), nullable=False),  # pseudonym
    Column("wrapped", LargeBinary, nullable=False),  # the key, sealed with the storage key
    Column("created_at", BigInteger, nullable=False),  # Unix microseconds; of several, the newest is used
    Index("subject_keys_by_subject", "subject"),
)

holds = Table(
    "holds",
    audit,
    Column("hold_id", String(128), primary_key=True),
    Column("subject", String(256)),  # none: everybody
    Column("from_index", BigInteger, nullable=False),
    Column("reason", String(256), nullable=False),
    Column("since", Double, nullable=False),
)

cursors = Table(
    "cursors",
    audit,
    Column("name", String(128), primary_key=True),  # of a follower
    Column("next", BigInteger, nullable=False),  # index of the entry that it has not dealt with yet
)

approvals = Table(
    "approvals",
    audit,
    Column("approval_id", _Id, primary_key=True),  # the nonce of the request that was approved
    Column("used_at", Double, nullable=False),
)
