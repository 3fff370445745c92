"""The certificates in a time-stamp response, put in the order that DER wants of a set.

CMS takes a set in any order (BER), and OpenSSL's authorities send leaf first; the library reads DER alone. The set is
not under the signature, and its length stays: only this one place is put in order, anything else is as it was.
"""

from __future__ import annotations

_SEQUENCE, _SET, _OID, _INTEGER, _EXPLICIT_0 = 0x30, 0x31, 0x06, 0x02, 0xA0

# RFC 3161 §2.4.2, RFC 5652 §5.1: from TimeStampResp to SignedData.certificates. What is stepped over, what is entered.
_WAY: tuple[tuple[tuple[int, ...], int], ...] = (
    ((), _SEQUENCE),  # TimeStampResp
    ((_SEQUENCE,), _SEQUENCE),  # status; timeStampToken
    ((_OID,), _EXPLICIT_0),  # contentType; content
    ((), _SEQUENCE),  # SignedData
    ((_INTEGER, _SET, _SEQUENCE), _EXPLICIT_0),  # version, digestAlgorithms, encapContentInfo; certificates
)


def in_order(response: bytes) -> bytes:
    """The response itself when it has no such set: it is for its reader to refuse."""
    try:
        start, end = _certificates(response)
        parts, place = [], start
        while place < end:
            _, _, after = _element(response, place, end)
            parts.append(response[place:after])
            place = after
    except ValueError:
        return response
    return response[:start] + b"".join(sorted(parts)) + response[end:]


def _certificates(data: bytes) -> tuple[int, int]:
    start, end = 0, len(data)
    for passed, entered in _WAY:
        for tag in passed:
            start = _expect(data, start, end, tag)[1]
        start, end = _expect(data, start, end, entered)
    return start, end


def _expect(data: bytes, place: int, end: int, tag: int) -> tuple[int, int]:
    found, start, after = _element(data, place, end)
    if found != tag:
        raise ValueError("not a time-stamp response with certificates")
    return start, after


def _element(data: bytes, place: int, end: int) -> tuple[int, int, int]:
    """Tag, start of the content and end of the DER element at `place`. Raises ValueError."""
    if place + 2 > end:
        raise ValueError("cut short")
    tag, length, start = data[place], data[place + 1], place + 2
    if length & 0x80:
        octets = length & 0x7F
        if not 1 <= octets <= 4:
            raise ValueError("not a definite length that fits")
        length, start = int.from_bytes(data[start : start + octets], "big"), start + octets
    if start + length > end:
        raise ValueError("cut short")
    return tag, start, start + length
