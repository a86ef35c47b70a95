"""How well maps match masks: maximal F-measure, mean absolute error, area under the ROC curve; a sheet of pictures.

As the field does it: precision and recall of `map >= t` at each of the 256 thresholds t, each the mean over the
photos; F from these means; its maximum over t.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import matplotlib
import numpy as np

from dsrg.io.atomic_files import atomic_write
from dsrg.io.errors import UserError
from dsrg.io.image_ids import file_of
from dsrg.io.label_png import value_counts
from dsrg.io.photos import load_image_bgr
from dsrg.io.progress_bar import progress
from dsrg.saliency.background_detection import read_saliency
from dsrg.saliency.drfi.object_mask import read_mask

matplotlib.use("Agg")
from matplotlib import pyplot as plt

BETA_SQUARED = 0.3   # precision counts more; Achanta et al., CVPR 2009


@dataclass(frozen=True)
class Scores:
    """Of one folder of maps: f_max reached at `map >= threshold` (0..255), precision and recall there."""

    photos: int
    f_max: float
    threshold: int
    precision: float
    recall: float
    mae: float
    auc: float


def evaluate(photos, masks, maps):
    """Scores of the maps of a folder.

    Parameters
    ----------
    photos : dict of id to Path
    masks, maps : Path
        Folders of `<id>.png`.

    Returns
    -------
    Scores
    """
    precision, recall, errors, areas = [], [], [], []
    for image_id, path in progress(photos.items(), f"evaluate {maps.name}", len(photos)):
        size = load_image_bgr(path).shape[:2]
        mask = read_mask(file_of(masks, image_id), size)
        if mask.all() or not mask.any():
            raise UserError(f"mask {masks / image_id}.png is all object or all ground: recall or AUC has no value; "
                            "take the photo out of the list")
        gray = np.rint(255 * read_saliency(file_of(maps, image_id), size)).astype(np.uint8)
        curves = precision_recall(gray, mask)
        precision.append(curves[0])
        recall.append(curves[1])
        errors.append(np.abs(gray / 255 - mask).mean())
        areas.append(roc_area(gray, mask))
    precision, recall = np.mean(precision, 0), np.mean(recall, 0)
    f = f_measure(precision, recall)
    best = int(f.argmax())
    return Scores(len(photos), float(f[best]), best, float(precision[best]), float(recall[best]),
                  float(np.mean(errors)), float(np.mean(areas)))


def precision_recall(gray, mask):
    """Precision and recall of ``gray >= t`` for t = 0 to 255; a threshold above every value has precision 0.

    Parameters
    ----------
    gray : (H, W) uint8 array
    mask : (H, W) bool array
        With at least one True.

    Returns
    -------
    (256,) array, (256,) array
    """
    hits = value_counts(gray[mask])[::-1].cumsum()[::-1]
    marked = value_counts(gray)[::-1].cumsum()[::-1]
    return hits / np.maximum(marked, 1), hits / mask.sum()


def f_measure(precision, recall):
    """(1 + beta^2) P R / (beta^2 P + R), 0 where both are 0.

    Parameters
    ----------
    precision, recall : float array, 0 to 1

    Returns
    -------
    float array, 0 to 1
    """
    below = BETA_SQUARED * precision + recall
    return (1 + BETA_SQUARED) * precision * recall / np.where(below > 0, below, 1)


def roc_area(gray, mask):
    """Chance that a pixel of the object is brighter than one of the ground, ties counting half.

    Parameters
    ----------
    gray : uint8 array (H, W)
    mask : bool array (H, W)

    Returns
    -------
    float, 0 to 1
    """
    inside = value_counts(gray[mask])
    outside = value_counts(gray[~mask])
    darker = np.cumsum(outside) - outside / 2
    return float(inside @ darker / (inside.sum() * outside.sum()))


def results(photos, masks, folders):
    """Scores as a dict ready for JSON, by name of each folder of maps (dict of name to Path).

    Parameters
    ----------
    photos : dict of str to Path
    masks : path
    folders : dict of str to Path

    Returns
    -------
    dict
    """
    return {name: asdict(evaluate(photos, masks, folder)) for name, folder in folders.items()}


def table(scores):
    """Lines of a Markdown table.

    Parameters
    ----------
    scores : dict
        As of `results`.

    Returns
    -------
    list of str
    """
    lines = ["| maps | photos | max F | at | precision | recall | MAE | AUC |", "|---|---|---|---|---|---|---|---|"]
    lines += [f"| {name} | {s['photos']} | {s['f_max']:.3f} | {s['threshold']} | {s['precision']:.3f} | "
              f"{s['recall']:.3f} | {s['mae']:.3f} | {s['auc']:.3f} |" for name, s in scores.items()]
    return lines


def draw_montage(out, photos, masks, folders, rows):
    """A sheet of `rows` photos at even distances over the list: photo, mask, and the map of each folder.

    Parameters
    ----------
    out : path
        The picture to write.
    photos : dict of str to Path
    masks : path
    folders : dict of str to Path
    rows : int
        Photos at most.
    """
    ids = list(photos)
    shown = [ids[int(n)] for n in np.unique(np.linspace(0, len(ids) - 1, min(rows, len(ids))).astype(int))]
    columns = ["photo", "mask", *folders]
    figure, axes = plt.subplots(len(shown), len(columns), figsize=(2.4 * len(columns), 1.9 * len(shown)),
                                squeeze=False, layout="constrained")
    for row, image_id in zip(axes, shown, strict=True):
        image_bgr = load_image_bgr(photos[image_id])
        size = image_bgr.shape[:2]
        pictures = [cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB), read_mask(file_of(masks, image_id), size),
                    *(read_saliency(file_of(folder, image_id), size) for folder in folders.values())]
        for axis, picture, name in zip(row, pictures, columns, strict=True):
            axis.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.axis("off")
            if image_id == shown[0]:
                axis.set_title(name, fontsize=9)
        row[0].text(2, 2, image_id, fontsize=6, color="white", va="top", backgroundcolor="black")
    with atomic_write(Path(out)) as temporary:
        figure.savefig(temporary, dpi=90)
    plt.close(figure)
