"""From class maps to one label map: threshold, gate, background, and who wins where two claims meet.

The rules of SEC (Kolesnikov and Lampert, ECCV 2016) as its reimplementations and DSRG's relatives have them:
a cell belongs to class c where the map of c is above a fraction of its maximum; foreground beats background;
between classes the smaller area wins, so classes are painted in order of area, largest first.
"""

from dataclasses import dataclass

import numpy as np

UNKNOWN = -1


@dataclass(frozen=True)
class Merged:
    """Label map of one image, and what happened to its classes.

    Attributes
    ----------
    label_map : int64 array (H, W)
        Class of each cell, 0 for background, -1 where nothing is known.
    fallback : tuple of int
        Classes no cell of which passed threshold and gate: they were given their largest cell.
    lost : tuple of int
        Classes without a cell in the end, because smaller ones took all of theirs.
    """

    label_map: np.ndarray
    fallback: tuple[int, ...]
    lost: tuple[int, ...]


def relative_maps(maps):
    """Class maps with negative values cut off, as a fraction of each map's maximum.

    Parameters
    ----------
    maps : array (k, H, W)

    Returns
    -------
    float64 array (k, H, W) in [0, 1]
        A map without a positive value becomes 0 everywhere.
    """
    positive = np.maximum(np.asarray(maps, np.float64), 0)
    highest = positive.max(axis=(1, 2), keepdims=True)
    return np.divide(positive, highest, out=np.zeros_like(positive), where=highest > 0)


def merge(maps, labels, background, threshold, gate=None):
    """Resolve the class maps of one image and its background into cues.

    Parameters
    ----------
    maps : array (k, H, W)
        Class activation maps of the image's classes, any scale.
    labels : sequence of k int
        Their classes, from 1.
    background : bool array (H, W)
        Cells that are background unless a class claims them.
    threshold : float in [0, 1)
        A cell is claimed where its value is above this fraction of the map's maximum.
    gate : bool array (H, W), optional
        Cells a class may claim at all.

    Returns
    -------
    Merged

    Notes
    -----
    A class always claims something: where no cell passes, its largest cell within the gate, or its largest
    cell of all when the gate is shut or the map shows nothing within it. Of equal areas the class named first
    is painted first.
    """
    relative = relative_maps(maps)
    open_cells = np.ones(relative.shape[1:], bool) if gate is None else np.asarray(gate, bool)
    claims, fallback = [], []
    for label, values, raw in zip(labels, relative, np.asarray(maps), strict=True):
        claim = (values > threshold) & open_cells
        if not claim.any():
            fallback.append(int(label))
            claim = _largest_cells(values, raw, open_cells)
        claims.append(claim)

    label_map = np.where(background, 0, UNKNOWN)
    areas = np.array([claim.sum() for claim in claims])
    for place in np.argsort(-areas, kind="stable"):
        label_map[claims[place]] = labels[place]
    lost = tuple(int(label) for label in labels if not (label_map == label).any())
    return Merged(label_map.astype(np.int64), tuple(fallback), lost)


def _largest_cells(values, raw, open_cells):
    """Cells of the maximum: of what shows within the gate, or else of the whole raw map."""
    inside = np.where(open_cells, values, 0)
    return inside == inside.max() if inside.max() > 0 else raw == raw.max()
