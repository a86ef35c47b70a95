"""Losses of DSRG and SEC with their gradients, as the original's Python layers define them.

Every function takes arrays (N, C, H, W) with background as class 0 and returns the value with the gradients the
original has, of the dtype it computes in: float32 where all arrays are float32, as blobs are, else float64. Values
are summed in float64. Any number of classes, any size.
"""

import math

import numpy as np

from dsrg.supervision.image_threads import by_images, image_by_image

MIN_PROBABILITY = 1e-4      # floor of SoftmaxLayer and, before and after the CRF, of CRFLayer
MIN_COUNT = 1e-4            # BalancedSeedLossLayer divides by at least this: no seeds, no loss
RATIO_RANGE = (0.05, 20.0)  # ConstrainLossLayer clips Q / p to it
DECAY_FOREGROUND = 0.996    # SEC, Kolesnikov & Lampert 2016, section 3.2.2: ranks of a present class
DECAY_BACKGROUND = 0.999    # the same for background


def floored_softmax(scores, floor=MIN_PROBABILITY):
    """Softmax over classes, plus `floor`, divided by its sum again: no probability is ever 0.

    Parameters
    ----------
    scores : array (N, C, H, W)
    floor : float
        Added to each probability before the second division.

    Returns
    -------
    array (N, C, H, W)
        Probabilities between floor / (1 + C floor) and (1 + floor) / (1 + C floor), summing to 1 over C.
    """
    normaliser = 1.0 + scores.shape[1] * floor

    def of_image(scores, values):               # (C, H, W)
        with np.errstate(invalid="ignore"):     # infinite scores become NaN, which the training stops at
            np.subtract(scores, np.max(scores, axis=0), out=values)
        np.exp(values, out=values)
        values *= 1.0 / (normaliser * values.sum(axis=0))
        values += floor / normaliser

    return image_by_image(of_image, np.empty(scores.shape, _dtype(scores)), scores)


def floored_softmax_backward(probabilities, gradient, floor=MIN_PROBABILITY):
    """Gradient with respect to the scores, from the output of `floored_softmax` and the gradient of it.

    With p = (s + floor) / k, k = 1 + C floor, s the plain softmax: dx = s (g - sum_c s g) / k.

    Parameters
    ----------
    probabilities : float array (N, C, H, W)
        What `floored_softmax` gave.
    gradient : float array (N, C, H, W)
        With respect to the probabilities.
    floor : float

    Returns
    -------
    array (N, C, H, W)
    """
    scale = 1.0 + probabilities.shape[1] * floor

    def of_image(probabilities, gradient, weighted):        # (C, H, W)
        plain = np.multiply(probabilities, scale, dtype=weighted.dtype)
        plain -= floor
        np.multiply(plain, gradient, out=weighted)
        plain *= weighted.sum(axis=0)
        weighted -= plain
        weighted *= 1.0 / scale

    result = np.empty(probabilities.shape, _dtype(probabilities, gradient))
    return image_by_image(of_image, result, probabilities, gradient)


def seed_loss(probabilities, cues):
    """Seed loss of SEC: mean over images of -sum(cues log p) / sum(cues), one count for all classes.

    Parameters
    ----------
    probabilities : float array (N, C, H, W), above 0
    cues : float array (N, C, H, W), 0 or 1

    Returns
    -------
    value : float
    gradient : array (N, C, H, W), with respect to the probabilities
        Images without any cue add nothing.
    """
    return _seed_loss(probabilities, cues, lambda image, label: image)


def balanced_seed_loss(probabilities, cues):
    """Balanced seed loss (DSRG, equation 2): background and foreground each averaged over their own seeds.

    All foreground classes of an image share one count; each part is the mean over the images.

    Parameters
    ----------
    probabilities : float array (N, C, H, W), above 0
    cues : float array (N, C, H, W), 0 or 1

    Returns
    -------
    value : float
    gradient : array (N, C, H, W), with respect to the probabilities
    """
    return _seed_loss(probabilities, cues, lambda image, label: 2 * image + (label > 0))


def constrain_loss(probabilities, log_q):
    """Boundary loss: mean over n, h, w of sum_c Q log(clip(Q / p, 0.05, 20)), Q = exp(log_q) from the CRF.

    Parameters
    ----------
    probabilities : float array (N, C, H, W), above 0
    log_q : float array (N, C, H, W)

    Returns
    -------
    value : float
    gradient : array (N, C, H, W), with respect to the probabilities
    gradient_log_q : array (N, C, H, W), with respect to log_q
        As in the original (in SEC the CRF stops the gradient): its CRFLayer passes it on.
    """
    dtype = _dtype(probabilities, log_q)
    gradient, gradient_log_q = np.empty(probabilities.shape, dtype), np.empty(probabilities.shape, dtype)
    count = probabilities[:, 0].size

    def of_part(*part):
        return [_constrain_image(*image, count) for image in zip(*part, strict=True)]

    parts = by_images(of_part, probabilities, log_q, gradient, gradient_log_q)
    return float(sum(value for values in parts for value in values) / count), gradient, gradient_log_q


def _constrain_image(p, log_q, gradient, gradient_log_q, count):
    """Sum of the boundary loss over one image (C, H, W), whose arrays stay in the cache; the gradients are filled."""
    q = np.exp(log_q, dtype=gradient.dtype)
    with np.errstate(divide="ignore"):          # a probability of 0 is a ratio beyond the clip, like others
        ratio = np.divide(q, p, dtype=gradient.dtype)
    log_ratio = np.clip(ratio, *RATIO_RANGE)
    inside = ratio == log_ratio
    np.multiply(log_ratio, inside, out=gradient)        # the ratio where it counts; elsewhere it may be inf
    gradient *= -1.0 / count
    np.log(log_ratio, out=log_ratio)
    np.add(log_ratio, inside, out=gradient_log_q)
    gradient_log_q *= q
    gradient_log_q *= 1.0 / count
    log_ratio *= q
    return log_ratio.sum(dtype=np.float64)      # a product by BLAS would wake its threads for microseconds of work


def expand_loss(probabilities, labels):
    """Expansion loss of SEC: present classes must fill part of the image, absent classes no pixel at all.

    Present classes and background are scored by the mean of their probabilities in descending order, the one
    of rank j weighted by decay^j; absent classes by their largest probability.

    Parameters
    ----------
    probabilities : array (N, C, H, W)
    labels : array (N, C)
        Above 0.5 where a class occurs; the entry of background is not read.

    Returns
    -------
    value : float
    gradient : float64 array (N, C, H, W), with respect to the probabilities
        Of several equal maxima of an absent class each gets the full gradient, as Theano has it. An image
        with no present, or with no absent, class adds nothing for that part.
    """
    images, classes, height, width = probabilities.shape
    p = np.asarray(probabilities, dtype=np.float64).reshape(images, classes, height * width)
    present = np.asarray(labels).reshape(images, classes)[:, 1:] > 0.5           # (N, C - 1)
    absent = ~present
    present_weight = present / (np.maximum(present.sum(axis=1, keepdims=True), 1) * images)
    absent_weight = absent / (np.maximum(absent.sum(axis=1, keepdims=True), 1) * images)

    gradient = np.empty_like(p)
    background, foreground, nowhere = p[:, 0], p[:, 1:][present], p[:, 1:][absent]       # rows of places
    value, gradient[:, 0] = _row_scores(background, DECAY_BACKGROUND, np.full(images, 1.0 / images))
    shown, gradient[:, 1:][present] = _row_scores(foreground, DECAY_FOREGROUND, present_weight[present])
    largest, weight = nowhere.max(axis=1), absent_weight[absent]
    value += shown - (weight * np.log1p(-largest)).sum()
    gradient[:, 1:][absent] = (nowhere == largest[:, None]) * (weight / (1.0 - largest))[:, None]
    return float(value), gradient.reshape(probabilities.shape)


def _row_scores(p, decay, row_weights):
    """-sum(row_weights log score), score the mean of a row of p (R, L) weighted by rank; and its gradient (R, L)."""
    weights = _rank_weights(p, decay)                                            # d score / d p
    score = (weights * p).sum(axis=1)
    weights *= (-row_weights / score)[:, None]
    return -(row_weights * np.log(score)).sum(), weights


def _dtype(*arrays):
    """What to compute in: float32 where all arrays are, else float64."""
    return np.float32 if all(np.asarray(array).dtype == np.float32 for array in arrays) else np.float64


def _seed_loss(probabilities, cues, part_of):
    """-sum(cues log p / count) / N and its gradient; `count` is the sum of the cues of the same part.

    `part_of(image, label)`: number of the part, below 2 N. Pixels without a cue are not looked at, which are most.
    """
    cues = np.ascontiguousarray(cues)
    images, classes = cues.shape[:2]
    where = np.flatnonzero(cues != 0)
    weights = cues.reshape(-1)[where].astype(np.float64)
    plane = where // math.prod(cues.shape[2:])
    part = part_of(*divmod(plane, classes))
    count = np.bincount(part, weights, minlength=2 * images)
    weights /= np.maximum(count, MIN_COUNT)[part] * images
    chosen = np.asarray(probabilities).reshape(-1)[where].astype(np.float64)
    value = -float((weights * np.log(chosen)).sum())
    gradient = np.zeros(cues.shape, _dtype(probabilities))
    gradient.reshape(-1)[where] = -weights / chosen
    return value, gradient


def _rank_weights(p, decay):
    """Weights decay^rank / sum, the largest value of each row of p (R, L) having rank 0."""
    powers = decay ** np.arange(p.shape[1] - 1, -1, -1, dtype=np.float64)        # ascending order of p
    weights = np.empty_like(p)
    np.put_along_axis(weights, p.argsort(axis=1, kind="stable"), (powers / powers.sum())[None], axis=1)
    return weights
