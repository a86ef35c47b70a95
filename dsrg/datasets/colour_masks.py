"""Masks whose classes are colours or gray values, made maps of class indices."""

from pathlib import Path

import numpy as np

from dsrg.io.errors import UserError
from dsrg.io.label_png import load_label_png
from dsrg.io.lists import read_lines
from dsrg.io.photo_folder import kinds_text, photo_names
from dsrg.io.picture_files import MOST_BYTES, open_picture
from dsrg.io.regular_files import read_file
from dsrg.io.voc import IGNORE_LABEL


def read_colours(path):
    """Colours in index order, uint8 (C, 3), from a text file with 'R G B' a line."""
    colours = []
    for number, line in read_lines(path, "colour list"):
        values = line.split()
        if len(values) != 3 or not all(value.isdecimal() and int(value) < 256 for value in values):
            raise UserError(f"{path}:{number}: expected 'R G B', each 0 to 255, got '{line}'")
        colours.append([int(value) for value in values])
    if len(colours) > IGNORE_LABEL + 1:
        raise UserError(f"{path}: {len(colours)} colours, expected at most {IGNORE_LABEL + 1}; give --ignore the one "
                        "of ignored pixels")
    if len({tuple(colour) for colour in colours}) < len(colours):
        raise UserError(f"{path}: a colour is listed twice; each class needs its own")
    return np.array(colours, np.uint8)


def masks_below(folder):
    """Paths of the PNGs of a folder and of the folders in it, from there, sorted; and what else it holds, in words."""
    if not Path(folder).is_dir():
        raise UserError(f"no folder {folder}")
    try:
        names, others = photo_names(folder)
    except UserError:
        raise UserError(f"no PNG masks in {folder}") from None
    masks = [name for name in names if name.lower().endswith(".png")]
    others.update("." + name.rpartition(".")[2].lower() for name in names if not name.lower().endswith(".png"))
    if not masks:
        raise UserError(f"no PNG masks in {folder}; it holds {kinds_text(others)}")
    return masks, kinds_text(others)


def index_mask(path, colours, ignored=(), gray=()):
    """Class indices of one mask.

    Parameters
    ----------
    path : path
        PNG: colour-coded (RGB, or RGBA whose alpha is not looked at), gray, or of indices.
    colours : ndarray of uint8, shape (C, 3)
        R, G, B of each class.
    ignored : sequence of (int, int, int)
        Colours of pixels that become 255.
    gray : sequence of int
        Gray values in index order, for masks without colours; where it is empty, gray values are indices already.

    Returns
    -------
    ndarray of uint8, shape (H, W)

    Raises
    ------
    UserError
        A colour or gray value that no class has, with its first row and column: often a smoothed border or a JPEG on
        the way.
    """
    with open_picture(read_file(path, "mask", MOST_BYTES), path, "mask") as image:
        mode = image.mode
        if mode == "P" or (mode == "L" and not len(gray)):
            return load_label_png(path)
        try:
            if mode in ("RGB", "RGBA", "PA"):
                pixels = np.asarray(image.convert("RGBA"), np.uint32)
            elif mode == "LA":
                pixels = np.asarray(image, np.uint32)[..., 0]
            else:
                pixels = np.asarray(image, np.uint32) * (255 if mode == "1" else 1)
        except (OSError, SyntaxError, ValueError, MemoryError) as error:
            raise UserError(f"mask {path} cannot be read ({error}); make or download it again") from None
    if pixels.ndim == 3:
        return _by_colour(path, pixels, colours, ignored)
    return _by_gray(path, pixels, gray, mode)


def _by_colour(path, rgba, colours, ignored):
    code = rgba[:, :, 0] << 16 | rgba[:, :, 1] << 8 | rgba[:, :, 2]              # (H, W)
    index = {_code(colour): i for i, colour in enumerate(colours.tolist())} | {_code(c): IGNORE_LABEL for c in ignored}

    def complain(value, row, column):
        colour = (value >> 16, value >> 8 & 255, value & 255)
        clear = " of a transparent pixel (alpha 0)" if rgba[row, column, 3] == 0 else ""
        return (f"mask {path} has colour {colour}{clear} at row {row}, column {column}, which is of no class; give the "
                "colours of this data with --colours, and that of pixels without a class with --ignore R G B")
    return _look_up(code, index, complain)


def _by_gray(path, values, gray, mode):
    if len(gray):
        index = {value: i for i, value in enumerate(gray)}
        index.setdefault(IGNORE_LABEL, IGNORE_LABEL)
        remedy = f"which --gray {' '.join(map(str, gray))} does not name"
    elif mode == "1":
        raise UserError(f"mask {path} is black and white (mode 1); --gray 0 255 makes white class 1")
    else:
        index = {value: value for value in range(256)}
        remedy = f"beyond the indices 0 to {IGNORE_LABEL}; give the values of the classes with --gray"

    def complain(value, row, column):
        return f"mask {path} has gray value {value} at row {row}, column {column}, {remedy}"
    return _look_up(values, index, complain)


def _look_up(code, index, complain):
    """Indices (H, W) of codes (H, W); `complain` words the error for a code that is not known."""
    found, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    labels = np.empty(len(found), np.uint8)
    for i, value in enumerate(found.tolist()):
        if value not in index:
            raise UserError(complain(value, *divmod(int(first[i]), code.shape[1])))
        labels[i] = index[value]
    return labels[inverse].reshape(code.shape)


def _code(colour):
    return colour[0] << 16 | colour[1] << 8 | colour[2]
