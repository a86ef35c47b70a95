"""Deep seeded region growing: cues spread over confident pixels that hang together with them.

Huang et al., CVPR 2018, section 3.3; the original's DSRGLayer. A pixel joins the region of class c when the
refined probability of c is the largest among the image's classes and above the threshold, and an 8-connected
path of such pixels leads to an initial cue of c. One call starts from the initial cues: nothing accumulates
from one iteration of the training to the next.
"""

import numpy as np

from dsrg.supervision.image_threads import image_by_image

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
    return image_by_image(lambda *image: _grow(*image, *thresholds), np.empty_like(cues), labels, cues, probabilities)


def _grow(labels, cues, probabilities, grown, background_threshold, foreground_threshold):
    """As grow_seeds, of one image: labels (C,), the others (C, H, W); `grown` is filled."""
    present = labels != 0
    present[0] = True
    classes = np.flatnonzero(present)                                           # (P,), planes to look at
    seeded = cues != 0                                                          # (C, H, W)
    own_seed = seeded[classes]                                                  # (P, H, W)
    last_seed, count = _seeds_of_pixels(seeded)
    label_map = _confident_label_map(classes, last_seed, probabilities[classes], background_threshold,
                                     foreground_threshold)                      # (H, W)
    masks = label_map == classes[:, None, None]                                 # (P, H, W)
    kept = _components_with_a_seed(masks, masks & own_seed)
    kept &= own_seed | (count != 1)               # a pixel that is the seed of one other class stays its own
    grown[...] = seeded
    grown[classes] = own_seed | kept


def _check_shapes(labels, cues, probabilities):
    if cues.ndim != 4 or probabilities.shape != cues.shape or labels.shape != cues.shape[:2]:
        raise ValueError(
            f"grow_seeds: cues are {cues.shape}, probabilities {probabilities.shape}, labels {labels.shape}; "
            "expected (N, C, H, W) for the first two and (N, C) for the labels"
        )


def _seeds_of_pixels(seeded):
    """The last class that each pixel of seeded (C, H, W) is a seed of, else UNLABELLED, and of how many; (H, W)."""
    height, width = seeded.shape[1:]
    label, pixel = np.divmod(np.flatnonzero(seeded), height * width)            # classes ascend: the last one stays
    last_seed = np.full(height * width, UNLABELLED)
    last_seed[pixel] = label
    count = np.bincount(pixel, minlength=height * width)
    return last_seed.reshape(height, width), count.reshape(height, width)


def _confident_label_map(classes, last_seed, probabilities, background_threshold, foreground_threshold):
    """Class of each pixel that is seeded or confident, else UNLABELLED; (H, W), of the classes' own (P, H, W)."""
    best = classes[probabilities.argmax(axis=0)]                                # (H, W), first class wins
    value = probabilities.max(axis=0)
    # As in the original: background passes only above both thresholds, because its test is nested in the
    # foreground's. A confident pixel overrides the seed here (never in the cues themselves).
    confident = (value > foreground_threshold) & ((best != 0) | (value > background_threshold))
    return np.where(confident, best, last_seed)


def _components_with_a_seed(masks, seeds):
    """Pixels of those 8-connected components, plane by plane, that hold at least one seed; (P, H, W)."""
    from scipy import ndimage  # here: a page of a run imports this module, and grows nothing most of the time

    components, count = ndimage.label(masks, structure=_EIGHT_NEIGHBOURS)
    holds_seed = np.zeros(count + 1, dtype=bool)
    holds_seed[components[seeds]] = True
    return holds_seed[components]               # the seeds lie inside the masks, so index 0 stays False
