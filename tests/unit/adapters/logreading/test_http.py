"""A log at an address: real sockets, servers that compress, close, cut short, redirect and fail."""

from __future__ import annotations

import gzip
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from adapters.logreading.http import AHEAD_MAX, HttpSource, LogUnreachable
from gateway.audit.verifying import Trust, verify_log
from tests.published_log import entries_of, log_signer, published

SIZE = 20_000
FILES = published(entries_of(SIZE))

Answer = Callable[[BaseHTTPRequestHandler], bool]
"""Answers a request in its own way and says True, or leaves it to the server."""


@contextmanager
def serving(answer: Answer = lambda request: False, *, context: ssl.SSLContext | None = None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if not answer(self):
                respond(self, FILES.get(self.path.removeprefix("/prefix/")))

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("localhost", 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://localhost:{server.server_port}/prefix/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def respond(request: BaseHTTPRequestHandler, data: bytes | None, *, status: int = 200, **headers: str) -> None:
    body = data if data is not None else b"none"
    request.send_response(status if data is not None else 404)
    for name, value in {"Content_Length": str(len(body)), **headers}.items():
        request.send_header(name.replace("_", "-"), value)
    request.end_headers()
    request.wfile.write(body)


def test_log_is_verified_over_http() -> None:
    with serving() as url, HttpSource(url) as source:
        report = verify_log(source, Trust(keys=(log_signer().verifier,)))
    assert report.findings == []
    assert report.entries == SIZE


def test_files_come_in_the_order_asked_for() -> None:
    paths = [*FILES, "tile/0/999", *FILES]
    assert len(paths) > AHEAD_MAX
    with serving() as url, HttpSource(url) as source:
        assert list(source.stream(paths, bytes_max=1_000_000)) == [FILES.get(path) for path in paths]


def test_log_is_verified_over_https_with_given_roots(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with serving(context=context) as url:
        with HttpSource(url, ca_file=tmp_path / "ca.pem") as source:
            assert source.read("checkpoint", bytes_max=10_000) == FILES["checkpoint"]
        with HttpSource(url) as source, pytest.raises(LogUnreachable, match="not believed"):
            source.read("checkpoint", bytes_max=10_000)


def test_unasked_compression_is_undone_and_bounded() -> None:
    def compressed(request: BaseHTTPRequestHandler) -> bool:
        data = FILES["checkpoint"] if request.path.endswith("checkpoint") else bytes(10_000_000)
        respond(request, gzip.compress(data), Content_Encoding="gzip")
        return True

    with serving(compressed) as url, HttpSource(url) as source:
        assert source.read("checkpoint", bytes_max=10_000) == FILES["checkpoint"]
        assert source.read("tile/0/000", bytes_max=100_000) == bytes(100_001)


def test_long_answer_is_read_one_byte_beyond_the_limit_and_the_next_is_whole() -> None:
    with serving() as url, HttpSource(url) as source:
        assert source.read("tile/0/000", bytes_max=10) == FILES["tile/0/000"][:11]
        assert source.read("checkpoint", bytes_max=10_000) == FILES["checkpoint"]


def test_connection_that_was_closed_is_opened_again() -> None:
    dropped = iter([True, True])

    def dropping(request: BaseHTTPRequestHandler) -> bool:
        request.close_connection = True
        return next(dropped, False)

    with serving(dropping) as url, HttpSource(url) as source:
        assert source.read("checkpoint", bytes_max=10_000) == FILES["checkpoint"]


def test_answer_cut_short_is_no_file() -> None:
    def cutting(request: BaseHTTPRequestHandler) -> bool:
        respond(request, FILES["checkpoint"][:50], Content_Length="100")
        request.close_connection = True
        return True

    with serving(cutting) as url, HttpSource(url) as source, pytest.raises(LogUnreachable, match="does not answer"):
        source.read("checkpoint", bytes_max=10_000)


@pytest.mark.parametrize("status", [301, 403, 500, 503])
def test_other_answers_are_errors_and_no_redirect_is_followed(status: int) -> None:
    def refusing(request: BaseHTTPRequestHandler) -> bool:
        respond(request, b"", status=status, Location="/prefix/checkpoint")
        return True

    with serving(refusing) as url, HttpSource(url) as source, pytest.raises(LogUnreachable, match=str(status)):
        source.read("checkpoint", bytes_max=10_000)


def test_address_where_nobody_listens_is_an_error() -> None:
    with serving() as url:
        gone = url
    with HttpSource(gone) as source, pytest.raises(LogUnreachable):
        source.read("checkpoint", bytes_max=10)


@pytest.mark.parametrize(
    "url",
    ["ftp://host/", "http://", "https:///path", "http://host/?a=b", "http://host/#a", "http://user:word@host/", "host"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        HttpSource(url)
