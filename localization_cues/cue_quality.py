"""A cue file compared with masks: confusion of classes over cells, and coverage."""

import numpy as np

from dsrg.cuefile.label_map import map_from_cues
from dsrg.io import voc
from dsrg.io.aligned_grids import nearest_aligned
from dsrg.io.errors import UserError
from dsrg.io.image_ids import file_of, id_of
from dsrg.io.label_png import load_label_png
from dsrg.io.progress_bar import progress
from dsrg.scoring.metrics import Result, confusion_matrix


def evaluate(cues, names, mask_dir, size, num_classes):
    """Compare cues with masks.

    Parameters
    ----------
    cues : Cues
    names : dict of int to str
        Image number -> photo name; the mask is `<id>.png` in `mask_dir`.
    size : (int, int)
        Height and width of the cue map.

    Returns
    -------
    Result
        Of all images, over cells.
    int64 array (num_classes,)
        Cells with a cue of each class, void included.
    """
    confusion = np.zeros((num_classes, num_classes + 1), np.int64)
    cells = np.zeros(num_classes, np.int64)
    for number, name in progress(names.items(), "evaluate cues", len(names)):
        path = file_of(mask_dir, id_of(name))
        mask = nearest_aligned(load_label_png(path), *size)
        label_map = map_from_cues(cues[number][1], size)
        cells += np.bincount(label_map[label_map >= 0], minlength=num_classes)
        labels = np.where(label_map < 0, voc.IGNORE_LABEL, label_map).astype(np.uint8)
        try:
            confusion += confusion_matrix(mask, labels, num_classes)
        except ValueError as error:
            raise UserError(f"{path}: {error}; check the class list") from None
    return Result(confusion, len(names)), cells


def coverage_table(coverage, classes):
    """Text: share of all cells that carry a cue of each class, in percent.

    Parameters
    ----------
    coverage : float array (C,), 0 to 1
    classes : sequence of str

    Returns
    -------
    str
    """
    width = max(len(name) for name in classes)
    lines = [f"{name:{width}}  {100 * share:6.2f}" for name, share in zip(classes, coverage, strict=True)]
    total = f"foreground {coverage[1:].sum():.1%}, background {coverage[0]:.1%}, together {coverage.sum():.1%}"
    return "\n".join(["", "coverage: cells with a cue, % of all", *lines, total, ""])
