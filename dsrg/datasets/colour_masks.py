"""Masks whose classes are colours or gray values, made maps of class indices."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from dsrg.io.errors import UserError
from dsrg.io.label_png import load_label_png
from dsrg.io.lists import read_lines
from dsrg.io.photo_folder import kinds_text, photo_names
from dsrg.io.picture_files import MOST_BYTES, open_picture
from dsrg.io.regular_files import read_file
from dsrg.io.voc import IGNORE_LABEL

#: of a table: a colour that is of no class
UNKNOWN = 256
BAND = 1 << 20  # pixels looked up at a time


def read_colours(path):
    """Colours in index order, uint8 (C, 3), from a text file with 'R G B' a line.

    Parameters
    ----------
    path : Path

    Returns
    -------
    numpy.ndarray of uint8, shape (C, 3)
        Red, green, blue.

    Raises
    ------
    UserError
        A line of another form, a colour listed twice, more than 256 colours.
    """
    colours = []
    for number, line in read_lines(path, "colour list"):
        values = line.split()
        if len(values) != 3 or not all(value.isdecimal() and len(value) < 9 and int(value) < 256 for value in values):
            raise UserError(f"{path}:{number}: expected 'R G B', each 0 to 255, got '{line}'")
        colours.append([int(value) for value in values])
    if len(colours) > IGNORE_LABEL + 1:
        raise UserError(f"{path}: {len(colours)} colours, expected at most {IGNORE_LABEL + 1}; give --ignore the one "
                        "of ignored pixels")
    if len({tuple(colour) for colour in colours}) < len(colours):
        raise UserError(f"{path}: a colour is listed twice; each class needs its own")
    return np.array(colours, np.uint8)


def masks_below(folder):
    """Paths of the PNGs of a folder and of the folders in it, from there, sorted; and what else it holds, in words.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    masks : list of str
    others : str

    Raises
    ------
    UserError
        No such folder, or no PNG in it.
    """
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
    with open_picture(read_file(path, "mask", MOST_BYTES), path, "mask", flat=True) as image:
        mode = image.mode
        if mode == "P" or (mode == "L" and not len(gray)):
            return load_label_png(path)
        if mode == "1" and not len(gray):
            raise UserError(f"mask {path} is black and white (mode 1); --gray 0 255 makes white class 1")
        by_colour = mode in ("RGB", "RGBA", "PA")
        table = _colour_table(_key(colours), _key(ignored)) if by_colour else _gray_table(tuple(gray))
        try:
            image.load()
            labels = np.empty((image.height, image.width), np.uint8)
            for top in range(0, image.height, rows := max(1, BAND // image.width)):
                band = image.crop((0, top, image.width, min(top + rows, image.height)))
                pixels = np.asarray(band.convert("RGBA") if mode == "PA" else band)
                code = _code(pixels) if by_colour else _gray_values(pixels, mode)
                found = table[np.minimum(code, len(table) - 1)]
                if (found == UNKNOWN).any():
                    row, column = np.argwhere(found == UNKNOWN)[0].tolist()
                    word = _colour_words if by_colour else _gray_words
                    raise UserError(f"mask {path} has {word(pixels[row, column], mode)} at row {top + row}, column "
                                    f"{column}, {_remedy(by_colour, gray)}")
                labels[top:top + rows] = found
        except (OSError, SyntaxError, ValueError, MemoryError) as error:
            raise UserError(f"mask {path} cannot be read ({error}); make or download it again") from None
    return labels


def _key(colours):
    return tuple(tuple(int(value) for value in colour) for colour in colours)


@lru_cache(maxsize=2)
def _colour_table(colours, ignored):
    """Index of each colour, by its number of 24 bits; UNKNOWN for those of no class."""
    table = np.full(1 << 24, UNKNOWN, np.uint16)
    for index, colour in [*enumerate(colours), *((IGNORE_LABEL, colour) for colour in ignored)]:
        table[_code(np.array(colour, np.uint8))] = index
    return table


def _gray_table(gray):
    """Index of each gray value of up to 16 bits, the last place standing for all above."""
    table = np.full((1 << 16) + 1, UNKNOWN, np.uint16)
    if gray:
        table[IGNORE_LABEL] = IGNORE_LABEL
        table[list(gray)] = np.arange(len(gray))
    else:
        table[:256] = np.arange(256)
    return table


def _code(pixels):
    """Colours (.., 3 or 4) as numbers of 24 bits."""
    wide = pixels[..., :3].astype(np.uint32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def _gray_values(pixels, mode):
    """Gray values (H, W) from 0 up; negative ones of 32 bits wrap to large ones, which no class has."""
    if mode == "1":
        return pixels.astype(np.uint32) * 255
    return (pixels[..., 0] if mode == "LA" else pixels).astype(np.uint32)


def _colour_words(pixel, mode):
    clear = " of a transparent pixel (alpha 0)" if len(pixel) == 4 and pixel[3] == 0 else ""
    return f"colour {tuple(pixel[:3].tolist())}{clear}"


def _gray_words(pixel, mode):
    return f"gray value {int(pixel[0]) if mode == 'LA' else int(pixel)}"


def _remedy(by_colour, gray):
    if by_colour:
        return ("which is of no class; give the colours of this data with --colours, and that of pixels without a "
                "class with --ignore R G B")
    if len(gray):
        return f"which --gray {' '.join(map(str, gray))} does not name"
    return f"beyond the indices 0 to {IGNORE_LABEL}; give the values of the classes with --gray"
