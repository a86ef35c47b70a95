"""Files of pictures: read once, their size taken from the header and checked against limits before they are decoded.

A PNG of a few kilobytes can stand for gigabytes of pixels, a JPEG of as many for hours of work. The limit is 100
megapixels, and for photos of few bytes a pixel less: photographs hold some 1 to 10 pixels a byte, one colour alone 60
to millions, and what is computed of a photo takes the memory and time of its pixels. Maps of classes are flat by
nature, and cheap. DSRG_MAX_MEGAPIXELS in the environment sets another limit, whatever the bytes. It is the one setting
that is read where it is used: a safety limit of the whole process tree, which the engine's readers, of a package of
their own, go by too.
"""

import io
import os
import re
import warnings

from PIL import Image

from dsrg.io.errors import UserError
from dsrg.io.regular_files import read_file

LIMIT_VARIABLE, MOST_MEGAPIXELS = "DSRG_MAX_MEGAPIXELS", 100
FLAT_MEGAPIXELS, FLAT_PIXELS = 25, 25    # of a photo whatever its bytes, and for each of them
MOST_SCANS = 100        # of a JPEG: progressive ones have about 10, and each is a walk through all pixels
MOST_BYTES = 1 << 30
MARKER = re.compile(rb"\xff[^\0\x01\xff\xd0-\xd8]")     # of JPEG: those that a segment follows, and the end
TILE_WIDTH, TILE_LENGTH = 322, 323       # of TIFF: decoders take the memory of a whole tile
ORIENTATION_TAG = 0x0112      # of EXIF
#: what OpenCV and Pillow both read; Pillow's other formats (PostScript, FITS ..) are never tried
FORMATS = ("JPEG", "PNG", "BMP", "DIB", "TIFF", "WEBP", "PPM", "GIF")

# Pillow warns from 89 megapixels on, and refuses from twice that, whatever is asked here.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)


class TooLarge(UserError):
    """A picture of more pixels than the limit."""


def read_picture(path, what, flat=False):
    """The bytes of a picture file whose header names a size within the limit.

    Parameters
    ----------
    path : path
    what : str
        What errors call it: "photo", "label map".
    flat : bool
        As of open_picture.

    Returns
    -------
    bytes

    Raises
    ------
    UserError
        No regular file, no picture, or too many pixels.
    """
    data = read_file(path, what, MOST_BYTES)
    with open_picture(data, path, what, flat):
        return data


def open_picture(data, path, what, flat=False):
    """A Pillow image of the bytes, its header read and its pixels not yet; UserError as of read_picture.

    Parameters
    ----------
    data : bytes
    path : path
    what : str
    flat : bool
        Whether few bytes a pixel are expected, as of maps.

    Returns
    -------
    PIL.Image.Image
    """
    most = most_megapixels()
    # a larger limit is for this project's own check alone to hold
    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, int(most * 1e6)) or None
    refuse_scans(data, path, what)
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooLarge(too_large(path, what, "far too many pixels", most)) from None
    except (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, OverflowError, EOFError,
            MemoryError, AttributeError, ZeroDivisionError, RuntimeError) as error:  # as damaged headers raise them
        reason = "" if isinstance(error, Image.UnidentifiedImageError) else f": {error}"
        raise UserError(f"{what} {path} is not a readable picture ({len(data)} bytes{reason}); replace the file or "
                        "take it out of the list") from None
    refuse_size(image, data, path, what, flat)
    return image


def refuse_size(image, data, path, what, flat=False):
    """TooLarge for a picture of more pixels than the limit.

    Parameters
    ----------
    image : PIL.Image.Image
        Its header read.
    data : bytes
        Of its file.
    path : path
    what : str
    flat : bool
        As of open_picture.

    Raises
    ------
    TooLarge
    """
    width, height = image.size
    if image.format == "TIFF":
        tags = getattr(image, "tag_v2", {})
        width, height = (max(side, int(tags.get(tag, 0))) for side, tag in ((width, TILE_WIDTH), (height, TILE_LENGTH)))
    pixels, most = width * height, most_megapixels()
    size = f"{width}x{height} = {pixels / 1e6:.0f} megapixels"
    if pixels > most * 1e6:
        raise TooLarge(too_large(path, what, size, most))
    of_bytes = max(FLAT_MEGAPIXELS * 1e6, FLAT_PIXELS * len(data))
    if not flat and not os.environ.get(LIMIT_VARIABLE) and pixels > of_bytes:
        raise TooLarge(f"{what} {path} has {size} in {len(data) / 1e6:.2f} MB, expected at most {of_bytes / 1e6:.0f} "
                       "megapixels of a file that small: is it a photo? shrink it, or set "
                       f"{LIMIT_VARIABLE}={MOST_MEGAPIXELS} where such pictures are meant")


def refuse_scans(data, path, what):
    """UserError for a JPEG of more scans than photos have: a megabyte of them takes minutes to decode.

    Parameters
    ----------
    data : bytes
    path : path
    what : str

    Raises
    ------
    UserError
    """
    if data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > MOST_SCANS and _many_scans(data):
        raise UserError(f"{what} {path} is a JPEG of more than {MOST_SCANS} scans, and photos have about 10; save it "
                        "again as a plain JPEG, or take it out of the list")


def _many_scans(data):
    """Whether a JPEG has more than MOST_SCANS scans before its end; what follows it, often a video, does not count."""
    at, scans = 2, 0
    while (found := MARKER.search(data, at)) and found[0] != b"\xff\xd9":
        scans += found[0] == b"\xff\xda"
        if scans > MOST_SCANS:
            return True
        at = found.end() + max(2, int.from_bytes(data[found.end():found.end() + 2], "big"))
    return False


def too_large(path, what, size, most):
    """The message about a picture above the limit.

    Parameters
    ----------
    path : path
    what : str
    size : str
        What it has.
    most : float
        The limit in megapixels.

    Returns
    -------
    str
    """
    return (f"{what} {path} has {size}, expected at most {most:g} megapixels; shrink it, or set {LIMIT_VARIABLE} where "
            "such pictures are meant")


def most_megapixels():
    """The limit, a positive number; UserError for a setting that is none."""
    text = os.environ.get(LIMIT_VARIABLE, "")
    try:
        most = float(text or MOST_MEGAPIXELS)
    except ValueError:
        most = -1
    if not 0 < most < 1e6:
        raise UserError(f"{LIMIT_VARIABLE}={text}: expected a number of megapixels above 0")
    return most
