"""The losses of `losses.py` on torch tensors, for layers that stay on a GPU.

The same formulas in float64 on whatever device the tensors have, without a step that waits for the device: no value
is looked at, no size depends on the data. Values are returned as tensors, for the same reason. `losses.py` says what
each of them is and where it comes from; on a CPU it is the faster one.
"""

import torch

from .losses import DECAY_BACKGROUND, DECAY_FOREGROUND, MIN_COUNT, MIN_PROBABILITY, RATIO_RANGE


def floored_softmax(scores, floor=MIN_PROBABILITY):
    """Softmax over classes of scores (N, C, H, W), plus `floor`, normalised again; float64 (N, C, H, W).

    Parameters
    ----------
    scores : tensor (N, C, H, W)
    floor : float

    Returns
    -------
    float64 tensor (N, C, H, W)
    """
    return (torch.softmax(scores.double(), dim=1) + floor) / (1.0 + scores.shape[1] * floor)


def floored_softmax_backward(probabilities, gradient, floor=MIN_PROBABILITY):
    """Gradient (N, C, H, W), float64, with respect to the scores, from the softmax's output and its gradient.

    Parameters
    ----------
    probabilities : tensor (N, C, H, W)
        What `floored_softmax` gave.
    gradient : tensor (N, C, H, W)
        With respect to the probabilities.
    floor : float

    Returns
    -------
    float64 tensor (N, C, H, W)
    """
    scale = 1.0 + probabilities.shape[1] * floor
    plain = probabilities.double() * scale - floor
    weighted = plain * gradient
    return (weighted - plain * weighted.sum(dim=1, keepdim=True)) / scale


def seed_loss(probabilities, cues):
    """Seed loss of SEC: value () and gradient (N, C, H, W), float64, of probabilities and cues (N, C, H, W).

    Parameters
    ----------
    probabilities : tensor (N, C, H, W), above 0
    cues : tensor (N, C, H, W), 0 or 1

    Returns
    -------
    float64 tensor ()
        The value.
    float64 tensor (N, C, H, W)
        Gradient with respect to the probabilities.
    """
    cues = cues.double()
    return _seed_loss(probabilities, cues, cues.sum(dim=(1, 2, 3), keepdim=True))


def balanced_seed_loss(probabilities, cues):
    """Balanced seed loss (DSRG, equation 2): value () and gradient (N, C, H, W), float64.

    Parameters
    ----------
    probabilities : tensor (N, C, H, W), above 0
    cues : tensor (N, C, H, W), 0 or 1

    Returns
    -------
    float64 tensor ()
        The value.
    float64 tensor (N, C, H, W)
        Gradient with respect to the probabilities.
    """
    cues = cues.double()
    of_class = cues.sum(dim=(2, 3), keepdim=True)                                # (N, C, 1, 1)
    foreground = of_class[:, 1:].sum(dim=1, keepdim=True).expand(-1, cues.shape[1] - 1, -1, -1)
    return _seed_loss(probabilities, cues, torch.cat((of_class[:, :1], foreground), dim=1))


def constrain_loss(probabilities, log_q):
    """Boundary loss: value () and the gradients with respect to probabilities and log Q, (N, C, H, W), float64.

    Parameters
    ----------
    probabilities : tensor (N, C, H, W), above 0
    log_q : tensor (N, C, H, W)

    Returns
    -------
    float64 tensor ()
        The value.
    float64 tensor (N, C, H, W)
        Gradient with respect to the probabilities.
    float64 tensor (N, C, H, W)
        Gradient with respect to log Q.
    """
    p, q = probabilities.double(), log_q.double().exp()
    count = p[:, 0].numel()
    ratio = q / p
    clipped = ratio.clamp(*RATIO_RANGE)
    inside = ratio == clipped
    log_ratio = clipped.log()
    gradient = torch.where(inside, ratio / -count, 0.0)
    return (q * log_ratio).sum() / count, gradient, (log_ratio + inside) * q / count


def expand_loss(probabilities, labels):
    """Expansion loss of SEC: value () and gradient (N, C, H, W), float64.

    `labels` (N, C) is above 0.5 where a class occurs; the entry of background is not read.

    Parameters
    ----------
    probabilities : tensor (N, C, H, W), above 0
    labels : tensor (N, C)

    Returns
    -------
    float64 tensor ()
        The value.
    float64 tensor (N, C, H, W)
        Gradient with respect to the probabilities.
    """
    images, classes = probabilities.shape[:2]
    p = probabilities.double().flatten(2)                                        # (N, C, L)
    present = labels.reshape(images, classes) > 0.5
    present = torch.cat((torch.ones_like(present[:, :1]), present[:, 1:]), dim=1)
    absent = ~present
    shares = _shares(present[:, 1:])
    shares = torch.cat((torch.full_like(shares[:, :1], 1.0 / images), shares), dim=1)
    absent_shares = _shares(absent)

    ranked = p.sort(dim=2, descending=False, stable=True).indices                # ascending: the last has rank 0
    weights = torch.empty_like(p).scatter_(2, ranked, _decays(p).expand_as(p))
    score = (weights * p).sum(dim=2)
    largest = p.amax(dim=2)
    # where() keeps what a class does not have, an infinite logarithm perhaps, out of the sums
    value = (-torch.where(present, shares * score.log(), 0.0).sum()
             - torch.where(absent, absent_shares * torch.log1p(-largest), 0.0).sum())
    of_present = weights * (-shares / score)[..., None]
    of_absent = (p == largest[..., None]) * (absent_shares / (1.0 - largest))[..., None]
    return value, torch.where(present[..., None], of_present, of_absent).reshape(probabilities.shape)


def _seed_loss(probabilities, cues, count):
    """-sum(cues log p / count) / N and its gradient; cells without a cue count as 0 whatever their probability."""
    seeded = cues != 0
    weights = cues / (count.clamp(min=MIN_COUNT) * cues.shape[0])
    chosen = torch.where(seeded, probabilities.double(), 1.0)
    return -(weights * chosen.log()).sum(), -weights / chosen


def _shares(flags):
    """1 / (how many flags of the row are set, times the rows) where a flag (N, C) is set, else 0."""
    flags = flags.double()
    return flags / (flags.sum(dim=1, keepdim=True).clamp(min=1) * len(flags))


def _decays(p):
    """Weights decay^rank / sum of the ascending ranks of p (N, C, L), per class: (C, L)."""
    length = p.shape[2]
    decay = p.new_full((p.shape[1], 1), DECAY_FOREGROUND)
    decay[0] = DECAY_BACKGROUND
    powers = decay ** torch.arange(length - 1, -1, -1, dtype=p.dtype, device=p.device)
    return powers / powers.sum(dim=1, keepdim=True)
