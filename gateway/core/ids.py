"""Time-ordered identifiers (UUIDv7, RFC 9562 §5.7): new rows land at the end of an index, not all over it."""

from __future__ import annotations


def uuid7(now: float, entropy: bytes) -> str:
    """A UUIDv7 for `now` (Unix seconds) from 10 random bytes."""
    if len(entropy) != 10:
        raise ValueError("10 bytes of entropy are needed")
    value = (int(now * 1000) & (1 << 48) - 1) << 80 | int.from_bytes(entropy, "big")
    value = value & ~(0xF << 76) | 0x7 << 76  # version
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant
    digits = f"{value:032x}"  # uuid.UUID would do the same at three times the cost, several times a request
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
