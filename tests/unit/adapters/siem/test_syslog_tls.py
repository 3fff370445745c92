"""Delivery over a real TLS connection: kept, cut, refused, slow, and tried again by the caller."""

from __future__ import annotations

import asyncio

import pytest

from adapters.siem.syslog_tls import SyslogTls
from gateway.audit.syslog import framed
from gateway.errors import UpstreamUnavailable
from tests.siem_receivers import Authority, running_syslog


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def target(url: str, authority: Authority, *, certificate: bool = False, timeout_seconds: float = 20.0) -> SyslogTls:
    return SyslogTls(url, ssl_context=authority.client(certificate=certificate), timeout_seconds=timeout_seconds)


def events(*numbers: int) -> list[bytes]:
    return [framed(b"event %d" % number) for number in numbers]


async def test_events_arrive_in_order_on_one_kept_connection(authority: Authority) -> None:
    async with running_syslog(authority.server()) as server:
        syslog = target(server.url, authority)
        await syslog.deliver(events(1, 2))
        await syslog.deliver(events(3))
        assert await server.received(3) == [b"event 1", b"event 2", b"event 3"]
        assert server.connections == 1
        await syslog.close()


async def test_the_client_certificate_is_shown_where_it_is_asked_for(authority: Authority) -> None:
    async with running_syslog(authority.server(mutual=True)) as server:
        syslog = target(server.url, authority, certificate=True)
        await syslog.deliver(events(1))
        assert await server.received(1)
        await syslog.close()


async def test_without_the_certificate_nothing_counts_as_delivered(authority: Authority) -> None:
    # TLS 1.3 tells the client only after its handshake is done: what was written meanwhile must not count.
    async with running_syslog(authority.server(mutual=True)) as server:
        syslog = target(server.url, authority)
        for number in range(3):
            with pytest.raises(UpstreamUnavailable):
                await syslog.deliver(events(number))
        assert not server.messages
        await syslog.close()


async def test_a_server_of_another_authority_gets_nothing(authority: Authority) -> None:
    async with running_syslog(Authority().server()) as server:
        syslog = target(server.url, authority)
        with pytest.raises(UpstreamUnavailable):
            await syslog.deliver(events(1))
        assert not server.messages


async def test_a_connection_that_is_cut_in_a_batch_is_a_failure_and_the_repeat_arrives(authority: Authority) -> None:
    large = [framed(b"%06d " % number + b"x" * 1_000) for number in range(20_000)]
    async with running_syslog(authority.server()) as server:
        server.cut_after = [50_000]
        syslog = target(server.url, authority)
        with pytest.raises(UpstreamUnavailable):
            await syslog.deliver(large)
        await syslog.deliver(large)
        arrived = await server.received(len(large))
        assert [int(message[:6]) for message in arrived] == list(range(20_000))
        assert server.connections == 2
        await syslog.close()


async def test_a_connection_that_was_closed_while_idle_is_opened_again(authority: Authority) -> None:
    async with running_syslog(authority.server()) as server:
        syslog = target(server.url, authority)
        await syslog.deliver(events(1))
        await server.received(1)
        server.drop_connections()
        for number in range(2, 200):  # until the end has reached this side, a delivery may still go into the old one
            try:
                await syslog.deliver(events(number))
            except UpstreamUnavailable:
                continue
            if server.connections == 2:
                break
        assert server.connections == 2
        assert (await server.received(2))[-1].startswith(b"event")
        await syslog.close()


async def test_a_reader_that_does_not_read_is_a_failure_in_time(authority: Authority) -> None:
    async with running_syslog(authority.server()) as server:
        server.reading.clear()
        syslog = target(server.url, authority, timeout_seconds=0.3)
        with pytest.raises(UpstreamUnavailable) as failed:
            await syslog.deliver([framed(b"x" * 100_000)] * 400)
        assert failed.value.private == "syslog_TimeoutError"
        await syslog.close()


async def test_nobody_there_is_a_failure(authority: Authority) -> None:
    async with running_syslog(authority.server()) as server:
        url = server.url
    syslog = target(url, authority)
    with pytest.raises(UpstreamUnavailable) as failed:
        await syslog.deliver(events(1))
    assert failed.value.private == "syslog_ConnectionRefusedError"
    await syslog.close()


async def test_a_cancelled_delivery_leaves_no_half_message_to_the_next(authority: Authority) -> None:
    async with running_syslog(authority.server()) as server:
        syslog = target(server.url, authority)
        server.reading.clear()
        delivery = asyncio.ensure_future(syslog.deliver([framed(b"%06d " % n + b"x" * 1_000) for n in range(5_000)]))
        await asyncio.sleep(0)
        delivery.cancel()
        server.reading.set()
        await syslog.deliver(events(1))
        arrived = await server.received(1)
        assert arrived[-1].startswith((b"event", b"0"))
        assert all(len(message) == 1_007 or message == b"event 1" for message in arrived)
        await syslog.close()


@pytest.mark.parametrize(
    "url", ["syslog://h:1", "https://h", "syslog+tls://", "syslog+tls://h/path", "syslog+tls://h?x=1"]
)
def test_another_url_is_refused(url: str, authority: Authority) -> None:
    with pytest.raises(ValueError, match="syslog"):
        target(url, authority)
