"""A photo and what was made of it as pictures of a page: data URIs that need no other file."""

import base64
import io

import cv2
import numpy as np
from PIL import Image

from dsrg.io import voc
from dsrg.io.aligned_grids import nearest_aligned
from dsrg.io.errors import UserError
from dsrg.io.image_ids import file_of
from dsrg.io.label_png import load_label_png, value_counts
from dsrg.io.photos import find_image, load_image_bgr
from dsrg.report.cue_overlay import overlay
from dsrg.scoring.metrics import Result, confusion_matrix

SIDE = 320              # longer side of the pictures
JPEG_QUALITY = 80


def photo_iou(predicted, truth, count):
    """Mean IoU over the classes of one photo's label maps, and which classes its truth (else its prediction) shows.

    Returns
    -------
    (float or None, list of int)
        None without a true mask.

    Raises
    ------
    UserError
        A map that cannot be read.
    """
    labels = load_label_png(predicted) if predicted.is_file() else None
    if not truth.is_file():
        return None, [] if labels is None else _present(labels, count)
    mask = load_label_png(truth)
    if labels is None:
        return None, _present(mask, count)
    try:
        return Result(confusion_matrix(mask, labels, count), 1).miou, _present(mask, count)
    except ValueError as error:
        raise UserError(f"{predicted}: {error}") from None


def legend(classes, counts=None):
    """[{"name", "colour": "#rrggbb", "count"}] of the classes in index order."""
    return [{"name": name, "colour": "#{:02x}{:02x}{:02x}".format(*voc.palette()[index].tolist()),
             "count": None if counts is None else int(counts[index])} for index, name in enumerate(classes)]


def cell_picture(run, image_id, label_map, title, classes):
    """Cues or grown seeds, int (h, w) with -1 for none, over the photo in gray."""
    image = _small(cv2.cvtColor(_load(run, image_id), cv2.COLOR_BGR2RGB))
    cells = int((label_map >= 0).sum())
    words = f"{title}: {cells / label_map.size:.0%} of the map, {_shares(label_map, classes)}"
    return {"title": title, "uri": jpeg_uri(overlay(image, label_map, voc.palette())), "kind": "photo", "alt": words}


def jpeg_uri(image_rgb):
    """data: URI of a photo, uint8 (H, W, 3)."""
    buffer = io.BytesIO()
    Image.fromarray(image_rgb).save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def map_uri(labels, side=SIDE):
    """data: URI of a label map, uint8 (H, W), in the colours of its classes, shrunk by dropping pixels."""
    factor = side / max(labels.shape)
    if factor < 1:
        labels = nearest_aligned(labels, *(max(1, round(factor * length)) for length in labels.shape))
    image = Image.fromarray(np.ascontiguousarray(labels.astype(np.uint8)))
    image.putpalette(voc.palette().tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def photo_picture(run, image_id):
    """The photo, as a picture of a row."""
    image = _small(cv2.cvtColor(_load(run, image_id), cv2.COLOR_BGR2RGB))
    return {"title": "photo", "uri": jpeg_uri(image), "kind": "photo", "alt": f"photo {image_id}"}


def map_picture(path, title, classes):
    """A label map as a picture of a row; None where there is none."""
    if not path.is_file():
        return None
    labels = load_label_png(path)
    return {"title": title, "uri": map_uri(labels), "kind": "map", "alt": f"{title}: {_shares(labels, classes)}"}


def judged_picture(path, title, truth, classes):
    """A label map as `map_picture`, its mean IoU behind the title where there is a true mask."""
    picture, (iou, _) = map_picture(path, title, classes), photo_iou(path, truth, len(classes))
    if picture is not None and iou is not None and iou == iou:
        picture["title"] += f" {100 * iou:.1f} %"
    return picture


def mask_path(run, image_id):
    """Where the true mask of a photo lies, if anywhere."""
    folder = "masks" if (run / "masks").is_dir() else "data/SegmentationClass"
    return file_of(run / folder, image_id)


def _shares(labels, classes):
    """'background 80 %, cow 20 %' of a label map; what is below half a percent is left out."""
    counts = value_counts(labels[(labels >= 0) & (labels != voc.IGNORE_LABEL)].astype(np.uint8))[:len(classes)]
    shares = 100 * counts / max(1, counts.sum())
    said = [f"{classes[c]} {shares[c]:.0f} %" for c in np.argsort(-shares, kind="stable") if shares[c] >= 0.5]
    return ", ".join(said) or "no class"


def _present(labels, count):
    return [int(c) for c in np.unique(labels) if c < count]


def _load(run, image_id):
    return load_image_bgr(find_image(run / "data/JPEGImages", image_id))


def _small(image):
    factor = SIDE / max(image.shape[:2])
    if factor >= 1:
        return image
    size = tuple(max(1, round(factor * side)) for side in image.shape[1::-1])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
