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


def save_scores(path, scores, temperature, refined=None):
    """Write a file of scores, whole or not at all.

    Parameters
    ----------
    path : path
        `<id>.npz`. It holds 'scores', float16 (C, h, w), before softmax and CRF, summed over the sizes;
        'probabilities', float16 (C, h, w), as of class_probabilities; 'of', "net" or "crf", whose they are; and
        'temperature' (float64), 'calibrated' (bool), 'calibration' (text), as of Temperature.about.
    scores : float array (h, w, C)
        Of the upright photo, at the size that it was scored at.
    temperature : Temperature
    refined : float32 array (h, w, C), optional
        The CRF's marginals, where it decides.
    """
    likely = class_probabilities(scores, temperature.value, refined)
    with atomic_write(path) as temporary:
        np.savez_compressed(temporary, scores=scores.transpose(2, 0, 1).astype(np.float16),
                            probabilities=likely.transpose(2, 0, 1).astype(np.float16),
                            of="net" if refined is None else "crf", **temperature.about())


def class_probabilities(scores, temperature, refined=None):
    """Probability of each class: the net's, or the CRF's where it decides.

    Parameters
    ----------
    scores : float array (h, w, C)
        Before the softmax.
    temperature : float
        That divides the scores, or the logarithm of the marginals.
    refined : float32 array (h, w, C), optional
        The CRF's marginals.

    Returns
    -------
    float32 array (h, w, C)
        0 to 1, summing to 1; the largest is that of the class in the label map.
    """
    if refined is None:
        return scaled_softmax(scores, temperature)
    with np.errstate(divide="ignore"):      # a class that is not allowed keeps its 0
        return scaled_softmax(np.log(refined), temperature)
