"""Writes fields of protocol buffers: all that the two formats need, of which the packages would take 30 MB.

https://protobuf.dev/programming-guides/encoding/
"""

import struct


def number(field: int, value: int) -> bytes:
    """Return a field with a whole number."""
    return _varint(field << 3) + _varint(value)


def real(field: int, value: float) -> bytes:
    """Return a field with a 32-bit floating-point number."""
    return _varint(field << 3 | 5) + struct.pack("<f", value)


def content(field: int, value: bytes | str) -> bytes:
    """Return a field with text, bytes, or the fields of another message."""
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    data.append(value)
    return bytes(data)
