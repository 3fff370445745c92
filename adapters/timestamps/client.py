"""One RFC 3161 authority over HTTP: asked for a token over some bytes, which is verified whole before it is kept.

Signature, chain to the configured roots, purpose of the certificate, imprint, nonce, and time. What leaves is a hash.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Sequence

import aiohttp
from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    TimeStampRequest,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)
from yarl import URL

from adapters.timestamps.certificates import in_order
from gateway.errors import UpstreamUnavailable
from gateway.ports import Clock, Timestamp

RESPONSE_BYTES_MAX = 64 * 1024
CLOCKS_APART_SECONDS_MAX = 300
"""A token of another time than ours is refused: either clock is wrong, and a time-stamp is about nothing else."""

_SHA256 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")


def read_roots(pem: bytes) -> list[x509.Certificate]:
    """Raises ValueError when there is no certificate in it."""
    return x509.load_pem_x509_certificates(pem)


class HttpTimestampAuthority:
    """See `ports.TimestampAuthority`."""

    def __init__(
        self,
        url: str,
        *,
        roots: Sequence[x509.Certificate],
        ssl_context: ssl.SSLContext,
        timeout_seconds: float,
        clock: Clock,
    ) -> None:
        self._url = URL(url)
        self._roots = list(roots)
        self._ssl_context = ssl_context
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._clock = clock

    async def stamp(self, data: bytes) -> Timestamp:
        request = (
            TimestampRequestBuilder()
            .data(data)
            .hash_algorithm(HashAlgorithm.SHA256)
            .nonce(nonce=True)
            .cert_request(cert_request=True)
            .build()
        )
        # Kept in order, too: so that whoever verifies it later can read it, with whatever library.
        response = in_order(await self._ask(request.as_bytes()))
        return Timestamp(response=response, time=self._verified(response, request, data))

    async def _ask(self, request: bytes) -> bytes:
        # One connection for each question: there is about one an hour.
        try:
            async with (
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(ssl=self._ssl_context),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    headers={"Accept-Encoding": "identity", "Content-Type": "application/timestamp-query"},
                    timeout=self._timeout,
                    auto_decompress=False,
                ) as session,
                session.post(self._url, data=request, allow_redirects=False) as response,
            ):
                if response.status != 200:
                    raise UpstreamUnavailable(private="timestamp_status")
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > RESPONSE_BYTES_MAX:
                        raise UpstreamUnavailable(private="timestamp_too_large")
                return bytes(body)
        except TimeoutError as error:
            raise UpstreamUnavailable(private="timestamp_timeout") from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamUnavailable(private="timestamp_unreachable") from error

    def _verified(self, response: bytes, request: TimeStampRequest, data: bytes) -> float:
        """The token's time, Unix seconds. Raises UpstreamUnavailable."""
        try:
            decoded = decode_timestamp_response(response)
            if decoded.status != 0:
                raise UpstreamUnavailable(private="timestamp_not_granted")
            self._verify(decoded, request, data)
            time = decoded.tst_info.gen_time.timestamp()
        except (ValueError, VerificationError) as error:
            raise UpstreamUnavailable(private="timestamp_invalid") from error
        if abs(time - self._clock.now()) > CLOCKS_APART_SECONDS_MAX:
            raise UpstreamUnavailable(private="timestamp_clocks_apart")
        return time

    def _verify(self, response: TimeStampResponse, request: TimeStampRequest, data: bytes) -> None:
        # The library compares the digest alone: that it is the one of SHA-256 is checked here.
        if response.tst_info.message_imprint.hash_algorithm != _SHA256:
            raise VerificationError("imprint of another algorithm")
        # At the token's time; the certificate's purpose is id-kp-timeStamping, critical (RFC 3161 §2.3).
        verifier = VerifierBuilder(roots=list(self._roots), nonce=request.nonce).build()
        verifier.verify(response, hashlib.sha256(data).digest())
