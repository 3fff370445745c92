"""The sandbox's ports on this machine: the usual ones, a row from a base, or free ones."""

from __future__ import annotations

import random
import socket
from dataclasses import asdict, dataclass, fields

# Below the range that systems give to outgoing connections, so that none of those takes one in between.
_FREE_FROM, _FREE_TO = 20_000, 32_000
_TRIES_MAX = 200


class PortsTaken(Exception):
    """Somebody else listens where the sandbox would."""

    def __init__(self, ports: list[int]) -> None:
        super().__init__(f"in use on this machine: port {', '.join(str(port) for port in ports)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The gateway's listeners; `login` is the data owners' identity provider, `control` the platform's control
    address, `timestamp` the time-stamping authority."""

    bank: int = 8443
    consent: int = 8444
    partner: int = 8445
    console: int = 8446
    login: int = 8447
    ops: int = 9090
    platform: int = 9443
    control: int = 9080
    witness: int = 9444
    timestamp: int = 9081

    @classmethod
    def from_base(cls, base: int) -> Ports:
        """A row of ports; `0` gives free ones. Raises OSError when none are free."""
        if base == 0:
            return cls(**_free([field.name for field in fields(cls)]))
        return cls(**{field.name: base + index for index, field in enumerate(fields(cls))})

    def named(self) -> dict[str, int]:
        return asdict(self)

    def check_free(self) -> None:
        """Raises PortsTaken when somebody listens on one of them."""
        taken = [port for port in self.named().values() if not _is_free(port)]
        if taken:
            raise PortsTaken(taken)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # Connections of an earlier run that wait out their time do not take the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free(names: list[str]) -> dict[str, int]:
    """Ports on which nobody listens now. Held all together while they are chosen, so that all differ."""
    held: list[socket.socket] = []
    chosen: dict[str, int] = {}
    try:
        for _ in range(_TRIES_MAX):
            if len(chosen) == len(names):
                break
            port = random.randrange(_FREE_FROM, _FREE_TO)  # noqa: S311  not a secret
            one = socket.socket()
            held.append(one)
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            chosen[names[len(chosen)]] = port
    finally:
        for one in held:
            one.close()
    if len(chosen) < len(names):
        raise OSError("no free ports")
    return chosen
