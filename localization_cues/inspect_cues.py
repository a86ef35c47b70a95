"""Say what a cue file holds, hold it against a list of photos, and draw its cues over them.

    python -m localization_cues.inspect_cues cues/localization_cues.pickle
    python -m localization_cues.inspect_cues cues/localization_cues.pickle --list lists/input_list.txt \\
        --classes lists/classes.txt --images data/JPEGImages --draw overlays --count 20

Any cue file: the original's pickles of Python 2 or 3 (nothing in one is run) and .npz. Without --size the map is that
of the .json beside the file, or ends with the last row and column that carry a cue.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from dsrg.cuefile.format import CueError, load_cues, map_from_cues
from dsrg.cuefile.map_size import size_of_map
from dsrg.io.atomic_files import write_text
from dsrg.io.class_names import read_classes
from dsrg.io.errors import UserError, run_main
from dsrg.io.image_ids import file_of, id_of, photo_file
from dsrg.io.lists import read_input_list
from dsrg.io.output_folders import refuse_inputs_as_output
from dsrg.io.photos import load_image_bgr, write_picture
from dsrg.io.progress_bar import progress
from dsrg.report.cue_overlay import cue_picture

#: kinds of images that the summary counts and names
NOTES = {
    "missing": "of the list have no cues in this file",
    "unlisted": "of the file are not in the list",
    "overlaps": "have a cell with two cues",
    "label_without_cue": "have a label without a cue",
    "cue_without_label": "have cues of a class that is not their label",
    "without_foreground": "have no foreground cue",
    "without_background": "have no background cue",
}


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m localization_cues.inspect_cues",
                                     description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path, metavar="FILE", help="cue file, .pickle or .npz")
    parser.add_argument("--list", type=Path, help='photos the file should be for, "<name>.jpg <number>" a line')
    parser.add_argument("--classes", type=Path, help="class names in index order, background first")
    parser.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help="size of the cue map")
    parser.add_argument("--out", type=Path, metavar="JSON", help="write the summary with every image named")
    drawing = parser.add_argument_group("overlays")
    drawing.add_argument("--draw", type=Path, metavar="DIR",
                         help="write <id>.png: photo, cues and the names of its classes; needs --list and --images")
    drawing.add_argument("--images", type=Path, metavar="DIR", help="folder of the photos")
    drawing.add_argument("--count", type=int, metavar="N", help="draw N images spread over the list (default: all)")
    drawing.add_argument("--only", nargs="+", metavar="ID", help="draw these images")
    args = parser.parse_args(argv)
    if (args.draw is None) != (args.images is None) or (args.draw and not args.list):
        parser.error("overlays need --draw, --images and --list")
    if args.count is not None and args.count < 1:
        parser.error("--count must be positive")
    return args


def main(argv=None):
    args = parse_args(argv)
    refuse_inputs_as_output(args.draw, args.images, what="--draw")
    refuse_inputs_as_output(args.out, args.images)
    names = read_input_list(args.list) if args.list else None
    classes = read_classes(args.classes) if args.classes else None
    try:
        cues = load_cues(args.file)
        cues.check(len(classes) if classes else None, args.size, overlaps=False)
    except CueError as error:
        raise UserError(str(error)) from None
    if not len(cues):
        raise UserError(f"{args.file} holds no image; make it again with python -m localization_cues.make_cues")
    size = tuple(args.size or size_of_map(args.file, cues))
    report = {"file": str(args.file), "format": file_format(args.file), **summarise(cues, size, names)}
    print("\n".join(as_text(report, classes)))
    if args.out:
        write_text(args.out, json.dumps(report, indent=1) + "\n")
    if args.draw:
        draw(cues, size, chosen(names, cues, args), classes, args.images, args.draw)


def file_format(path):
    """The kind of a cue file that could be read: '.npz' or the pickle protocol."""
    if path.suffix == ".npz":
        return "npz"
    with open(path, "rb") as file:
        head = file.read(2)
    return f"pickle, protocol {head[1]}" if head[:1] == b"\x80" else "pickle, protocol 0 or 1"


def summarise(cues, size, names=None):
    """What is in a cue file, ready for JSON.

    Parameters
    ----------
    cues : Cues
    size : (int, int)
        Height and width of the map, for the coverage.
    names : dict of int to str, optional
        Image number -> photo; lists what either side lacks. Images are named by it, else by their number.

    Returns
    -------
    dict
        images, first, last, cue_size; foreground, background (shares of all cells); labels_per_image; classes: a
        dict a class with images (that have the label), cells, share, without_cue (images); one list of images a
        key of NOTES (missing and unlisted only with `names`).
    """
    arrays = cues.arrays()
    numbers, labels, cells = arrays["indices"], arrays["labels"], arrays["cues"]
    per_image = np.diff(arrays["label_offsets"])
    labelled = set(zip(np.repeat(numbers, per_image).tolist(), labels.tolist(), strict=True))
    span = int(cells[0].max(initial=0)) + 1
    cued = {divmod(code, span) for code in np.unique(cues.image_of_cue() * span + cells[0]).tolist()}
    total = len(cues) * size[0] * size[1]
    counts = np.bincount(cells[0], minlength=max([1, *(c + 1 for _, c in labelled)]))
    bare = labelled - cued

    def named(images):
        return [_name(number, names) for number in sorted(images)]

    present = sorted({c for _, c in labelled} | {c for _, c in cued} | {0})
    report = {
        "images": len(cues), "first": int(numbers.min()), "last": int(numbers.max()), "cue_size": list(size),
        "foreground": float(counts[1:].sum() / total), "background": float(counts[0] / total),
        "labels_per_image": {int(k): int(n) for k, n in zip(*np.unique(per_image, return_counts=True), strict=True)},
        "classes": [{"class": c, "images": sum(k == c for _, k in labelled), "cells": int(counts[c]),
                     "share": float(counts[c] / total), "without_cue": sum(k == c for _, k in bare)} for c in present],
        "overlaps": named(cues.overlaps()),
        "label_without_cue": named({i for i, _ in bare}),
        "cue_without_label": named({i for i, c in cued - labelled if c > 0}),
        "without_foreground": named(set(cues) - {i for i, c in cued if c > 0}),
        "without_background": named(set(cues) - {i for i, c in cued if c == 0}),
    }
    if names is not None:
        report["missing"] = named(set(names) - set(cues))
        report["unlisted"] = named(set(cues) - set(names))
    return report


def _name(number, names):
    return id_of(names[number]) if names and number in names else str(number)


def as_text(report, classes=None):
    """Lines of the summary; class names where they are known."""
    rows, columns = report["cue_size"]
    shares = report["foreground"], report["background"]
    lines = [
        f"{report['file']}: {report['format']}, {report['images']} images numbered {report['first']} to "
        f"{report['last']}, map {rows}x{columns}",
        f"coverage: foreground {shares[0]:.1%}, background {shares[1]:.1%}, together {sum(shares):.1%}",
        "labels an image: " + ", ".join(f"{n} with {k}" for k, n in report["labels_per_image"].items()),
        "",
    ]
    titles = [str(row["class"]) if classes is None else classes[row["class"]] for row in report["classes"]]
    width = max(5, *map(len, titles))
    lines.append(f"{'class':{width}}  images  without cue     cells  % of all")
    for title, row in zip(titles, report["classes"], strict=True):
        images = ("-", "-") if row["class"] == 0 else (row["images"], row["without_cue"])
        lines.append(f"{title:{width}}  {images[0]:>6}  {images[1]:>11}  {row['cells']:>8}  {100 * row['share']:8.2f}")
    lines.append("")
    for key, text in NOTES.items():
        images = report.get(key)
        if images:
            lines.append(f"{len(images)} images {text}: {', '.join(images[:10])}{', ...' if len(images) > 10 else ''}")
        elif images is not None:
            lines.append(f"no images {text}")
    return lines


def chosen(names, cues, args):
    """Number -> photo of the images to draw, in file order."""
    here = {number: name for number, name in names.items() if number in cues}
    if args.only:
        by_id = {id_of(name): number for number, name in here.items()}
        unknown = [image_id for image_id in args.only if image_id not in by_id]
        if unknown:
            raise UserError(f"--only {unknown[0]}: {args.list} and {args.file} have no such image together")
        return {by_id[image_id]: here[by_id[image_id]] for image_id in args.only}
    if not here:
        raise UserError(f"{args.file} has no image of {args.list}; the file belongs to another list")
    if args.count and args.count < len(here):
        numbers = list(here)
        places = np.linspace(0, len(numbers) - 1, args.count).astype(int)
        return {numbers[k]: here[numbers[k]] for k in places}
    return here


def draw(cues, size, photos, classes, folder, out):
    """Write `<id>.png` for every photo; see overlay.cue_picture."""
    for number, name in progress(photos.items(), "overlays", len(photos)):
        labels, cells = cues[number]
        image_bgr = load_image_bgr(photo_file(folder, name))
        picture = cue_picture(image_bgr, map_from_cues(cells, size), labels.tolist(), classes)
        write_picture(file_of(out, id_of(name)), picture)


if __name__ == "__main__":
    run_main(main)
