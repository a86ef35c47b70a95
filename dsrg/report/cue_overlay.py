"""Cues drawn over their photo, to be looked at."""

import cv2
import numpy as np

from dsrg.cuefile.label_map import map_from_cues
from dsrg.io import voc
from dsrg.io.aligned_grids import nearest_aligned
from dsrg.io.counts import counted
from dsrg.io.image_ids import file_of, id_of, photo_file
from dsrg.io.photos import load_image_bgr, write_picture
from dsrg.io.progress_bar import progress
from dsrg.report.picture_legend import with_legend

LEAST_SIDE = 480   # smaller photos are enlarged, so that cells and names can be told apart
UNKNOWN_LIFT = 100


def overlay(image, label_map, palette):
    """Cues over a photo in gray; cells without a cue show the photo, paler.

    Parameters
    ----------
    image : (H, W, 3) uint8 array
    label_map : (h, w) int array
        Class of each cell, -1 without a cue.
    palette : (256, 3) uint8 array
        Colours of the classes in the channel order of `image`.

    Returns
    -------
    (H, W, 3) uint8 array
    """
    classes = nearest_aligned(label_map, *image.shape[:2])
    gray = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    known = (classes >= 0)[..., None]
    return np.where(known, 0.35 * gray + 0.65 * palette[classes], 0.5 * gray + UNKNOWN_LIFT).astype(np.uint8)


def cue_picture(image_bgr, label_map, labels, names):
    """Photo, cues beside it, and the names of the image's classes below in their colours.

    Parameters
    ----------
    image_bgr : (H, W, 3) uint8 array
    label_map : (h, w) int array
        Class of each cell, -1 without a cue.
    labels : sequence of int
        The image's classes.
    names : sequence of str or None
        Class names in index order, background first; numbers are written without.

    Returns
    -------
    (H', W', 3) uint8 array, BGR
    """
    scale = max(1.0, LEAST_SIDE / max(image_bgr.shape[:2]))
    size = tuple(round(scale * side) for side in image_bgr.shape[1::-1])
    image_bgr = cv2.resize(image_bgr, size, interpolation=cv2.INTER_LINEAR)
    palette_bgr = voc.palette()[:, ::-1]
    drawn = np.hstack([image_bgr, overlay(image_bgr, label_map, palette_bgr)])
    shown = [0, *sorted({int(c) for c in labels} | {int(c) for c in np.unique(label_map) if c > 0})]
    lines = []
    for number in shown:
        name = names[number] if names and number < len(names) else "background" if number == 0 else str(number)
        cells = counted(int((label_map == number).sum()), "cell")
        strange = "" if number in (0, *labels) else ", no label of this photo"
        lines.append((voc.palette()[number], f"{name}: {cells}{strange}"))
    return cv2.cvtColor(with_legend(cv2.cvtColor(drawn, cv2.COLOR_BGR2RGB), lines), cv2.COLOR_RGB2BGR)


def draw_overlays(cues, size, photos, classes, folder, out):
    """Write `<id>.png` for every photo, its cues drawn over it.

    Parameters
    ----------
    cues : Cues
    size : (int, int)
        Height and width of the cue map.
    photos : dict of int to str
        Image number -> name below `folder`.
    classes : sequence of str or None
        Names by class index.
    folder, out : Path
        Of the photos, of the pictures to write.
    """
    for number, name in progress(photos.items(), "overlays", len(photos)):
        labels, cells = cues[number]
        image_bgr = load_image_bgr(photo_file(folder, name))
        picture = cue_picture(image_bgr, map_from_cues(cells, size), labels.tolist(), classes)
        write_picture(file_of(out, id_of(name)), picture)
