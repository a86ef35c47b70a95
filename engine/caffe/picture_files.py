"""Encoded pictures before they are decoded: whether the file is whole, and its size against limits.

A PNG of a few kilobytes can stand for gigapixels, a JPEG of as many for hours of work. The limit is 100 megapixels, and
less for pictures in colour of few bytes a pixel: photographs hold some 1 to 10 pixels a byte, one colour alone 60 to
millions. DSRG_MAX_MEGAPIXELS when caffe is imported, or the program by :func:`allow_megapixels`, sets another limit,
whatever the bytes.
"""

import re
import struct

from .limits import TooMuch

VARIABLE = "DSRG_MAX_MEGAPIXELS"
MOST_MEGAPIXELS = 100
FLAT_MEGAPIXELS, FLAT_PIXELS = 25, 25  # of a photo whatever its bytes, and for each of them
MOST_SCANS = 100  # of a JPEG: progressive ones have about 10, and each is a walk through all pixels
PNG = b"\x89PNG\r\n\x1a\n"
MARKER = re.compile(rb"\xff[^\0\x01\xff\xd0-\xd8]")  # of JPEG: those that a segment follows, and the end

_setting = {"megapixels": None}  # None: the limits of this file


def allow_megapixels(most=None):
    """From now on decode pictures of up to so many megapixels.

    Parameters
    ----------
    most : float, optional
        Above 0; None: 100, and 25 of pictures in colour with more than 25 pixels a byte.

    Raises
    ------
    ValueError
        Not such a number.
    """
    _megapixels(most)
    _setting["megapixels"] = most


def follow(text):
    """Take the limit from a setting's text (None: leave it); what is no number is refused at the first picture.

    Parameters
    ----------
    text : str or None
    """
    if text:
        _setting["megapixels"] = text


def most_pixels():
    """The largest number of pixels of a picture that is decoded.

    Returns
    -------
    int

    Raises
    ------
    TooMuch
        The setting is not a number above 0.
    """
    return int(_megapixels(_setting["megapixels"]) * 1e6)


def _megapixels(value):
    if value is None:
        return MOST_MEGAPIXELS
    try:
        number = float(value)
    except ValueError:
        number = 0
    if not 0 < number < 1e6:
        raise TooMuch(f"{VARIABLE}={value}: expected a number of megapixels above 0")
    return number


def decodable(data, flat=False):
    """Whether the header of an encoded picture says a size that may be decoded.

    Parameters
    ----------
    data : bytes
    flat : bool
        Whether few bytes a pixel are expected, as of maps.

    Returns
    -------
    bool
        False for formats not known here.

    Raises
    ------
    TooMuch
        More pixels than `most_pixels`, or than a file so small stands for; a JPEG of more than MOST_SCANS scans.
    """
    width, height = picture_size(data)
    most = most_pixels()
    if width * height > most:
        raise TooMuch(f"it has {width} x {height} pixels, more than {most / 1e6:g} megapixels; shrink it, or set "
                      f"{VARIABLE} (caffe.allow_megapixels) where such pictures are meant")
    most = max(FLAT_MEGAPIXELS * 1e6, FLAT_PIXELS * len(data))
    if not flat and _setting["megapixels"] is None and width * height > most:
        raise TooMuch(f"it has {width} x {height} pixels, more than {most / 1e6:.0f} megapixels, in {len(data)} bytes: "
                      "is it a photo? shrink it, or set "
                      f"{VARIABLE} (caffe.allow_megapixels) to {MOST_MEGAPIXELS} where such pictures are meant")
    if _many_scans(data):
        raise TooMuch(f"it is a JPEG of more than {MOST_SCANS} scans, and photos have about 10; save it again as a "
                      "plain JPEG")
    return width * height > 0


def _many_scans(data):
    """Whether a JPEG has more than MOST_SCANS scans before its end; what follows it, often a video, does not count."""
    if data[:2] != b"\xff\xd8" or data.count(b"\xff\xda") <= MOST_SCANS:
        return False
    at, scans = 2, 0
    while (found := MARKER.search(data, at)) and found[0] != b"\xff\xd9":
        scans += found[0] == b"\xff\xda"
        if scans > MOST_SCANS:
            return True
        at = found.end() + max(2, int.from_bytes(data[found.end() : found.end() + 2], "big"))
    return False


def picture_size(data):
    """Size in the header of an encoded picture.

    Parameters
    ----------
    data : bytes
        Of the file, or its begin: JPEG, PNG, BMP, GIF, TIFF, WebP or PNM.

    Returns
    -------
    (int, int)
        Width and height; (0, 0) where the header ends early or is not known.
    """
    for start, size in _FORMATS:
        if re.match(start, bytes(data[:12]), re.DOTALL):
            try:
                return size(data)
            except (struct.error, IndexError):
                break
    return 0, 0


def cut_short(data):
    """Whether a JPEG or PNG lacks its end: decoders fill the missing part with gray and report no error.

    Parameters
    ----------
    data : bytes
        Of the file; other formats are not cut short.

    Returns
    -------
    bool
    """
    if data[:8] == PNG:
        return b"IEND" not in data
    if data[:2] != b"\xff\xd8":
        return False
    # walk the JPEG's segments to the start of the scan: a thumbnail inside a segment has an end of its own
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xDA:
            return data.find(b"\xff\xd9", at) < 0
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD7:  # markers without length
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return True


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
