"""Losses of DSRG and SEC with their gradients, as the original's Python layers define them.

Every function takes arrays (N, C, H, W) with background as class 0, computes in float64 and returns the
value with the gradients the original has; the caller casts them to the blob's type. Any number of classes,
any size.
"""

import numpy as np

MIN_PROBABILITY = 1e-4      # floor of SoftmaxLayer and CRFLayer of the original
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
    float64 array (N, C, H, W)
        Probabilities between floor / (1 + C floor) and (1 + floor) / (1 + C floor), summing to 1 over C.
    """
    exponentials = _exponentials(scores)
    exponentials /= exponentials.sum(axis=1, keepdims=True)
    exponentials += floor
    exponentials /= 1.0 + scores.shape[1] * floor
    return exponentials


def floored_softmax_backward(probabilities, gradient, floor=MIN_PROBABILITY):
    """Gradient with respect to the scores, from the output of `floored_softmax` and the gradient of it.

    With p = (s + floor) / k, k = 1 + C floor, s the plain softmax: dx = s (g - sum_c s g) / k.
    """
    scale = 1.0 + probabilities.shape[1] * floor
    plain = np.multiply(probabilities, scale, dtype=np.float64) - floor          # (N, C, H, W)
    weighted = plain * gradient
    return (weighted - plain * weighted.sum(axis=1, keepdims=True)) / scale


def seed_loss(probabilities, cues):
    """Seed loss of SEC: mean over images of -sum(cues log p) / sum(cues), one count for all classes.

    Returns
    -------
    value : float
    gradient : float64 array (N, C, H, W), with respect to the probabilities
        Images without any cue add nothing.
    """
    count = cues.sum(axis=(1, 2, 3), keepdims=True, dtype=np.float64)
    weights = cues / (np.maximum(count, MIN_COUNT) * len(cues))
    return _negative_log_likelihood(probabilities, weights)


def balanced_seed_loss(probabilities, cues):
    """Balanced seed loss (DSRG, equation 2): background and foreground each averaged over their own seeds.

    All foreground classes of an image share one count; each part is the mean over the images.

    Returns
    -------
    value : float
    gradient : float64 array (N, C, H, W), with respect to the probabilities
    """
    weights = np.array(cues, dtype=np.float64)                                   # (N, C, H, W)
    for part in (weights[:, :1], weights[:, 1:]):
        part /= np.maximum(part.sum(axis=(1, 2, 3), keepdims=True), MIN_COUNT) * len(cues)
    return _negative_log_likelihood(probabilities, weights)


def constrain_loss(probabilities, log_q):
    """Boundary loss: mean over n, h, w of sum_c Q log(clip(Q / p, 0.05, 20)), Q = exp(log_q) from the CRF.

    Returns
    -------
    value : float
    gradient : float64 array (N, C, H, W), with respect to the probabilities
    gradient_log_q : float64 array (N, C, H, W), with respect to log_q
        As in the original (in SEC the CRF stops the gradient): its CRFLayer passes it on.
    """
    q = np.exp(np.asarray(log_q, dtype=np.float64))
    count = q[:, 0].size
    with np.errstate(divide="ignore"):          # a probability of 0 is a ratio beyond the clip, like others
        ratio = q / probabilities
    inside = (ratio >= RATIO_RANGE[0]) & (ratio <= RATIO_RANGE[1])
    log_ratio = np.log(np.clip(ratio, *RATIO_RANGE))
    value = float((q * log_ratio).sum() / count)
    gradient = np.where(inside, -ratio, 0.0) / count
    gradient_log_q = q * (log_ratio + inside) / count
    return value, gradient, gradient_log_q


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

    weights = np.empty_like(p)                                                   # d score / d p
    weights[:, :1] = _rank_weights(p[:, :1], DECAY_BACKGROUND)
    weights[:, 1:] = _rank_weights(p[:, 1:], DECAY_FOREGROUND)
    score = (weights * p).sum(axis=2)                                            # (N, C)
    largest = p[:, 1:].max(axis=2)                                               # (N, C - 1)

    value = -(np.log(score[:, 0]).sum() / images)
    value -= (present_weight * np.log(score[:, 1:])).sum()
    value -= (absent_weight * np.log1p(-largest)).sum()

    score_weight = np.concatenate([np.full((images, 1), 1.0 / images), present_weight], axis=1)
    gradient = weights * (-score_weight / score)[:, :, None]
    at_largest = p[:, 1:] == largest[:, :, None]
    gradient[:, 1:] += at_largest * (absent_weight / (1.0 - largest))[:, :, None]
    return float(value), gradient.reshape(probabilities.shape)


def _exponentials(scores):
    """exp(x - max over classes), float64, a new array."""
    with np.errstate(invalid="ignore"):         # infinite scores become NaN, which the training stops at
        shifted = np.subtract(scores, np.max(scores, axis=1, keepdims=True), dtype=np.float64)
    return np.exp(shifted, out=shifted)


def _negative_log_likelihood(probabilities, weights):
    """-sum(weights log p) and its gradient -weights / p; pixels of weight 0 are not looked at."""
    where = np.nonzero(weights)
    chosen = np.asarray(probabilities[where], dtype=np.float64)
    value = -float(weights[where] @ np.log(chosen))
    gradient = np.zeros(probabilities.shape)
    gradient[where] = -weights[where] / chosen
    return value, gradient


def _rank_weights(p, decay):
    """Weights decay^rank / sum, the largest value of each row of p (N, C, L) having rank 0."""
    powers = decay ** np.arange(p.shape[2] - 1, -1, -1, dtype=np.float64)        # ascending order of p
    weights = np.empty_like(p)
    np.put_along_axis(weights, p.argsort(axis=2, kind="stable"), (powers / powers.sum())[None, None], axis=2)
    return weights
