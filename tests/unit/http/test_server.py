from __future__ import annotations

import asyncio
import gc
import ssl
from pathlib import Path
from types import ModuleType

import pytest
from aiohttp import http_parser, web

from gateway.http.server import ConnectionLimits, require_c_parser
from gateway.settings import Listener
from gateway.tls import server_context
from tests.fakes_edge import WAIT_SECONDS, Door, Pki, get, hello, serving, until_connections, until_counted

SHORT_SECONDS = 0.05


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


# --- connections ---------------------------------------------------------------------------------------------


async def test_connections_above_the_limit_are_closed_at_once() -> None:
    async with serving(web.get("/", hello), limits=ConnectionLimits(connections_max=2)) as edge:
        first, second = await edge.connect(None), await edge.connect(None)
        await first.ask(get())
        await second.ask(get())
        third = await edge.connect(None)
        assert await third.closed() == b""
        assert edge.sample("cdi_connections_refused_total", listener="bank", reason="limit") == 1
        first.close()
        await until_connections(edge, 1)
        assert (await (await edge.connect(None)).ask(get())).status == 200


async def test_handshakes_count_against_the_limit(pki: Pki) -> None:
    limits = ConnectionLimits(connections_max=1)
    async with serving(web.get("/", hello), listener=pki.listener(), limits=limits) as edge:
        await edge.connect(None)  # says nothing
        await until_connections(edge, 1)
        assert await (await edge.connect(None)).closed() == b""


async def test_silent_handshake_is_cut_off(pki: Pki) -> None:
    limits = ConnectionLimits(handshake_timeout_seconds=SHORT_SECONDS)
    async with serving(web.get("/", hello), listener=pki.listener(), limits=limits) as edge:
        assert await (await edge.connect(None)).closed() == b""
        await until_counted(edge, "handshake")
        await until_connections(edge, 0)


async def test_plain_http_to_a_tls_port_is_cut_off(pki: Pki) -> None:
    async with serving(web.get("/", hello), listener=pki.listener()) as edge:
        client = await edge.connect(None)
        client.send(get())
        await client.closed()
        await until_counted(edge, "handshake")
        assert (await (await edge.connect(pki.client())).ask(get())).status == 200


# --- TLS -----------------------------------------------------------------------------------------------------


async def test_client_certificate_is_demanded(pki: Pki) -> None:
    async with serving(web.get("/", hello), listener=pki.listener()) as edge:
        client = await edge.connect(ssl.create_default_context(cafile=pki.ca_file))
        client.send(get())
        assert await client.closed() == b""
        await until_counted(edge, "handshake")


async def test_connections_of_one_certificate_are_cut(pki: Pki) -> None:
    door = Door()
    async with serving(web.get("/", hello), web.get("/wait", door.handle), listener=pki.listener()) as edge:
        bad, busy = await edge.connect(pki.client("bad")), await edge.connect(pki.client("bad"))
        good = await edge.connect(pki.client("good"))
        for client in (bad, busy, good):
            await client.ask(get())
        busy.send(get("/wait"))
        await door.entered.wait()
        assert edge.server.close_connections_where(lambda certificate: "CN=bad" in certificate.subject) >= 2
        assert (await bad.closed(), await busy.closed()) == (b"", b"")
        assert (await good.ask(get())).status == 200
        door.leave.set()
        async with asyncio.timeout(WAIT_SECONDS):
            await door.left.wait()  # its outcome is recorded all the same


async def test_swapped_context_verifies_every_client_anew(pki: Pki, tmp_path: Path) -> None:
    door, other = Door(), Pki(tmp_path, "other")
    async with serving(web.get("/", hello), web.get("/wait", door.handle), listener=pki.listener()) as edge:
        idle, busy = await edge.connect(pki.client()), await edge.connect(pki.client())
        await idle.ask(get())
        busy.send(get("/wait"))
        await door.entered.wait()
        edge.server.swap_context(server_context(pki.listener(client_ca_file=other.ca_file)))
        assert await idle.closed() == b""
        door.leave.set()
        reply = await busy.reply()
        assert (reply.body, reply.headers["connection"]) == (b"done", "close")
        removed = await edge.connect(pki.client())
        removed.send(get())
        assert await removed.closed() == b""
        added = await edge.connect(other.client("bank-b", ca_file=pki.ca_file))
        assert (await added.ask(get())).status == 200


# --- drain ---------------------------------------------------------------------------------------------------


async def test_drain_finishes_a_running_request_and_takes_no_new_one() -> None:
    door = Door()
    async with serving(web.get("/", hello), web.get("/wait", door.handle)) as edge:
        port = edge.server.port
        idle, busy = await edge.connect(None), await edge.connect(None)
        await idle.ask(get())
        busy.send(get("/wait"))
        await door.entered.wait()
        async with asyncio.TaskGroup() as group, asyncio.timeout(WAIT_SECONDS):
            draining = group.create_task(edge.server.drain(WAIT_SECONDS))
            assert await idle.closed() == b""
            with pytest.raises(OSError):
                await asyncio.open_connection("127.0.0.1", port)
            assert not draining.done()
            door.leave.set()
            reply = await busy.reply()
        assert (reply.body, reply.headers["connection"]) == (b"done", "close")
        assert edge.server.connections == 0


async def test_drain_lets_a_body_that_is_under_way_arrive() -> None:
    async with serving(web.post("/", hello)) as edge:
        client = await edge.connect(None)
        client.send(get("/", "Content-Length: 4", "Expect: 100-continue", method="POST"))
        assert (await client.reply()).status == 100
        async with asyncio.TaskGroup() as group, asyncio.timeout(WAIT_SECONDS):
            group.create_task(edge.server.drain(WAIT_SECONDS))
            await asyncio.sleep(0)
            client.send(b"1234")
            assert (await client.reply()).status == 200


async def test_drain_cuts_off_what_does_not_end_in_time() -> None:
    door = Door()
    async with serving(web.get("/", door.handle)) as edge, asyncio.timeout(WAIT_SECONDS):
        client = await edge.connect(None)
        client.send(get())
        await door.entered.wait()
        await edge.server.drain(SHORT_SECONDS)
        assert await client.closed() == b""
        assert door.cancelled
        assert edge.server.connections == 0


async def test_drain_waits_for_the_flow_of_a_client_that_left() -> None:
    door = Door()
    async with serving(web.get("/", door.handle)) as edge, asyncio.timeout(WAIT_SECONDS):
        client = await edge.connect(None)
        client.send(get())
        await door.entered.wait()
        client.close()
        async with asyncio.TaskGroup() as group:
            draining = group.create_task(edge.server.drain(WAIT_SECONDS))
            await asyncio.sleep(0)
            assert not draining.done()
            door.leave.set()
        assert door.left.is_set()


async def test_drain_does_not_wait_for_silent_handshakes(pki: Pki) -> None:
    limits = ConnectionLimits(handshake_timeout_seconds=10 * WAIT_SECONDS)
    async with serving(web.get("/", hello), listener=pki.listener(), limits=limits) as edge:
        silent = await edge.connect(None)
        await until_connections(edge, 1)
        async with asyncio.timeout(WAIT_SECONDS):
            await edge.server.drain(10 * WAIT_SECONDS)
        assert await silent.closed() == b""
        assert edge.server.connections == 0


async def test_connections_leave_nothing_behind() -> None:
    def handlers() -> int:
        gc.collect()
        return sum(isinstance(item, web.RequestHandler) for item in gc.get_objects())

    before = handlers()  # other tests' servers may not be forgotten yet
    async with serving(web.get("/", hello)) as edge:
        for _ in range(20):
            client = await edge.connect(None)
            await client.ask(get())
            client.close()
        await until_connections(edge, 0)
        assert edge.sample("cdi_connections", listener="bank") == 0
        assert handlers() - before <= 2


# --- start-up ------------------------------------------------------------------------------------------------


async def test_taken_port_is_an_error() -> None:
    async with serving(web.get("/", hello)) as edge:
        with pytest.raises(ExceptionGroup) as raised:
            async with serving(listener=Listener(host="127.0.0.1", port=edge.server.port)):
                raise AssertionError("must not start")
        assert raised.group_contains(OSError)


def test_c_parser_is_required() -> None:
    require_c_parser(http_parser)
    slow = ModuleType("http_parser_without_extension")
    slow.HttpRequestParser = http_parser.HttpRequestParserPy  # type: ignore[attr-defined]  # a module made here
    with pytest.raises(RuntimeError, match="C parser"):
        require_c_parser(slow)
