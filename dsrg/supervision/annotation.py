"""Labels and cues of a batch as dense arrays, and mirroring of what belongs together."""

import numpy as np


def dense_annotation(annotations, classes, size):
    """Dense labels and cues.

    Parameters
    ----------
    annotations : sequence of (labels, cues), one per image
        labels: classes >= 1 that occur; cues: (3, n) integers, rows class, row, column.
    classes : int
        Number of classes with background.
    size : (int, int)
        Height and width of the map.

    Returns
    -------
    labels : float32 array (N, classes)
        1 for the classes that occur and for background.
    cues : float32 array (N, classes, height, width)
        1 where there is a cue.

    Examples
    --------
    >>> labels, cues = dense_annotation([([2], np.array([[0, 2], [0, 0], [0, 1]]))], 3, (1, 2))
    >>> labels.tolist(), cues.tolist()
    ([[1.0, 0.0, 1.0]], [[[[1.0, 0.0]], [[0.0, 0.0]], [[0.0, 1.0]]]])
    """
    labels = np.zeros((len(annotations), classes), dtype=np.float32)
    cues = np.zeros((len(annotations), classes, *size), dtype=np.float32)
    labels[:, 0] = 1
    for image, (image_labels, (label, row, column)) in enumerate(annotations):
        labels[image, image_labels] = 1
        cues[image, label, row, column] = 1
    return labels, cues


def mirrored(batch, flips):
    """Copy of `batch` (N, C, H, W) in which the images marked in `flips` (N,) are reversed left to right.

    Parameters
    ----------
    batch : array (N, C, H, W)
    flips : bool array (N,)

    Returns
    -------
    array (N, C, H, W)
    """
    result = np.array(batch)
    result[flips] = result[flips][..., ::-1]
    return result
