"""Which names a published log has: exactly those of C2SP tlog-tiles and our own, in one spelling each."""

from __future__ import annotations

import pytest

from gateway.audit.published import Kind, kind, stamped, tile, token
from gateway.audit.tiles import Tile, tiles_of


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("checkpoint", Kind.CHECKPOINT),
        ("witnessed", Kind.CHECKPOINT),
        ("tile/0/000", Kind.TILE),
        ("tile/0/000.p/1", Kind.TILE),
        ("tile/0/x001/x234/067", Kind.TILE),  # the specification's example
        ("tile/entries/x001/000.p/255", Kind.TILE),
        ("tile/63/000", Kind.TILE),
        (stamped(0), Kind.STAMPED),
        (token(70_000), Kind.TOKEN),
    ],
)
def test_names_of_a_log_are_known(path: str, expected: Kind) -> None:
    assert kind(path) is expected


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/checkpoint",
        "checkpoint/",
        "checkpoint\n",
        ".lock",
        "..",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/1000",
        "tile/0/x000/000",  # tile/0/000 in another spelling
        "tile/0/x001/x000/",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/000.p",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/../0/000",
        "tile//0/000",
        "tile/0/٠٠٠",
        "tile/entries/000/",
        "timestamps/",
        "timestamps/01.tsr",
        "timestamps/1.tsr.checkpoint",
        "timestamps/../checkpoint",
        "tile/0/" + "x001/" * 20 + "000",
    ],
)
def test_every_other_name_is_none_of_a_log(path: str) -> None:
    assert kind(path) is None


@pytest.mark.parametrize("size", [1, 255, 256, 257, 70_000, 256**3 + 1])
def test_a_path_and_its_tile_are_one_to_one(size: int) -> None:
    found = 0
    for one in tiles_of(size, since=max(size - 1_000, 0)):
        assert tile(one.path) == one
        found += 1
    assert found
    assert tile(Tile(level=0, number=10**17).path) == Tile(level=0, number=10**17)
