"""Damage to the steps of a pickle (see damaged_values.py)."""

import pickletools

OPCODES = (
    b"cos\nsystem\n",
    b"c__builtin__\neval\n",
    b"cnumpy\nndarray\n",
    b"cnumpy\ndtype\n",
    b"c_codecs\nencode\n",
    b"cnumpy.core.multiarray\n_reconstruct\n",
    b"cbuiltins\ngetattr\n",
    b"R",
    b"b",
    b"o",
    b"\x81",
    b"\x92",
    b"0",
    b"2",
    b"(",
    b"1",
    b")",
    b"]",
    b"}",
    b"N",
    b"\x88",
    b"\x85",
    b"\x86",
    b"\x87",
    b"s",
    b"u",
    b"a",
    b"e",
    b"q\xff",
    b"r\xff\xff\xff\xff",
    b"r\xff\xff\xff\x7f",
    b"p999999999\n",
    b"h\xff",
    b"j\xff\xff\xff\xff",
    b"g7\n",
    b"L" + b"9" * 5000 + b"L\n",
    b"I" + b"9" * 5000 + b"\n",
    b"\x8a\xff" + b"\xff" * 255,
    b"\x8b\xff\xff\xff\x7f",
    b"B\xff\xff\xff\xff",
    b"\x8e" + b"\xff" * 7 + b"\x7f",
    b"X\xff\xff\xff\x7f",
    b"X\x04\0\0\0\x1b[2J",
    b"T\xff\xff\xff\x7f",
    b"U\x03a\0b",
    b"\x95" + b"\xff" * 8,
    b"Fnan\n",
    b"F1e999\n",
    b"Vx\\ud800\n",
    b"S'\\x1b'\n",
    b"S'a\n",
    b"Px\n",
    b"Q",
    b"\x82\x01",
    b"\x84\xff\xff\xff\x7f",
    b"\x97",
    b"\x98",
    b"\x80\xff",
    b".",
    b"\x96" + b"\xff" * 7 + b"\x7f",
    b"K\x05",
    b"J\xff\xff\xff\xff",
    b"G\x7f\xf0\0\0\0\0\0\0",
    b"d",
    b"l",
    b"t",
    b"\x8f",
    b"\x90",
    b"\x91",
    b"\x93",
    b"\x94",
)


def pickle_steps(data, rng):
    """A pickle with steps left out, doubled, swapped, put in, or repeated very often."""
    try:
        places = [at for _, _, at in pickletools.genops(data)]
    except Exception:
        return data
    steps = [data[a:b] for a, b in zip(places, [*places[1:], places[-1] + 1], strict=True)]
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(steps))
        action = rng.random()
        if action < 0.45:
            steps.insert(at, rng.choice(OPCODES))
        elif action < 0.6:
            steps[at] = rng.choice(OPCODES)
        elif action < 0.75:
            del steps[at]
        elif action < 0.85:
            steps.insert(at, steps[rng.randrange(len(steps))])
        elif action < 0.9:
            steps[at:at] = [rng.choice((b"(", b"]", b")\x85", b"\x85", b"2", b"2\x86", b"}", b"]2a"))] * rng.choice(
                (1000, 100000)
            )
        else:
            other = rng.randrange(len(steps))
            steps[at], steps[other] = steps[other], steps[at]
        if not steps:
            break
    return b"".join(steps)
