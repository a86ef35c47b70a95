"""Caffe's layers as modules of PyTorch that can be scripted and exported, for inputs of any size.

`module_of` makes the module of one layer from its LayerParameter and its parameter arrays; what a layer computes is
said by the engine's classes (engine/caffe/layers), which the tests compare with. Layers that no deploy net here needs,
and Python layers, are refused by name.
"""

import torch
from torch import nn

from dsrg.export import torch_modules
from dsrg.export.torch_modules import fill
from dsrg.io.errors import UserError


def _convolution(layer, arrays):
    p = layer.convolution_param
    if p.axis != 1 or arrays[0].ndim != 4:
        raise _refused(layer, "with other than two spatial axes behind the channels")
    kernel = tuple(arrays[0].shape[2:])
    stride, pad, dilation = _two(p, "stride", 1), _two(p, "pad", 0), _two(p, "dilation", 1)
    bias = len(arrays) > 1
    if layer.type == "Deconvolution":
        module = nn.ConvTranspose2d(arrays[0].shape[0], p.num_output, kernel, stride, pad, groups=p.group, bias=bias,
                                    dilation=dilation)
    else:
        module = nn.Conv2d(arrays[0].shape[1] * p.group, p.num_output, kernel, stride, pad, dilation, p.group, bias)
    return fill(module, *arrays)


def _two(param, name, default):
    """Height and width of a setting that is given once, twice, or as _h and _w."""
    if param.HasField(f"{name}_h") if name != "dilation" else False:
        return getattr(param, f"{name}_h"), getattr(param, f"{name}_w")
    values = getattr(param, name)
    values = list(values) if hasattr(values, "__len__") else [values]
    return tuple((values or [default]) * 2)[:2] if len(values) < 2 else tuple(values)


def _pooling(layer, arrays):
    p = layer.pooling_param
    if p.pool == p.STOCHASTIC or len(layer.top) > 1:
        raise _refused(layer, "STOCHASTIC, or with a mask as its second top")
    if p.global_pooling:
        return torch_modules.GlobalPool(p.pool == p.AVE)
    kernel = (p.kernel_h, p.kernel_w) if p.HasField("kernel_h") else (p.kernel_size,) * 2
    stride, pad = _two(p, "stride", 1), _two(p, "pad", 0)
    if any(2 * a > k or s > k for a, k, s in zip(pad, kernel, stride, strict=True)):
        raise _refused(layer, f"with a kernel of {kernel}, stride {stride} and pad {pad}")
    return torch_modules.Pool(kernel, stride, pad, p.pool == p.AVE, p.round_mode != p.FLOOR)


def _batch_norm(layer, arrays):
    if layer.batch_norm_param.HasField("use_global_stats") and not layer.batch_norm_param.use_global_stats:
        raise _refused(layer, "that normalises by the batch (use_global_stats: false)")
    factor = float(arrays[2].reshape(-1)[0])
    scale = 1 / factor if factor else 0.0
    return torch_modules.Normalise(arrays[0] * scale, arrays[1] * scale, layer.batch_norm_param.eps)


def _scale(layer, arrays):
    _need_parameters(layer, arrays)
    offset = arrays[1] if len(arrays) > 1 else torch.zeros_like(arrays[0])
    return torch_modules.Affine(*(_broadcast(layer, array, layer.scale_param.axis) for array in (arrays[0], offset)))


def _bias(layer, arrays):
    _need_parameters(layer, arrays)
    offset = _broadcast(layer, arrays[0], layer.bias_param.axis)
    return torch_modules.Affine(torch.ones_like(offset), offset)


def _need_parameters(layer, arrays):
    if not arrays:
        raise _refused(layer, "with two bottoms")


def _broadcast(layer, array, axis):
    if axis != 1 or array.ndim != 1:
        raise _refused(layer, "of other axes than the channels")
    return array.reshape(-1, 1, 1)


def _inner_product(layer, arrays):
    p = layer.inner_product_param
    if p.axis != 1:
        raise _refused(layer, f"with axis {p.axis}")
    return torch_modules.InnerProduct(arrays[0].T if p.transpose else arrays[0], arrays[1] if len(arrays) > 1 else None)


def _interp(layer, arrays):
    p = layer.interp_param
    sized = p.HasField("height") and p.HasField("width") and p.HasField("shrink_factor") == p.HasField("zoom_factor")
    size = (p.height, p.width) if sized else (0, 0)
    return torch_modules.Interp(size, p.shrink_factor, p.zoom_factor, -p.pad_beg, -p.pad_end)


def _power(param):
    return torch_modules.Power(param.shift, param.scale, param.power)


def _eltwise(layer, arrays):
    p = layer.eltwise_param
    if p.operation == p.SUM:
        return torch_modules.Sum(list(p.coeff) or [1.0] * len(layer.bottom))
    return torch_modules.Product() if p.operation == p.PROD else torch_modules.Maximum()


def _relu(layer, arrays):
    slope = layer.relu_param.negative_slope
    return nn.LeakyReLU(slope) if slope else nn.ReLU()


def _prelu(layer, arrays):
    module = nn.PReLU(arrays[0].numel())
    module.weight.data = arrays[0].reshape(-1).clone()
    return module


def _lrn(layer, arrays):
    p = layer.lrn_param
    if p.norm_region != p.ACROSS_CHANNELS:
        raise _refused(layer, "WITHIN_CHANNEL")
    return nn.LocalResponseNorm(p.local_size, p.alpha, p.beta, p.k)


#: layer type -> maker of its module, from the LayerParameter and its arrays as tensors
MAKERS = {
    "BatchNorm": _batch_norm, "Bias": _bias, "Convolution": _convolution, "Deconvolution": _convolution,
    "Eltwise": _eltwise, "InnerProduct": _inner_product, "Interp": _interp, "LRN": _lrn, "Pooling": _pooling,
    "PReLU": _prelu, "ReLU": _relu, "Scale": _scale,
    "Concat": lambda layer, arrays: torch_modules.Concat(layer.concat_param.axis),
    "ELU": lambda layer, arrays: nn.ELU(layer.elu_param.alpha),
    "Flatten": lambda layer, arrays: nn.Flatten(layer.flatten_param.axis, layer.flatten_param.end_axis),
    "Power": lambda layer, arrays: _power(layer.power_param),
    "Sigmoid": lambda layer, arrays: nn.Sigmoid(),
    "Softmax": lambda layer, arrays: nn.Softmax(layer.softmax_param.axis),
    "TanH": lambda layer, arrays: nn.Tanh(),
}
LISTS = {"Concat", "Eltwise"}       # modules that take a list of tensors
NOTHING = {"Dropout", "Split"}      # layers that hand on what they get, in phase TEST


def refuse_what_has_no_module(layer):
    """Refuse a layer that `module_of` does not know, before its net is opened.

    Parameters
    ----------
    layer : LayerParameter

    Raises
    ------
    UserError
        Names the layer, and what can be exported instead.
    """
    if layer.type == "Python":
        p = layer.python_param
        raise UserError(f"layer '{layer.name}' is a Python layer ({p.module}.{p.layer}), which runs in Caffe alone; "
                        "export what comes before it with --output-blob, or take it out of the deploy net")
    if layer.type not in MAKERS.keys() | NOTHING:
        raise _refused(layer)


def module_of(layer, arrays):
    """The module of a layer.

    Parameters
    ----------
    layer : LayerParameter
    arrays : list of torch.Tensor
        Its parameters.

    Returns
    -------
    torch.nn.Module
        Takes the layer's bottom, or a list of its bottoms where the type is in LISTS; gives its top.

    Raises
    ------
    UserError
        A layer, or a setting of one, that has no counterpart here; names it.
    """
    refuse_what_has_no_module(layer)
    return MAKERS[layer.type](layer, arrays)


def _refused(layer, how=""):
    return UserError(f"layer '{layer.name}' ({layer.type}{' ' + how if how else ''}) cannot be exported; there are "
                     f"{', '.join(sorted(MAKERS.keys() | NOTHING))}. --output-blob exports what comes before it")
