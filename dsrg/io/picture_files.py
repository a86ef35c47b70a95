"""Files of pictures: read once, their size taken from the header and checked against a limit before they are decoded.

A PNG of a few kilobytes can stand for gigabytes of pixels. The limit is 100 megapixels; DSRG_MAX_MEGAPIXELS in the
environment sets another. It is the one setting that is read where it is used: a safety limit of the whole process tree,
which the engine's readers, of a package of their own, go by too.
"""

import io
import os
import warnings

from PIL import Image

from dsrg.io.errors import UserError
from dsrg.io.regular_files import read_file

LIMIT_VARIABLE, MOST_MEGAPIXELS = "DSRG_MAX_MEGAPIXELS", 100
MOST_BYTES = 1 << 30
ORIENTATION_TAG = 0x0112      # of EXIF
#: what OpenCV and Pillow both read; Pillow's other formats (PostScript, FITS ..) are never tried
FORMATS = ("JPEG", "PNG", "BMP", "DIB", "TIFF", "WEBP", "PPM", "GIF")

# Pillow warns from 89 megapixels on, and refuses from twice that, whatever is asked here.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)


class TooLarge(UserError):
    """A picture of more pixels than the limit."""


def read_picture(path, what):
    """The bytes of a picture file whose header names a size within the limit.

    Parameters
    ----------
    path : path
    what : str
        What errors call it: "photo", "label map".

    Returns
    -------
    bytes

    Raises
    ------
    UserError
        No regular file, no picture, or too many pixels.
    """
    data = read_file(path, what, MOST_BYTES)
    with open_picture(data, path, what):
        return data


def open_picture(data, path, what):
    """A Pillow image of the bytes, its header read and its pixels not yet; UserError as of read_picture.

    Parameters
    ----------
    data : bytes
    path : path
    what : str

    Returns
    -------
    PIL.Image.Image
    """
    most = most_megapixels()
    # a larger limit is for this project's own check alone to hold
    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, int(most * 1e6)) or None
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooLarge(too_large(path, what, "far too many pixels", most)) from None
    except (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, OverflowError, EOFError,
            MemoryError, AttributeError, ZeroDivisionError, RuntimeError) as error:  # as damaged headers raise them
        reason = "" if isinstance(error, Image.UnidentifiedImageError) else f": {error}"
        raise UserError(f"{what} {path} is not a readable picture ({len(data)} bytes{reason}); replace the file or "
                        "take it out of the list") from None
    if image.width * image.height > most * 1e6:
        raise TooLarge(too_large(path, what, f"{image.width}x{image.height} = "
                                 f"{image.width * image.height / 1e6:.0f} megapixels", most))
    return image


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
