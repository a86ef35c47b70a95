"""From class maps to one label map: threshold, gate, background, and who wins where two claims meet.

The rules of SEC (Kolesnikov and Lampert, ECCV 2016) as its reimplementations and DSRG's relatives have them:
a cell belongs to class c where the map of c is above a fraction of its maximum; foreground beats background;
between classes the smaller area wins, so classes are painted in order of area, largest first. Two other rules
for cells that several classes claim can be chosen.
"""

from dataclasses import dataclass

import numpy as np

UNKNOWN = -1
#: who gets a cell that several classes claim: the class of the smaller area (SEC); the one whose map, as a fraction of
#: its maximum, is higher there (the argmax of later methods); or nobody
OVERLAP_RULES = ("smaller-area", "strongest", "nobody")


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
        Classes without a cell in the end, because others took all of theirs (or, under `nobody`, disputed them).
    empty : tuple of int
        Classes no cell of which passed threshold and gate, and that were left without.
    """

    label_map: np.ndarray
    fallback: tuple[int, ...]
    lost: tuple[int, ...]
    empty: tuple[int, ...] = ()


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


def merge(maps, labels, background, threshold, gate=None, overlap="smaller-area", fill_empty=True):
    """Resolve the class maps of one image and its background into cues.

    Parameters
    ----------
    maps : array (k, H, W)
        Class activation maps of the image's classes, any scale.
    labels : sequence of k int
        Their classes, from 1.
    background : bool array (H, W)
        Cells that are background unless a class claims them.
    threshold : float in [0, 1), or k of them, one a class
        A cell is claimed where its value is above this fraction of the map's maximum.
    gate : bool array (H, W), optional
        Cells a class may claim at all.
    overlap : str
        One of OVERLAP_RULES.
    fill_empty : bool
        Give a class no cell of which passes its largest cell within the gate, or its largest cell of all when the
        gate is shut or the map shows nothing within it; of a map that is the same everywhere none. Otherwise it gets
        none.

    Returns
    -------
    Merged

    Notes
    -----
    Of equal areas the class named first is painted first; of equal values the class named first wins.
    """
    if overlap not in OVERLAP_RULES:
        raise ValueError(f"overlap is '{overlap}', expected one of {', '.join(OVERLAP_RULES)}")
    relative = relative_maps(maps)
    open_cells = np.ones(relative.shape[1:], bool) if gate is None else np.asarray(gate, bool)
    claims, filled, empty = [], [], []
    thresholds = np.broadcast_to(threshold, len(relative))
    for label, values, raw, least in zip(labels, relative, np.asarray(maps), thresholds, strict=True):
        claim = (values > least) & open_cells
        if not claim.any():
            claim = _largest_cells(values, raw, open_cells) if fill_empty else claim
            (filled if claim.any() else empty).append(int(label))
        claims.append(claim)

    label_map = np.where(background, 0, UNKNOWN).astype(np.int64)
    _paint(label_map, np.array(claims), relative, np.asarray(labels), overlap)
    lost = tuple(int(label) for label in labels if label not in empty and not (label_map == label).any())
    return Merged(label_map, tuple(filled), lost, tuple(empty))


def _paint(label_map, claims, relative, labels, overlap):
    """Write the classes into the cells they claim (k, H, W), disputed cells by the rule."""
    if overlap == "smaller-area":
        for place in np.argsort(-claims.sum(axis=(1, 2)), kind="stable"):
            label_map[claims[place]] = labels[place]
        return
    strongest = labels[np.where(claims, relative, -1).argmax(axis=0)]
    claimed = claims.any(axis=0)
    label_map[claimed] = strongest[claimed]
    if overlap == "nobody":
        label_map[claims.sum(axis=0) > 1] = UNKNOWN


def _largest_cells(values, raw, open_cells):
    """Cells of the maximum: of what shows within the gate, or else of the whole raw map; none of a map that is the same
    everywhere, which points nowhere."""
    inside = np.where(open_cells, values, 0)
    if inside.max() > 0:
        return inside == inside.max()
    return (raw == raw.max()) & (raw.max() > raw.min())
