"""Layers that treat each value by itself: ReLU, PReLU, ELU, Sigmoid, TanH, AbsVal, BNLL, Clip, Swish, Exp, Log, Power,
Threshold and Dropout. Bottom and top have one shape; each formula is in its `compute`."""

import math

import torch
import torch.nn.functional as F

from ..layer import register
from ..proto import caffe_pb2
from ..torch_layer import TorchLayer
from .random_streams import MASK, generator, shard


class _Elementwise(TorchLayer):
    inplace = True

    def infer(self, shape):
        return shape


@register("ReLU")
class ReLU(_Elementwise):
    """x where x > 0, else negative_slope x; the gradient at 0 is negative_slope."""

    def compute(self, x):
        slope = self._layer_param.relu_param.negative_slope
        return F.leaky_relu(x, slope) if slope else F.relu(x)


@register("PReLU")
class PReLU(_Elementwise):
    """As ReLU with a learnt slope a channel (axis 1), or one slope for all with channel_shared; 0.25 at first."""

    def setup(self, bottom, top):
        p = self._layer_param.prelu_param
        shape = bottom[0].dims
        if len(shape) < 2:
            raise self.error(f"the bottom is {shape}; expected at least 2 axes (N, C)")
        filler = p.filler if p.HasField("filler") else caffe_pb2.FillerParameter(value=0.25)
        self.add_param(() if p.channel_shared else (shape[1],), filler)

    def infer(self, shape):
        slopes = self.blobs[0].count
        if self.blobs[0].dims and shape[1] != slopes:
            raise self.error(f"the bottom is {shape} with {shape[1]} channels; there are {slopes} slopes")
        return shape

    def compute(self, x, slope):
        return F.prelu(x, slope.reshape(-1).to(x.dtype))


@register("ELU")
class ELU(_Elementwise):
    """x where x > 0, else alpha (exp(x) - 1)."""

    def compute(self, x):
        return F.elu(x, self._layer_param.elu_param.alpha)

    def gradient(self, grad, x, y):
        return torch.where(x > 0, grad, grad * (y + self._layer_param.elu_param.alpha))


@register("Sigmoid")
class Sigmoid(_Elementwise):
    """1 / (1 + exp(-x))."""

    keeps = (0,)

    def compute(self, x):
        return torch.sigmoid(x)

    def gradient(self, grad, x, y):
        return grad * y * (1 - y)


@register("TanH")
class TanH(_Elementwise):
    """tanh(x)."""

    keeps = (0,)

    def compute(self, x):
        return torch.tanh(x)

    def gradient(self, grad, x, y):
        return grad * (1 - y * y)


@register("AbsVal")
class AbsVal(_Elementwise):
    """|x|; the gradient at 0 is 0."""

    inplace = False

    def compute(self, x):
        return x.abs()


@register("BNLL")
class BNLL(_Elementwise):
    """log(1 + exp(x))."""

    def compute(self, x):
        return F.softplus(x, threshold=50)


@register("Clip")
class Clip(_Elementwise):
    """x held within [min, max]; the gradient passes on the closed interval. NaN becomes min, as in Caffe."""

    def setup(self, bottom, top):
        p = self._layer_param.clip_param
        if not (p.HasField("min") and p.HasField("max")) or p.min > p.max:
            raise self.error("clip_param needs min and max, min <= max")

    def compute(self, x):
        p = self._layer_param.clip_param
        return torch.where(x.isnan(), p.min, x.clamp(p.min, p.max))


@register("Swish")
class Swish(_Elementwise):
    """x sigmoid(beta x)."""

    def compute(self, x):
        beta = self._layer_param.swish_param.beta
        return F.silu(x) if beta == 1 else x * torch.sigmoid(beta * x)

    def gradient(self, grad, x, y):
        beta = self._layer_param.swish_param.beta
        return grad * (beta * y + torch.sigmoid(beta * x) * (1 - beta * y))


@register("Exp")
class Exp(_Elementwise):
    """base ^ (shift + scale x); base -1 stands for e."""

    keeps = (0,)

    def setup(self, bottom, top):
        self.log_base = _log_base(self, self._layer_param.exp_param.base)

    def compute(self, x):
        p = self._layer_param.exp_param
        return torch.exp(self.log_base * (p.shift + p.scale * x))

    def gradient(self, grad, x, y):
        return grad * y * (self.log_base * self._layer_param.exp_param.scale)


@register("Log")
class Log(_Elementwise):
    """log_base(shift + scale x); base -1 stands for e."""

    def setup(self, bottom, top):
        base = self._layer_param.log_param.base
        self.log_base = _log_base(self, base)
        if self.log_base == 0:
            raise self.error("base 1 has no logarithm")

    def compute(self, x):
        p = self._layer_param.log_param
        return torch.log(p.shift + p.scale * x) / self.log_base


def _log_base(layer, base):
    if base == -1:
        return 1.0
    if base <= 0:
        raise layer.error(f"base is {base}; expected more than 0, or -1 for e")
    return math.log(base)


@register("Power")
class Power(_Elementwise):
    """(shift + scale x) ^ power; where scale or power is 0 the bottom is not looked at and gets gradient 0."""

    def compute(self, x):
        p = self._layer_param.power_param
        if p.power * p.scale == 0:
            return torch.full_like(x, p.shift) ** p.power
        y = x * p.scale if p.scale != 1 else x
        y = y + p.shift if p.shift else y
        if p.power != 1:
            return y**p.power
        return y.clone() if y is x else y

    def gradient(self, grad, x, y):
        p = self._layer_param.power_param
        slope = p.power * p.scale
        if slope == 0 or p.power == 1:
            return grad * slope
        base = p.shift + p.scale * x
        if p.power == 2:
            return grad * slope * base
        return grad * slope * torch.where(base == 0, base ** (p.power - 1), y / base)   # not 0 / 0


@register("Threshold")
class Threshold(_Elementwise):
    """1 where x > threshold, else 0; no gradient."""

    labels = (0,)

    def compute(self, x):
        return (x > self._layer_param.threshold_param.threshold).to(x.dtype)


@register("Dropout")
class Dropout(_Elementwise):
    """TRAIN: x mask / (1 - ratio), the mask 1 with probability 1 - ratio; TEST: x. Ratio 0 copies in both.

    The mask is a function of the seed, the forwards since it was set, and the rank. It is drawn in channels_last order
    whatever the bottom's layout, so that looking at a blob never changes it.
    """

    keeps = None

    def setup(self, bottom, top):
        self.ratio = self._layer_param.dropout_param.dropout_ratio
        if not 0 <= self.ratio <= 1:
            raise self.error(f"dropout_ratio is {self.ratio:g}; expected 0 to 1")
        if self.ratio == 1 and self.phase == caffe_pb2.TRAIN:
            raise self.error("dropout_ratio is 1: in phase TRAIN nothing is left to scale up (Caffe gives NaN); lower "
                             "it, or include the layer in phase TEST only")
        self.in_place = bottom[0] is top[0]

    def compute(self, x):
        if self.phase == caffe_pb2.TEST or self.ratio == 0:
            return x if self.in_place else x.clone()
        return x * self._mask(x)

    def _mask(self, x):
        random = generator(self, MASK, self.draws, shard(self)[0])
        shape = x.shape if x.ndim != 4 else (x.shape[0], *x.shape[2:], x.shape[1])
        if x.device.type == "cpu":
            # 16 random bits a value: bernoulli_ takes several times longer
            words = random.bit_generator.random_raw((x.numel() + 3) // 4)
            bits = torch.from_numpy(words.view("int16")[: x.numel()])
            mask = bits >= min(round(self.ratio * 65536) - 32768, 32767)
        else:
            on_gpu = torch.Generator(x.device)
            on_gpu.manual_seed(int(random.integers(2**63)))
            mask = torch.rand(x.numel(), device=x.device, generator=on_gpu) >= self.ratio
        mask = mask.view(shape).to(x.dtype).mul_(1 / (1 - self.ratio))
        return mask if x.ndim != 4 else mask.permute(0, 3, 1, 2)
