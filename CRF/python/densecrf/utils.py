"""Unary and pairwise terms from arrays: the functions of pydensecrf.utils."""

import warnings

import numpy as np

from densecrf import _checks

__all__ = [
    "compute_unary", "create_pairwise_bilateral", "create_pairwise_gaussian", "softmax_to_unary",
    "unary_from_labels", "unary_from_softmax",
]  # fmt: skip


def unary_from_labels(labels, n_labels, gt_prob, zero_unsure=True):
    """Energies of a label map that is right with probability `gt_prob`.

    Parameters
    ----------
    labels : int array, any shape
        Values 0..n_labels, 0 meaning "unknown", if `zero_unsure`; else 0..n_labels-1.
    n_labels : int
        Number of labels, the unknown one not counted.
    gt_prob : float
        Within (0, 1); the other labels share the rest evenly. Unknown pixels are uniform.

    Returns
    -------
    array (n_labels, labels.size) float32
    """
    n_labels = _checks.count("n_labels", n_labels, 1)
    labels = _checks.plain_array("labels", labels).ravel()
    gt_prob = _checks.number("gt_prob", gt_prob)
    if not 0 < gt_prob < 1:
        raise ValueError(f"gt_prob: expected within (0, 1), got {gt_prob}")
    last = n_labels if zero_unsure else n_labels - 1
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels: expected whole numbers 0..{last}, got {labels.dtype}")
    if labels.size and not 0 <= labels.min() <= labels.max() <= last:
        raise ValueError(f"labels: expected whole numbers 0..{last}, got {labels.min()}..{labels.max()}")
    other = -np.log((1.0 - gt_prob) / (n_labels - 1)) if n_labels > 1 else -np.log(1.0 - gt_prob)
    energies = np.full((n_labels, labels.size), other, np.float32)
    known = np.flatnonzero(labels) if zero_unsure else np.arange(labels.size)
    energies[labels[known].astype(np.intp) - int(zero_unsure), known] = -np.log(gt_prob)
    if zero_unsure:
        energies[:, labels == 0] = -np.log(1.0 / n_labels)
    return energies


def unary_from_softmax(sm, scale=None, clip=1e-5):
    """Energies -log p of probabilities `sm` (n_labels, ...), as an array (n_labels, variables) float32.

    `scale` in (0, 1] mixes them with the uniform distribution first (`sm` is multiplied by it); `clip` is the
    smallest probability kept, None or 0 keeps all: the energy of probability 0 is then infinite.

    Parameters
    ----------
    sm : float array (n_labels, ...), 0 to 1
    scale : float, optional
    clip : float or None

    Returns
    -------
    float32 array (n_labels, variables)
    """
    sm = _checks.plain_array("sm", sm)
    if sm.ndim < 1 or sm.dtype.kind not in "fiub" or sm.shape[0] < 1:
        raise ValueError(f"sm: expected probabilities (n_labels, ...), got {sm.dtype} of shape {sm.shape}")
    n_labels = sm.shape[0]
    if scale is not None:
        scale = _checks.number("scale", scale)
        if not 0 < scale <= 1:
            raise ValueError(f"scale: expected within (0, 1], got {scale}")
    clip = None if clip is None else _checks.number("clip", clip)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # setUnaryEnergy refuses what is not finite
        if scale is not None:
            sm = scale * sm + (1 - scale) / n_labels
        if clip is not None:
            sm = np.clip(sm, clip, 1.0)
        return -np.log(sm).reshape(n_labels, -1).astype(np.float32)


def create_pairwise_gaussian(sdims, shape):
    """Features of a Gaussian kernel over the positions of an array: (dims, variables) float32.

    `sdims`: standard deviation along each axis of `shape`.

    Parameters
    ----------
    sdims : sequence of float
    shape : sequence of int

    Returns
    -------
    float32 array (dims, variables)
    """
    shape = tuple(_checks.count("shape", extent, 0) for extent in shape)
    if len(sdims) != len(shape):
        raise ValueError(f"sdims: expected {len(shape)} widths, one an axis of shape {shape}, got {len(sdims)}")
    widths = np.array([_checks.positive("sdims", width) for width in sdims], np.float32)
    positions = np.indices(shape, dtype=np.float32).reshape(len(shape), int(np.prod(shape, dtype=object)))
    return positions / widths[:, None]


def create_pairwise_bilateral(sdims, schan, img, chdim=-1):
    """Features of a kernel over position and channels: (dims + channels, variables) float32.

    `chdim`: the axis of the channels; -1 for an array without one (then `schan` holds one width).

    Parameters
    ----------
    sdims : sequence of float
    schan : float or sequence of float
    img : array
    chdim : int

    Returns
    -------
    float32 array (dims + channels, variables)
    """
    img = _checks.plain_array("img", img)
    if img.dtype.kind not in "fiub":
        raise TypeError(f"img: expected numbers, got {img.dtype}")
    axis = _checks.count("chdim", chdim, -img.ndim, img.ndim - 1)
    channels = img[None] if axis == -1 else np.moveaxis(img, axis, 0)
    schan = np.array([_checks.positive("schan", width) for width in np.ravel(schan)], np.float32)
    if schan.size not in (1, channels.shape[0]):
        raise ValueError(f"schan: expected {channels.shape[0]} widths, one a channel, got {schan.size}")
    position = create_pairwise_gaussian(sdims, channels.shape[1:])
    with np.errstate(over="ignore", invalid="ignore"):  # addPairwiseEnergy refuses what is not finite
        color = channels.reshape(channels.shape[0], position.shape[1]).astype(np.float32) / schan[:, None]
    return np.concatenate([position, color])


def compute_unary(labels, M, GT_PROB=0.5):
    """Former name of `unary_from_labels`.

    Parameters
    ----------
    labels, M, GT_PROB
        As of `unary_from_labels`.

    Returns
    -------
    float32 array (M, variables)
    """
    warnings.warn("compute_unary is deprecated, use unary_from_labels", DeprecationWarning, stacklevel=2)
    return unary_from_labels(labels, M, GT_PROB)


def softmax_to_unary(sm, GT_PROB=1):
    """Former name of `unary_from_softmax`, without its clip.

    Parameters
    ----------
    sm : float array (n_labels, ...), 0 to 1
    GT_PROB : float

    Returns
    -------
    float32 array (n_labels, variables)
    """
    warnings.warn("softmax_to_unary is deprecated, use unary_from_softmax", DeprecationWarning, stacklevel=2)
    return unary_from_softmax(sm, scale=None if GT_PROB == 1 else GT_PROB, clip=None)
