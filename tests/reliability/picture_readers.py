"""Readers of pictures: photos of every format, masks, saliency maps, pictures that a person hands over."""

import io
import struct

import cv2
import numpy as np
from PIL import Image

from dsrg.datasets.colour_masks import index_mask
from dsrg.datasets.mask_checks import check_mask
from dsrg.io.errors import UserError
from dsrg.io.label_png import load_label_png
from dsrg.io.orientation import exif_orientation
from dsrg.io.photos import load_gray, load_image_bgr, load_unchanged
from dsrg.io.pictures import read_picture
from dsrg.saliency.background_detection import read_saliency
from tests.reliability.damaged_pictures import png_chunks
from tests.reliability.readers import reader

SHAPE = (9, 7)


def _saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _pixels(channels=3, dtype=np.uint8):
    shape = (*SHAPE, channels) if channels > 1 else SHAPE
    return np.random.default_rng(channels).integers(0, np.iinfo(dtype).max, shape, dtype)


def _exif(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "words"
    return exif


def _photos():
    rgb, gray = Image.fromarray(_pixels()), Image.fromarray(_pixels(1))
    for orientation in (1, 6):
        yield _saved(rgb, "JPEG", exif=_exif(orientation))
        yield _saved(rgb, "PNG", exif=_exif(orientation))
    yield _saved(gray, "JPEG")
    yield _saved(rgb, "JPEG", progressive=True, icc_profile=b"\0" * 200, comment=b"words")
    yield _saved(rgb.convert("CMYK"), "JPEG")
    yield _saved(rgb, "WEBP")
    yield _saved(rgb.convert("RGBA"), "WEBP", lossless=True, exif=_exif(8))
    for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        yield _saved(rgb, "TIFF", compression=compression)
    yield _saved(gray.convert("1"), "TIFF", compression="group4")
    yield _saved(rgb, "BMP")
    yield _saved(gray, "BMP")
    yield _saved(rgb, "PPM")
    yield _saved(rgb.convert("P"), "GIF")
    for suffix, pixels in (
        (".png", _pixels(1, np.uint16)),
        (".png", _pixels(4)),
        (".tiff", _pixels(3, np.uint16)),
        (".tiff", _pixels(1).astype(np.float32)),
    ):
        yield cv2.imencode(suffix, pixels)[1].tobytes()


def _more_pictures():
    """What OpenCV or Pillow reads beside the formats of data sets."""
    yield from _photos()
    rgb = Image.fromarray(_pixels())
    for kind in (
        "ICO",
        "TGA",
        "PCX",
        "SGI",
        "JPEG2000",
        "DDS",
        "MSP",
        "SPIDER",
        "XBM",
        "MPO",
        "ICNS",
        "QOI",
        "AVIF",
    ):
        mode = {"MSP": "1", "XBM": "1", "SPIDER": "F"}.get(kind)
        try:
            yield _saved(rgb.convert(mode) if mode else rgb, kind)
        except (OSError, KeyError, ValueError):  # this Pillow was built without it
            continue
    for suffix, pixels in (
        (".hdr", _pixels().astype(np.float32)),
        (".pfm", _pixels().astype(np.float32)),
        (".ras", _pixels()),
        (".pxm", _pixels()),
    ):
        if cv2.haveImageWriter(f"a{suffix}"):
            yield cv2.imencode(suffix, pixels)[1].tobytes()


def _numbers_in_head(data, rng):
    """A number among the first 64 bytes overwritten, as sizes stand there in BMP, WebP, TGA and others."""
    size, out = rng.choice((1, 2, 4)), bytearray(data)
    at = rng.randrange(min(64, len(data) - size + 1)) if len(data) >= size else 0
    number = rng.choice((0, 1, 7, 255, 9999, 20000, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1))
    out[at : at + size] = (number % 256**size).to_bytes(size, rng.choice(("little", "big")))
    return bytes(out)


def _segments(data, rng):
    """A JPEG with a segment changed, left out or doubled, or with another size in its frame header."""
    if not data.startswith(b"\xff\xd8"):
        return _directory(data, rng)
    parts, at = [data[:2]], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (0xDA, 0xD9):
        length = 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        parts.append(data[at : at + length])
        at += length
    rest, place = data[at:], rng.randrange(len(parts))
    action = rng.random()
    frames = [k for k, part in enumerate(parts) if part[:1] == b"\xff" and part[1] in (0xC0, 0xC1, 0xC2)]
    if action < 0.5 and frames:
        frame = bytearray(parts[frames[0]])
        height, width = rng.choice(((65500, 65500), (9999, 10000), (0, 7), (9, 0), (1, 65500), (10001, 10001), (8, 6)))
        frame[5:9] = struct.pack(">2H", height, width)
        if rng.random() < 0.3:
            frame[rng.randrange(9, len(frame))] = rng.randrange(256)
        parts[frames[0]] = bytes(frame)
    elif action < 0.65:
        del parts[place]
    elif action < 0.8:
        parts.insert(place, parts[place])
    else:
        parts.insert(
            place,
            b"\xff"
            + rng.choice(
                (
                    b"\xe1\0\x0aExif\0\0",
                    b"\xe1\xff\xff",
                    b"\xee\0\x0eAdobe\0\0\0\0\0\0\0",
                    b"\xdd\0\4\0\1",
                    b"\xe2\0\2",
                    b"\xfe\0\x07\x1b[2J",
                    b"\xcc\0\2",
                    b"\xc4\0\2",
                    b"\xdb\0\2",
                )
            ),
        )
    return b"".join(parts) + rest


def _directory(data, rng):
    """A TIFF with the number of one entry of its directory overwritten; other files: a number of their head."""
    if data[:2] not in (b"II", b"MM"):
        return _numbers_in_head(data, rng)
    order = "little" if data[:1] == b"I" else "big"
    begin = int.from_bytes(data[4:8], order)
    count = int.from_bytes(data[begin : begin + 2], order)
    at = begin + 2 + 12 * rng.randrange(max(1, count)) + rng.choice((0, 2, 4, 8, 8, 8))
    out = bytearray(data)
    out[at : at + 2] = rng.choice((0, 1, 2, 3, 8, 16, 32, 255, 9999, 65535, 256, 257, 262, 322)).to_bytes(2, order)
    return bytes(out)


DAMAGE = (png_chunks, _segments, _segments, _numbers_in_head)


@reader(lambda: list(_photos()), UserError, ".jpg", DAMAGE)
def photo(path):
    pixels = load_image_bgr(path)
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    assert exif_orientation(path) in range(1, 9)


@reader(lambda: list(_more_pictures()), UserError, ".png", DAMAGE)
def shown_picture(path):
    picture_read = read_picture(path)
    assert picture_read.rgb.dtype == np.uint8 and picture_read.rgb.shape[2] == 3


@reader(lambda: list(_photos()), UserError, ".png", DAMAGE)
def gray_picture(path):
    assert load_gray(path, "map").ndim == 2
    load_unchanged(path, "picture")


def _masks():
    for values in (_pixels(1) % 21, np.zeros(SHAPE, np.uint8)):
        image = Image.fromarray(values)
        yield _saved(image, "PNG")
        image.putpalette(bytes(range(256)) * 3)
        yield _saved(image, "PNG")
        yield _saved(image, "PNG", exif=_exif(6), transparency=0)
        yield _saved(image, "PNG", bits=8, optimize=True)
    yield _saved(Image.fromarray(_pixels(1) % 2 * 255).convert("1"), "PNG")
    for channels in (2, 3, 4):
        yield cv2.imencode(".png", _pixels(max(3, channels)))[1].tobytes()
    yield cv2.imencode(".png", _pixels(1, np.uint16))[1].tobytes()


@reader(lambda: list(_masks()), UserError, ".png", (png_chunks, png_chunks, _numbers_in_head))
def label_map(path):
    labels = load_label_png(path)
    assert labels.dtype == np.uint8 and labels.ndim == 2


@reader(lambda: list(_masks()), UserError, ".png", (png_chunks, png_chunks, _numbers_in_head))
def checked_mask(path):
    for orientation, stored in ((1, False), (6, True)):
        mask = check_mask(path, SHAPE if orientation == 1 else SHAPE[::-1], orientation, 21, stored)
        assert mask.dtype == np.uint8


@reader(lambda: list(_masks()), UserError, ".png", (png_chunks, png_chunks, _numbers_in_head))
def coloured_mask(path):
    colours = np.array([[0, 0, 0], [128, 0, 0], [255, 255, 255]], np.uint8)
    try:
        index_mask(path, colours, ignored=[(1, 2, 3)])
    except UserError:
        index_mask(path, colours, gray=(0, 255))


@reader(
    lambda: [_saved(Image.fromarray(_pixels(1)), "PNG"), *_masks()],
    UserError,
    ".png",
    (png_chunks, png_chunks, _numbers_in_head),
)
def saliency_picture(path):
    values = read_saliency(path, SHAPE)
    assert values.shape == SHAPE and 0 <= values.min() <= values.max() <= 1
