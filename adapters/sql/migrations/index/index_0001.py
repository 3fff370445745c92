"""The search index: entries, digests, position."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "index_0001"
down_revision = None

_OPTIONAL = ("actor", "client", "consent", "request", "outcome", "subject")


def upgrade() -> None:
    op.create_table(
        "search_entries",
        sa.Column("idx", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("family", sa.String(32), nullable=False),
        sa.Column("type", sa.String(65), nullable=False),
        sa.Column("record", sa.String(64), nullable=False),
        sa.Column("actor", sa.String(64)),
        sa.Column("client", sa.String(256)),
        sa.Column("consent", sa.String(64)),
        sa.Column("request", sa.String(64)),
        sa.Column("outcome", sa.String(64)),
        sa.Column("subject", sa.String(64)),
    )
    for column in ("time", "family", "type", "record"):
        op.create_index(f"search_by_{column}", "search_entries", [column, "idx"])
    for column in _OPTIONAL:
        present = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            f"search_by_{column}",
            "search_entries",
            [column, "idx"],
            sqlite_where=present,
            postgresql_where=present,
        )
    op.create_table(
        "search_digests",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("idx", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_index("search_digests_by_entry", "search_digests", ["idx"])
    position = op.create_table(
        "search_position",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("origin", sa.String(256), nullable=False),
        sa.Column("next", sa.BigInteger, nullable=False),
        sa.Column("last_leaf", sa.LargeBinary, nullable=False),
        sa.Column("pruned", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(position, [{"id": 1, "origin": "", "next": 0, "last_leaf": b"", "pruned": 0}])
