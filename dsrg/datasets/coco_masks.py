"""COCO's two forms of a region, polygons and run lengths, as masks.

Polygons are filled by pycocotools, whose pixels are those of COCO's own evaluation. Run lengths are decoded here, where
what does not fit the photo is refused: the library would write past its buffer.
"""

import numpy as np
from pycocotools import mask as coco_mask

#: beyond it the library's notes would fill the memory, and it does not ask whether it got any
LONGEST_OUTLINE = 2_000_000


def region_counts(segmentation, height, width):
    """The run lengths of an annotation's region in COCO's compressed form.

    Parameters
    ----------
    segmentation : list of list of float, or dict
        Polygons [x0, y0, x1, y1, ..], or {"size": [height, width], "counts": list of int or str}.

    Returns
    -------
    bytes or None
        None for a region without a polygon of at least three points.

    Raises
    ------
    ValueError
        Neither form, or one that does not fit the photo.
    """
    if isinstance(segmentation, dict):
        runs = run_lengths(segmentation.get("counts"))
        size = segmentation.get("size")
        if size != [height, width] or runs.sum() != height * width:
            raise ValueError(f"its run lengths are of size {size} and cover {runs.sum()} pixels, the photo is "
                             f"{height}x{width}")
        whole = {"size": size, "counts": runs.tolist()}
        return coco_mask.frPyObjects(whole, height, width)["counts"]
    if not isinstance(segmentation, list) or not all(isinstance(polygon, list) for polygon in segmentation):
        raise ValueError("its segmentation is neither a list of polygons nor run lengths")
    polygons = [np.array(polygon, float) for polygon in segmentation if len(polygon) >= 6]
    for polygon in polygons:
        far = 2 * max(height, width)
        if len(polygon) % 2 or not (np.isfinite(polygon).all() and np.abs(polygon).max() <= far):
            raise ValueError(f"a polygon of {len(polygon)} numbers from {polygon.min():g} to {polygon.max():g} does "
                             f"not fit a photo of {height}x{width}")
    if not polygons:
        return None
    if sum(map(_outline, polygons)) > LONGEST_OUTLINE:
        raise ValueError(f"the outline of its polygons is longer than {LONGEST_OUTLINE} pixels")
    return coco_mask.merge(coco_mask.frPyObjects([p.tolist() for p in polygons], height, width))["counts"]


def _outline(polygon):
    """Length of a polygon's outline in steps from pixel to pixel, of each of which the library takes a note."""
    points = polygon.reshape(-1, 2)
    return float(np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum())


def run_lengths(counts):
    """Lengths of the runs of 0, 1, 0, .. down the columns, int64, from either form of `counts`.

    The compressed form spends a character on five bits, lowest first, from "0" up; a sixth bit says that more follow,
    and the last group's highest bit is the sign. From the fourth number on, each is the difference to the second last.

    Parameters
    ----------
    counts : list of int, str or bytes

    Returns
    -------
    numpy.ndarray of int64, shape (runs,)

    Raises
    ------
    ValueError
        Neither form, empty, or a negative length; says which.
    """
    if isinstance(counts, list):
        runs = np.array(counts)
        if runs.dtype.kind not in "iu" or runs.ndim != 1:
            raise ValueError("its run lengths are not a list of whole numbers")
    elif isinstance(counts, str | bytes):
        runs = np.array(_uncompressed(counts.encode("ascii", "replace") if isinstance(counts, str) else counts))
    else:
        raise ValueError("its run lengths are neither a list nor a text")
    if runs.size == 0 or runs.min() < 0:
        raise ValueError("its run lengths are empty or negative")
    return runs.astype(np.int64)


def _uncompressed(text):
    runs, value, shift = [], 0, 0
    for byte in text:
        group = byte - 48
        if not 0 <= group < 64 or shift > 60:
            raise ValueError("its run lengths are not compressed text")
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("its run lengths are cut off")
    return runs


def region_mask(counts, height, width):
    """Boolean mask (height, width) of compressed run lengths that fit it.

    Parameters
    ----------
    counts : list of int, str or bytes
        As of `run_lengths`; height * width in all.
    height, width : int

    Returns
    -------
    numpy.ndarray of bool, shape (height, width)
    """
    runs = run_lengths(counts)
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T
