"""The arithmetic of moving weights: another input scaling, fewer filters, folded normalisation."""

from dataclasses import dataclass, replace

import numpy as np

# torchvision's transforms.Normalize of its ImageNet weights, order R, G, B, of values 0..1
TORCH_MEAN_RGB = (0.485, 0.456, 0.406)
TORCH_STD_RGB = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class NetInput:
    """What the net is fed: scale * (BGR 0..255 - mean)."""

    mean_bgr: tuple[float, float, float]
    scale: float = 1.0


def fold_rgb_input(weight, bias, net_input):
    """First convolution of a net of normalised RGB, for the input of a Caffe net.

    With x = scale * (bgr - m) a torch net sees (rgb / 255 - mean) / std = x / (255 scale std) + (m / 255 - mean) / std
    in the order of its channels: the factor goes into the weights, the offset times the sum of the taps into the bias.

    Parameters
    ----------
    weight : (O, 3, k, k) array
        Channels R, G, B.
    bias : (O,) array or None
    net_input : NetInput

    Returns
    -------
    weight : (O, 3, k, k) float64 array
        Channels B, G, R.
    bias : (O,) float64 array

    Notes
    -----
    Exact wherever the kernel lies on the photo. Beyond its border torch pads with 0, which is its mean colour, and
    Caffe with 0 after its own mean: the outputs there are those of the torch net with a border of
    (m / 255 - mean) / std, for mean 104, 117, 123 within -0.012 to 0.013 where photos go from about -2 to 2.6.
    """
    std_bgr = np.array(TORCH_STD_RGB[::-1])
    offset_bgr = (np.array(net_input.mean_bgr) / 255 - TORCH_MEAN_RGB[::-1]) / std_bgr
    weight = np.asarray(weight, np.float64)[:, ::-1]                          # channels B, G, R
    shift = np.einsum("ockl,c->o", weight, offset_bgr)
    bias = shift if bias is None else bias + shift
    return weight / (255 * net_input.scale * std_bgr)[:, None, None], bias


def decimate(weight, bias, shape):
    """Fewer filters, input channels and taps at even distances, from the first of each: every 4th output, taps 0, 3, 6.

    DeepLab-LargeFOV made VGG16's fc6 3x3 and cut fc6 and fc7 to 1024 filters by taking a part of the trained ones;
    which part, and by what script, is not documented. The author of the "fc reduced" VGG16 of ParseNet and SSD says
    that he subsampled 3x3 of the 7x7 taps as DeepLab did (github.com/weiliu89/caffe, issues 258 and 365). Even
    distances from the first are ours. Three of seven taps at stride 32 are 96 pixels apart, as are those of dilation
    12 at stride 8.

    Parameters
    ----------
    weight : (O, I, k, k) array
    bias : (O,) array
    shape : (o, i, l, l)
        O and I must be multiples of o and i, k - 1 of l - 1.

    Returns
    -------
    weight, bias, steps
        Views, and the three distances; ValueError where the numbers do not divide.
    """
    outputs, channels, kernel, _ = weight.shape
    if shape[2] != shape[3] or any(full % part for full, part in zip((outputs, channels), shape[:2], strict=True)):
        raise ValueError
    if kernel == shape[2]:
        taps = 1
    elif shape[2] > 1 and (kernel - 1) % (shape[2] - 1) == 0:
        taps = (kernel - 1) // (shape[2] - 1)
    else:
        raise ValueError
    steps = outputs // shape[0], channels // shape[1], taps
    return weight[::steps[0], ::steps[1], ::taps, ::taps], bias[::steps[0]], steps


def without_bias(norm, bias):
    """The same normalisation of an output that lacks `bias`: (x + b) - mean = x - (mean - b).

    Parameters
    ----------
    norm : Norm
    bias : numpy.ndarray (outputs,), or None

    Returns
    -------
    Norm
    """
    return norm if bias is None else replace(norm, mean=norm.mean - bias)


def with_eps(norm, eps):
    """The same normalisation with another eps: the difference goes into the variance.

    Parameters
    ----------
    norm : Norm
    eps : float
        Of the net's BatchNorm.

    Returns
    -------
    Norm
    """
    return replace(norm, variance=norm.variance + (norm.eps - eps), eps=eps)
