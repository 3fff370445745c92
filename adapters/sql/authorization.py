"""`ports.AuthorizationStore` on SQL: the state of the authorization server, in the store's database and through its
group commits, so that it changes in one transaction with the consents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from adapters.sql import authorization_queries as queries
from adapters.sql.authorization_changes import Needs
from adapters.sql.authorization_rows import replay_key
from adapters.sql.changes import Change, Statement, Work
from adapters.sql.commit import GroupCommit
from gateway.audit.record import Record
from gateway.core.model import Consent
from gateway.oauth.grant import AuthCode, Ended, OAuthGrant, OwnerSession, PushedRequest
from gateway.ports import Announced, GrantDecision, GrantStep, Sealer


class SqlAuthorizationStore:
    """See `ports.AuthorizationStore`; used from one event loop. The store opens and closes it."""

    def __init__(
        self, writes: GroupCommit[Change | Statement, Any], reads: GroupCommit[Statement, Any], *, sealer: Sealer
    ) -> None:
        self._writes = writes
        self._reads = reads
        self._sealer = sealer

    # --- grants -------------------------------------------------------------------------------------------------

    async def push(self, pushed: PushedRequest) -> None:
        await self._writes.run(lambda connection: queries.push(connection, pushed, self._sealer))

    async def pushed(self, handle_hash: str) -> PushedRequest | None:
        found: PushedRequest | None = await self._reads.run(
            lambda connection: queries.pushed(connection, handle_hash, self._sealer)
        )
        return found

    async def take(self, handle_hash: str, step: GrantStep | None, *, records: Sequence[Record] = ()) -> bool:
        taken: bool = await self._writes.run(
            Change(
                apply=lambda work: work.take(handle_hash, step, records),
                consent_id=step.grant.consent_id if step is not None else None,
                needs=Needs(request=handle_hash),
            )
        )
        return taken

    async def add_grant(self, step: GrantStep) -> None:
        await self._writes.run(Change(apply=lambda work: work.add_grant(step), consent_id=step.grant.consent_id))

    async def by_code(self, code_hash: str, decide: GrantDecision) -> OAuthGrant | None:
        return await self._decide(Needs(code=code_hash), decide)

    async def by_refresh(self, refresh_hash: str, decide: GrantDecision) -> OAuthGrant | None:
        return await self._decide(Needs(refresh=refresh_hash), decide)

    async def by_id(self, grant_id: str, decide: GrantDecision) -> OAuthGrant | None:
        return await self._decide(Needs(grant_id=grant_id), decide)

    async def _decide(self, needs: Needs, decide: GrantDecision) -> OAuthGrant | None:
        grant: OAuthGrant | None = await self._writes.run(
            Change(apply=lambda work: work.decide_grant(needs, decide), needs=needs)
        )
        return grant

    async def live_grant(self, client_id: str, consent_id: str) -> OAuthGrant | None:
        grant: OAuthGrant | None = await self._reads.run(
            lambda connection: queries.live_grant(connection, client_id, consent_id)
        )
        return grant

    async def grant(self, grant_id: str) -> tuple[OAuthGrant, Consent] | None:
        found: tuple[OAuthGrant, Consent] | None = await self._reads.run(
            lambda connection: queries.grant(connection, grant_id, self._sealer)
        )
        return found

    async def grant_by_refresh(self, refresh_hash: str) -> tuple[OAuthGrant, Consent] | None:
        found: tuple[OAuthGrant, Consent] | None = await self._reads.run(
            lambda connection: queries.grant_by_refresh(connection, refresh_hash, self._sealer)
        )
        return found

    # --- owners -------------------------------------------------------------------------------------------------

    async def open_session(self, session: OwnerSession) -> None:
        await self._writes.run(lambda connection: queries.open_session(connection, session, self._sealer))

    async def session(self, session_hash: str) -> OwnerSession | None:
        session: OwnerSession | None = await self._reads.run(
            lambda connection: queries.session(connection, session_hash, self._sealer)
        )
        return session

    async def close_session(self, session_hash: str) -> None:
        await self._writes.run(lambda connection: queries.close_session(connection, session_hash))

    async def consents_of(self, subject: str, *, after: str | None, limit: int) -> Sequence[Consent]:
        page: Sequence[Consent] = await self._reads.run(
            lambda connection: queries.consents_of(connection, subject, self._sealer, after=after, limit=limit)
        )
        return page

    async def add_auth_code(self, code: AuthCode, *, records: Sequence[Record] = ()) -> None:
        await self._writes.run(Change(apply=lambda work: work.add_auth_code(code, records)))

    # --- revocations and replays --------------------------------------------------------------------------------

    async def revocations(self, *, after: int, now: int) -> Announced:
        found: Announced = await self._reads.run(
            lambda connection: queries.revocations(connection, after=after, now=now)
        )
        return found

    async def revoke_token(self, token_id: str, *, until: int, records: Sequence[Record]) -> None:
        def apply(work: Work) -> None:
            work.authorization.announce("token", token_id, Ended.TOKEN_REVOKED, until=until)
            work.add((), records)

        await self._writes.run(Change(apply=apply))

    async def first_time(self, scope: str, message_id: str, *, expires_at: float) -> bool:
        """An expired id counts as seen until it is swept: who presents it comes too late anyway."""
        key = replay_key(scope, message_id)
        first: bool = await self._writes.run(
            Change(
                apply=lambda work: work.authorization.first_time(key, expires_at=expires_at), needs=Needs(replay=key)
            )
        )
        return first

    async def sweep(self, *, now: float, limit: int) -> int:
        def swept(connection: Connection) -> int:
            return queries.sweep(connection, now=now, limit=limit)

        count: int = await self._writes.run(swept)
        return count
