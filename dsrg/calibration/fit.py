"""Fits the temperature of a run's stage on photos that it has not learned from, and measures what it does."""

import math

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
from dsrg.scoring.multiscale import fuse_scores
from dsrg.scoring.photo_pipeline import score_photos

MOST_PHOTOS = 200           # of each list; more make the temperature no surer and take their time
MOST_PIXELS = 10_000        # of a photo: neighbours say much the same
MOST_VALUES = 40_000_000    # scores that are held, float32


def calibrated(model, fitting, measuring=(), workers=None):
    """Fit the temperature, and measure probabilities before and after.

    Parameters
    ----------
    model : dsrg.model.Model
    fitting : LabelledPhotos
        Photos and label maps that the temperature is fitted to.
    measuring : sequence of LabelledPhotos
        Others that it is measured on besides.
    workers : int, optional

    Returns
    -------
    dict
        What calibration/<stage>.json holds: "temperature", "at_bound" (whether the search ended at one of its bounds),
        "settings" (as of record.settings_of), "fitted_on" and "measured": for each list its name, photos, pixels,
        "left_out" (share of pixels that are 255) and "before" and "after" as of temperature.measured.

    Raises
    ------
    UserError
        No labelled pixel, photos or label maps that cannot be read or do not belong together.
    """
    scores, labels, left_out = sampled(model, fitting, workers)
    if not len(labels):
        raise UserError(f"{fitting.maps}: no pixel of {len(fitting.ids)} label maps has a class; there is nothing to "
                        "fit a temperature to")
    value = fit_temperature(scores, labels)
    record = {"temperature": value, "at_bound": min(abs(math.log(value / bound)) for bound in BOUNDS) < 1e-3,
              "settings": settings_of(model.files, model.recipe), "class_names": list(model.class_names)}
    found = [_measured(fitting, scores, labels, left_out, value)]
    for photos in measuring:
        found.append(_measured(photos, *sampled(model, photos, workers), value))
    return {**record, "measured": found, "commit": git_commit()}


def _measured(photos, scores, labels, left_out, value):
    return {"name": photos.name, "labels": photos.says, "photos": len(photos.ids), "pixels": len(labels),
            "left_out": left_out, "before": measured(scores, labels), "after": measured(scores, labels, value)}


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
    float32 array (N, C)
        Summed over the sizes, before softmax and CRF.
    int64 array (N,)
        Pixels without a class are left out.
    float
        The share of them, 0 to 1.

    Raises
    ------
    UserError
        As of `calibrated`.
    """
    classes = len(model.class_names)
    most = max(1, min(MOST_PIXELS, MOST_VALUES // (classes * max(1, len(photos.ids)))))
    parts = {}

    def finish(image_id, photo, maps):
        scores = fuse_scores(maps, *photo.image_bgr.shape[:2])
        if scores.shape[2] != classes:
            raise UserError(f"the net scores {scores.shape[2]} classes, and the run has {classes}")
        labels = _labels(file_of(photos.maps, image_id), photo, classes)
        step = math.ceil(math.sqrt(labels.size / most))
        grid = np.s_[step // 2::step, step // 2::step]
        parts[image_id] = scores[grid].reshape(-1, classes), labels[grid].ravel()

    files = find_images(photos.images, photos.ids)
    done = score_photos(model.net, files, finish, model.recipe, workers or available_cpus())
    for _ in progress(done, f"score {photos.name}", len(files)):
        pass
    scores = np.concatenate([parts[i][0] for i in files] or [np.zeros((0, classes), np.float32)])
    labels = np.concatenate([parts[i][1] for i in files] or [np.zeros(0, np.uint8)]).astype(np.int64)
    known = labels != IGNORE_LABEL
    return scores[known], labels[known], float(1 - known.mean()) if len(known) else 0.0


def _labels(path, photo, classes):
    """A label map at the size that its photo is scored at."""
    labels = load_label_png(path)
    if labels.shape != tuple(photo.size):
        raise UserError(f"{path} is {labels.shape[1]}x{labels.shape[0]}, its photo {photo.size[1]}x{photo.size[0]}")
    beyond = labels[(labels >= classes) & (labels != IGNORE_LABEL)]
    if beyond.size:
        raise UserError(f"{path} holds {beyond.max()}; expected 0 to {classes - 1} or {IGNORE_LABEL}")
    return nearest_aligned(labels, *photo.image_bgr.shape[:2])
