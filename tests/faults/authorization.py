"""A bank and a data owner on their way through an authorization in a world that is broken under them, step by step."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from adapters.sandbox.bank import NOTICES, Reply
from tests.end_to_end.fapi import CALLBACK, TLS, Code, Fapi, Request
from tests.end_to_end.stage import Stage, request
from tests.end_to_end.visitor import Seen, Visitor, filled
from tests.fakes_edge import Client
from tests.live_sandbox import Scene, eventually

FORM = "Content-Type: application/x-www-form-urlencoded"


def place(pushed: Request) -> str:
    """Of the page that asks."""
    return f"/interactions/{pushed.request_uri.rpartition(':')[2]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """`owner`: owner-7's browser, not signed in yet."""

    scene: Scene
    fapi: Fapi
    owner: Visitor

    async def crash(self) -> None:
        """kill -9, and the gateway is there again."""
        await self.scene.world.kill_gateway()
        await self.scene.world.start_gateway()

    # --- steps -----------------------------------------------------------------------------------------------

    async def asked(self, consent: Mapping[str, Any] | None = None) -> tuple[Request, dict[str, str]]:
        """A pushed request, and the owner signed in and in front of it: the form that approves it."""
        pushed = await self.fapi.pushed(TLS, consent)
        return pushed, await self.form(pushed)

    async def form(self, pushed: Request) -> dict[str, str]:
        """What the page's form sends; signs in where that is wanted."""
        seen = await self.owner.follow(
            await self.owner.get(place(pushed)), until=self.scene.world.description["login"]["issuer"]
        )
        if seen.status == 303:
            seen = await self.owner.sign_in(place(pushed))
        form = seen.page.form_to(place(pushed))
        assert form is not None, seen.body
        return filled(form, decision="approve")

    async def approve(self, pushed: Request, form: Mapping[str, str]) -> Code:
        return code_of(pushed, await self.owner.post(place(pushed), form))

    async def go_on(self, consent: Mapping[str, Any]) -> Reply:
        """What a bank does that does not know how it ended: it asks again, and so is the owner. The token's answer."""
        pushed, form = await self.asked(consent)
        return await self.fapi.redeem(await self.approve(pushed, form))

    # --- requests that nobody waits for ----------------------------------------------------------------------

    @asynccontextmanager
    async def deciding(self, pushed: Request, form: Mapping[str, str]) -> AsyncIterator[Client]:
        """The form is on its way; behind the block the connection is cut."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.owner.cookies.items())
        port = self.scene.world.ports.consent
        async with self.fapi.stage.connection(self.fapi.stage.context(None), port) as client:
            body = urlencode(form).encode()
            client.send(request("POST", place(pushed), FORM, f"Cookie: {cookie}", body=body))
            await client.writer.drain()
            yield client

    @asynccontextmanager
    async def redeeming(self, code: Code) -> AsyncIterator[Client]:
        """The code is on its way to the token endpoint; behind the block the connection is cut."""
        form = self.fapi.credentials(TLS) | self.fapi.redemption(code)
        async with self.fapi.stage.connection() as client:
            client.send(request("POST", "/oauth/token", FORM, body=urlencode(form).encode()))
            await client.writer.drain()
            yield client

    # --- what became of it -----------------------------------------------------------------------------------

    def recorded(self, kind: str, consent: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Audit entries of this type about this consent."""
        return [
            entry
            for entry in self.scene.audited()
            if entry["type"] == kind and entry.get("consent", {}).get("id") == consent["consentId"]
        ]

    async def until_recorded(self, kind: str, consent: Mapping[str, Any]) -> None:
        async def look() -> bool:
            return bool(self.recorded(kind, consent))

        await eventually(look)

    async def status(self, consent: Mapping[str, Any]) -> str:
        token = await self.fapi.stage.machine_token()
        reply = await self.scene.bank.call("GET", f"/cdi/v1/consents/{consent['consentId']}", token=token)
        assert reply.status == 200, reply.body
        return str(reply.json["status"])

    async def notices(self, consent: Mapping[str, Any], kind: str) -> int:
        """How often the bank is told this of the consent."""
        reply, after, found = None, 0, 0
        token = await self.scene.bank.token(NOTICES)
        while reply is None or reply.json["notices"]:
            reply = await self.scene.bank.notices(token=token, after=after)
            for notice in reply.json["notices"]:
                after = max(after, notice["sequence"])
                found += (notice["type"], notice.get("consentId")) == (kind, consent["consentId"])
        return found

    async def used(self, consent: Mapping[str, Any], token: str) -> Reply:
        """A question under the consent with this token."""
        return await self.scene.bank.ask(
            token=token, consent=consent, digests=self.scene.unregistered().digests, wait_seconds=10
        )


@asynccontextmanager
async def trial_in(scene: Scene) -> AsyncIterator[Trial]:
    async with Stage(scene.world) as stage, Fapi(stage) as fapi, Visitor(stage) as owner:
        yield Trial(scene=scene, fapi=fapi, owner=owner)


def code_of(pushed: Request, seen: Seen) -> Code:
    """What the browser takes to the bank."""
    assert seen.status == 303, seen.body
    assert seen.location.startswith(f"{CALLBACK}?")
    return Code(request=pushed, answer=dict(parse_qsl(urlsplit(seen.location).query, strict_parsing=True)))
