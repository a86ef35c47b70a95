# PYTHON_ARGCOMPLETE_OK
"""Turn colour-coded masks into index PNGs with palette, as evaluation and training read them.

    python -m tools.index_masks --masks SegmentationClassRGB --out data/SegmentationClass
    python -m tools.index_masks --masks masks --colours colours.txt --ignore 128 128 128 --out data/SegmentationClass
    python -m tools.index_masks --masks binary --gray 0 255 --out data/SegmentationClass

Each colour becomes the index of its class: of VOC's palette (pale borders become 255, ignored), or of --colours. Gray
values become indices by --gray. Masks that hold indices already are kept as they are. Folders in the folder are walked.
"""

import argparse
from pathlib import Path

from dsrg.datasets.colour_masks import index_mask, masks_below, read_colours
from dsrg.io import voc
from dsrg.io.command_line import command_parser
from dsrg.io.errors import UserError, note, run_main
from dsrg.io.faults import Faults
from dsrg.io.image_ids import by_id, file_of
from dsrg.io.label_png import save_label_png
from dsrg.io.output_folders import refuse_inputs_as_output
from dsrg.io.overwriting import refuse_overwriting, refuse_written_over
from dsrg.io.progress_bar import progress
from dsrg.io.workers import in_threads


def parse_args(argv):
    parser = command_parser("tools.index_masks", __doc__)
    parser.add_argument("--masks", type=Path, required=True, help="folder of PNG masks, searched with its folders")
    parser.add_argument("--out", type=Path, required=True, help="folder for the index PNGs")
    parser.add_argument("--colours", type=Path, metavar="FILE",
                        help="text file, 'R G B' a line, in index order (default: VOC's palette)")
    parser.add_argument("--ignore", type=_byte, nargs=3, action="append", default=[], metavar=("R", "G", "B"),
                        help="colour of pixels that count for nothing (255 in the index PNG); may be given again")
    parser.add_argument("--gray", type=_byte, nargs="+", default=[], metavar="V",
                        help="gray values of the classes in index order, for masks without colours: 0 255 makes white "
                        "class 1 (default: gray values are indices)")
    args = parser.parse_args(argv)
    if len(set(args.gray)) < len(args.gray):
        parser.error("--gray names a value twice; each class needs its own")
    return args


def _byte(text):
    if not (text.isdecimal() and len(text) < 9 and int(text) < 256):
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 255, got '{text[:40]}'")
    return int(text)


def main(argv=None):
    args = parse_args(argv)
    refuse_inputs_as_output(args.out, args.masks)
    names, others = masks_below(args.masks)
    masks = by_id((name, name) for name in names)
    written = {"--out": [file_of(args.out, image_id) for image_id in masks]}
    refuse_overwriting(args, written)
    refuse_written_over(written, [args.masks / name for name in names], hard_links=False)
    colours = read_colours(args.colours) if args.colours else voc.palette()
    if others:
        note(f"note: {args.masks}: files that are not PNG left out ({others})")

    def convert(mask):
        image_id, name = mask
        try:
            save_label_png(file_of(args.out, image_id), index_mask(args.masks / name, colours, args.ignore, args.gray))
        except UserError as error:
            return error
        return None

    faults = Faults(args.masks)
    for error in progress(in_threads(convert, masks.items()), f"masks into {args.out}", len(masks)):
        if error:
            faults.add("masks left out", error)
    faults.refuse()


if __name__ == "__main__":
    run_main(main)
