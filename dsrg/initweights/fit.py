"""Fits trained weights to the layers of a net: what is copied, what is reduced, what does not fit."""

from dataclasses import dataclass, field

import numpy as np

from dsrg.initweights.architectures import ResNet
from dsrg.initweights.weight_arithmetic import decimate, fold_rgb_input, with_eps, without_bias
from dsrg.io.errors import UserError


@dataclass
class Row:
    """A line of the table: layer of the net, where its values come from, their shape, and notes.

    what: 'copied', 'reduced' or 'random'. tap_step: of how many trained taps one was kept.
    """

    layer: str
    source: str
    shape: tuple
    what: str
    notes: list = field(default_factory=list)
    tap_step: int = 1


@dataclass
class Fit:
    """Arrays of each initialised layer by name, and the rows of the table in the order of the net."""

    arrays: dict
    rows: list


def fit(layers, architecture, net_input, rgb):
    """Initial weights of a net.

    Parameters
    ----------
    layers : dict of str to TargetLayer
    architecture : one of architectures.ARCHITECTURES, made from the file
    net_input : NetInput
    rgb : bool
        The weights expect normalised RGB, as torchvision's; otherwise BGR 0..255 minus a mean.

    Returns
    -------
    Fit

    Raises
    ------
    UserError
        A layer whose name says that it is of this architecture, and whose shape says otherwise.
    """
    result = Fit({}, [])
    norms = {}   # name of a BatchNorm or Scale layer -> its arrays
    for target in layers.values():
        key = architecture.key(target.name)
        if key is None or target.type not in ("Convolution", "InnerProduct"):
            continue
        trained = architecture.trained(key)
        row = Row(target.name, trained.name, target.shapes[0], "copied")
        weight, bias = _weight(trained, target, key in architecture.reducible, row)
        if key == architecture.first and rgb:
            weight, bias = fold_rgb_input(weight, bias, net_input)
            row.notes.append("RGB, mean and std folded in")
        _note_geometry(row, target, architecture.spec(key))
        norm = trained.norm
        if norm is not None:
            if len(target.shapes) == 1:
                norm, bias = without_bias(norm, bias), None
            norms |= _norm_arrays(architecture, key, norm, layers)
        if bias is None and len(target.shapes) == 2:
            bias = np.zeros(target.shapes[1])
        if bias is not None and len(target.shapes) == 1:
            raise UserError(f"layer '{target.name}' has no bias, '{trained.name}' has; take bias_term: false out")
        result.arrays[target.name] = _checked([weight] if bias is None else [weight, bias], target)
        result.rows.append(row)
    for name, arrays in norms.items():
        result.arrays[name] = _checked(arrays, layers[name])
    order = list(layers)
    for name in order:
        if name in norms:
            result.rows.append(Row(name, "its normalisation", layers[name].shapes[0], "copied"))
        elif name not in result.arrays:
            result.rows.append(Row(name, "", layers[name].shapes[0], "random", [_filler(layers[name].param)]))
    result.rows.sort(key=lambda row: order.index(row.layer))
    result.arrays = {name: result.arrays[name] for name in order if name in result.arrays}
    return result


def check_strides(architecture, layers, source, net):
    """Refuse a ResNet that halves the map in another convolution than the net: the shapes fit, the sampling does not.

    Parameters
    ----------
    architecture : one of architectures.ARCHITECTURES, made from the file
        Any but a ResNet passes.
    layers : dict of str to TargetLayer
    source, net : path
        File of the weights and prototxt of the net, for the message.

    Raises
    ------
    UserError
        Names the first layer whose stride sits elsewhere.
    """
    if not isinstance(architecture, ResNet):
        return
    for name, layer in layers.items():
        key = architecture.key(name)
        if key and layer.stride > 1 and key != "conv1" and architecture.spec(key).stride == 1:
            place = ("3x3 convolution (_branch2b: torchvision's, v1.5)", "1x1 convolution (_branch2a: Caffe's, v1)")
            theirs, ours = place if architecture.stride_in_3x3 else place[::-1]
            raise UserError(f"{source} was trained with the stride in the {theirs}, {net} has it in the {ours}, first "
                            f"in '{name}'; set `backbone: resnet101-torchvision` in the experiment's settings.yaml "
                            "and run tools.make_nets, use weights of the other kind, or pass --other-strides to copy "
                            "them all the same")


def _weight(trained, target, reducible, row):
    """Weight and bias at the target's shape: as they are, or decimated."""
    weight, bias = trained.weight, trained.bias
    wanted = target.shapes[0]
    if target.type == "InnerProduct":
        wanted = (wanted[0], weight.shape[1], *weight.shape[2:])
    if weight.shape == wanted:
        return weight, bias
    told = f"layer '{target.name}' is {_x(target.shapes[0])}, '{trained.name}' in the file {_x(weight.shape)}"
    if not reducible:
        raise UserError(f"{told}; rename the layer to learn it from scratch, or use weights made for this net")
    try:
        weight, bias, steps = decimate(weight, bias, wanted)
    except (ValueError, IndexError):
        raise UserError(f"{told}; filters and channels can be reduced by whole factors, kernels from k to l where "
                        "k - 1 is a multiple of l - 1") from None
    row.what, row.tap_step = "reduced", steps[2]
    kept = [f"every {_th(step)} {kind}" for step, kind in zip(steps, ("output", "input"), strict=False) if step > 1]
    if steps[2] > 1:
        kept.append(f"taps {' '.join(str(steps[2] * k) for k in range(wanted[2]))}")
    row.notes.append(f"from {_x(trained.weight.shape)}: {', '.join(kept)}")
    return weight, bias


def _note_geometry(row, target, spec):
    """Say where stride, pad or the distance of the taps differ from what the weights were trained with."""
    if target.type != "Convolution":
        return
    kernel = target.shapes[0][2]
    if target.stride != spec.stride:
        row.notes.append(f"stride {target.stride}, trained {spec.stride}")
    step = spec.step * row.tap_step
    if kernel > 1 and target.step != step:
        row.notes.append(f"taps {target.step} pixels apart, trained {step}")
    same = target.dilation * (kernel // 2)
    if target.pad != spec.pad * target.dilation and row.what == "copied" and kernel > 1:
        row.notes.append(f"pad {target.pad}{' (keeps the size)' if target.pad == same else ''}, trained {spec.pad}")


def _norm_arrays(architecture, key, norm, layers):
    """{layer: arrays} of the BatchNorm and the Scale behind a convolution."""
    bn, scale = architecture.norm_names(key)
    for name, kind in ((bn, "BatchNorm"), (scale, "Scale")):
        if name not in layers or layers[name].type != kind:
            raise UserError(f"the net has no {kind} layer '{name}' behind '{key}', which was trained with one")
    norm = with_eps(norm, layers[bn].param.batch_norm_param.eps)
    if (norm.variance < 0).any():
        raise UserError(f"layer '{bn}': its eps is larger than the variances of the file; use {1e-5:g}")
    return {bn: [norm.mean, norm.variance, np.ones(1)], scale: [norm.gamma, norm.beta]}


def _checked(arrays, target):
    """float32 arrays of the target's shapes."""
    if len(arrays) != len(target.shapes) or any(
            np.size(array) != np.prod(shape, dtype=int) for array, shape in zip(arrays, target.shapes, strict=False)):
        raise UserError(f"layer '{target.name}' has parameters {', '.join(map(_x, target.shapes))}, the file "
                        f"{', '.join(_x(np.shape(array)) for array in arrays)}")
    return [np.ascontiguousarray(array, np.float32).reshape(shape)
            for array, shape in zip(arrays, target.shapes, strict=True)]


def _filler(param):
    """How a layer's weights begin without a file, in words."""
    for name in ("convolution_param", "inner_product_param"):
        p = getattr(param, name)
        if param.HasField(name) and p.HasField("weight_filler"):
            f = p.weight_filler
            return f"{f.type} {f.std:g}" if f.type == "gaussian" else f.type
    return "its filler"


def _x(shape):
    return "x".join(map(str, shape)) or "1"


def _th(number):
    return {2: "2nd", 3: "3rd"}.get(number, f"{number}th")
