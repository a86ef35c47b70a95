"""One field of one variable of a MATLAB 5 file (.mat), as SBD keeps its masks: a matrix of numbers in a structure.

scipy.io.loadmat reads all of MATLAB's types, and ends the process over element types that do not exist; here nothing is
read that is not checked. Format: "MAT-File Format", MathWorks, chapter "Level 5 MAT-File Format".
"""

import math
import struct
import zlib

import numpy as np

from dsrg.io.npz_files import FREE_BYTES, MOST_RATIO

#: numbers of data types -> numpy's
TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
INT8, INT32, UINT32, MATRIX, COMPRESSED = 1, 5, 6, 14, 15
STRUCTURE, NUMERIC = 2, range(6, 16)     # classes of arrays
HEADER = 128
MOST_FIELDS = 1000


def read_field(data, variable, field):
    """A matrix of numbers that is a field of a structure.

    Parameters
    ----------
    data : bytes
        The whole file.
    variable, field : str
        Names of the structure, which has one element, and of the field.

    Returns
    -------
    ndarray, shape (H, W)

    Raises
    ------
    ValueError
        Another kind of file, a damaged one, or one without them; its message is the end of a sentence.
    """
    order = {b"IM": "<", b"MI": ">"}.get(data[HEADER - 2:HEADER])
    if order is None:
        raise ValueError("it is no MATLAB 5 file")
    at = HEADER
    while at < len(data):
        kind, content, at = _element(data, at, order)
        if kind == COMPRESSED:
            kind, content, _ = _element(_unpacked(content), 0, order)
        if kind == MATRIX and (found := _structure(content, order, variable.encode())) is not None:
            if field not in found:
                raise ValueError(f"'{variable}' has no field '{field}'")
            return _numbers(found[field], order)
    raise ValueError(f"it has no variable '{variable}'")


def _element(data, at, order):
    """Type, content and end of the element that begins at a place; a short one has its length in its type's field."""
    if at + 8 > len(data):
        raise ValueError("it is cut off")
    kind, size = struct.unpack_from(f"{order}2I", data, at)
    if kind >> 16:
        kind, size, begin, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        if size > 4:
            raise ValueError(f"a short element has {size} bytes")
    else:
        begin = at + 8
        end = begin + size + (-size % 8 if kind != COMPRESSED else 0)
    if begin + size > len(data):
        raise ValueError(f"an element of {size} bytes reaches beyond its end")
    return kind, data[begin:begin + size], end


def _unpacked(content):
    most = FREE_BYTES + MOST_RATIO * len(content)
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(content, most)
    except zlib.error as error:
        raise ValueError(f"a part cannot be unpacked: {error}") from None
    if not unpacker.eof:
        raise ValueError("a part is cut off, or unpacks to far more than its size")
    return data


def _head(content, order):
    """Class, shape and name of an array, and where its content begins."""
    kind, flags, at = _element(content, 0, order)
    shape_kind, shape, at = _element(content, at, order)
    name_kind, name, at = _element(content, at, order)
    if (kind, shape_kind, name_kind) != (UINT32, INT32, INT8) or len(flags) != 8 or len(shape) % 4:
        raise ValueError("the head of an array is damaged")
    return flags[0 if order == "<" else 3], struct.unpack(f"{order}{len(shape) // 4}i", shape), name, at


def _structure(content, order, name):
    """Field -> its matrix as bytes, of a structure of one element and of this name; None for another array."""
    kind, shape, found, at = _head(content, order)
    if found.rstrip(b"\0") != name:
        return None
    if kind != STRUCTURE or math.prod(shape) != 1:
        raise ValueError("its variable is no structure of one element")
    _, length, at = _element(content, at, order)
    _, names, at = _element(content, at, order)
    length = struct.unpack(f"{order}i", length)[0] if len(length) == 4 else 0
    if length < 1 or len(names) % length or len(names) // length > MOST_FIELDS:
        raise ValueError("its names of fields are damaged")
    fields = {}
    for begin in range(0, len(names), length):
        field_kind, matrix, at = _element(content, at, order)
        if field_kind != MATRIX:
            raise ValueError("a field is no array")
        fields[names[begin:begin + length].partition(b"\0")[0].decode("latin-1")] = matrix
    return fields


def _numbers(content, order):
    kind, shape, _, at = _head(content, order)
    if kind not in NUMERIC or len(shape) != 2:
        raise ValueError("it is no matrix of numbers")
    stored, values, _ = _element(content, at, order)
    if stored not in TYPES:
        raise ValueError(f"its numbers are of type {stored}, which there is not")
    dtype = np.dtype(TYPES[stored]).newbyteorder(order)
    if min(shape) < 0 or math.prod(shape) * dtype.itemsize != len(values):
        raise ValueError(f"it is {shape[0]}x{shape[1]} in {len(values)} bytes")
    return np.frombuffer(values, dtype).reshape(shape, order="F")
