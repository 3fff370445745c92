"""The witness over HTTPS, as the specification words its answers."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from adapters.sandbox.cast import AUDIT_ORIGIN
from adapters.sandbox.credentials import AUDIT_KEY_FILE, read_note_signer, witness_verifier_key
from adapters.sandbox.serving import client_context
from gateway.audit import note, witnessing
from gateway.audit.note import ED25519, Checkpoint
from tests.fakes_sandbox import Site


async def post(site: Site, url: str, body: bytes) -> tuple[int, str | None, bytes]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/add-checkpoint", data=body, ssl=client_context(site.folder / "pki/ca.pem")) as response,
    ):
        return response.status, response.headers.get("Content-Type"), await response.read()


async def test_answers_are_worded_as_the_specification_says(tmp_path: Path) -> None:
    site = Site(tmp_path)
    signer = read_note_signer(AUDIT_ORIGIN, tmp_path / AUDIT_KEY_FILE, type=ED25519)
    text = Checkpoint(origin=AUDIT_ORIGIN, size=5, root=bytes(32)).text
    body = witnessing.render(0, [], note.signed(text, [signer.line(text)]))
    key = note.verifier_key(witness_verifier_key(tmp_path))
    async with site.witness() as url:
        status, _, answer = await post(site, url, body)
        assert status == 200
        assert witnessing.cosignature(text, answer, key)[0].encode() == answer
        assert await post(site, url, body) == (409, "text/x.tlog.size", b"5\n")
        assert (await post(site, url, b"nonsense"))[0] == 400
        assert (await post(site, url, bytes(1_000_000)))[0] == 413
    # Started again, it is the same witness.
    async with site.witness() as url:
        assert await post(site, url, body) == (409, "text/x.tlog.size", b"5\n")
