"""What a cue file holds: counts by class, and the images that lack something, for JSON and as text."""

import numpy as np

from dsrg.io.counts import counted
from dsrg.io.image_ids import id_of

#: kinds of images that the summary counts and names
#: list of images of a summary -> (what is said of some, what is said where the list is empty)
NOTES = {
    "missing": ("of the list without cues in this file", "every image of the list has cues in this file"),
    "unlisted": ("of the file outside the list", "every image of the file is in the list"),
    "overlaps": ("with two cues in one cell", "no cell has two cues"),
    "label_without_cue": ("with a label without cues", "every label has cues"),
    "cue_without_label": ("with cues of a class that is none of its labels", "every cue is of a label of its image"),
    "without_foreground": ("without foreground cues", "every image has foreground cues"),
    "without_background": ("without background cues", "every image has background cues"),
}


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
        f"{report['file']}: {report['format']}, {counted(report['images'], 'image')} numbered {report['first']} to "
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
    for key, (some, none) in NOTES.items():
        images = report.get(key)
        if images:
            more = ", ..." if len(images) > 10 else ""
            lines.append(f"{counted(len(images), 'image')} {some}: {', '.join(images[:10])}{more}")
        elif images is not None:
            lines.append(none)
    return lines
