"""Delivery by POST: what counts as delivered, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.siem.https import TOKEN_BYTES_MAX, HttpsTarget
from gateway.errors import UpstreamUnavailable
from tests.siem_receivers import Authority, running_https


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def target(url: str, authority: Authority, **changes: Path | float) -> HttpsTarget:
    timeout = float(changes.get("timeout_seconds", 20.0))  # type: ignore[arg-type]
    token_file = changes.get("token_file")
    assert token_file is None or isinstance(token_file, Path)
    return HttpsTarget(url, ssl_context=authority.client(), timeout_seconds=timeout, token_file=token_file)


async def test_a_batch_is_one_post_of_json_lines(authority: Authority) -> None:
    async with running_https(authority.server()) as server:
        https = target(server.url, authority)
        await https.deliver([b'{"a":1}', b'{"a":2}'])
        assert server.bodies == [b'{"a":1}\n{"a":2}\n']
        assert server.headers[0]["Content-Type"] == "application/x-ndjson"
        assert "Authorization" not in server.headers[0]
        await https.close()


async def test_a_token_that_is_replaced_is_taken(authority: Authority, tmp_path: Path) -> None:
    token = tmp_path / "token"
    async with running_https(authority.server()) as server:
        https = target(server.url, authority, token_file=token)
        for value in ("first", "second"):
            token.write_text(f"{value}\n")
            await https.deliver([b"{}"])
        assert [headers["Authorization"] for headers in server.headers] == ["Bearer first", "Bearer second"]
        await https.close()


@pytest.mark.parametrize("content", [b"", b"a\nb", b"\xff", b"x" * (TOKEN_BYTES_MAX + 1)])
async def test_a_file_that_holds_no_token_sends_nothing(authority: Authority, tmp_path: Path, content: bytes) -> None:
    token = tmp_path / "token"
    token.write_bytes(content)
    async with running_https(authority.server()) as server:
        https = target(server.url, authority, token_file=token)
        with pytest.raises(UpstreamUnavailable):
            await https.deliver([b"{}"])
        assert not server.bodies
        await https.close()


async def test_a_token_file_that_is_gone_is_a_failure(authority: Authority, tmp_path: Path) -> None:
    async with running_https(authority.server()) as server:
        https = target(server.url, authority, token_file=tmp_path / "absent")
        with pytest.raises(UpstreamUnavailable):
            await https.deliver([b"{}"])
        await https.close()


@pytest.mark.parametrize("status", [302, 307, 400, 401, 429, 500, 503])
async def test_only_2xx_is_delivered_and_no_redirect_is_followed(authority: Authority, status: int) -> None:
    async with running_https(authority.server()) as server:
        server.statuses = [status]
        https = target(server.url, authority)
        with pytest.raises(UpstreamUnavailable) as failed:
            await https.deliver([b"{}"])
        assert failed.value.private == f"https_{status}"
        assert len(server.bodies) == 1
        await https.deliver([b"{}"])
        await https.close()


async def test_an_answer_that_does_not_come_is_a_failure_in_time(authority: Authority) -> None:
    async with running_https(authority.server()) as server:
        server.released.clear()
        https = target(server.url, authority, timeout_seconds=0.2)
        with pytest.raises(UpstreamUnavailable):
            await https.deliver([b"{}"])
        server.released.set()
        await https.close()


async def test_a_server_of_another_authority_gets_nothing(authority: Authority) -> None:
    async with running_https(Authority().server()) as server:
        https = target(server.url, authority)
        with pytest.raises(UpstreamUnavailable):
            await https.deliver([b"{}"])
        assert not server.bodies
        await https.close()


@pytest.mark.parametrize("url", ["http://h/x", "https://", "https://user:word@h/x", "/x"])
def test_another_url_is_refused(url: str, authority: Authority) -> None:
    with pytest.raises(ValueError, match="HTTPS target"):
        target(url, authority)
