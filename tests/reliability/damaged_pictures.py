"""Damage that keeps the form of a PNG (see damaged_values.py)."""

import functools
import struct
import zlib


def png_chunks(data, rng):
    """A PNG with chunks changed, left out, doubled or put in; their checksums are right."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    chunks, at = [], 8
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append([data[at + 4 : at + 8], data[at + 8 : at + 8 + length]])
        at += 12 + length
    for _ in range(rng.choice((1, 1, 2))):
        _damage_chunk(chunks, rng)
    parts = [
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    ]
    return data[:8] + b"".join(parts)


@functools.cache
def _zeros(count):
    return zlib.compress(bytes(count))


def _damage_chunk(chunks, rng):
    place, action = rng.randrange(len(chunks)) if chunks else 0, rng.random()
    if not chunks or action < 0.25:
        zeros = _zeros(rng.choice((10, 10, 10**5, 10**5, 10**7)))
        chunks.insert(
            min(1, len(chunks)),
            [
                *rng.choice(
                    (
                        (b"zTXt", b"a\0\0" + zeros),
                        (b"iTXt", b"a\0\1\0\0\0" + zeros),
                        (b"iCCP", b"a\0\0" + zeros),
                        (b"eXIf", b"MM\0*\0\0\0\x08\xff\xff"),
                        (b"eXIf", b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"),
                        (b"tRNS", bytes(300)),
                        (b"PLTE", b"abcd"),
                        (b"gAMA", b""),
                        (b"acTL", b"\xff" * 8),
                        (b"fcTL", bytes(26)),
                        (b"pHYs", b"\0"),
                        (b"IHDR", bytes(13)),
                        (b"IEND", b"x"),
                        (b"\x1b[2J", b""),
                        (b"tEXt", b"\x1b]0;x\x07\0" + b"y" * 2000),
                        (b"cHRM", b"\xff" * 32),
                        (b"sRGB", b""),
                    )
                )
            ],
        )
    elif action < 0.6 and len(chunks[0][1]) == 13:
        header = bytearray(chunks[0][1])
        if rng.random() < 0.5:
            at, size = (
                rng.choice(((0, 0), (4, 4))),
                rng.choice((0, 1, 2, 255, 9999, 10001, 65535, 2**31 - 1, 2**31, 2**32 - 1)),
            )
            header[at[0] : at[0] + 4] = size.to_bytes(4, "big")
        else:
            header[8 + rng.randrange(5)] = rng.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
        chunks[0][1] = bytes(header)
    elif action < 0.7:
        del chunks[place]
    elif action < 0.8:
        chunks.insert(place, list(chunks[rng.randrange(len(chunks))]))
    elif action < 0.9:
        chunks[place][1] = _zeros(rng.choice((1, 10**4, 10**4, 10**6, 10**8)))
    else:
        content = bytearray(chunks[place][1])
        if content:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        chunks[place][1] = bytes(content)
