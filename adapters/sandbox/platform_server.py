"""The platform as a process of its own: `python -m adapters.sandbox.platform_server --config FILE`.

Messages over mutual TLS 1.3, the control address on plain HTTP, blocks in time, revocations told to the gateways.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from adapters.sandbox.clock import WallClock
from adapters.sandbox.control import ControlApi
from adapters.sandbox.envelopes import Envelopes
from adapters.sandbox.evidence import EvidenceBook
from adapters.sandbox.faults import Faults
from adapters.sandbox.journal import Journal
from adapters.sandbox.ledger import Ledger
from adapters.sandbox.platform import DvpPlatform, Member
from adapters.sandbox.revocations import Gateway, RevocationPush
from adapters.sandbox.serving import Background, Site, client_context, run, server_context
from adapters.sandbox.signing import KeySigner
from adapters.sandbox.source import IssuingSource
from gateway.ports import Clock
from gateway.profiles.dvp_v1 import envelope
from gateway.profiles.dvp_v1.signature import key_set
from gateway.profiles.dvp_v1.trust import issuer_signed
from gateway.profiles.validation import Validators

_MEDIA_TYPE = "application/jose"


class MessageApi:
    """`POST /dvp/v1/messages`. `members`: by hex SHA-256 of their client certificate."""

    def __init__(self, platform: DvpPlatform, members: Mapping[str, Member]) -> None:
        self._platform, self._members = platform, members

    def application(self) -> web.Application:
        app = web.Application(client_max_size=envelope.BYTES_MAX)
        app.router.add_post("/dvp/v1/messages", self._message)
        return app

    async def _message(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        der = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        member = self._members.get(hashlib.sha256(der).hexdigest())
        if member is None:
            return web.Response(status=403)
        if request.content_type != _MEDIA_TYPE:
            return web.Response(status=415)
        reply = await self._platform.answer(
            await request.read(), member, traceparent=request.headers.get("traceparent")
        )
        if reply.closed:
            transport.close()
        if not reply.whole:
            half = web.StreamResponse(headers={"Content-Length": str(len(reply.token)), "Content-Type": _MEDIA_TYPE})
            await half.prepare(request)
            await half.write(reply.token[: len(reply.token) // 2])
            transport.close()
            return half
        return web.Response(status=reply.status, body=reply.token, content_type=_MEDIA_TYPE)


class Blocks:
    """When blocks are made: every `seconds`, at once (0), or only when `POST /blocks` says so (None)."""

    def __init__(self, book: EvidenceBook, clock: Clock, seconds: float | None) -> None:
        self._book, self._clock, self._seconds = book, clock, seconds

    def changed(self) -> None:
        if self._seconds == 0:
            self._book.make_block(now=int(self._clock.now()))

    async def run(self) -> None:
        while self._seconds:
            await asyncio.sleep(self._seconds)
            self._book.make_block(now=int(self._clock.now()))


def assemble(config: dict[str, Any], folder: Path) -> tuple[list[Site], list[Background]]:
    """Everything of the process. The configuration is what `world` writes; its paths are relative to `folder`.

    Raises LedgerBroken when the ledger was edited.
    """
    clock = WallClock()
    validators = Validators(orjson.loads((folder / config["schemasFile"]).read_bytes()))
    signing = config["signing"]
    envelopes = Envelopes(
        sender=config["participantId"],
        signer=KeySigner.read(signing["keyId"], folder / signing["keyFile"]),
        false_signer=KeySigner.create(signing["keyId"]),
    )
    sources = {one["participantId"]: one for one in config["sources"]}
    issuer_keys = {name: key_set((folder / one["jwksFile"]).read_bytes()) for name, one in sources.items()}
    book = EvidenceBook(
        Ledger(folder / "ledger", KeySigner.read(config["ledger"]["keyId"], folder / config["ledger"]["keyFile"])),
        entitlements={name: frozenset(one["documentTypes"]) for name, one in sources.items()},
        issuer_signed=partial(issuer_signed, issuer_keys),
        voucher_key=base64.b64decode(config["voucherKey"]),
    )
    blocks = Blocks(book, clock, config["blockSeconds"])
    push = RevocationPush(
        gateways=[
            Gateway(
                participant_id=one["participantId"],
                url=one["url"],
                keys=key_set((folder / one["jwksFile"]).read_bytes()),
            )
            for one in config["members"]
        ],
        book=book,
        envelopes=envelopes,
        acknowledged_file=folder / "acknowledged.jsonl",
        context=client_context(folder / config["caFile"], *(folder / file for file in config["clientFiles"])),
        validators=validators,
        clock=clock,
    )

    def changed() -> None:
        blocks.changed()
        push.wake()

    platform = DvpPlatform(
        envelopes=envelopes,
        book=book,
        journal=Journal(folder / "journal.jsonl"),
        faults=Faults(),
        validators=validators,
        clock=clock,
        changed=changed,
    )
    members = {
        one["certificateSha256"]: Member(
            participant_id=one["participantId"], keys=key_set((folder / one["jwksFile"]).read_bytes())
        )
        for one in config["members"]
    }
    control = ControlApi(
        platform,
        sources={
            name: IssuingSource(participant_id=name, signer=KeySigner.read(one["keyId"], folder / one["keyFile"]))
            for name, one in sources.items()
            if "keyFile" in one
        },
        validators=validators,
        clock=clock,
        changed=changed,
    )
    server_files = [folder / file for file in config["serverFiles"]]
    sites: list[Site] = [
        (MessageApi(platform, members).application(), config["port"], server_context(*server_files)),
        (control.application(), config["controlPort"], None),
    ]
    return sites, [blocks.run, push.run]


def main() -> None:
    parser = argparse.ArgumentParser(description="The sandbox's DVP platform.")
    parser.add_argument("--config", type=Path, required=True, help="JSON file that the sandbox has written")
    file: Path = parser.parse_args().config
    sites, background = assemble(orjson.loads(file.read_bytes()), file.parent)
    run(sites, background)


if __name__ == "__main__":
    main()
