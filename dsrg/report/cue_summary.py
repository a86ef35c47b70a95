"""What making cues found: coverage, cells by class, and the images that came out in some way short."""

import numpy as np

from dsrg.cuefile.scarce_classes import scarce_text
from dsrg.io.counts import counted

#: kinds of images that the report counts and names
NOTES = {
    "fallback": "with a class below threshold or gate everywhere, kept by its largest cell",
    "empty": "with a class below threshold or gate everywhere, left without a cue",
    "lost": "with a class that lost every cell to others",
    "without_background": "without a background cell",
    "without_cues": "without any cue, which stage s refuses",
}


def summary(merged, names, cue_size, classes):
    """Counts over label maps and what happened to their classes, ready for JSON. Keeps no map.

    Parameters
    ----------
    merged : iterable of (int, Merged)
        Image number, and its label map with the classes that fell back, were lost or stayed empty.
    names : dict of int to str
        Image number -> what to call it.
    cue_size : (int, int)
    classes : sequence of int
        Those that images are labelled with; their cells are counted even where there are none.
    """
    images = foreground = background = 0
    cells = dict.fromkeys([0, *classes], 0)
    notes = {key: [] if key.startswith("without") else {} for key in NOTES}
    for number, result in merged:
        images += 1
        for c, count in zip(*np.unique(result.label_map, return_counts=True), strict=True):
            if c >= 0:
                cells[int(c)] += int(count)
        foreground += (result.label_map > 0).mean()
        background += (result.label_map == 0).mean()
        for key in ("fallback", "empty", "lost"):
            if getattr(result, key):
                notes[key][names[number]] = list(getattr(result, key))
        if not (result.label_map == 0).any():
            notes["without_background"].append(names[number])
        if not (result.label_map >= 0).any():
            notes["without_cues"].append(names[number])
    return {"images": images, "cue_size": list(cue_size), "foreground": float(foreground / images),
            "background": float(background / images), "cells": cells, **notes,
            "counts": {key: len(notes[key]) for key in NOTES}}


def print_summary(path, report, names=None):
    """Print what `summary` found; `names` are those of the classes, in index order."""
    size = "x".join(map(str, report["cue_size"]))
    print(f"{path}: {counted(report['images'], 'image')}, {size} cells, foreground {report['foreground']:.1%}, "
          f"background {report['background']:.1%}")
    for key, text in NOTES.items():
        images = list(report[key])
        if images:
            shown = ", ".join(images[:10]) + (", ..." if len(images) > 10 else "")
            print(f"  {counted(len(images), 'image')} {text}: {shown}")
    if scarce := scarce_text(report["cells"], names):
        print(f"  {scarce}")
