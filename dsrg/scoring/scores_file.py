"""A photo's scores and probabilities as a file of arrays."""

import numpy as np

from dsrg.calibration.temperature import scaled_softmax
from dsrg.io.atomic_files import atomic_write
from dsrg.io.image_ids import file_of


def scores_path(folder, image_id):
    """Where the scores of an image go.

    Parameters
    ----------
    folder : path
    image_id : str

    Returns
    -------
    Path
    """
    return file_of(folder, image_id, ".npz")


def save_scores(path, scores, temperature):
    """Write a file of scores, whole or not at all.

    Parameters
    ----------
    path : path
        `<id>.npz`. It holds 'scores', float16 (C, h, w), before softmax and CRF, summed over the sizes;
        'probabilities', float16 (C, h, w), the softmax of scores / temperature; and what may be said of these:
        'temperature' (float64), 'calibrated' (bool) and 'calibration' (text), as of Temperature.about.
    scores : float array (h, w, C)
        Of the upright photo, at the size that it was scored at.
    temperature : Temperature
    """
    likely = scaled_softmax(scores, temperature.value)
    with atomic_write(path) as temporary:
        np.savez_compressed(temporary, scores=scores.transpose(2, 0, 1).astype(np.float16),
                            probabilities=likely.transpose(2, 0, 1).astype(np.float16), **temperature.about())
