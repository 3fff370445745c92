"""The authorization server: its tables, and consents that know their data owner and how they were approved."""

from __future__ import annotations

import orjson
import sqlalchemy as sa
from alembic import op

revision = "store_0002"
down_revision = "store_0001"

_ID = sa.String(64)
_PAGE = 10_000
_ENDED = sa.text("ended_at IS NOT NULL")


def upgrade() -> None:
    # SQLite can add no column that must be filled without saying with what.
    op.add_column("consents", sa.Column("subject", _ID, nullable=False, server_default=""))
    op.add_column("consents", sa.Column("approval", sa.String(32)))
    _fill()
    op.create_index("consents_by_subject", "consents", ["subject", "created_at", "consent_id"])
    _state_of_owners()
    _state_of_clients()
    counters = sa.table("counters", sa.column("name", sa.String), sa.column("value", sa.BigInteger))
    op.bulk_insert(counters, [{"name": "revocations", "value": 0}])


def _fill() -> None:
    page = sa.text("SELECT consent_id, terms FROM consents WHERE consent_id > :after ORDER BY consent_id LIMIT :count")
    fill = sa.text("UPDATE consents SET subject = :subject WHERE consent_id = :id")
    after = ""
    while rows := op.get_bind().execute(page, {"after": after, "count": _PAGE}).all():
        values = [{"id": consent_id, "subject": orjson.loads(terms)["subject"]} for consent_id, terms in rows]
        op.get_bind().execute(fill, values)
        after = rows[-1][0]
    # Until now there was no other way for a consent to become valid.
    approved = "UPDATE consents SET approval = 'issuer' WHERE status IN ('ConsentValid', 'ConsentConsumed')"
    op.get_bind().execute(sa.text(approved))


def _state_of_clients() -> None:
    op.create_table(
        "oauth_requests",
        sa.Column("handle_hash", _ID, primary_key=True),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
    )
    op.create_index("oauth_requests_by_end", "oauth_requests", ["expires_at"])
    op.create_table(
        "oauth_grants",
        sa.Column("grant_id", _ID, primary_key=True),
        sa.Column("client_id", sa.String(256), nullable=False),
        sa.Column("consent_id", _ID, sa.ForeignKey("consents.consent_id"), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("code_hash", _ID, unique=True),
        sa.Column("refresh_hash", _ID, unique=True),
        sa.Column("redeemed_at", sa.Double),
        sa.Column("ended", sa.String(32)),
        sa.Column("ended_at", sa.Double),
        sa.Column("terms", sa.LargeBinary, nullable=False),
    )
    op.create_index("oauth_grants_by_client", "oauth_grants", ["client_id", "consent_id"])
    op.create_index("oauth_grants_by_consent", "oauth_grants", ["consent_id"])
    op.create_index("oauth_grants_by_expiry", "oauth_grants", ["expires_at"])
    op.create_index("oauth_grants_by_end", "oauth_grants", ["ended_at"], sqlite_where=_ENDED, postgresql_where=_ENDED)
    op.create_table(
        "oauth_replays",
        sa.Column("key", _ID, primary_key=True),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
    op.create_index("oauth_replays_by_end", "oauth_replays", ["expires_at"])
    op.create_table(
        "oauth_revocations",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("value", sa.String(256), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
    )
    op.create_index("oauth_revocations_by_end", "oauth_revocations", ["until"])


def _state_of_owners() -> None:
    op.create_table(
        "oauth_sessions",
        sa.Column("session_hash", _ID, primary_key=True),
        sa.Column("subject", _ID, nullable=False),
        sa.Column("name", sa.LargeBinary, nullable=False),
        sa.Column("auth_time", sa.BigInteger, nullable=False),
        sa.Column("acr", sa.String(256)),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
    op.create_index("oauth_sessions_by_end", "oauth_sessions", ["expires_at"])
    op.create_table(
        "oauth_auth_codes",
        sa.Column("code_hash", _ID, primary_key=True),
        sa.Column("subject", _ID, nullable=False),
        sa.Column("provider_id", _ID, nullable=False),
        sa.Column("document_type", sa.String(128), nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("spent_at", sa.Double),
    )
    op.create_index("oauth_auth_codes_by_end", "oauth_auth_codes", ["expires_at"])
