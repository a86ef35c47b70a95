"""Deep seeded region growing: cues spread over confident pixels that hang together with them.

Huang et al., CVPR 2018, section 3.3; the original's DSRGLayer. A pixel joins the region of class c when the
refined probability of c is the largest among the image's classes and above the threshold, and an 8-connected
path of such pixels leads to an initial cue of c. One call starts from the initial cues: nothing accumulates
from one iteration of the training to the next.
"""

import numpy as np

from dsrg.supervision.image_threads import joined

UNLABELLED = -1

# Components live in one plane (one class of one image); within it all 8 neighbours touch.
_EIGHT_NEIGHBOURS = np.zeros((3, 3, 3), dtype=bool)
_EIGHT_NEIGHBOURS[1] = True


def grow_seeds(labels, cues, probabilities, background_threshold, foreground_threshold):
    """Grow the cues of a batch into the confident pixels around them.

    Parameters
    ----------
    labels : array (N, C)
        Non-zero where a class occurs in the image. Class 0, the background, always counts as present.
    cues : array (N, C, H, W)
        Initial seeds, non-zero where a pixel is known to be of a class. A pixel may carry several.
    probabilities : float array (N, C, H, W)
        Class probabilities, refined by the CRF; values in [0, 1].
    background_threshold : float
        `th1` of the original, compared strictly; used for background together with the next.
    foreground_threshold : float
        `th2` of the original, compared strictly.

    Returns
    -------
    array (N, C, H, W)
        A new array of the dtype of `cues`, values 0 and 1: the initial seeds and what they grew to.

    Raises
    ------
    ValueError
        When the shapes do not belong together.

    Notes
    -----
    Of equal probabilities the first class wins; of several seeds on one pixel the last, as in the original.
    A pixel seeded as A whose refined class is B, above the threshold, still bridges the component of B,
    but keeps the cue of A and gets none of B.

    Examples
    --------
    >>> cues = np.zeros((1, 2, 1, 4)); cues[0, 1, 0, 0] = 1
    >>> probabilities = np.array([[[[.1, .1, .9, .1]], [[.9, .9, .1, .9]]]])
    >>> grow_seeds([[1, 1]], cues, probabilities, 0.99, 0.85)[0, 1]
    array([[1., 1., 0., 0.]])
    """
    labels, cues, probabilities = np.asarray(labels), np.asarray(cues), np.asarray(probabilities)
    _check_shapes(labels, cues, probabilities)
    thresholds = background_threshold, foreground_threshold
    return joined(lambda *part: _grown(*part, *thresholds), labels, cues, probabilities)


def _grown(labels, cues, probabilities, background_threshold, foreground_threshold):
    """As grow_seeds, of some images, on one core."""
    present = labels != 0                                                       # (N, C)
    present[:, 0] = True
    seeded = cues != 0                                                          # (N, C, H, W)
    label_map = _confident_label_map(
        present, seeded, probabilities, background_threshold, foreground_threshold
    )                                                                           # (N, H, W)

    image, label = np.nonzero(present)                                          # P planes to look at
    masks = label_map[image] == label[:, None, None]                            # (P, H, W)
    own_seed = seeded[image, label]                                             # (P, H, W)
    kept = _components_with_a_seed(masks, masks & own_seed)
    seeded_once = seeded.sum(axis=1) == 1                                       # (N, H, W)
    kept &= own_seed | ~seeded_once[image]        # a pixel that is the seed of one other class stays its own

    grown = seeded.copy()
    grown[image, label] |= kept
    return grown.astype(cues.dtype)


def _check_shapes(labels, cues, probabilities):
    if cues.ndim != 4 or probabilities.shape != cues.shape or labels.shape != cues.shape[:2]:
        raise ValueError(
            f"grow_seeds: cues are {cues.shape}, probabilities {probabilities.shape}, labels {labels.shape}; "
            "expected (N, C, H, W) for the first two and (N, C) for the labels"
        )


def _confident_label_map(present, seeded, probabilities, background_threshold, foreground_threshold):
    """Class of each pixel that is seeded or confident, else UNLABELLED; (N, H, W)."""
    among_present = np.where(present[:, :, None, None], probabilities, 0)
    best = among_present.argmax(axis=1)                                         # (N, H, W), first class wins
    value = np.take_along_axis(among_present, best[:, None], axis=1)[:, 0]
    last_seed = seeded.shape[1] - 1 - seeded[:, ::-1].argmax(axis=1)
    label_map = np.where(seeded.any(axis=1), last_seed, UNLABELLED)
    # As in the original: background passes only above both thresholds, because its test is nested in the
    # foreground's. A confident pixel overrides the seed here (never in the cues themselves).
    confident = (value > foreground_threshold) & ((best != 0) | (value > background_threshold))
    return np.where(confident, best, label_map)


def _components_with_a_seed(masks, seeds):
    """Pixels of those 8-connected components, plane by plane, that hold at least one seed; (P, H, W)."""
    from scipy import ndimage  # here: a page of a run imports this module, and grows nothing most of the time

    components, count = ndimage.label(masks, structure=_EIGHT_NEIGHBOURS)
    holds_seed = np.zeros(count + 1, dtype=bool)
    holds_seed[components[seeds]] = True
    return holds_seed[components]               # the seeds lie inside the masks, so index 0 stays False
