"""Fillers: first values of parameters, with Caffe's rules for fans and variances.

For a blob of shape (a0, a1, ...) fan_in is count / a0 and fan_out is count / a1 (count for fewer than two
axes). That is what Caffe does for every layer, InnerProduct with `transpose` included.
"""

import numpy as np

from .proto import caffe_pb2

FAN_OUT, AVERAGE = caffe_pb2.FillerParameter.FAN_OUT, caffe_pb2.FillerParameter.AVERAGE


def fill(array, filler_param, rng):
    """Fill an array in place.

    Parameters
    ----------
    array : numpy.ndarray, float32
        Of the parameter's shape; overwritten.
    filler_param : FillerParameter
        An empty one is constant 0.
    rng : numpy.random.Generator
        The only source of randomness.

    Raises
    ------
    ValueError
        Unknown filler type, a field that does not fit the type or the shape.
    """
    if filler_param.type not in FILLERS:
        raise ValueError(f"unknown filler type '{filler_param.type}', known are {', '.join(sorted(FILLERS))}")
    if filler_param.sparse != -1 and filler_param.type != "gaussian":
        raise ValueError(f"filler '{filler_param.type}': sparse is for the gaussian filler only; remove it")
    FILLERS[filler_param.type](array, filler_param, rng)


def fan(shape, variance_norm):
    """Number of weights that the variance is normalised by.

    Parameters
    ----------
    shape : tuple of int
    variance_norm : FillerParameter.VarianceNorm

    Returns
    -------
    float
        fan_in, fan_out or their mean.
    """
    count = int(np.prod(shape))
    fan_in = count / shape[0] if len(shape) > 0 else 1
    fan_out = count / shape[1] if len(shape) > 1 else count
    if variance_norm == AVERAGE:
        return (fan_in + fan_out) / 2
    return fan_out if variance_norm == FAN_OUT else fan_in


# A filler is ``filler(array, param, rng)`` with the parameters of fill(); a ValueError says which field does not fit.


def constant(array, param, rng):
    """`value` everywhere.

    Parameters
    ----------
    array, param, rng
        As of fill().
    """
    array[...] = param.value


def uniform(array, param, rng):
    """Uniform in [min, max].

    Parameters
    ----------
    array, param, rng
        As of fill().

    Raises
    ------
    ValueError
        min above max.
    """
    if param.min > param.max:
        raise ValueError(f"filler 'uniform': min {param.min:g} is above max {param.max:g}")
    array[...] = rng.uniform(param.min, param.max, array.shape)


def gaussian(array, param, rng):
    """Normal with `mean` and `std`; `sparse` keeps every weight with probability sparse / shape[0].

    Parameters
    ----------
    array, param, rng
        As of fill().

    Raises
    ------
    ValueError
        `sparse` above the number of outputs.
    """
    array[...] = rng.normal(param.mean, param.std, array.shape)
    if param.sparse < 0:
        return
    outputs = array.shape[0] if array.ndim else 1
    if param.sparse > outputs:
        raise ValueError(f"filler 'gaussian': sparse {param.sparse} is above the number of outputs {outputs}")
    array *= rng.random(array.shape) < param.sparse / outputs


def positive_unitball(array, param, rng):
    """Uniform in [0, 1), then every shape[0] slice is divided by its sum.

    Parameters
    ----------
    array, param, rng
        As of fill().
    """
    outputs = array.shape[0] if array.ndim else 1
    rows = rng.random((outputs, array.size // outputs))
    array[...] = (rows / rows.sum(axis=1, keepdims=True)).reshape(array.shape)


def xavier(array, param, rng):
    """Uniform in [-s, s], s = sqrt(3 / fan): variance 1 / fan (Glorot and Bengio 2010).

    Parameters
    ----------
    array, param, rng
        As of fill().
    """
    scale = np.sqrt(3 / fan(array.shape, param.variance_norm))
    array[...] = rng.uniform(-scale, scale, array.shape)


def msra(array, param, rng):
    """Normal with variance 2 / fan (He et al. 2015).

    Parameters
    ----------
    array, param, rng
        As of fill().
    """
    array[...] = rng.normal(0, np.sqrt(2 / fan(array.shape, param.variance_norm)), array.shape)


def bilinear(array, param, rng):
    """Weights of bilinear interpolation, for a Deconvolution that enlarges: (outputs, inputs, k, k).

    Parameters
    ----------
    array, param, rng
        As of fill().

    Raises
    ------
    ValueError
        Not four axes, or a kernel that is not square.
    """
    if array.ndim != 4 or array.shape[2] != array.shape[3]:
        raise ValueError(
            f"filler 'bilinear': the blob is {array.shape}, expected four axes and a square kernel"
        )
    size = array.shape[3]
    factor = (size + 1) // 2
    centre = (size - 1) / (2 * factor)
    taps = 1 - np.abs(np.arange(size) / factor - centre)
    array[...] = np.outer(taps, taps)


FILLERS = {
    function.__name__: function
    for function in (constant, uniform, gaussian, positive_unitball, xavier, msra, bilinear)
}
