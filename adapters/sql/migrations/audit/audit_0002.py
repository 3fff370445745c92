"""The head knows its tree; keys of data owners, legal holds, places of those that follow the log.

The head's row is made anew with the frontier and the root that the leaf hashes give.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.audit.tree import Frontier

revision = "audit_0002"
down_revision = "audit_0001"

_PAGE = 10_000


def upgrade() -> None:
    old = op.get_bind().execute(sa.text("SELECT origin, size, epoch FROM head WHERE id = 1")).one_or_none()
    op.drop_table("head")
    head = op.create_table(
        "head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("origin", sa.String(256), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("frontier", sa.LargeBinary, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("erasures", sa.BigInteger, nullable=False),
        sa.Column("pruned", sa.BigInteger, nullable=False),
        sa.Column("emptied", sa.BigInteger, nullable=False),
    )
    if old is not None:
        frontier = _frontier(old.size)
        row = {"id": 1, "origin": old.origin, "size": old.size, "epoch": old.epoch}
        row |= {"frontier": frontier.packed, "root": frontier.root(), "erasures": 0, "pruned": 0, "emptied": 0}
        op.bulk_insert(head, [row])
    _new_tables()


def _new_tables() -> None:
    op.create_table(
        "subject_keys",
        sa.Column("key_id", sa.String(64), primary_key=True),
        sa.Column("subject", sa.String(256), nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("subject_keys_by_subject", "subject_keys", ["subject"])
    op.create_table(
        "holds",
        sa.Column("hold_id", sa.String(128), primary_key=True),
        sa.Column("subject", sa.String(256)),
        sa.Column("from_index", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String(256), nullable=False),
        sa.Column("since", sa.Double, nullable=False),
    )
    op.create_table(
        "cursors",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("next", sa.BigInteger, nullable=False),
    )


def _frontier(size: int) -> Frontier:
    page = sa.text("SELECT leaf_hash FROM entries WHERE idx >= :start AND idx < :size ORDER BY idx LIMIT :count")
    frontier = Frontier()
    while frontier.size < size:
        rows = op.get_bind().execute(page, {"start": frontier.size, "size": size, "count": _PAGE}).all()
        if not rows:
            raise ValueError(f"the head says {size} entries, but entry {frontier.size} is missing")
        frontier.extend(leaf for (leaf,) in rows)
    return frontier
