"""CBOR (RFC 8949), in which AWS's SDKs speak with CloudWatch.

The emulator takes it from the package `cbor2`, which it doesn't require: without, it answers JSON and calls it CBOR.
Here is as much of that package as the emulator uses, in its place.
"""

import struct
import sys
from typing import NamedTuple

INDEFINITE = 31
BREAK = object()
SIMPLE = {20: False, 21: True, 22: None, 23: None}
FLOATS = {25: ">e", 26: ">f", 27: ">d"}


class CBORTag(NamedTuple):
    tag: int
    value: object


def loads(data):
    value, rest = _read(memoryview(data))
    if len(rest):
        raise ValueError(f"{len(rest)} bytes after the value")
    return value


def _read(data):
    kind, info = data[0] >> 5, data[0] & 0x1F
    data = data[1:]
    if kind == 7:
        if info in FLOATS:
            size = struct.calcsize(FLOATS[info])
            return struct.unpack(FLOATS[info], data[:size])[0], data[size:]
        return (BREAK if info == INDEFINITE else SIMPLE[info]), data
    if info == INDEFINITE:
        items, data = _items(data, None)
    else:
        size = {24: 1, 25: 2, 26: 4, 27: 8}.get(info, 0)
        number, data = int.from_bytes(data[:size], "big") if size else info, data[size:]
        if kind < 2:
            return (-1 - number if kind else number), data
        if kind < 4:
            return _text(kind, bytes(data[:number])), data[number:]
        if kind == 6:
            return _read(data)  # the one tag that comes is 1: seconds, which the emulator takes as they are
        items, data = _items(data, number * 2 if kind == 5 else number)
    if kind < 4:
        return (b"" if kind == 2 else "").join(items), data
    return (dict(zip(items[::2], items[1::2])) if kind == 5 else items), data


def _text(kind, data):
    return data if kind == 2 else data.decode()


def _items(data, number):
    items = []
    while number is None or len(items) < number:
        item, data = _read(data)
        if item is BREAK:
            break
        items.append(item)
    return items, data


def dumps(value):
    if value is None or isinstance(value, bool):
        return {False: b"\xf4", True: b"\xf5", None: b"\xf6"}[value]
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    if isinstance(value, CBORTag):
        return _head(6, value.tag) + dumps(value.value)
    if isinstance(value, dict):
        return _head(5, len(value)) + b"".join(dumps(key) + dumps(item) for key, item in value.items())
    return _head(4, len(value)) + b"".join(map(dumps, value))


def _head(kind, number):
    if number < 24:
        return bytes([kind << 5 | number])
    size = next(size for size in (1, 2, 4, 8) if number < 1 << 8 * size)
    return bytes([kind << 5 | {1: 24, 2: 25, 4: 26, 8: 27}[size]]) + number.to_bytes(size, "big")


try:
    import cbor2  # noqa: F401
except ImportError:
    sys.modules["cbor2"] = sys.modules[__name__]
