"""Layers with statistics or learnt factors: BatchNorm, Scale, Bias, LRN, MVN."""

import math

import torch

from .. import device
from ..layer import register
from ..proto import caffe_pb2
from ..torch_layer import TorchLayer
from .bottom_checks import legacy_shape
from .pooling import Pool2d


@register("BatchNorm")
class BatchNorm(TorchLayer):
    """(x - mean) / sqrt(var + eps) for each channel (axis 1), without scale and shift: a Scale layer follows.

    Parameter blobs: sums of means and of unbiased variances, (C,), and their common factor, (1,): the statistics are
    sum / factor, 0 where the factor is 0. Each forward on batch statistics multiplies the three by
    moving_average_fraction and adds (mean, variance, 1). use_global_stats is the default of phase TEST. Solvers leave
    the blobs alone (lr_mult 0).
    """

    inplace = True
    keeps = None

    def setup(self, bottom, top):
        p = self.param = self._layer_param.batch_norm_param
        self.use_global = p.use_global_stats if p.HasField("use_global_stats") else self.phase == caffe_pb2.TEST
        dims = bottom[0].dims
        if len(dims) < 2:
            raise self.error(f"the bottom is {dims}; expected at least 2 axes (N, C)")
        channels = dims[1]
        for shape in ((channels,), (channels,), (1,)):
            self.add_param(shape, caffe_pb2.FillerParameter())
        specs = self._layer_param.param
        for spec in specs:
            if spec.HasField("lr_mult") and spec.lr_mult != 0:
                raise self.error(f"lr_mult {spec.lr_mult:g}: the blobs are statistics, not weights; set lr_mult: 0")
            spec.lr_mult = 0
        while len(specs) < 3:
            specs.add(lr_mult=0)

    def infer(self, shape):
        if len(shape) < 2 or shape[1] != self.blobs[0].count:
            raise self.error(f"the bottom is {shape}; expected {self.blobs[0].count} channels on axis 1")
        return shape

    def compute(self, x, mean, variance, count, factor=None, offset=None):
        # with the factor and offset (C,) of a Scale, its values; see fused_scale.py
        y = x if x.ndim > 1 else x[:, None]
        cudnn = torch.backends.cudnn.enabled
        if self.use_global:
            scale = torch.where(count == 0, 0.0, 1 / count).detach()
            y = torch.batch_norm(y, factor, offset, mean.detach() * scale, variance.detach() * scale,
                                 False, 0.0, self.param.eps, cudnn)
        else:
            # with momentum 1 the running statistics become this batch's mean and unbiased variance
            batch_mean, batch_var = torch.zeros_like(mean), torch.zeros_like(variance)
            y = torch.batch_norm(y, factor, offset, batch_mean, batch_var, True, 1.0, self.param.eps, cudnn)
            if self.param.update_global_stats and not self.replaying:
                self._update(batch_mean, batch_var if x.numel() > mean.numel() else torch.zeros_like(batch_var))
        return y if x.ndim > 1 else y[:, 0]

    @torch.no_grad()
    def _update(self, mean, variance):
        fraction = self.param.moving_average_fraction
        for blob, new in zip(self.blobs, (mean, variance, torch.ones(1, device=mean.device)), strict=True):
            blob.data_memory.mutable(mean.device).mul_(fraction).add_(new)


class _Broadcast(TorchLayer):
    """Scale and Bias: a factor of the bottom's extents from `axis` on, num_axes of them (-1: all, 0: a scalar).

    The factor is a parameter, or the second bottom, whose shape says the number of axes.
    """

    bottoms = (1, 2)
    inplace = True

    def setup(self, bottom, top):
        p = self.param = self.message()
        if len(bottom) == 1:
            dims = bottom[0].dims
            if p.num_axes < -1:
                raise self.error(f"num_axes is {p.num_axes}; expected -1 (all) or more")
            begin = self.axis(p.axis, len(dims)) if dims else 0
            end = len(dims) if p.num_axes == -1 else begin + p.num_axes
            if end > len(dims):
                raise self.error(f"axis {p.axis} and num_axes {p.num_axes} extend beyond the bottom's axes, {dims}")
            self.add_param(dims[begin:end], p.filler if p.HasField("filler") else self.default_filler)

    def infer(self, shape, factor=None):
        own = factor is None
        factor = self.blobs[0].dims if own else factor
        begin = self.axis(self.param.axis, len(shape)) if factor else 0
        if shape[begin : begin + len(factor)] != factor:
            raise self.error(f"the bottom is {shape}, {'the parameter' if own else 'bottom 1'} {factor}: expected the "
                             f"bottom's extents from axis {begin} on")
        self.view = (*factor, *[1] * (len(shape) - begin - len(factor)))  # broadcasts against the bottom
        return shape


@register("Scale")
class Scale(_Broadcast):
    """x times a factor, 1 at first, plus an offset of the same shape with bias_term (0 at first)."""

    default_filler = caffe_pb2.FillerParameter(value=1)

    def message(self):
        return self._layer_param.scale_param

    def setup(self, bottom, top):
        super().setup(bottom, top)
        if self.param.bias_term:
            self.add_param(bottom[1].dims if len(bottom) == 2 else self.blobs[0].dims, self.param.bias_filler)

    def compute(self, x, factor, offset=None):
        if offset is not None and self._is_of_channels(x, factor):
            # statistics that change nothing: the same numbers, and gradients by one kernel instead of four
            zeros, ones = torch.zeros_like(offset), torch.ones_like(offset)
            return torch.batch_norm(x, factor, offset, zeros, ones, False, 0.0, 0.0, False)
        factor = factor.reshape(self.view).to(x.dtype)
        if offset is None:
            return x * factor
        return torch.addcmul(offset.reshape(self.view).to(x.dtype), x, factor)

    def _is_of_channels(self, x, factor):
        """Whether there is one factor for each channel (axis 1), of the dtype of the values, on the CPU."""
        return (x.ndim == 4 and factor.ndim == 1 and self.view == (x.shape[1], 1, 1) and x.numel() > 0
                and x.dtype == factor.dtype and x.device.type == "cpu")

    def backward(self, top, propagate_down, bottom):
        super().backward(top, propagate_down, bottom)
        own = len(bottom) == 1
        wanted = self.param_propagate_down[0] if own else propagate_down[1]
        factor = self.blobs[0] if own else bottom[1]
        if wanted and not propagate_down[0] and bottom[0] is not top[0] and factor.count != bottom[0].count:
            # as in Caffe, the diff of a bottom that needs none is left holding the product the factor's is summed from
            where = device.current()
            bottom[0].diff_memory.write(top[0].diff_memory.read(where) * bottom[0].data_memory.read(where))


@register("Bias")
class Bias(_Broadcast):
    """x plus an offset, 0 at first."""

    default_filler = caffe_pb2.FillerParameter()

    def message(self):
        return self._layer_param.bias_param

    def compute(self, x, offset):
        return x + offset.reshape(self.view).to(x.dtype)


@register("LRN")
class LRN(TorchLayer):
    """x / (k + alpha / n sum of x^2 over n = local_size channels) ^ beta, channels outside counting 0.

    WITHIN_CHANNEL: x (1 + alpha m) ^ -beta with m the mean of x^2 over a local_size x local_size window, averaged by
    the rule of AVE pooling with padding; k is not used there, as in Caffe.
    """

    fp32 = True

    def setup(self, bottom, top):
        p = self.param = self._layer_param.lrn_param
        if p.local_size % 2 == 0:
            raise self.error(f"local_size is {p.local_size}; expected an odd number")
        pad = (p.local_size - 1) // 2
        self.window = Pool2d((p.local_size,) * 2, (1, 1), (pad, pad))

    def infer(self, shape):
        if len(shape) != 4:
            raise self.error(f"the bottom is {shape}; expected 4 axes (N, C, H, W)")
        return shape

    def compute(self, x):
        p = self.param
        if p.norm_region == p.WITHIN_CHANNEL:
            return x * (1 + p.alpha * self.window.average(x.square())) ** -p.beta
        pad = p.local_size // 2
        squares = torch.nn.functional.pad(x.square(), (0, 0, 0, 0, pad, pad))
        total = squares[:, : x.shape[1]]
        for i in range(1, p.local_size):
            total = total + squares[:, i : i + x.shape[1]]
        return x * (p.k + p.alpha / p.local_size * total) ** -p.beta


class _NormalizeRows(torch.autograd.Function):
    """(x - mean) / (std + eps) of each row; the gradient takes std + eps for std, as Caffe's does."""

    @staticmethod
    def forward(ctx, x, eps):
        x = x - x.mean(1, keepdim=True)
        spread = x.square().mean(1, keepdim=True).sqrt() + eps
        y = x / spread
        ctx.save_for_backward(y, spread)
        return y

    @staticmethod
    def backward(ctx, grad):
        y, spread = ctx.saved_tensors
        inner = grad - grad.mean(1, keepdim=True) - y * (grad * y).mean(1, keepdim=True)
        return inner / spread, None


@register("MVN")
class MVN(TorchLayer):
    """Each channel of each item (each item with across_channels): minus its mean, over std + eps.

    The top has four axes, whatever the bottom has, up to four.
    """

    fp32 = True
    inplace = True

    def infer(self, shape):
        return legacy_shape(self, shape)

    def compute(self, x):
        p = self._layer_param.mvn_param
        shape = legacy_shape(self, tuple(x.shape))
        if not x.numel():
            return x.reshape(shape)
        rows = x.reshape(math.prod(shape[: 1 if p.across_channels else 2]), -1)
        if p.normalize_variance:
            return _NormalizeRows.apply(rows, p.eps).reshape(shape)
        return (rows - rows.mean(1, keepdim=True)).reshape(shape)
