"""A sheet of pictures of one run: for a few train and val photos what each stage made of them."""

from pathlib import Path

import cv2
import matplotlib
import numpy as np

from dsrg.cuefile.format import load_cues
from dsrg.cuefile.label_map import map_from_cues
from dsrg.io import voc
from dsrg.io.atomic_files import atomic_write
from dsrg.io.image_ids import file_of, id_of
from dsrg.io.label_png import load_label_png
from dsrg.io.lists import read_ids, read_input_list
from dsrg.io.photos import find_image, load_image_bgr
from dsrg.report.cue_overlay import overlay

matplotlib.use("Agg")
from matplotlib import pyplot as plt

TRAIN_COLUMNS = ("photo", "cues", "pseudo-label", "ground truth")
VAL_COLUMNS = ("photo", "static seeds", "DSRG, stage s", "retrained", "fully supervised", "ground truth")
VAL_FOLDERS = {"static seeds": "static", "DSRG, stage s": "s", "retrained": "f", "fully supervised": "full"}


def draw_montage(run, out, photos):
    """Draw `photos` train photos and as many val photos of a run folder, spread over the lists.

    Returns
    -------
    bool
        False, and no file, where the run has neither pseudo-labels nor segmentations yet.
    """
    run = Path(run)
    panels = []
    if (run / "labels").is_dir():
        numbers = {id_of(name): number for number, name in read_input_list(run / "lists/input_list.txt").items()}
        ids = _spread(run / "lists/train_id.txt", photos)
        cues = _cues(run)
        panels.append((TRAIN_COLUMNS, [_train_row(run, cues, numbers.get(i), i) for i in ids]))
    if (run / "segmentations").is_dir():
        panels.append((VAL_COLUMNS, [_val_row(run, i) for i in _spread(run / "lists/val_id.txt", photos)]))
    if not panels:
        return False
    panels = [([name for name in names if any(row.get(name) is not None for row in pictures)], pictures)
              for names, pictures in panels]
    columns = max(len(names) for names, _ in panels)
    rows = sum(len(r) for _, r in panels)
    # fixed places: for a layout of its own matplotlib measures every picture, longer than it takes to draw them
    figure, axes = plt.subplots(rows, columns, figsize=(2.4 * columns, 1.9 * rows), squeeze=False)
    figure.subplots_adjust(0.01, 0.04 / rows, 0.99, 1 - 0.16 / rows, 0.04, 0.16)
    for axis in axes.flat:
        axis.axis("off")
    line = 0
    for names, pictures in panels:
        for row, shown in enumerate(pictures):
            for axis, name in zip(axes[line], names, strict=False):
                if row == 0:
                    axis.set_title(name, fontsize=9)
                if shown.get(name) is not None:
                    axis.imshow(shown[name], interpolation="nearest")
            line += 1
    with atomic_write(out) as temporary:
        figure.savefig(temporary, dpi=90)
    plt.close(figure)
    return True


def _spread(id_list, count):
    """`count` ids at even distances over a list."""
    ids = read_ids(id_list)
    positions = np.unique(np.linspace(0, len(ids) - 1, min(count, len(ids))).astype(int))
    return [ids[n] for n in positions]


def _photo(run, image_id):
    return cv2.cvtColor(load_image_bgr(find_image(run / "data/JPEGImages", image_id)), cv2.COLOR_BGR2RGB)


def _coloured(labels):
    return voc.palette()[labels]


def _map(path):
    return _coloured(load_label_png(path)) if path.is_file() else None


def _train_row(run, cues, number, image_id):
    photo = _photo(run, image_id)
    return {"photo": photo, "cues": _cue_picture(cues, number, photo),
            "pseudo-label": _map(file_of(run / "labels", image_id)),
            "ground truth": _true_mask(run, image_id)}


def _val_row(run, image_id):
    row = {"photo": _photo(run, image_id), "ground truth": _true_mask(run, image_id)}
    for name, folder in VAL_FOLDERS.items():
        row[name] = _map(file_of(run / "segmentations" / folder, image_id))
    return row


def _true_mask(run, image_id):
    folder = "masks" if (run / "masks").is_dir() else "data/SegmentationClass"
    return _map(file_of(run / folder, image_id))


def _cues(run):
    """The cues of a run, by number; an empty dict where there are none."""
    path = next((run / "cues").glob("localization_cues.[np]*"), None)  # .npz or .pickle
    return load_cues(path) if path else {}


def _cue_picture(cues, number, photo):
    """Cues over the photo; None where there are none."""
    if number not in cues:
        return None
    return overlay(photo, map_from_cues(cues[number][1], cues.least_size()), voc.palette())
