"""OpenSSL's answers, and serial numbers that go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder, decode_timestamp_response

from adapters.sandbox import timestamp_authority
from adapters.sandbox.pki import Authority
from adapters.sandbox.timestamp_authority import TimestampAuthority, TimestampRefused
from tests.fakes_sandbox import CLOCK

Opened = Callable[[], TimestampAuthority]


@pytest.fixture
def opened(tmp_path: Path, require_tool: Callable[..., Path]) -> Opened:
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    now = int(CLOCK.now())
    Authority.create("time-stamps", now=now).timestamping("signer", now=now).write(*files)
    command = str(require_tool("openssl"))
    return lambda: TimestampAuthority(command, tmp_path, certificate=files[0], key=files[1])


def query(data: bytes) -> bytes:
    return TimestampRequestBuilder().data(data).hash_algorithm(HashAlgorithm.SHA256).build().as_bytes()


async def serial(authority: TimestampAuthority, data: bytes = b"a checkpoint") -> int:
    answer = decode_timestamp_response(await authority.reply(query(data)))
    assert answer.status == 0
    return answer.tst_info.serial_number


async def test_serial_numbers_go_on_over_a_restart_and_never_repeat(opened: Opened) -> None:
    authority = opened()
    first = await asyncio.gather(*(serial(authority) for _ in range(4)))
    assert sorted(first) == [2, 3, 4, 5]
    assert await serial(opened()) == 6


async def test_what_is_no_query_is_answered_with_a_rejection(opened: Opened) -> None:
    assert decode_timestamp_response(await opened().reply(b"nonsense")).status == 2


async def test_an_authority_that_cannot_sign_says_so(opened: Opened, tmp_path: Path) -> None:
    authority = opened()
    (tmp_path / "key.pem").unlink()
    with pytest.raises(TimestampRefused, match="key"):
        await authority.reply(query(b"a checkpoint"))


def test_the_command_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert timestamp_authority.openssl() is None
