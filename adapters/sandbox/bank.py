"""A bank's side of the gateway, as a bank would write it: tokens, consents, questions, notices over mutual TLS.

Made from `sandbox.json` alone. The data owners are here too: each has a browser, and signs in and decides in it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import aiohttp
import orjson

from adapters.sandbox.browser import BrowserStopped
from adapters.sandbox.data_owner import DataOwner
from adapters.sandbox.oauth_client import OAuthClient, Pushed, Reply, TokenRefused, refusal
from adapters.sandbox.serving import client_context

__all__ = ["CONSENTS", "NOTICES", "READ", "Bank", "Pushed", "Reply", "TokenRefused", "authorization_detail"]

CONSENTS, READ, NOTICES = "cdi:consents", "cdi:data-requests:read", "cdi:notices"
_TIMEOUT = aiohttp.ClientTimeout(total=90)
_JSON = {"Content-Type": "application/json"}


class Bank:
    """One client of the sandbox (`bank-a`, `bank-b`, …). Use as an async context manager."""

    def __init__(self, folder: Path, description: Mapping[str, Any], label: str) -> None:
        """`description`: the content of `folder/sandbox.json`. Raises KeyError for an unknown label."""
        client = description["clients"][label]
        self.label = label
        self.participant_id: str = client["participant"]
        self.client_id: str = client["clientId"]
        self.url: str = description["listeners"]["bank"]
        self.oauth = OAuthClient(folder, description, label, self._send)
        self._folder, self._description = folder, description
        self._context = client_context(folder / description["ca"], folder / client["cert"], folder / client["key"])
        self._session: aiohttp.ClientSession | None = None
        self._owners: dict[str, DataOwner] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._context)
        session = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar())
        self._session = await self._stack.enter_async_context(session)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    # --- tokens --------------------------------------------------------------------------------------------

    async def token(self, *scopes: str, consent: Mapping[str, Any] | None = None) -> str:
        """An access token bound to this client; with a `consent`, for that one, once it is approved.

        Raises TokenRefused.
        """
        if consent is not None:
            return await self.oauth.consent_token(consent["consentId"])
        return await self.oauth.machine_token(scopes)

    async def approve(self, consent: Mapping[str, Any], owner_id: str = "owner-7") -> Reply:
        """The whole way: the data owner signs in and approves, the client redeems the code and keeps the tokens (201).
        What was refused on it is the reply otherwise."""
        return await self._decided(consent, owner_id, approve=True)

    async def refuse(self, consent: Mapping[str, Any], owner_id: str = "owner-7") -> Reply:
        """The data owner signs in and refuses; the reply is what the client is told."""
        return await self._decided(consent, owner_id, approve=False)

    async def owner(self, owner_id: str = "owner-7") -> DataOwner:
        """This person, with a browser that stays signed in. Raises KeyError for an unknown one."""
        if owner_id not in self._owners:
            owner = DataOwner(self._folder, self._description, owner_id)
            self._owners[owner_id] = await self._stack.enter_async_context(owner)
        return self._owners[owner_id]

    async def _decided(self, consent: Mapping[str, Any], owner_id: str, *, approve: bool) -> Reply:
        reply, pushed = await self.oauth.push(consent["consentId"])
        if pushed is None:
            return reply
        owner = await self.owner(owner_id)
        try:
            answer = await owner.decide(pushed.url, pushed.redirect_uri, approve=approve)
        except BrowserStopped as stopped:
            # Pages for the person, e.g. because the consent is somebody else's: the client hears nothing of it.
            return refusal("access_denied", str(stopped), status=403)
        return await self.oauth.redeem(pushed, answer)

    # --- the bank API --------------------------------------------------------------------------------------

    async def submit_consent(
        self,
        *,
        token: str,
        provider_id: str,
        document_type: str,
        expire_time: int,
        max_uses: int = 1,
        purpose: str = "SME_LOAN_UNDERWRITING",
        private: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Reply:
        body = {
            "type": "ConsentTypeSignedDocNotRequired",
            "dataProviderId": provider_id,
            "scope": {"scopeType": "DataScopeTypeUDR", "documentType": document_type},
            "purpose": purpose,
            "expireTime": expire_time,
            "usage": {"maxUses": max_uses},
            "private": private or {"dataOwnerId": "owner-7", "dataOwnerName": "Example Trading Co., Ltd."},
        }
        return await self.call("POST", "/cdi/v1/consents", token=token, json=body, key=key or str(uuid.uuid4()))

    async def ask(
        self,
        *,
        token: str,
        consent: Mapping[str, Any],
        digests: list[dict[str, str]],
        voucher: str | None = None,
        wait_seconds: int | None = None,
        covered: bool = False,
        key: str | None = None,
    ) -> Reply:
        """Is this document genuine? `consent` is the CDI Consent object that covers the question; `covered`: the answer
        is wanted when a published checkpoint covers it."""
        scope = {"scopeType": consent["scope"]["scopeType"], "documentType": consent["scope"]["documentType"]}
        if voucher is not None:
            scope["udr"] = voucher
        body = {
            "consentId": consent["consentId"],
            "dataScope": scope,
            "purpose": consent["purpose"],
            "document": {"issuerId": consent["dataProviderId"], "digests": digests},
        }
        return await self.call(
            "POST",
            "/cdi/v1/data-requests",
            token=token,
            json=body,
            key=key or str(uuid.uuid4()),
            headers=_prefer(wait_seconds, covered=covered),
        )

    async def data_request(
        self, data_request_id: str, *, token: str, wait_seconds: int | None = None, covered: bool = False
    ) -> Reply:
        path = f"/cdi/v1/data-requests/{data_request_id}"
        return await self.call("GET", path, token=token, headers=_prefer(wait_seconds, covered=covered))

    async def proof(self, data_request_id: str, *, token: str, wait_seconds: int | None = None) -> Reply:
        """The tlog-proof of the outcome's record: 200 and text, or 202 while no checkpoint covers it."""
        path = f"/cdi/v1/data-requests/{data_request_id}/proof"
        return await self.call("GET", path, token=token, headers=_prefer(wait_seconds))

    async def revoke_consent(self, consent_id: str, *, token: str, reason: str = "OTHER") -> Reply:
        return await self.call(
            "POST", f"/cdi/v1/consents/{consent_id}/revocation", token=token, json={"reason": reason}
        )

    async def notices(self, *, token: str, after: int = 0, wait_seconds: int = 0) -> Reply:
        return await self.call("GET", f"/cdi/v1/notices?after={after}&wait={wait_seconds}", token=token)

    async def digests(self, document: bytes, *, token: str) -> Reply:
        headers = {"Content-Type": "application/octet-stream"}
        return await self.oauth.call("POST", f"{self.url}/cdi/v1/digests", token, headers, document)

    async def call(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        json: Any = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Any call of the bank API. `key` is the Idempotency-Key."""
        sent = dict(headers or {})
        if key is not None:
            sent["Idempotency-Key"] = key
        if json is not None:
            sent |= _JSON
        body = orjson.dumps(json) if json is not None else None
        if token is not None:
            return await self.oauth.call(method, self.url + path, token, sent, body)
        return await self._send(method, self.url + path, sent, body)

    async def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        if self._session is None:
            raise RuntimeError("the client is not open")
        async with self._session.request(method, url, data=body, headers=headers, allow_redirects=False) as response:
            data = await response.read()
            parsed = orjson.loads(data) if "json" in response.content_type else None
            return Reply(status=response.status, headers=dict(response.headers), body=data, json=parsed)


def authorization_detail(consent: Mapping[str, Any]) -> dict[str, Any]:
    """The RFC 9396 object that stands for a CDI Consent."""
    return {
        "type": "cdi_consent",
        "consentId": consent["consentId"],
        "dataProviderId": consent["dataProviderId"],
        "documentType": consent["scope"]["documentType"],
        "purpose": consent["purpose"],
        "expireTime": consent["expireTime"],
    }


def _prefer(wait_seconds: int | None, *, covered: bool = False) -> dict[str, str]:
    preferred = [] if wait_seconds is None else [f"wait={wait_seconds}"]
    if covered:
        preferred.append("covered")
    return {"Prefer": ", ".join(preferred)} if preferred else {}
