"""The witness as a process of its own: `python -m adapters.sandbox.witness_server --config FILE`. HTTPS, no client
certificates: what is submitted is signed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from adapters.sandbox.clock import WallClock
from adapters.sandbox.credentials import read_note_signer
from adapters.sandbox.serving import Site, run, server_context
from adapters.sandbox.witness import Witness, WitnessRefused
from gateway.audit import witnessing
from gateway.audit.note import COSIGNATURE_V1, NOTE_BYTES_MAX, verifier_key

_BODY_BYTES_MAX = NOTE_BYTES_MAX + 4_096  # the proof lines


class WitnessApi:
    """`POST /add-checkpoint`."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    def application(self) -> web.Application:
        app = web.Application(client_max_size=_BODY_BYTES_MAX)
        app.router.add_post(f"/{witnessing.PATH}", self._add)
        return app

    async def _add(self, request: web.Request) -> web.Response:
        try:
            lines = self._witness.add_checkpoint(await request.read())
        except WitnessRefused as refused:
            if refused.size is None:
                return web.Response(status=refused.status, text=f"{refused}\n")
            headers = {"Content-Type": witnessing.SIZE_TYPE}
            return web.Response(status=refused.status, body=f"{refused.size}\n".encode(), headers=headers)
        return web.Response(text=lines)


def sites(config: dict[str, Any], folder: Path) -> list[Site]:
    """What is listened on where. The configuration is what `world` writes; its paths are relative to `folder`."""
    witness = Witness(
        read_note_signer(config["name"], folder / config["signingKeyFile"], type=COSIGNATURE_V1),
        [verifier_key(vkey) for vkey in config["logs"]],
        state_file=folder / config["stateFile"],
        clock=WallClock(),
    )
    context = server_context(folder / config["certificateFile"], folder / config["keyFile"])
    return [(WitnessApi(witness).application(), config["port"], context)]


def main() -> None:
    parser = argparse.ArgumentParser(description="The sandbox's witness of transparency logs.")
    parser.add_argument("--config", type=Path, required=True, help="JSON file that the sandbox has written")
    file: Path = parser.parse_args().config
    run(sites(orjson.loads(file.read_bytes()), file.parent))


if __name__ == "__main__":
    main()
