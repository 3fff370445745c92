"""Consents, exchanges, notices and the outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "store_0001"
down_revision = None

_ID = sa.String(64)
_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OPEN = sa.text("status IN ('DataRequestApproved', 'PENDING')")
_WITH_EVIDENCE = sa.text("evidence_id IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "consents",
        sa.Column("consent_id", _ID, primary_key=True),
        sa.Column("consumer_id", _ID, nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("expire_time", sa.BigInteger, nullable=False),
        sa.Column("reserved", sa.Integer, nullable=False),
        sa.Column("used", sa.Integer, nullable=False),
        sa.Column("reject_code", sa.String(64)),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("voucher", sa.LargeBinary),
        sa.Column("terms", sa.LargeBinary, nullable=False),
        sa.Column("idempotency_key", sa.String(128), nullable=False, unique=True),
        sa.Column("fingerprint", sa.String(128), nullable=False),
    )
    op.create_index("consents_by_consumer", "consents", ["consumer_id", "created_at", "consent_id"])
    op.create_index("consents_by_status", "consents", ["status", "expire_time"])
    op.create_table(
        "exchanges",
        sa.Column("exchange_id", _ID, primary_key=True),
        sa.Column("consumer_id", _ID, nullable=False),
        sa.Column("consent_id", _ID, sa.ForeignKey("consents.consent_id"), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", sa.Double, nullable=False),
        sa.Column("lease_until", sa.Double, nullable=False),
        sa.Column("lease_owner", _ID, nullable=False),
        sa.Column("evidence_id", sa.String(128)),
        sa.Column("voucher", sa.LargeBinary),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("progress", sa.LargeBinary, nullable=False),
        sa.Column("idempotency_key", sa.String(128), nullable=False, unique=True),
        sa.Column("fingerprint", sa.String(128), nullable=False),
    )
    op.create_index("exchanges_by_consumer", "exchanges", ["consumer_id", "exchange_id"])
    op.create_index("exchanges_due", "exchanges", ["next_attempt_at"], sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.create_index(
        "exchanges_by_evidence",
        "exchanges",
        ["evidence_id", "exchange_id"],
        sqlite_where=_WITH_EVIDENCE,
        postgresql_where=_WITH_EVIDENCE,
    )
    op.create_table(
        "notices",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("participant_id", _ID, nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("consent_id", _ID),
        sa.Column("exchange_id", _ID),
        sa.Column("evidence_id", sa.String(128)),
        sa.Column("detail", sa.String(128)),
    )
    op.create_index("notices_by_participant", "notices", ["participant_id", "sequence"])
    op.create_index(
        "notices_by_evidence",
        "notices",
        ["evidence_id", "exchange_id"],
        sqlite_where=_WITH_EVIDENCE,
        postgresql_where=_WITH_EVIDENCE,
    )
    counters = op.create_table(
        "counters",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(counters, [{"name": "notices", "value": 0}])
    op.create_table(
        "outbox",
        sa.Column("row_number", _ROW_NUMBER, primary_key=True, autoincrement=True),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
