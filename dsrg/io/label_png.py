"""Label maps as index PNGs with palette: indices are read, never colours."""

import numpy as np
from PIL import Image

from dsrg.io import voc
from dsrg.io.atomic_files import atomic_write
from dsrg.io.errors import UserError
from dsrg.io.picture_files import MOST_BYTES, ORIENTATION_TAG, open_picture
from dsrg.io.regular_files import read_file


class NotIndices(UserError):
    """A picture of colours, or of a depth that holds no class indices."""


def save_label_png(path, labels, palette=None, orientation=1):
    """Write a label map as an index PNG with palette (mode P), whole or not at all.

    Parameters
    ----------
    labels : ndarray of integers, shape (H, W)
        Values 0..255; 255 is 'ignored'.
    palette : ndarray of uint8, shape (256, 3), optional
        Colours (R, G, B); the VOC colours by default. They are for the eye only: the indices count.
    orientation : int
        EXIF's, 1 to 8, of the photo in whose rows and columns the map lies: written into the file, so that viewers
        turn the map as they turn the photo. `load_label_png` gives the rows and columns of the file.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "iub":
        raise ValueError(f"labels is {labels.shape} {labels.dtype}, expected (H, W) of integers")
    if labels.size and not (0 <= labels.min() and labels.max() <= 255):
        raise ValueError(f"labels go from {labels.min()} to {labels.max()}, expected 0 to 255")
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette((voc.palette() if palette is None else np.asarray(palette, np.uint8)).tobytes())
    with atomic_write(path) as temporary:
        image.save(temporary, format="PNG", **({} if orientation == 1 else {"exif": _exif(orientation)}))


def _exif(orientation):
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    return exif


def load_label_png(path):
    """Read a label map as class indices.

    A palette PNG gives its indices, never its colours or their gray values (reading colours as gray changes
    every class number without a word); an 8-bit gray PNG gives its values.

    Parameters
    ----------
    path : path

    Returns
    -------
    ndarray of uint8, shape (H, W)

    Raises
    ------
    UserError
        Missing or unreadable file, no PNG, colours instead of indices, or a depth that is not 8 bits.
    """
    data = read_file(path, "label map", MOST_BYTES)
    with open_picture(data, path, "label map", flat=True) as image:
        if image.format != "PNG":
            raise NotIndices(f"label map {path} is a {image.format} file; expected a PNG of class indices")
        bits = _png_bit_depth(data)
        if image.mode in ("RGB", "RGBA", "LA", "PA"):
            raise NotIndices(f"label map {path} is colour-coded ({image.mode}); expected class indices "
                             "(mode P or 8-bit gray): convert the folder with python -m tools.index_masks")
        if image.mode != "P" and not (image.mode == "L" and bits == 8):
            raise NotIndices(f"label map {path} has mode {image.mode} with {bits} bits a pixel; expected class "
                             "indices in mode P or 8-bit gray: convert the folder with python -m tools.index_masks")
        try:
            return np.array(image, np.uint8)
        except (OSError, SyntaxError, ValueError, MemoryError) as error:
            raise UserError(f"label map {path} cannot be read ({error}); make or download it again") from None


def value_counts(labels):
    """Pixels of each value of uint8 labels, int64 (256,); a part at a time, for bincount widens its input.

    Parameters
    ----------
    labels : numpy.ndarray of uint8, shape (H, W)

    Returns
    -------
    numpy.ndarray of int64, shape (256,)
    """
    parts = np.array_split(labels.ravel(), max(1, labels.size >> 20))
    return sum(np.bincount(part, minlength=256) for part in parts)


def _png_bit_depth(data):
    """Bits per sample, byte 24 of a PNG (chunk IHDR): PIL stretches gray of fewer than 8 bits to 0..255."""
    return data[24]
