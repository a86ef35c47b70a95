"""Caffe's layers as modules of PyTorch that can be scripted and exported, for inputs of any size.

`module_of` makes the module of one layer from its LayerParameter and its parameter arrays; what a layer computes is
said by the engine's classes (engine/caffe/layers), which the tests compare with. Layers that no deploy net here needs,
and Python layers, are refused by name.
"""

import torch
import torch.nn.functional as F
from torch import nn

from dsrg.io.errors import UserError


class Pool(nn.Module):
    """MAX or AVE pooling by Caffe's rule (ceil); AVE counts padding, but no more than the padded plane."""

    def __init__(self, kernel: tuple[int, int], stride: tuple[int, int], pad: tuple[int, int], average: bool,
                 ceil: bool):
        super().__init__()
        self.kernel, self.stride, self.pad, self.average, self.ceil = kernel, stride, pad, average, ceil
        self.whole = stride == (1, 1) or not ceil   # every window lies in the padded plane

    def forward(self, x):
        if not self.average:
            return F.max_pool2d(x, self.kernel, self.stride, self.pad, ceil_mode=self.ceil and not self.whole)
        if self.whole:
            return F.avg_pool2d(x, self.kernel, self.stride, self.pad)
        below, right = self.beyond(x.shape[2], 0), self.beyond(x.shape[3], 1)
        ones = F.pad(torch.ones_like(x[:1, :1]), (self.pad[1], self.pad[1], self.pad[0], self.pad[0]), value=1.0)
        x = F.pad(x, (self.pad[1], self.pad[1] + right, self.pad[0], self.pad[0] + below))
        return F.avg_pool2d(x, self.kernel, self.stride) / F.avg_pool2d(F.pad(ones, (0, right, 0, below)), self.kernel,
                                                                         self.stride)

    def beyond(self, n: int, axis: int) -> int:
        """Cells behind the padded plane that the last window reaches over."""
        k, s, p = self.kernel[axis], self.stride[axis], self.pad[axis]
        return (n + 2 * p - k + s - 1) // s * s + k - (n + 2 * p)


class GlobalPool(nn.Module):
    """One value a channel: the mean or the maximum of its plane."""

    def __init__(self, average: bool):
        super().__init__()
        self.average = average

    def forward(self, x):
        return x.mean((2, 3), keepdim=True) if self.average else x.amax((2, 3), keepdim=True)


class Sum(nn.Module):
    """Eltwise SUM, weighted."""

    def __init__(self, coefficients: list[float]):
        super().__init__()
        self.coefficients = coefficients

    def forward(self, xs: list[torch.Tensor]):
        y = xs[0] * self.coefficients[0] if self.coefficients[0] != 1.0 else xs[0]
        for x, coefficient in zip(xs[1:], self.coefficients[1:]):  # noqa: B905 - TorchScript's zip has no strict
            y = y + (x * coefficient if coefficient != 1.0 else x)
        return y


class Product(nn.Module):
    """Eltwise PROD."""

    def forward(self, xs: list[torch.Tensor]):
        y = xs[0]
        for x in xs[1:]:
            y = y * x
        return y


class Maximum(nn.Module):
    """Eltwise MAX."""

    def forward(self, xs: list[torch.Tensor]):
        y = xs[0]
        for x in xs[1:]:
            y = torch.maximum(y, x)
        return y


class Concat(nn.Module):
    def __init__(self, axis: int):
        super().__init__()
        self.axis = axis

    def forward(self, xs: list[torch.Tensor]):
        return torch.cat(xs, self.axis)


class Affine(nn.Module):
    """x times a factor plus an offset, each for the axes from `axis` on: Scale and Bias."""

    def __init__(self, factor, offset):
        super().__init__()
        self.register_buffer("factor", factor)
        self.register_buffer("offset", offset)

    def forward(self, x):
        return x * self.factor + self.offset


class Power(nn.Module):
    """(shift + scale x) ^ power."""

    def __init__(self, shift: float, scale: float, power: float):
        super().__init__()
        self.shift, self.scale, self.power = shift, scale, power

    def forward(self, x):
        y = x * self.scale + self.shift
        return y if self.power == 1.0 else y**self.power


class Normalise(nn.Module):
    """BatchNorm by the stored statistics, without scale and shift."""

    def __init__(self, mean, variance, eps: float):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("variance", variance)
        self.eps = eps

    def forward(self, x):
        return F.batch_norm(x, self.mean, self.variance, None, None, False, 0.0, self.eps)


class InnerProduct(nn.Module):
    """All axes from the second on are one vector."""

    def __init__(self, weight, bias):
        super().__init__()
        self.linear = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
        _fill(self.linear, weight, bias)

    def forward(self, x):
        return self.linear(x.flatten(1))


class Interp(nn.Module):
    """DeepLab-v2's resizing that keeps the corners: to a size, or by factors that go by the input's."""

    def __init__(self, size: tuple[int, int], shrink: int, zoom: int, begin: int, end: int):
        super().__init__()
        self.size, self.shrink, self.zoom, self.begin, self.end = size, shrink, zoom, begin, end

    def forward(self, x):
        x = x[:, :, self.begin:x.shape[2] - self.end, self.begin:x.shape[3] - self.end]
        height, width = self.size
        if height == 0:
            height = (x.shape[2] - 1) // self.shrink * self.zoom + 1
            width = (x.shape[3] - 1) // self.shrink * self.zoom + 1
        return F.interpolate(x, (height, width), mode="bilinear", align_corners=True)


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
    return _fill(module, *arrays)


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
        return GlobalPool(p.pool == p.AVE)
    kernel = (p.kernel_h, p.kernel_w) if p.HasField("kernel_h") else (p.kernel_size,) * 2
    stride, pad = _two(p, "stride", 1), _two(p, "pad", 0)
    if any(2 * a > k or s > k for a, k, s in zip(pad, kernel, stride, strict=True)):
        raise _refused(layer, f"with a kernel of {kernel}, stride {stride} and pad {pad}")
    return Pool(kernel, stride, pad, p.pool == p.AVE, p.round_mode != p.FLOOR)


def _batch_norm(layer, arrays):
    if layer.batch_norm_param.HasField("use_global_stats") and not layer.batch_norm_param.use_global_stats:
        raise _refused(layer, "that normalises by the batch (use_global_stats: false)")
    factor = float(arrays[2].reshape(-1)[0])
    scale = 1 / factor if factor else 0.0
    return Normalise(arrays[0] * scale, arrays[1] * scale, layer.batch_norm_param.eps)


def _scale(layer, arrays):
    _need_parameters(layer, arrays)
    offset = arrays[1] if len(arrays) > 1 else torch.zeros_like(arrays[0])
    return Affine(*(_broadcast(layer, array, layer.scale_param.axis) for array in (arrays[0], offset)))


def _bias(layer, arrays):
    _need_parameters(layer, arrays)
    offset = _broadcast(layer, arrays[0], layer.bias_param.axis)
    return Affine(torch.ones_like(offset), offset)


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
    return InnerProduct(arrays[0].T if p.transpose else arrays[0], arrays[1] if len(arrays) > 1 else None)


def _interp(layer, arrays):
    p = layer.interp_param
    sized = p.HasField("height") and p.HasField("width") and p.HasField("shrink_factor") == p.HasField("zoom_factor")
    return Interp((p.height, p.width) if sized else (0, 0), p.shrink_factor, p.zoom_factor, -p.pad_beg, -p.pad_end)


def _eltwise(layer, arrays):
    p = layer.eltwise_param
    if p.operation == p.SUM:
        return Sum(list(p.coeff) or [1.0] * len(layer.bottom))
    return Product() if p.operation == p.PROD else Maximum()


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
    "Concat": lambda layer, arrays: Concat(layer.concat_param.axis),
    "ELU": lambda layer, arrays: nn.ELU(layer.elu_param.alpha),
    "Flatten": lambda layer, arrays: nn.Flatten(layer.flatten_param.axis, layer.flatten_param.end_axis),
    "Power": lambda layer, arrays: Power(layer.power_param.shift, layer.power_param.scale, layer.power_param.power),
    "Sigmoid": lambda layer, arrays: nn.Sigmoid(),
    "Softmax": lambda layer, arrays: nn.Softmax(layer.softmax_param.axis),
    "TanH": lambda layer, arrays: nn.Tanh(),
}
LISTS = {"Concat", "Eltwise"}       # modules that take a list of tensors
NOTHING = {"Dropout", "Split"}      # layers that hand on what they get, in phase TEST


def refuse_what_has_no_module(layer):
    """UserError for a layer that `module_of` does not know, before its net is opened."""
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


def _fill(module, weight, bias=None):
    module.weight.data = weight.reshape(module.weight.shape).clone()
    if bias is not None:
        module.bias.data = bias.reshape(-1).clone()
    return module
