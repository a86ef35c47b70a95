"""Damage that keeps the form of zip archives, the arrays in them, and .safetensors (see damaged_values.py)."""

import functools
import io
import struct
import warnings
import zipfile
import zlib

from tests.reliability.damaged_values import NAMES, json_value

#: the last two are slow to begin with
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) * 10 + (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def zip_members(inner):
    """Damage to a zip archive: its members' names, methods, numbers and order, and their contents by `inner`.

    Parameters
    ----------
    inner : sequence of functions (data, rng) -> bytes
        For the content of one member.
    """

    def damage(data, rng):
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                members = [[info.filename, archive.read(info), info.compress_type] for info in archive.infolist()]
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, zlib.error, EOFError, RuntimeError):
            return data
        if not members:
            return data
        at = rng.randrange(len(members))
        action = rng.random()
        if action < 0.6:
            members[at][1] = rng.choice(inner)(members[at][1], rng)
        elif action < 0.66:
            members[at][0] = rng.choice(NAMES).encode("utf-8", "replace").decode()[:3000] + rng.choice(("", ".npy"))
        elif action < 0.7:
            del members[at]
        elif action < 0.74:
            members.append(list(members[at]))
        elif action < 0.78:
            members[at][0], members[-1][0] = members[-1][0], members[at][0]
        elif action < 0.88:
            members[at][2] = rng.choice(_METHODS)
        written = _zipped(members)
        return _other_record(written, rng) if action > 0.8 or rng.random() < 0.2 else written

    return damage


def _zipped(members):
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w") as archive:
        warnings.simplefilter("ignore")  # a name given twice
        for name, content, method in members:
            info = zipfile.ZipInfo(name or "x")
            info.compress_type = method
            archive.writestr(info, content)
    return out.getvalue()


def _other_record(data, rng):
    """A number in a record of the directory, or in a member's own header, overwritten."""
    marks = [at for mark in (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06") for at in _places(data, mark)]
    if not marks:
        return data
    out, begin = bytearray(data), rng.choice(marks)
    size = rng.choice((2, 4))
    at = begin + 4 + 2 * rng.randrange(20)
    value = rng.choice((0, 1, 8, 12, 14, 93, 255, 65535, 2**31 - 1, 2**32 - 1, len(data)))
    if at + size <= len(out):
        out[at : at + size] = (value % 256**size).to_bytes(size, "little")
    return bytes(out)


def _places(data, mark):
    at = data.find(mark)
    while at >= 0:
        yield at
        at = data.find(mark, at + 1)


def npy(data, rng):
    """An .npy with another type, shape or order in its header, or another header altogether."""
    if not data.startswith(b"\x93NUMPY") or len(data) < 12:
        return data
    wide = data[6] != 1
    length = int.from_bytes(data[8 : 12 if wide else 10], "little")
    start = 12 if wide else 10
    header, content = data[start : start + length], data[start + length :]
    descr = rng.choice(
        (
            "'<f4'",
            "'<f8'",
            "'>i8'",
            "'<i4'",
            "'|O'",
            "'<U9'",
            "'|S0'",
            "'<U1000000'",
            "'|V0'",
            "'<M8[s]'",
            "'<c16'",
            "'<f2'",
            "'|b1'",
            "'|i1'",
            "[('a', '<i4'), ('b', '|O')]",
            "[]",
            "''",
            "'x'",
            "('<f4', (1000000,))",
            "'<f16'",
            "None",
            "{'names': ['a'], 'formats': ['<i4'], 'offsets': [999999999]}",
        )
    )
    shape = rng.choice(
        (
            "()",
            "(0,)",
            "(1,)",
            "(-1,)",
            "(3, -5)",
            f"({2**31},)",
            f"({2**62}, 4)",
            f"({2**64},)",
            "(0, 99999999999)",
            "(1,) * 40",
            "(1.5,)",
            "(True,)",
            "('a',)",
            "7",
            "[2, 3]",
            f"({'1, ' * 70})",
            "(" * 300 + ")" * 300,
        )
    )
    action = rng.random()
    if action < 0.4:
        header = _replaced(header, b"'descr':", descr.encode(), b", 'fortran")
    elif action < 0.8:
        header = _replaced(header, b"'shape':", shape.encode(), b", }")
    elif action < 0.9:
        header = header.replace(b"False", rng.choice((b"True", b"None", b"1e9", b"'a'")))
    else:
        header = rng.choice(
            (
                b"",
                b"{}",
                b"[" * 9000,
                b"{" * 500,
                b"\xff\xfe" * 20,
                header + b"#" + b"x" * 20000,
                b"1" * 5000,
                b"-" * 50000,
                b"{'a': " * 200,
                b"\0" * 64,
                b"lambda: 0",
                header[:-3],
            )
        )
    version = rng.choice((data[6:8],) * 6 + (b"\x02\0", b"\x03\0", b"\x09\0"))
    size = struct.pack("<I", len(header)) if version[0] != 1 else struct.pack("<H", min(len(header), 65535))
    return data[:6] + version + size + header + content


def _replaced(text, after, value, until):
    begin = text.find(after)
    end = text.find(until, begin)
    return text if begin < 0 or end < 0 else text[: begin + len(after)] + b" " + value + text[end:]


def zip_bomb(name, content_of):
    """Damage that puts a member in whose content is a long run of one byte: a few kilobytes that unpack to many.

    Parameters
    ----------
    name : str
        Of the member.
    content_of : function
        Number of bytes -> the bytes in front of the run, an npy header, say.
    """

    @functools.lru_cache(maxsize=20)
    def bomb(data, count):
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                members = [
                    [info.filename, archive.read(info), info.compress_type]
                    for info in archive.infolist()
                    if info.filename != name
                ]
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, zlib.error, EOFError, RuntimeError):
            return data
        return _zipped([*members, [name, content_of(count) + bytes(count), zipfile.ZIP_DEFLATED]])

    return lambda data, rng: bomb(data, rng.choice((10**5,) * 150 + (10**8,)))


def safetensors_header(data, rng):
    """A .safetensors with values of its JSON header changed; the length in front fits."""
    length = int.from_bytes(data[:8], "little")
    header = json_value(data[8 : 8 + length], rng)
    size = len(header) if rng.random() < 0.9 else rng.choice((0, 2**31, 2**63, 2**64 - 1, len(header) + 1))
    return size.to_bytes(8, "little") + header + data[8 + length :]
