"""Turn colour-coded masks into index PNGs with palette, as evaluation and training read them.

    python -m tools.index_masks --masks SegmentationClassRGB --out data/SegmentationClass

Each colour becomes the index of its class: of VOC's palette (pale borders become 255, ignored), or of --colours.
Masks that hold indices already are kept as they are.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from dsrg.io import voc
from dsrg.io.errors import UserError, run_main
from dsrg.io.label_png import load_label_png, save_label_png
from dsrg.io.lists import read_lines
from dsrg.io.progress_bar import progress
from dsrg.io.workers import available_cpus


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m tools.index_masks", description=__doc__.split("\n")[0])
    parser.add_argument("--masks", type=Path, required=True, help="folder of PNG masks, colour-coded")
    parser.add_argument("--out", type=Path, required=True, help="folder for the index PNGs")
    parser.add_argument("--colours", type=Path, metavar="FILE",
                        help="text file, 'R G B' a line, in index order (default: VOC's palette)")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    colours = read_colours(args.colours) if args.colours else voc.palette()
    masks = sorted(args.masks.glob("*.png"))
    if not masks:
        raise UserError(f"no PNG masks in {args.masks}")
    if args.out.resolve() == args.masks.resolve():
        raise UserError(f"--out is the folder of the masks, {args.masks}; choose another, the colours would be lost")

    def convert(path):
        save_label_png(args.out / path.name, index_mask(path, colours))

    with ThreadPoolExecutor(available_cpus()) as pool:
        for _ in progress(pool.map(convert, masks), f"masks into {args.out}", len(masks)):
            pass


def read_colours(path):
    """Colours in index order, uint8 (C, 3), from a text file with 'R G B' a line."""
    colours = []
    for number, line in read_lines(path, "colour list"):
        values = line.split()
        if len(values) != 3 or not all(value.isdecimal() and int(value) < 256 for value in values):
            raise UserError(f"{path}:{number}: expected 'R G B', each 0 to 255, got '{line}'")
        colours.append([int(value) for value in values])
    if len({tuple(colour) for colour in colours}) < len(colours):
        raise UserError(f"{path}: a colour is listed twice; each class needs its own")
    return np.array(colours, np.uint8)


def index_mask(path, colours):
    """Class indices of one mask.

    Parameters
    ----------
    path : path
        PNG, colour-coded (RGB, or RGBA whose alpha is not looked at) or of indices.
    colours : ndarray of uint8, shape (C, 3)
        R, G, B of each class.

    Returns
    -------
    ndarray of uint8, shape (H, W)

    Raises
    ------
    UserError
        A colour that no class has, with its first row and column: often a smoothed border or a JPEG on the way.
    """
    with Image.open(path) as image:
        if image.mode not in ("RGB", "RGBA"):
            return load_label_png(path)
        rgb = np.asarray(image.convert("RGB"), np.uint32)
    code = rgb[:, :, 0] << 16 | rgb[:, :, 1] << 8 | rgb[:, :, 2]              # (H, W)
    found, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    index = {tuple(colour): i for i, colour in enumerate(colours.tolist())}
    labels = np.empty(len(found), np.uint8)
    for i, value in enumerate(found.tolist()):
        colour = (value >> 16, value >> 8 & 255, value & 255)
        if colour not in index:
            row, column = divmod(int(first[i]), code.shape[1])
            raise UserError(f"mask {path} has colour {colour} at row {row}, column {column}, which is of no class; "
                            "give the colours of this data with --colours")
        labels[i] = index[colour]
    return labels[inverse].reshape(code.shape)


if __name__ == "__main__":
    run_main(main)
