"""What a file may ask for: memory that is there, pictures of a size within reason, nets that can be built.

A file of a few bytes can name an array of terabytes or a picture of gigapixels. Whoever reads one asks here before
memory is taken.
"""

import os
import re
import struct

#: the setting for pictures, in megapixels
MEGAPIXELS = "DSRG_MAX_MEGAPIXELS"
MOST_MEGAPIXELS = 100
MOST_LAYERS = 10_000  # the deepest published nets have some thousand
MOST_AXES = 32  # of a blob, as in Caffe
MOST_VALUES = 2**31 - 1  # of a blob, as in Caffe
FREE = 64 << 20  # bytes that may be asked for without a look at what is there


class TooMuch(ValueError):
    """More than there is, or than is allowed: what, how much, the limit."""


# ---- memory -------------------------------------------------------------------------------------------


def require_memory(size, what):
    """Refuse to go on where `size` bytes for `what` are more than this machine has left.

    Raises
    ------
    TooMuch
    """
    if size <= FREE:
        return
    there = available_memory()
    if there is not None and size > there:
        raise TooMuch(f"{what} needs {size / 1e9:.3g} GB of memory, {there / 1e9:.3g} GB are there")


def available_memory():
    """Bytes that this process may still take, by the machine's, the container's and its own limit; None: unknown."""
    found = [_machine(), _container(), _process()]
    return min((left for left in found if left is not None), default=None)


def _read(path):
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return ""


def _machine():
    match = re.search(r"MemAvailable:\s+(\d+) kB", _read("/proc/meminfo"))
    return int(match[1]) * 1024 if match else None


def _container():
    limit, used = (_read(f"/sys/fs/cgroup/memory.{name}").strip() for name in ("max", "current"))
    if not (limit.isdigit() and used.isdigit()):
        return None
    cache = re.search(r"^inactive_file (\d+)", _read("/sys/fs/cgroup/memory.stat"), re.MULTILINE)
    return max(0, int(limit) - int(used) + (int(cache[1]) if cache else 0))


def _process():
    try:
        import resource  # not on every platform
    except ImportError:
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    pages = _read("/proc/self/statm").split()
    return max(0, limit - int(pages[0]) * resource.getpagesize()) if pages else limit


def check_shape(shape):
    """Refuse a blob's shape that Caffe refuses: negative extents, more than 32 axes, more than 2^31 - 1 values."""
    if len(shape) > MOST_AXES:
        raise TooMuch(f"a blob of {len(shape)} axes; Caffe's have {MOST_AXES} at most")
    count = 1
    for extent in shape:
        if extent < 0:
            raise ValueError(f"a blob of shape {tuple(shape)}: extents must not be negative")
        count *= extent
    if count > MOST_VALUES:
        raise TooMuch(f"a blob of shape {tuple(shape)} has {count} values; Caffe's have {MOST_VALUES} at most")


def check_layers(net, name):
    """Refuse a NetParameter of more layers than any net has; `name` is its file.

    Raises
    ------
    TooMuch
    """
    count = max(len(net.layer), len(net.layers), len(net.input))
    if count > MOST_LAYERS:
        raise TooMuch(f"{name}: {count} layers; expected {MOST_LAYERS} at most")


# ---- pictures -----------------------------------------------------------------------------------------


def most_pixels():
    """The largest number of pixels of a picture, from DSRG_MAX_MEGAPIXELS or 100 million."""
    text = os.environ.get(MEGAPIXELS, "")
    try:
        most = float(text or MOST_MEGAPIXELS)
    except ValueError:
        most = 0
    if not 0 < most < 1e6:
        raise TooMuch(f"{MEGAPIXELS}={text}: expected a number of megapixels above 0")
    return int(most * 1e6)


def decodable(data):
    """Whether the header of an encoded picture says a size that may be decoded; False for formats not known here.

    Raises
    ------
    TooMuch
        More pixels than `most_pixels`.
    """
    width, height = picture_size(data)
    most = most_pixels()
    if width * height > most:
        raise TooMuch(f"it has {width} x {height} pixels, more than {most / 1e6:g} megapixels; shrink it, or set "
                      f"{MEGAPIXELS} where such pictures are meant")
    return width * height > 0


def picture_size(data):
    """Width and height in the header of an encoded picture; (0, 0) where the header ends early or is not known."""
    for start, size in _FORMATS:
        if re.match(start, bytes(data[:12]), re.DOTALL):
            try:
                return size(data)
            except (struct.error, IndexError):
                break
    return 0, 0


def _jpeg(data):
    at = 2
    while True:
        while data[at] != 0xFF:
            at += 1
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 4)
            return width, height
        if marker == 0xDA:
            return 0, 0
        at += 1 if marker == 0x01 or 0xD0 <= marker <= 0xD9 else 1 + struct.unpack_from(">H", data, at + 1)[0]


def _bmp(data):
    if struct.unpack_from("<I", data, 14)[0] == 12:  # OS/2
        return struct.unpack_from("<HH", data, 18)
    return tuple(map(abs, struct.unpack_from("<ii", data, 18)))


def _gif(data):
    """The canvas; OpenCV gives each picture of an animation that size."""
    return struct.unpack_from("<HH", data, 6)


def _webp(data):
    kind = bytes(data[12:16])
    if kind == b"VP8X":
        return tuple(1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return tuple(side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))


def _tiff(data):
    """Of the first directory, the picture that is read: its size, or that of its tiles where they are larger."""
    order = "<" if data[:1] == b"I" else ">"
    at = struct.unpack_from(order + "I", data, 4)[0]
    extents = {256: [0], 257: [0], 322: [0], 323: [0]}  # tag -> ImageWidth, ImageLength, TileWidth, TileLength
    for k in range(struct.unpack_from(order + "H", data, at)[0]):
        tag, kind, _ = struct.unpack_from(order + "HHI", data, at + 2 + 12 * k)
        if tag in extents:
            extents[tag] += struct.unpack_from(order + ("H" if kind == 3 else "I"), data, at + 10 + 12 * k)
    return max(extents[256] + extents[322]), max(extents[257] + extents[323])


def _pnm(data):
    numbers = re.match(rb"P[1-6](?:\s|#[^\n]*\n)+(\d{1,10})(?:\s|#[^\n]*\n)+(\d{1,10})\s", bytes(data[:4096]))
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)


_FORMATS = (
    (rb"\xff\xd8", _jpeg),
    (rb"\x89PNG\r\n\x1a\n", lambda data: struct.unpack_from(">II", data, 16)),
    (rb"BM", _bmp),
    (rb"GIF8", _gif),
    (rb"II\*\0|MM\0\*", _tiff),
    (rb"RIFF....WEBP", _webp),
    (rb"P[1-6]", _pnm),
)
