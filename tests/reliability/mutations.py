"""Damage done to bytes: flips, cuts, splices, and edits that keep a protobuf message well formed."""

import contextlib
import re

from caffe import protobuf_wire

#: numbers that readers forget: signs, borders of types, more than any file holds
NUMBERS = (0, 1, 2, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1)
WORDS = (b"\0", b"\xff", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f", b"\x80", b"[", b"{", b"}", b"&a ", b"*a", b"!!int ",
         b"-", b"1e999", b"'", b"\"", b"\n", b"\x1b[2J", b"\xed\xa0\x80", b"/etc/passwd", b"layer {", b"9" * 400)


def mutate(seed, others, rng, damage=()):
    """A damaged copy of `seed`.

    Parameters
    ----------
    seed : bytes
    others : sequence of bytes
        What parts are spliced in from.
    rng : random.Random
    damage : sequence of functions (bytes, random.Random) -> bytes
        Damage that knows the form of the file (damaged_*.py beside this file): done to half of the copies, and to
        some of these damage to bytes on top.

    Returns
    -------
    bytes
    """
    if damage and rng.random() < 0.5:
        with contextlib.suppress(Exception):    # what failed once is damaged: nearly anything is raised
            seed = rng.choice(damage)(bytes(seed), rng)
        if rng.random() < 0.8:
            return seed[: 1 << 20]
    data = bytearray(seed)
    kinds = _TEXT_KINDS if _is_text(seed) else _KINDS
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5, 8))):
        data = bytearray(rng.choice(kinds)(data, others, rng))
    return bytes(data[: 1 << 20])


def _is_text(data):
    return not any(byte < 9 or byte > 126 for byte in data[:1000])


def _flip(data, others, rng):
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def _byte(data, others, rng):
    if data:
        data[rng.randrange(len(data))] = rng.randrange(256)
    return data


def _cut(data, others, rng):
    return data[: rng.randrange(len(data) + 1)]


def _remove(data, others, rng):
    begin = rng.randrange(len(data) + 1)
    return data[:begin] + data[begin + rng.choice((1, 2, 4, 8, 64, 4096)) :]


def _insert(data, others, rng):
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(WORDS) * rng.choice((1, 1, 1, 2, 100)) + data[at:]


def _repeat(data, others, rng):
    begin = rng.randrange(len(data) + 1)
    part = data[begin : begin + rng.choice((1, 4, 16, 256))]
    return data[:begin] + part * rng.choice((2, 3, 50, 1000)) + data[begin:]


def _splice(data, others, rng):
    other = rng.choice(others)
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _number(data, others, rng):
    """A number of 2, 4 or 8 bytes overwritten, in either order of bytes."""
    size = rng.choice((2, 4, 8))
    if len(data) < size:
        return data
    at = rng.randrange(len(data) - size + 1)
    if rng.random() < 0.7:
        at -= at % size
    data[at : at + size] = (rng.choice(NUMBERS) % 256**size).to_bytes(size, rng.choice(("little", "little", "big")))
    return data


def _digits(data, others, rng):
    """A number of a text replaced by another one."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?", data))
    if not found:
        return _byte(data, others, rng)
    match = rng.choice(found)
    number = rng.choice(NUMBERS)
    other = rng.choice((str(number), str(-number), str(rng.randrange(10)), str(rng.randrange(3000)), "1e40", "-0.5"))
    return data[: match.start()] + other.encode() + data[match.end() :]


def _word(data, others, rng):
    """A word of a text replaced by another one of it."""
    found = list(re.finditer(rb"\w+", data))
    if len(found) < 2:
        return _byte(data, others, rng)
    match, other = rng.sample(found, 2)
    return data[: match.start()] + other[0] + data[match.end() :]


def _field(data, others, rng):
    """A field of a protobuf message, at any depth, changed, left out or doubled; the lengths around it follow."""
    try:
        fields = list(protobuf_wire.fields(memoryview(bytes(data)), 0, len(data)))
    except protobuf_wire.WireError:
        return _flip(data, others, rng)
    if not fields:
        return data
    number, kind, begin, at, stop = rng.choice(fields)
    payload, before, after = bytearray(data[at:stop]), data[:begin], data[stop:]
    action = rng.random()
    if action < 0.1:
        return before + after
    if action < 0.2:
        return before + data[begin:stop] * rng.choice((2, 3, 100)) + after
    if action < 0.3:
        number = rng.choice((1, 2, 3, 5, 6, 7, 8, 9, 100, number + 1, 2**29 - 1))
    if kind == protobuf_wire.BYTES:
        inner = _field(payload, others, rng) if rng.random() < 0.7 else rng.choice((_flip, _cut, _insert))(
            payload, others, rng)
        return before + protobuf_wire.tag(number, kind) + protobuf_wire.varint(len(inner)) + inner + after
    if kind == protobuf_wire.VARINT:
        return before + protobuf_wire.tag(number, kind) + protobuf_wire.varint(rng.choice(NUMBERS)) + after
    return before + protobuf_wire.tag(number, kind) + _number(payload, others, rng) + after


_KINDS = (_flip, _flip, _byte, _cut, _remove, _insert, _repeat, _splice, _number, _number, _field, _field, _field)
_TEXT_KINDS = (*_KINDS[:-3], *[_digits] * 10, *[_word] * 6)
