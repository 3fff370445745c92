"""One HTTP/1.1 response out of the bytes of a connection, within limits. No IO here.

Parsing is llhttp's, in its strict form; what is decided here is when a response is whole, when it is too much, and
whether the connection may carry another one.
"""

from __future__ import annotations

from dataclasses import dataclass

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

# Everything that is not body: heads (also interim ones), chunk framing, trailers.
OVERHEAD_BYTES_MAX = 32_768
FIELDS_MAX = 100
_RETRY_AFTER_DIGITS_MAX = 5
_SWITCHING_PROTOCOLS = 101


class ResponseError(Exception):
    """The bytes are not one HTTP/1.1 response of bounded overhead."""


class ResponseTooLarge(Exception):
    """The body is, or says that it will be, larger than the limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """`body` is empty when there is none, and when it is of another media type: then it is not waited for.

    `pause_seconds`: Retry-After, 0 when it is absent or a date.
    """

    status: int
    body: bytes
    pause_seconds: float


class ResponseReader:
    """Reads one response after another, each between a `begin` and `response` being set. Serves one connection."""

    response: Response | None
    """The final response, as soon as its body is whole."""
    reusable: bool
    """The response has ended, nothing came behind it, and the server keeps the connection."""

    def __init__(self, *, media_type: bytes, body_bytes_max: int) -> None:
        self._media_type = media_type
        self._body_bytes_max = body_bytes_max
        self._parser = HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """A request is about to be sent: what comes now answers it."""
        self.response = None
        self.reusable = False
        self._received_bytes = 0
        self._body_bytes = 0
        self._body: list[bytes] = []
        self._too_large = False
        self._field_count = 0
        self._ended = False
        self._begin_head()

    def feed(self, data: bytes) -> None:
        """Raises ResponseError or ResponseTooLarge; nothing may be fed afterwards."""
        self._received_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self.reusable = False
            if self.response is None:
                raise ResponseError("not an HTTP response") from error
        # Counted when the data was parsed: it came in pieces of bounded size, and fields cross their borders.
        if self._received_bytes - self._body_bytes > OVERHEAD_BYTES_MAX or self._field_count > FIELDS_MAX:
            raise ResponseError("too much besides a body")
        if self._too_large and self.response is None:
            raise ResponseTooLarge

    def finish(self) -> None:
        """The server closed the connection. RFC 9112 §6.3: that ends a body without a length, and cuts any other."""
        framed = b"content-length" in self._fields or b"transfer-encoding" in self._fields
        if self._in_body and self.response is None and not framed:
            self.response = self._made(b"".join(self._body))

    # --- called by the parser ---

    def on_message_begin(self) -> None:
        if self._ended:
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._field_count += 1
        if not self._in_body:  # RFC 9110 §6.5.1: a trailer field is not merged into the header
            self._fields.setdefault(name.lower(), value)

    def on_headers_complete(self) -> None:
        if self._ended:
            return
        self._status = self._parser.get_status_code()
        if self._interim():
            return
        self._in_body = True
        if self._fields.get(b"content-type", b"").partition(b";")[0].strip().lower() != self._media_type:
            self.response = self._made(b"")
        elif int(self._fields.get(b"content-length", b"0")) > self._body_bytes_max:
            self._too_large = True

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._body_bytes_max:
            self._too_large = True
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._ended:
            return
        if self._interim():
            self._begin_head()
            return
        self._ended = True
        self.reusable = self._parser.should_keep_alive()
        if self.response is None and not self._too_large:
            self.response = self._made(b"".join(self._body))

    def _begin_head(self) -> None:
        self._fields: dict[bytes, bytes] = {}
        self._status = 0
        self._in_body = False

    def _interim(self) -> bool:
        # RFC 9110 §15.2: skipped, though not asked for. 101 ends HTTP on the connection, so it is a final one here.
        return 100 <= self._status < 200 and self._status != _SWITCHING_PROTOCOLS

    def _made(self, body: bytes) -> Response:
        return Response(status=self._status, body=body, pause_seconds=self._retry_after())

    def _retry_after(self) -> float:
        # RFC 9110 §10.2.3: seconds, or a date; a date is not worth a comparison of two clocks.
        value = self._fields.get(b"retry-after", b"").strip()
        return float(value) if value.isdigit() and len(value) <= _RETRY_AFTER_DIGITS_MAX else 0.0
