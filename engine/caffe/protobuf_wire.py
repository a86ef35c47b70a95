"""Protobuf's wire format, as much as large weights need: big float arrays without a Python loop.

protobuf's Python messages hand out repeated floats one by one, which is slow for large weights. Here a file
is walked by hand: `strip` returns the message without its numbers, small enough for protobuf, and the numbers
as views of the file; `blob_chunks` writes an array as a BlobProto without a copy.
"""

import numpy as np

from .proto import is_repeated

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

# Fields that lead to blobs: message -> {field number: message of the field}. Numbers as in caffe.proto.
NESTED = {
    "NetParameter": {2: "V1LayerParameter", 100: "LayerParameter"},
    "LayerParameter": {7: "BlobProto"},
    "V1LayerParameter": {6: "BlobProto", 1: "V0LayerParameter"},
    "V0LayerParameter": {50: "BlobProto"},
    "SolverState": {3: "BlobProto"},
    "BlobProto": {},
}
DATA, DIFF, SHAPE, DOUBLE_DATA, DOUBLE_DIFF = 5, 6, 7, 8, 9
NAMES = {"LayerParameter": 1, "V1LayerParameter": 4, "V0LayerParameter": 1}  # field that holds the name


_SMALL = [bytes([value]) for value in range(0x80)]


class WireError(ValueError):
    """Bytes that are not a message: where, and what is wrong."""


def check_text(message):
    """Raise UnicodeDecodeError where a string of a parsed message is not UTF-8.

    protobuf hands such a string out as bytes, or raises when it is asked for, by version; ListFields asks for all.

    Parameters
    ----------
    message : Message
    """
    for field, value in message.ListFields():
        if field.message_type is None and field.type != field.TYPE_STRING:
            continue
        for item in value if is_repeated(field) else (value,):
            if field.message_type is not None:
                check_text(item)
            elif isinstance(item, bytes):
                item.decode()


def varint(value):
    """Bytes of a non-negative integer.

    Parameters
    ----------
    value : int

    Returns
    -------
    bytes
    """
    if value <= 0x7F:
        return _SMALL[value]
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def tag(number, wire_type):
    """Bytes that begin a field.

    Parameters
    ----------
    number, wire_type : int

    Returns
    -------
    bytes
    """
    return varint(number << 3 | wire_type)


def _read_varint(view, at, end):
    value = shift = 0
    while True:
        if at >= end:
            raise WireError(f"ends inside a number at byte {at}")
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise WireError(f"a number of more than 64 bits at byte {at}")


def fields(view, start, end):
    """Yield (field number, wire type, begin of field, begin of payload, end of payload) of a message.

    Parameters
    ----------
    view : memoryview
    start, end : int
        Where the message lies.

    Yields
    ------
    (int, int, int, int, int)

    Raises
    ------
    WireError
        Bytes that are not a message.
    """
    at = start
    while at < end:
        begin = at
        key, at = _read_varint(view, at, end)
        number, wire_type = key >> 3, key & 7
        if wire_type == BYTES:
            size, at = _read_varint(view, at, end)
        elif wire_type == VARINT:
            size = _read_varint(view, at, end)[1] - at
        elif wire_type in (FIXED32, FIXED64):
            size = 4 if wire_type == FIXED32 else 8
        else:
            raise WireError(f"no field can begin with byte {view[begin]:#04x} at {begin}")
        if number == 0:
            raise WireError(f"field number 0 at byte {begin}")
        if at + size > end:
            raise WireError(f"a field at byte {begin} needs {size} bytes, {end - at} are left")
        yield number, wire_type, begin, at, at + size
        at += size


def strip(view, message, start=0, end=None, arrays=None):
    """A message without the numbers of its blobs, and those numbers.

    Parameters
    ----------
    view : memoryview
        The whole file.
    message : str
        A key of NESTED: what the bytes are.

    Returns
    -------
    bytes
        The message; the `data` of its i-th blob is just [i].
    list of numpy.ndarray
        Flat, float32 or float64: views of `view`, possibly unaligned. double_data goes before data.
    """
    end = len(view) if end is None else end
    arrays = [] if arrays is None else arrays
    out, floats, doubles, name = bytearray(), [], [], ""
    try:
        for number, wire_type, begin, at, stop in fields(view, start, end):
            child = NESTED[message].get(number) if wire_type == BYTES else None
            if child:
                body, _ = strip(view, child, at, stop, arrays)
                out += tag(number, BYTES) + varint(len(body)) + body
            elif message == "BlobProto" and number in (DATA, DIFF, DOUBLE_DATA, DOUBLE_DIFF):
                if number in (DATA, DOUBLE_DATA):
                    (floats if number == DATA else doubles).append(view[at:stop])
            else:
                out += view[begin:stop]
            if NAMES.get(message) == number and wire_type == BYTES:
                name = bytes(view[at:stop]).decode(errors="replace")
    except WireError as error:
        if name and "layer" not in str(error):
            raise WireError(f"layer '{name}': {error}") from None
        raise
    if message == "BlobProto":
        out += tag(DATA, BYTES) + varint(4) + np.float32(len(arrays)).tobytes()
        arrays.append(_numbers(doubles, "<f8") if doubles else _numbers(floats, "<f4"))
    return bytes(out), arrays


def _numbers(chunks, dtype):
    """Packed chunks (usually one) as one flat array; single values (unpacked fields) are chunks of one."""
    size = np.dtype(dtype).itemsize
    for chunk in chunks:
        if len(chunk) % size:
            raise WireError(f"{len(chunk)} bytes of numbers are not a multiple of {size}")
    if len(chunks) == 1:
        return np.frombuffer(chunks[0], dtype)
    return np.frombuffer(b"".join(chunks), dtype)


def blob_chunks(array):
    """An array as the buffers of a BlobProto; numbers that are contiguous float32 are not copied.

    Parameters
    ----------
    array : array_like
        Any shape; stored as float32.

    Returns
    -------
    list of buffers
    """
    array = np.ascontiguousarray(array, "<f4").reshape(np.shape(array))
    dims = b"".join(varint(dim) for dim in array.shape)
    shape = tag(1, BYTES) + varint(len(dims)) + dims
    tail = tag(SHAPE, BYTES) + varint(len(shape)) + shape if dims else b""  # a scalar has none in Caffe's files
    head = tag(DATA, BYTES) + varint(array.nbytes) if array.size else b""
    return [head, array.reshape(-1).view(np.uint8).data, tail]


def layer_chunks(layer, arrays):
    """Buffers of one `layer` of a NetParameter: a serialized LayerParameter, its blobs put in.

    Parameters
    ----------
    layer : bytes
    arrays : sequence of numpy.ndarray

    Returns
    -------
    list of buffers
    """
    view = memoryview(layer)
    cut = max((stop for number, _, _, _, stop in fields(view, 0, len(view)) if number < 7), default=0)
    inside = [view[:cut]]
    for array in arrays:
        blob = blob_chunks(array)
        inside += [tag(7, BYTES) + varint(sum(map(len, blob))), *blob]
    inside.append(view[cut:])
    return [tag(100, BYTES) + varint(sum(map(len, inside))), *inside]
