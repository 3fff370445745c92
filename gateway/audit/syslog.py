"""RFC 5424 messages, framed by octet counting for TLS (RFC 5425 §4.3). Pure.

What has no registered element stands in the message: an own one would need an enterprise number (RFC 5424 §6.3.2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from gateway.audit.event import PRODUCT, Event, Gap, Severity

_FACILITY_AUDIT = 13  # RFC 5424 §6.2.1: log audit
_LEVELS = {Severity.INFORMATIONAL: 6, Severity.LOW: 5, Severity.MEDIUM: 4, Severity.HIGH: 2}
_NIL = "-"
_HOSTNAME_MAX, _MSGID_MAX = 255, 32
_SEQUENCE_MAX = 2_147_483_647  # RFC 5424 §7.3.1
_BOM = b"\xef\xbb\xbf"

_NOT_PRINTABLE = re.compile(r"[^\x21-\x7e]")
_VALUE = str.maketrans({"\\": r"\\", '"': r"\"", "]": r"\]"})  # RFC 5424 §6.3.3


def syslog(item: Event | Gap, *, render: Callable[[Event | Gap], bytes], hostname: str) -> bytes:
    """One framed message: `render` makes its text, `hostname` is this machine's name."""
    if isinstance(item, Gap):
        noticed = datetime.fromtimestamp(item.noticed, UTC).isoformat(timespec="milliseconds")
        time, name, software, index, severity = noticed, "log.gap", "", item.first, Severity.MEDIUM
    else:
        time, name, software, index = item.body["time"], item.type, item.software, item.index
        severity = item.severity
    header = " ".join(
        (
            f"<{_FACILITY_AUDIT * 8 + _LEVELS[severity]}>1",
            time,
            token(hostname, _HOSTNAME_MAX),
            "cdi-gateway",
            _NIL,  # PROCID: the log is one, whichever process forwards it
            token(name, _MSGID_MAX),
            "".join(_elements(index, software)),
        )
    )
    return framed(header.encode("ascii") + b" " + text(render(item)))


def framed(message: bytes) -> bytes:
    """RFC 5425 §4.3: SYSLOG-FRAME = MSG-LEN SP SYSLOG-MSG."""
    return b"%d %b" % (len(message), message)


def text(message: bytes) -> bytes:
    """RFC 5424 §6.4: a byte order mark announces UTF-8. What is ASCII needs none, and many parsers trip over it."""
    return message if message.isascii() else _BOM + message


def token(value: str, length_max: int) -> str:
    """As PRINTUSASCII without spaces, of a limited length; `-` for nothing (RFC 5424 §6)."""
    return _NOT_PRINTABLE.sub("?", value)[:length_max] or _NIL


def parameter(name: str, value: str) -> str:
    """An SD-PARAM (RFC 5424 §6.3.3)."""
    return f'{name}="{value.translate(_VALUE)}"'


def _elements(index: int, software: str) -> Iterator[str]:
    # §7.3.1: counted from 1, and again from 1 above its maximum. It follows the log's index: a gap in it is a gap.
    yield f"[meta {parameter('sequenceId', str(index % _SEQUENCE_MAX + 1))}]"
    version = f" {parameter('swVersion', software)}" if software else ""
    yield f"[origin {parameter('software', PRODUCT)}{version}]"
