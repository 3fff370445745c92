"""The published folder over HTTP: exactly its files, with headers that caches may rely on, and nothing else."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from adapters.tiles.directory import TileDirectory
from gateway.followers.threads import Threads
from gateway.http.log import PublishedLog
from tests.fakes_edge import Reply, get, serving

FILES = [
    ("checkpoint", b"test.example/log\n"),
    ("witnessed", b"test.example/log\n"),
    ("tile/0/000", bytes(8_192)),
    ("tile/1/000.p/1", bytes(32)),
    ("tile/entries/x001/234", b"\0\2{}"),
    ("timestamps/7.checkpoint", b"seven\n"),
    ("timestamps/7.tsr", b"\x30\x00"),
]


@pytest.fixture
def store(tmp_path: Path) -> TileDirectory:
    store = TileDirectory(tmp_path / "log")
    store.lock()
    store.write(FILES)
    (tmp_path / "secret").write_bytes(b"secret")
    return store


async def ask(store: TileDirectory, *requests: bytes) -> list[Reply]:
    async with serving(*PublishedLog(store).routes()) as edge:
        return [await (await edge.connect(None)).ask(request) for request in requests]


async def test_every_file_is_served_as_it_is(store: TileDirectory) -> None:
    replies = await ask(store, *(get(f"/{path}") for path, _ in FILES))
    assert [(reply.status, reply.body) for reply in replies] == [(200, data) for _, data in FILES]


async def test_files_are_read_in_the_threads_that_are_for_it(store: TileDirectory) -> None:
    gate = threading.Event()
    async with Threads("reads", count=1) as threads, serving(*PublishedLog(store, in_thread=threads).routes()) as edge:
        others = [asyncio.ensure_future(asyncio.to_thread(gate.wait)) for _ in range(64)]
        try:
            reply = await (await edge.connect(None)).ask(get("/checkpoint"))
        finally:
            gate.set()
        await asyncio.gather(*others)
    assert reply.status == 200


async def test_headers_say_what_may_be_kept(store: TileDirectory) -> None:
    paths = ("checkpoint", "tile/0/000", "tile/entries/x001/234", "timestamps/7.checkpoint", "timestamps/7.tsr")
    replies = await ask(store, *(get(f"/{path}") for path in paths))
    found = [(reply.headers["content-type"], reply.headers["cache-control"]) for reply in replies]
    immutable, text = "public, max-age=31536000, immutable", "text/plain; charset=utf-8"
    assert found == [
        (text, "no-cache"),
        ("application/octet-stream", immutable),
        ("application/octet-stream", immutable),
        (text, "no-cache"),
        ("application/timestamp-reply", "no-cache"),
    ]
    assert all(reply.headers["x-content-type-options"] == "nosniff" for reply in replies)


async def test_what_is_unchanged_is_not_sent_again(store: TileDirectory) -> None:
    [first] = await ask(store, get("/checkpoint"))
    tag = first.headers["etag"]
    for field in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        [again] = await ask(store, get("/checkpoint", f"If-None-Match: {field}"))
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    store.write([("checkpoint", b"new\n")])
    [changed] = await ask(store, get("/checkpoint", f"If-None-Match: {tag}"))
    assert (changed.status, changed.body) == (200, b"new\n")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/tile",
        "/tile/",
        "/tile/0/",
        "/tile/0/001",
        "/tile/0/000.p/1",  # gone with the full one
        "/tile/0/x000/000",
        "/.lock",
        "/secret",
        "/../secret",
        "/..%2fsecret",
        "/%2e%2e/secret",
        "/tile/../../secret",
        "/tile%2f0%2f000",
        "//checkpoint",
        "/checkpoint/",
        "/checkpoint%00",
        "/timestamps/",
        "/timestamps/8.tsr",
    ],
)
async def test_all_else_is_not_found(store: TileDirectory, path: str) -> None:
    [reply] = await ask(store, get(path))
    assert reply.status == 404
    assert reply.json()["code"] == "NOT_FOUND"
    assert reply.headers["cache-control"] == "no-store"


async def test_a_query_changes_nothing(store: TileDirectory) -> None:
    [reply] = await ask(store, get("/checkpoint?now=1"))
    assert reply.status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_nothing_can_be_written(store: TileDirectory, method: str) -> None:
    [reply] = await ask(store, get("/checkpoint", "Content-Length: 0", method=method))
    assert reply.status == 405
    assert store.read("checkpoint") == FILES[0][1]


async def test_head_has_the_fields_and_no_body(store: TileDirectory) -> None:
    async with serving(*PublishedLog(store).routes()) as edge:
        client = await edge.connect(None)
        client.send(get("/tile/0/000", "Connection: close", method="HEAD"))
        answer = await client.reader.read()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"Content-Length: 8192" in head
    assert body == b""
