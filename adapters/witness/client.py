"""One C2SP witness over HTTP: asked for a cosignature, whose answer is believed only when the key says so.

https://c2sp.org/tlog-witness. What its size was last is remembered in memory alone: after a start, its first 409 tells.
"""

from __future__ import annotations

import asyncio
import ssl

import aiohttp
from yarl import URL

from gateway.audit import tree, witnessing
from gateway.audit.note import (
    COSIGNATURE_V1,
    Checkpoint,
    NoteInvalid,
    parse,
    verifier_key,
    verify,
)
from gateway.errors import GatewayError
from gateway.ports import Cosigned, NotCosigned

ANSWER_BYTES_MAX = 16 * 1024
_TRIES = 2  # one, and one more from the size that a 409 told

_REASONS = {400: "request_refused", 403: "log_key_refused", 404: "log_unknown", 429: "rate_limited"}


class HttpWitness:
    """See `ports.Witness`."""

    def __init__(self, vkey: str, url: str, *, ssl_context: ssl.SSLContext, timeout_seconds: float) -> None:
        """Raises NoteInvalid for a key that is none of a witness. `timeout_seconds`: for one request."""
        self._key = verifier_key(vkey)
        if self._key.type != COSIGNATURE_V1:
            raise NoteInvalid("a witness has a cosignature/v1 key (type 0x04)")
        self.name, self.public = self._key.name, self._key.public
        self._url = URL(f"{url.rstrip('/')}/{witnessing.PATH}")
        self._ssl_context = ssl_context
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None
        self._size = 0

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def attested(self, checkpoint: bytes) -> int | None:
        try:
            return max((found.time or 0 for found in verify(parse(checkpoint), [self._key])), default=None)
        except NoteInvalid:
            return None

    async def cosign(self, note: str, head: Checkpoint, node: tree.Node) -> Cosigned | NotCosigned:
        # A size beyond this tree cannot be proven from: ask anew where the witness stands, it may have been mended.
        old = self._size if self._size <= head.size else 0
        try:
            for _ in range(_TRIES):
                proof = await asyncio.to_thread(_proof, old, head, node)
                status, body = await self._sent(witnessing.render(old, proof, note))
                if status != 409:
                    return self._judged(status, body, note, head)
                told = witnessing.witness_size(body)
                if told is None or told == old:
                    # Our old size is its own, and yet it refuses: at equal sizes the roots differ.
                    same = old == head.size
                    return NotCosigned(reason="other_root" if same else "answer_invalid", conflict=same)
                self._size = told
                if told > head.size:
                    return NotCosigned(reason="ahead", conflict=True)
                old = told
        except TimeoutError:
            return NotCosigned(reason="timeout")
        except (aiohttp.ClientError, OSError):
            return NotCosigned(reason="unreachable")
        except _NoProof:
            return NotCosigned(reason="no_proof")
        except _TooLarge:
            return NotCosigned(reason="answer_invalid")
        return NotCosigned(reason="unsettled")  # somebody else submits at the same time

    def _judged(self, status: int, body: bytes, note: str, head: Checkpoint) -> Cosigned | NotCosigned:
        if status == 422:  # the proof does not lead from what it has cosigned: it has seen another history
            return NotCosigned(reason="other_history", conflict=True)
        if status != 200:
            return NotCosigned(reason=_REASONS.get(status, "status"))
        try:
            line, time = witnessing.cosignature(parse(note).text, body, self._key)
        except NoteInvalid:
            return NotCosigned(reason="answer_invalid")
        self._size = head.size
        return Cosigned(lines=(line,), time=time)

    async def _sent(self, body: bytes) -> tuple[int, bytes]:
        try:
            return await self._post(body)
        except aiohttp.ServerDisconnectedError:
            # A kept connection that it closed meanwhile. Sending again is safe: a size is cosigned once or told by 409.
            return await self._post(body)

    async def _post(self, body: bytes) -> tuple[int, bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._ssl_context, limit=2),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity", "Content-Type": "text/plain; charset=utf-8"},
                timeout=self._timeout,
                auto_decompress=False,
            )
        async with self._session.post(self._url, data=body, allow_redirects=False) as response:
            answer = bytearray()
            async for chunk in response.content.iter_any():
                answer += chunk
                if len(answer) > ANSWER_BYTES_MAX:
                    raise _TooLarge
            return response.status, bytes(answer)


class _NoProof(Exception):
    """The published tiles did not give the proof: ours to mend, and the publisher's to tell."""


class _TooLarge(Exception):
    pass


def _proof(old: int, head: Checkpoint, node: tree.Node) -> tuple[bytes, ...]:
    """From nothing there is nothing to prove. Reads tiles."""
    try:
        return tree.consistency_path(old, head.size, node) if old else ()
    except (OSError, ValueError, LookupError, GatewayError) as error:
        raise _NoProof from error
