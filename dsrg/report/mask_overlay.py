"""A label map drawn over its photo, with the names of its classes and their shares below."""

import cv2
import numpy as np

from dsrg.io import voc
from dsrg.io.label_png import value_counts
from dsrg.report.picture_legend import with_legend

LEAST_SIDE, MOST_SIDE = 480, 1600   # smaller photos are enlarged, larger ones shrunk: a picture to look at
STRENGTH = 0.55                     # of the colours over the photo


def share_of_classes(labels, count):
    """Share of each of `count` classes in a label map, float64 (count,); 'ignored' pixels (255) do not count."""
    counts = value_counts(labels)[:count]
    return counts / max(1, counts.sum())


def overlay(image_rgb, labels, strength=STRENGTH):
    """The colours of the classes over a photo; background shows the photo as it is, classes have an edge.

    Parameters
    ----------
    image_rgb : ndarray of uint8, shape (H, W, 3)
    labels : ndarray of uint8, shape (H, W)
    strength : float
        0 shows the photo alone, 1 the colours alone.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
    """
    coloured = voc.palette()[labels]
    mixed = cv2.addWeighted(image_rgb, 1 - strength, coloured, strength, 0)
    result = np.where((labels > 0)[..., None], mixed, image_rgb)
    edge = np.zeros(labels.shape, bool)
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edge[1:] |= labels[1:] != labels[:-1]
    result[edge] = 255
    return result


def overlay_with_legend(image_rgb, labels, class_names):
    """The overlay at a size to look at, and below it a line for each class that occurs.

    Returns
    -------
    ndarray of uint8, shape (H', W', 3)
    """
    longer = max(labels.shape)
    factor = max(1, LEAST_SIDE / longer) if longer < MOST_SIDE else MOST_SIDE / longer
    size = tuple(max(1, round(factor * side)) for side in labels.shape[::-1])
    shares = share_of_classes(labels, len(class_names))
    if factor != 1:
        image_rgb = cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
        labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT)
    shown = [index for index in np.argsort(-shares, kind="stable") if shares[index]]
    return with_legend(overlay(image_rgb, labels), [
        (voc.palette()[index], f"{class_names[index]}  {shares[index]:.1%}") for index in shown])
