"""Where a coordinate of one top of a NetSpec lies in another: the offset of a Crop layer, worked out from the net.

``n.upscore = crop(n.deconv, n.data)`` is pycaffe's way to write fully convolutional nets (Shelhamer, Long, Darrell,
"Fully Convolutional Networks for Semantic Segmentation", 2016): convolution and pooling scale and shift coordinates,
deconvolution scales them back, and the crop takes what is left of the shift.

A map is a triple (axis, a, b): along every spatial axis after `axis` (None: any), coordinate x of one blob is
a x + b of the other. `a` and `b` are numbers, or arrays with one number for each spatial axis.
"""

from collections import deque

import numpy as np

from .net_spec import layers

#: layer types that leave coordinates as they are
PASS_THROUGH_LAYERS = ["AbsVal", "BatchNorm", "Bias", "BNLL", "Dropout", "Eltwise", "ELU", "Exp", "Log", "LRN", "MVN",
                       "Power", "PReLU", "ReLU", "Scale", "Sigmoid", "Softmax", "Split", "Swish", "TanH", "Threshold"]


class UndefinedMapException(Exception):
    """A layer that has no map from the coordinates of its bottom to those of its top."""


class AxisMismatchException(Exception):
    """Two maps of different axes, which cannot be composed."""


def conv_params(fn):
    """Axis, stride, kernel size (with its dilation) and pad of a Convolution, Deconvolution, Im2col or Pooling.

    Parameters
    ----------
    fn : net_spec.Function

    Returns
    -------
    (int, numpy.ndarray, numpy.ndarray, numpy.ndarray)
        Arrays with one number, or one for each spatial axis.

    Raises
    ------
    AssertionError
        Settings by height and width (kernel_h, ...), as in pycaffe.
    UndefinedMapException
        No kernel size (global pooling).
    """
    params = _params_of(fn, "pooling_param" if fn.type_name == "Pooling" else "convolution_param")
    by_height = {f"{what}_{side}" for what in ("pad", "kernel", "stride") for side in "hw"} & params.keys()
    assert not by_height, f"{fn.type_name}: crop does not read {', '.join(sorted(by_height))}; give lists, height first"
    if "kernel_size" not in params:
        raise UndefinedMapException(f"{fn.type_name} without kernel_size")
    kernel, dilation, stride, pad = (np.array(params.get(name, default), ndmin=1) for name, default in
                                     (("kernel_size", 1), ("dilation", 1), ("stride", 1), ("pad", 0)))
    return params.get("axis", 1), stride, (kernel - 1) * dilation + 1, pad


def crop_params(fn):
    """First cropped axis and offset (numpy.ndarray) of a Crop.

    Parameters
    ----------
    fn : net_spec.Function

    Returns
    -------
    (int, numpy.ndarray)
    """
    params = _params_of(fn, "crop_param")
    return params.get("axis", 2), np.array(params.get("offset", 0), ndmin=1)


def _params_of(fn, message):
    return {**fn.params, **fn.params.get(message, {})}


def coord_map(fn):
    """The map from the bottom of a layer (net_spec.Function) to its top.

    Parameters
    ----------
    fn : net_spec.Function

    Returns
    -------
    (int or None, number or array, number or array)
        Axis, a and b.

    Raises
    ------
    UndefinedMapException
        For a layer type without such a map (InnerProduct, Reshape, ...).
    """
    if fn.type_name in ("Convolution", "Pooling", "Im2col"):
        axis, stride, kernel, pad = conv_params(fn)
        return axis, 1 / stride, (pad - (kernel - 1) / 2) / stride
    if fn.type_name == "Deconvolution":
        axis, stride, kernel, pad = conv_params(fn)
        return axis, stride, (kernel - 1) / 2 - pad
    if fn.type_name in PASS_THROUGH_LAYERS:
        return None, 1, 0
    if fn.type_name == "Crop":
        axis, offset = crop_params(fn)
        return axis - 1, 1, -offset
    raise UndefinedMapException(f"{fn.type_name} has no coordinate map")


def compose(base_map, next_map):
    """The map that applies `next_map` first and `base_map` to what it gives.

    Parameters
    ----------
    base_map, next_map : (int or None, number or array, number or array)

    Returns
    -------
    (int or None, number or array, number or array)

    Raises
    ------
    AxisMismatchException
        Where both have an axis, and not the same.
    """
    axis, a, b = base_map
    next_axis, next_a, next_b = next_map
    if axis is not None and next_axis is not None and axis != next_axis:
        raise AxisMismatchException(f"maps of axis {axis} and axis {next_axis} cannot be composed")
    return next_axis if axis is None else axis, a * next_a, a * next_b + b


def inverse(coord_map):
    """The map the other way.

    Parameters
    ----------
    coord_map : (int or None, number or array, number or array)

    Returns
    -------
    (int or None, number or array, number or array)
    """
    axis, a, b = coord_map
    return axis, 1 / a, -b / a


def coord_map_from_to(top_from, top_to):
    """The map from one top of a NetSpec to another, by way of the nearest top that both depend on.

    Parameters
    ----------
    top_from, top_to : net_spec.Top
        Of one net.

    Returns
    -------
    (int or None, number or array, number or array)

    Raises
    ------
    RuntimeError
        No such top, or none that layers with a map connect both to.
    """
    from_maps = dict(_maps_of_ancestors(top_from))
    for top, to_map in _maps_of_ancestors(top_to):
        if top in from_maps:
            return compose(to_map, inverse(from_maps[top]))
    raise RuntimeError("Could not compute map between tops; are they connected by spatial layers?")


def _maps_of_ancestors(top):
    """Every top that `top` depends on through layers with a map, nearest first, with its map to `top`."""
    seen, queue = {top}, deque([(top, (None, 1, 0))])
    while queue:
        current, to_top = queue.popleft()
        yield current, to_top
        try:
            step = coord_map(current.fn)
        except UndefinedMapException:
            continue
        # a Crop's second bottom gives its size and has no coordinates in the result
        for bottom in current.fn.inputs[: 1 if current.fn.type_name == "Crop" else None]:
            if bottom not in seen:
                seen.add(bottom)
                queue.append((bottom, compose(to_top, step)))


def crop(top_from, top_to):
    """A Crop layer's top that cuts `top_from` to the place and the size of `top_to`.

    Parameters
    ----------
    top_from, top_to : net_spec.Top
        Of one net, with the same scale.

    Returns
    -------
    net_spec.Top

    Raises
    ------
    AssertionError
        Another scale, or an offset that is negative or no whole number.
    RuntimeError
        Tops that no layers with a map connect.
    """
    axis, a, b = coord_map_from_to(top_from, top_to)
    a, b = np.atleast_1d(a), np.atleast_1d(b)
    assert (a == 1).all(), f"scale mismatch on crop (a = {a})"
    assert (b <= 0).all(), f"cannot crop negative offset (b = {b})"
    assert (np.round(b) == b).all(), f"cannot crop noninteger offset (b = {b})"
    offset = [int(shift) for shift in -np.round(b)]
    return layers.Crop(top_from, top_to, crop_param=dict(axis=(1 if axis is None else axis) + 1, offset=offset))
