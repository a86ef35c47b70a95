"""Fits the temperatures of a run's stage, of its net and of net and CRF, and measures what they do."""

import math
from dataclasses import dataclass

import numpy as np

from dsrg.calibration.record import settings_of
from dsrg.calibration.temperature import BOUNDS, fit_temperature, measured
from dsrg.io.aligned_grids import nearest_aligned
from dsrg.io.errors import UserError
from dsrg.io.image_ids import file_of
from dsrg.io.label_png import load_label_png
from dsrg.io.photos import find_images
from dsrg.io.progress_bar import progress
from dsrg.io.versions import git_commit
from dsrg.io.voc import IGNORE_LABEL
from dsrg.io.workers import available_cpus
from dsrg.scoring.multiscale import fuse_scores, marginals
from dsrg.scoring.photo_pipeline import score_photos

MOST_PHOTOS = 200           # of each list; more make the temperature no surer and take their time
MOST_PIXELS = 10_000        # of a photo: neighbours say much the same
MOST_VALUES = 40_000_000    # scores that are held, float32, and as many logarithms of marginals
LEAST = 1e-30               # of a marginal before the logarithm


def calibrated(model, fitting, measuring=(), workers=None):
    """Fit the temperatures, and measure probabilities before and after.

    Parameters
    ----------
    model : dsrg.model.Model
    fitting : LabelledPhotos
        Photos and label maps that they are fitted to.
    measuring : sequence of LabelledPhotos
        Others that they are measured on besides.
    workers : int, optional

    Returns
    -------
    dict
        What calibration/<stage>.json holds: "parts", "net" (the scores) and, where the recipe has a CRF, "crf" (its
        marginals), each with "temperature", "at_bound" (whether the search ended at one of its bounds), "settings" (as
        of record.settings_of) and "measured": for each list its name, labels, photos, pixels, "left_out" (share of
        pixels that are 255) and "before" and "after" as of temperature.measured.

    Raises
    ------
    UserError
        No labelled pixel, photos or label maps that cannot be read or do not belong together.
    """
    samples = [sampled(model, photos, workers) for photos in (fitting, *measuring)]
    if not len(samples[0].labels):
        raise UserError(f"{fitting.maps}: no pixel of {len(fitting.ids)} label maps has a class; there is nothing to "
                        "fit a temperature to")
    parts = {}
    for part in samples[0].scores:
        value = fit_temperature(samples[0].scores[part], samples[0].labels)
        parts[part] = {"temperature": value, "settings": settings_of(model.files, model.recipe, part == "crf"),
                       "at_bound": min(abs(math.log(value / bound)) for bound in BOUNDS) < 1e-3,
                       "measured": [_measured(photos, sample, part, value)
                                    for photos, sample in zip((fitting, *measuring), samples, strict=True)]}
    return {"parts": parts, "class_names": list(model.class_names), "commit": git_commit()}


def _measured(photos, sample, part, value):
    scores, labels = sample.scores[part], sample.labels
    return {"name": photos.name, "labels": photos.says, "photos": len(photos.ids), "pixels": len(labels),
            "left_out": sample.left_out, "before": measured(scores, labels), "after": measured(scores, labels, value)}


@dataclass(frozen=True)
class Sample:
    """Scores and labels of pixels.

    Attributes
    ----------
    scores : dict of str to float32 array (N, C)
        "net": summed over the sizes, before softmax and CRF. "crf": logarithms of the CRF's marginals, if it is used.
    labels : int64 array (N,)
        Pixels without a class are left out.
    left_out : float
        The share of them, 0 to 1.
    """

    scores: dict
    labels: np.ndarray
    left_out: float


class LabelledPhotos:
    """Photos with label maps.

    Parameters
    ----------
    name, says : str
        What photos they are, and what the label maps are.
    ids : sequence of str
        At most MOST_PHOTOS are taken, at even distances.
    images, maps : Path
        Folders.
    """

    def __init__(self, name, says, ids, images, maps):
        places = np.unique(np.linspace(0, len(ids) - 1, min(MOST_PHOTOS, len(ids))).astype(int)) if ids else []
        self.name, self.says, self.ids = name, says, [ids[place] for place in places]
        self.images, self.maps = images, maps


def sampled(model, photos, workers=None):
    """Scores and labels on a grid of pixels of each photo.

    At the size the photo is scored at: that of the probabilities that are written; on the net's own, coarser map the
    scores have not been blurred as they are there.

    Parameters
    ----------
    model : dsrg.model.Model
    photos : LabelledPhotos
    workers : int, optional

    Returns
    -------
    Sample

    Raises
    ------
    UserError
        As of `calibrated`.
    """
    classes, recipe = len(model.class_names), model.recipe
    most = max(1, min(MOST_PIXELS, MOST_VALUES // (classes * max(1, len(photos.ids)))))
    parts = {}

    def finish(image_id, photo, maps):
        scores = fuse_scores(maps, *photo.image_bgr.shape[:2])
        if scores.shape[2] != classes:
            raise UserError(f"the net scores {scores.shape[2]} classes, and the run has {classes}")
        labels = _labels(file_of(photos.maps, image_id), photo, classes)
        step = math.ceil(math.sqrt(labels.size / most))
        grid = np.s_[step // 2::step, step // 2::step]
        parts[image_id] = {"net": scores[grid].reshape(-1, classes), "labels": labels[grid].ravel()}
        if recipe.crf:
            likely = marginals(scores, photo.image_bgr, None, recipe.crf_scale, model.machine["crf_backend"])[grid]
            parts[image_id]["crf"] = np.log(np.maximum(likely, LEAST)).reshape(-1, classes)

    files = find_images(photos.images, photos.ids)
    done = score_photos(model.net, files, finish, recipe, workers or available_cpus())
    for _ in progress(done, f"score {photos.name}", len(files)):
        pass
    labels = np.concatenate([parts[i]["labels"] for i in files]).astype(np.int64)
    known = labels != IGNORE_LABEL
    return Sample({name: np.concatenate([parts[i][name] for i in files])[known]
                   for name in ("net", "crf")[:1 + recipe.crf]}, labels[known], float(1 - known.mean()))


def _labels(path, photo, classes):
    """A label map at the size that its photo is scored at."""
    labels = load_label_png(path)
    if labels.shape != tuple(photo.size):
        raise UserError(f"{path} is {labels.shape[1]}x{labels.shape[0]}, its photo {photo.size[1]}x{photo.size[0]}")
    beyond = labels[(labels >= classes) & (labels != IGNORE_LABEL)]
    if beyond.size:
        raise UserError(f"{path} holds {beyond.max()}; expected 0 to {classes - 1} or {IGNORE_LABEL}")
    return nearest_aligned(labels, *photo.image_bgr.shape[:2])
