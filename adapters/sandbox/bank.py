"""A bank's side of the gateway, as a bank would write it: tokens, consents, questions, notices over mutual TLS.

Made from `sandbox.json` alone. The owner's approval is here too: in the sandbox the client plays the person.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp
import orjson

from adapters.sandbox.cast import CONSENT_SCOPE
from adapters.sandbox.serving import client_context

CONSENTS, READ, NOTICES = "cdi:consents", "cdi:data-requests:read", "cdi:notices"
_TIMEOUT = aiohttp.ClientTimeout(total=90)
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back. `json` is the parsed body, or None when it is not JSON."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    json: Any

    @property
    def code(self) -> str | None:
        """The error code of a problem document."""
        return self.json.get("code") if isinstance(self.json, dict) else None


class TokenRefused(Exception):
    """The issuer gave no token; the text is its OAuth error."""


class Bank:
    """One client of the sandbox (`bank-a`, `bank-b`). Use as an async context manager."""

    def __init__(self, folder: Path, description: Mapping[str, Any], label: str) -> None:
        """`description`: the content of `folder/sandbox.json`. Raises KeyError for an unknown label."""
        client = description["clients"][label]
        self.label = label
        self.participant_id: str = client["participant"]
        self.client_id: str = client["clientId"]
        self.url: str = description["listeners"]["bank"]
        self.token_url: str = description["issuer"]["token"]
        self.approvals_url: str = description["issuer"]["approvals"]
        self._owners = {owner["id"]: owner for owner in description["owners"]}
        self._context = client_context(folder / description["ca"], folder / client["cert"], folder / client["key"])
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._context)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    # --- tokens --------------------------------------------------------------------------------------------

    async def token(self, *scopes: str, consent: Mapping[str, Any] | None = None) -> str:
        """An access token bound to this client's certificate; with a `consent`, for that one. Raises TokenRefused."""
        form = {"grant_type": "client_credentials", "client_id": self.client_id, "scope": " ".join(scopes)}
        if consent is not None:
            form["scope"] = CONSENT_SCOPE
            form["authorization_details"] = orjson.dumps([authorization_detail(consent)]).decode()
        reply = await self._send("POST", self.token_url, data=form)
        if reply.status != 200:
            raise TokenRefused(f"{reply.json['error']}: {reply.json['error_description']}")
        return str(reply.json["access_token"])

    async def approve(self, consent: Mapping[str, Any], owner_id: str = "owner-7") -> Reply:
        """The data owner signs in and approves exactly this consent."""
        owner = self._owners[owner_id]
        body = {
            "login": owner["login"],
            "password": owner["password"],
            "authorization_details": [authorization_detail(consent)],
        }
        return await self._send("POST", self.approvals_url, data=orjson.dumps(body), headers=_JSON)

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
        return await self._send("POST", f"{self.url}/cdi/v1/digests", data=document, headers=headers | _bearer(token))

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
        if token is not None:
            sent |= _bearer(token)
        if key is not None:
            sent["Idempotency-Key"] = key
        if json is not None:
            sent |= _JSON
        return await self._send(
            method, self.url + path, data=orjson.dumps(json) if json is not None else None, headers=sent
        )

    async def _send(
        self, method: str, url: str, *, data: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        if self._session is None:
            raise RuntimeError("the client is not open")
        async with self._session.request(method, url, data=data, headers=headers, allow_redirects=False) as response:
            body = await response.read()
            parsed = orjson.loads(body) if "json" in response.content_type else None
            return Reply(status=response.status, headers=dict(response.headers), body=body, json=parsed)


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


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
