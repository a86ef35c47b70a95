"""Cues as a map of classes, and back."""

import numpy as np


def cues_from_map(label_map):
    """Turn a label map into the (3, n) form, background included.

    Parameters
    ----------
    label_map : (H, W) int array
        Class of each cell, -1 where none is known.

    Returns
    -------
    (3, n) int64 array
        Class, row, column, cells in row order.

    Examples
    --------
    >>> cues_from_map(np.array([[0, -1], [2, 0]])).tolist()
    [[0, 2, 0], [0, 1, 1], [0, 0, 1]]
    """
    label_map = np.asarray(label_map)
    rows, columns = np.nonzero(label_map >= 0)
    return np.stack([label_map[rows, columns], rows, columns]).astype(np.int64)


def map_from_cues(cues, size):
    """The inverse of ``cues_from_map``: int64 (H, W), -1 where there is no cue; the last of two cues wins.

    Parameters
    ----------
    cues : integer array (3, n)
        Class, row and column of each cue.
    size : (int, int)
        Height and width of the map.

    Returns
    -------
    int64 array (H, W)
    """
    label_map = np.full(size, -1, np.int64)
    label_map[cues[1], cues[2]] = cues[0]
    return label_map
