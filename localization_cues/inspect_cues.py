# PYTHON_ARGCOMPLETE_OK
"""Summarise a cue file, compare it with a list of photos, and draw its cues over them.

    python -m localization_cues.inspect_cues cues/localization_cues.pickle
    python -m localization_cues.inspect_cues cues/localization_cues.pickle --list lists/input_list.txt \\
        --classes lists/classes.txt --images data/JPEGImages --draw overlays --count 20

Any cue file: the original's pickles of Python 2 or 3 (nothing in one is run) and .npz. Without --size the map is that
of the .json beside the file, or ends with the last row and column that carry a cue.
"""

import json
from pathlib import Path

import numpy as np

from dsrg.cuefile.format import load_cues
from dsrg.cuefile.map_size import size_of_map
from dsrg.io.atomic_files import write_text
from dsrg.io.class_names import read_classes
from dsrg.io.command_line import command_parser, print_result
from dsrg.io.counts import counted
from dsrg.io.errors import UserError, note, run_main
from dsrg.io.image_ids import file_of, id_of, photo_file
from dsrg.io.lists import read_input_list
from dsrg.io.output_folders import refuse_inputs_as_output
from dsrg.io.overwriting import refuse_overwriting, refuse_written_over
from dsrg.report.cue_contents import as_text, file_format, summarise
from dsrg.report.cue_overlay import draw_overlays
from training.shared_flags import add_map_size, positive


def parse_args(argv):
    parser = command_parser("localization_cues.inspect_cues", __doc__, json=True)
    parser.add_argument("file", type=Path, metavar="FILE", help="cue file, .pickle or .npz")
    parser.add_argument("--list", type=Path, help='photos the file should be for, "<name>.jpg <number>" a line')
    parser.add_argument("--classes", type=Path, help="class names in index order, background first")
    add_map_size(parser, "size of the cue map")
    parser.add_argument("--out", type=Path, metavar="JSON", help="write the summary with every image named")
    drawing = parser.add_argument_group("overlays")
    drawing.add_argument("--draw", type=Path, metavar="DIR",
                         help="write <id>.png: photo, cues and the names of its classes; needs --list and --images")
    drawing.add_argument("--images", type=Path, metavar="DIR", help="folder of the photos")
    drawing.add_argument("--count", type=positive, metavar="N",
                         help="draw N images spread over the list (default: all)")
    drawing.add_argument("--only", nargs="+", metavar="ID", help="draw these images")
    args = parser.parse_args(argv)
    if (args.draw is None) != (args.images is None) or (args.draw and not args.list):
        parser.error("overlays need --draw, --images and --list")
    if not args.draw:
        parser.refuse_unused(args, "without --draw", "--count", "--only")
    if args.only:
        parser.refuse_unused(args, "with --only, which names the images", "--count")
    return args


def main(argv=None):
    args = parse_args(argv)
    refuse_inputs_as_output(args.draw, args.images, what="--draw")
    refuse_inputs_as_output(args.out, args.images)
    names = read_input_list(args.list) if args.list else None
    overlays = [file_of(args.draw, id_of(name)) for name in names.values()] if args.draw else []
    refuse_overwriting(args, {"--out": [args.out], "--draw": overlays})
    if args.draw:
        refuse_written_over({"--draw": overlays}, [photo_file(args.images, name) for name in names.values()],
                            hard_links=False)
    classes = read_classes(args.classes) if args.classes else None
    cues = load_cues(args.file)
    cues.check(len(classes) if classes else None, args.size, overlaps=False)
    if not len(cues):
        raise UserError(f"{args.file} holds no image; make it again with python -m localization_cues.make_cues")
    size = tuple(args.size or size_of_map(args.file, cues))
    report = {"file": str(args.file), "format": file_format(args.file), **summarise(cues, size, names)}
    print_result(report, as_text(report, classes), args.json)
    if args.out:
        write_text(args.out, json.dumps(report, indent=1) + "\n")
    if args.draw:
        drawn = chosen(names, cues, args)
        draw_overlays(cues, size, drawn, classes, args.images, args.draw)
        note(f"{args.draw}: {counted(len(drawn), 'overlay')}")


def chosen(names, cues, args):
    """Number -> photo of the images to draw, in file order.

    Parameters
    ----------
    names : dict of int to str
    cues : Cues
    args : argparse.Namespace

    Returns
    -------
    dict of int to str

    Raises
    ------
    UserError
        An id of --only that list or file lacks, or no photo that both have.
    """
    here = {number: name for number, name in names.items() if number in cues}
    if args.only:
        by_id = {id_of(name): number for number, name in here.items()}
        unknown = [image_id for image_id in args.only if image_id not in by_id]
        if unknown:
            raise UserError(f"--only {unknown[0]}: {args.list} and {args.file} do not both have this image")
        return {by_id[image_id]: here[by_id[image_id]] for image_id in args.only}
    if not here:
        raise UserError(f"{args.file} has no image of {args.list}; the file belongs to another list")
    if args.count and args.count < len(here):
        numbers = list(here)
        places = np.linspace(0, len(numbers) - 1, args.count).astype(int)
        return {numbers[k]: here[numbers[k]] for k in places}
    return here


if __name__ == "__main__":
    run_main(main)
