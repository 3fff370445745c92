"""Ports: the usual ones, a row, or free ones."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from adapters.sandbox.addresses import Ports, PortsTaken


def test_the_defaults_are_the_contracts() -> None:
    ports = Ports().named()
    assert {name: ports[name] for name in ("bank", "consent", "partner", "ops", "platform", "control")} == {
        "bank": 8443,
        "consent": 8444,
        "partner": 8445,
        "ops": 9090,
        "platform": 9443,
        "control": 9080,
    }


def test_a_base_gives_a_row() -> None:
    assert sorted(Ports.from_base(30_000).named().values()) == list(range(30_000, 30_010))


def test_free_ports_differ() -> None:
    assert len(set(Ports.from_base(0).named().values())) == 10


def test_a_port_that_is_taken_is_named() -> None:
    ports = Ports.from_base(0)
    ports.check_free()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(PortsTaken, match=f"port {taken}$"):
            replace(ports, bank=taken).check_free()
