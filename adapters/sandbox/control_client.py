"""Speaks with the platform's control address: for the sandbox itself, the demo and tests."""

from __future__ import annotations

from typing import Any, Self

import aiohttp
import orjson

_TIMEOUT = aiohttp.ClientTimeout(total=30)


class ControlFailed(Exception):
    """The platform refused what it was told."""


class ControlClient:
    """Use as an async context manager. Methods return the JSON that `control` describes; they raise ControlFailed, or
    aiohttp's errors when the platform does not run."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def faults(
        self, mode: str, *, count: int | None = None, delay_seconds: float = 0, match: str | None = None
    ) -> Any:
        body = {"mode": mode, "count": count, "delaySeconds": delay_seconds, "match": match}
        return await self.call("PUT", "/faults", json=body)

    async def journal(self, after: int = 0) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = (await self.call("GET", f"/journal?after={after}"))["entries"]
        return entries

    async def issue(
        self, issuer_id: str, document_type: str, document: bytes, *, valid_until: int | None = None
    ) -> Any:
        """The source issues this document: its evidence with `evidenceId`, `voucher` and `digests`."""
        query = f"documentType={document_type}" + (f"&validUntil={valid_until}" if valid_until is not None else "")
        return await self.call("POST", f"/sources/{issuer_id}/documents?{query}", data=document)

    async def evidence(self, evidence_id: str) -> Any:
        return await self.call("GET", f"/evidence/{evidence_id}")

    async def revoke(self, evidence_id: str, reason: str = "OTHER") -> Any:
        return await self.call("POST", f"/evidence/{evidence_id}/revocation", json={"reason": reason})

    async def supersede(self, evidence_id: str) -> Any:
        return await self.call("POST", f"/evidence/{evidence_id}/supersede", json={})

    async def make_block(self) -> Any:
        return await self.call("POST", "/blocks")

    async def healthy(self) -> bool:
        try:
            await self.call("GET", "/healthz")
        except (aiohttp.ClientError, TimeoutError):
            return False
        return True

    async def call(self, method: str, path: str, *, json: Any = None, data: bytes | None = None) -> Any:
        if self._session is None:
            raise RuntimeError("the client is not open")
        headers = {"Content-Type": "application/json" if json is not None else "application/octet-stream"}
        body = orjson.dumps(json) if json is not None else data
        async with self._session.request(method, self._url + path, data=body, headers=headers) as response:
            answer = orjson.loads(await response.read())
            if response.status >= 400:
                raise ControlFailed(f"{method} {path.partition('?')[0]}: {response.status} {answer.get('error')}")
            return answer
