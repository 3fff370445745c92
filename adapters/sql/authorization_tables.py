"""The tables of the authorization server, in the store's database: they change in one transaction with the consents.

Codes, refresh tokens, handles and sessions are here as hashes only, a data owner as a pseudonym, and the name on the
page sealed, as is a pushed request with its client's own `state`. Changes here need a migration.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, ForeignKey, Index, LargeBinary, String, Table, text

from adapters.sql.tables import store

_Hash = String(64)  # hex SHA-256, or a keyed one

requests = Table(
    "oauth_requests",
    store,
    Column("handle_hash", _Hash, primary_key=True),
    Column("expires_at", Double, nullable=False),
    Column("request", LargeBinary, nullable=False),  # as it was pushed, sealed with the handle's hash
    Index("oauth_requests_by_end", "expires_at"),
)

_ENDED = text("ended_at IS NOT NULL")

grants = Table(
    "oauth_grants",
    store,
    Column("grant_id", String(64), primary_key=True),
    Column("client_id", String(256), nullable=False),
    Column("consent_id", String(64), ForeignKey("consents.consent_id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("code_hash", _Hash, unique=True),
    Column("refresh_hash", _Hash, unique=True),
    Column("redeemed_at", Double),
    Column("ended", String(32)),  # `grant.Ended`
    Column("ended_at", Double),
    Column("terms", LargeBinary, nullable=False),  # what was granted; never changes
    Index("oauth_grants_by_client", "client_id", "consent_id"),
    Index("oauth_grants_by_consent", "consent_id"),
    Index("oauth_grants_by_expiry", "expires_at"),
    Index("oauth_grants_by_end", "ended_at", sqlite_where=_ENDED, postgresql_where=_ENDED),
)

sessions = Table(
    "oauth_sessions",
    store,
    Column("session_hash", _Hash, primary_key=True),
    Column("subject", _Hash, nullable=False),  # pseudonym
    Column("name", LargeBinary, nullable=False),  # sealed with the session's hash
    Column("auth_time", BigInteger, nullable=False),
    Column("acr", String(256)),
    Column("expires_at", Double, nullable=False),
    Index("oauth_sessions_by_end", "expires_at"),
)

auth_codes = Table(
    "oauth_auth_codes",
    store,
    Column("code_hash", _Hash, primary_key=True),  # keyed: 50 bits could be guessed from a plain one
    Column("subject", _Hash, nullable=False),  # pseudonym
    Column("provider_id", String(64), nullable=False),
    Column("document_type", String(128), nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("spent_at", Double),
    Index("oauth_auth_codes_by_end", "expires_at"),
)

replays = Table(
    "oauth_replays",
    store,
    Column("key", _Hash, primary_key=True),  # of scope and id
    Column("expires_at", Double, nullable=False),
    Index("oauth_replays_by_end", "expires_at"),
)

# Numbered from `counters`, like notices: a reader that goes on behind the last number it saw misses none.
revocations = Table(
    "oauth_revocations",
    store,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("value", String(256), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("until", BigInteger, nullable=False),
    Index("oauth_revocations_by_end", "until"),
)
