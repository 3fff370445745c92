"""W3C Trace Context: reading `traceparent` strictly, and the context that is passed on. Pure functions.

`tracestate` and `baggage` are not continued: they carry other people's values, and this gateway passes on none.
"""

from __future__ import annotations

import re

from gateway.ports import TraceContext

CHILD_RANDOM_BYTES = 24

# §3.2: version, trace id, parent id, flags; lower case only. A later version may be longer, behind one more dash.
_TRACEPARENT = re.compile(
    r"\A(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?\Z"
)
_LENGTH_MAX = 512
_SAMPLED = 0x01


def parse_traceparent(field: str | None) -> TraceContext | None:
    """The caller's context in version 00 form, or None when the field is absent or breaks §3.2 (then: start anew)."""
    if field is None or len(field) > _LENGTH_MAX:
        return None
    match = _TRACEPARENT.match(field)
    if match is None:
        return None
    version, trace_id, parent_id, flags, rest = match.groups()
    if version == "00" and rest is not None:
        return None
    # §4.3: of a later version only the sampled flag is understood.
    return TraceContext(traceparent=f"00-{trace_id}-{parent_id}-{int(flags, 16) & _SAMPLED:02x}")


def child(trace: TraceContext | None, random_bytes: bytes) -> TraceContext:
    """The context of our own span below `trace`, or of a new unsampled trace. Takes CHILD_RANDOM_BYTES bytes."""
    if len(random_bytes) != CHILD_RANDOM_BYTES:
        raise ValueError(f"takes {CHILD_RANDOM_BYTES} random bytes")
    # All zeros would be invalid (§3.2.2.3, §3.2.2.4); one set bit is as good as any other value.
    trace_id = random_bytes[:16].hex() if any(random_bytes[:16]) else f"{1:032x}"
    span_id = random_bytes[16:].hex() if any(random_bytes[16:]) else f"{1:016x}"
    if trace is None:
        return TraceContext(traceparent=f"00-{trace_id}-{span_id}-00")
    parent = trace.traceparent
    return TraceContext(traceparent=f"{parent[:36]}{span_id}{parent[52:]}")


def trace_id(trace: TraceContext) -> str:
    """The 32 hex digits that join the log lines of one trace."""
    return trace.traceparent[3:35]
