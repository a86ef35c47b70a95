"""Layers that slide windows over space: Convolution, Deconvolution, Im2col.

Windows follow base_conv_layer: with kernel k, stride s, padding p and dilation d, the window extends over
e = d (k - 1) + 1, and an axis of length n becomes

    convolution, im2col   (n + 2p - e) / s + 1      (integer division)
    deconvolution         s (n - 1) + e - 2p

The division cuts towards zero: a window that is larger than the padded bottom, by less than a stride, has one place,
and reads zeros beyond the padding.

Blobs may have any number of spatial axes: all those after `axis`, the channel axis.
"""

import itertools
import math

import torch
import torch.nn.functional as F

from .. import device, layouts
from ..layer import register
from ..torch_layer import TorchLayer
from .windows import Windows


class _WindowLayer(TorchLayer):
    """What Convolution, Deconvolution and Im2col share: the axes and the windows."""

    bottoms = (1, None)
    tops = (1, None)
    equal = True

    def setup(self, bottom, top):
        self.param = self._layer_param.convolution_param
        dims = bottom[0].dims
        self.channel_axis = self.axis(self.param.axis, len(dims))
        self.channels = dims[self.channel_axis]
        self.windows = Windows(self, self.param, len(dims) - self.channel_axis - 1)

    def out_extents(self, shape):
        """Spatial extents of the top of a bottom of this shape, checked."""
        spatial = shape[self.channel_axis + 1 :]
        out = self.windows.swept(spatial)
        if any(n < 1 for n in out):
            raise self.error(
                f"a window of {self.windows.extent} (kernel and dilation) does not fit into the bottom's spatial "
                f"extents {spatial} with pad {self.windows.pad}"
            )
        return out


class _ConvLayer(_WindowLayer):
    autocast = True

    def setup(self, bottom, top):
        super().setup(bottom, top)
        self.outputs, self.group = self.param.num_output, self.param.group
        if self.outputs < 1:
            raise self.error("num_output is missing or 0; expected the number of output channels")
        if self.group < 1 or self.channels % self.group or self.outputs % self.group:
            raise self.error(
                f"group {self.group} must divide the bottom's channels, {self.channels}, and num_output, {self.outputs}"
            )
        self.add_param((*self.weight_channels(), *self.windows.kernel), self.param.weight_filler)
        self.row = bottom[0].dims[-1]
        self.keep_layout()  # now, so that a solver's history takes the same
        if self.param.bias_term:
            self.add_param((self.outputs,), self.param.bias_filler)

    def infer(self, *shapes):
        for i, shape in enumerate(shapes):
            if shape[self.channel_axis] != self.channels:
                raise self.error(
                    f"bottom {i} is {shape} with {shape[self.channel_axis]} channels on axis {self.channel_axis}; "
                    f"the weights are made for {self.channels}"
                )
            if shape != shapes[0]:
                raise self.error(f"bottom {i} is {shape}, bottom 0 is {shapes[0]}; all must have one shape")
        self.row = shapes[0][-1]
        lead = shapes[0][: self.channel_axis]
        return [(*lead, self.outputs, *self.out_extents(shape)) for shape in shapes]

    def forward(self, bottom, top):
        self.keep_layout()
        super().forward(bottom, top)

    def compute(self, *tensors):
        n = len(tensors) - len(self.blobs)
        weight, bias = (*tensors[n:], None)[:2]
        if weight.ndim == 4:
            weight = weight.contiguous(memory_format=self.layout())
        return tuple(self.one(x, weight, bias) for x in tensors[:n])

    def one(self, x, weight, bias):
        lead = x.shape[: self.channel_axis]
        if len(lead) != 1:  # axes before the channels are all batch
            x = x.reshape(-1, *x.shape[self.channel_axis :])
        if x.ndim == 4:
            x = x.contiguous(memory_format=self.layout())
        y = self.operation(x, weight, bias)
        return y if len(lead) == 1 else y.reshape(*lead, *y.shape[1:])

    def layout(self):
        """The memory format of 4-d bottoms and weights."""
        w = self.windows
        return layouts.of_convolution(
            layouts.Window(w.kernel, w.dilation, self.channels, self.outputs, self.row, self.group))

    def keep_layout(self):
        """Store a 4-d weight as the convolutions read it, unless a numpy view fixes its layout."""
        memory = self.blobs[0].data_memory
        if not memory.exposed and len(memory.shape) == 4:
            memory.write(memory.read(device.current()).contiguous(memory_format=self.layout()))


@register("Convolution")
class Convolution(_ConvLayer):
    """Weights (num_output, channels / group, *kernel), bias (num_output,); several bottoms share them.

    engine and force_nd_im2col choose between programs of equal results in Caffe and change nothing here.
    """

    def weight_channels(self):
        """Channels of the weight's second axis, int."""
        return self.outputs, self.channels // self.group

    def operation(self, x, weight, bias):
        """The convolution itself, by torch.

        Parameters
        ----------
        x, weight, bias : Tensor
            (N, C, *spatial); the layer's parameters, bias or None.

        Returns
        -------
        Tensor
        """
        if set(self.windows.kernel) == {1} and set(self.windows.stride) != {1} and x.ndim <= 5:
            return self._of_cells(x, weight, bias)
        w = self.windows
        spatial = x.ndim - 2
        if 1 <= spatial <= 3:
            conv = (F.conv1d, F.conv2d, F.conv3d)[spatial - 1]
            return conv(w.filled(x), weight, bias, w.stride, w.pad, w.dilation, self.group)
        # any other number of axes: windows (N, group, C/group, *out, *kernel) times weights
        columns = w.unfold(x)
        n, out = x.shape[0], columns.shape[2 : 2 + spatial]
        columns = columns.reshape(n, self.group, -1, math.prod(out), math.prod(w.kernel))
        weight = weight.reshape(self.group, self.outputs // self.group, -1, math.prod(w.kernel))
        y = torch.einsum("ngclk,gock->ngol", columns, weight).reshape(n, self.outputs, *out)
        return y if bias is None else y + bias.reshape(-1, *[1] * spatial).to(y.dtype)


    def _of_cells(self, x, weight, bias):
        """A strided convolution with a kernel of one cell: the cells that the kernel meets, with stride 1.

        oneDNN's weight gradient of a strided 1 x 1 convolution in channels_last writes beyond its buffers where several
        threads share the work (torch 2.13, oneDNN 3.12).
        """
        w = self.windows
        if any(w.pad):
            x = F.pad(x, [p for pad in reversed(w.pad) for p in (pad, pad)])
        x = x[(..., *(slice(None, None, s) for s in w.stride))]
        x = x.contiguous(memory_format=self.layout()) if x.ndim == 4 else x.contiguous()
        return (F.conv1d, F.conv2d, F.conv3d)[x.ndim - 3](x, weight, bias, groups=self.group)


@register("Deconvolution")
class Deconvolution(_ConvLayer):
    """The adjoint of a convolution: weights (channels, num_output / group, *kernel), bias (num_output,)."""

    def weight_channels(self):
        """Channels of the weight's second axis, int."""
        return self.channels, self.outputs // self.group

    def out_extents(self, shape):
        """Spatial extents of the top of a bottom of this shape, checked.

        Parameters
        ----------
        shape : tuple of int

        Returns
        -------
        tuple of int
        """
        out = self.windows.spread(shape[self.channel_axis + 1 :])
        if any(n < 1 for n in out):
            raise self.error(f"pad {self.windows.pad} leaves nothing: the top's spatial extents would be {out}")
        return out

    def operation(self, x, weight, bias):
        """The transposed convolution, by torch.

        Parameters
        ----------
        x, weight, bias : Tensor
            As of Convolution.

        Returns
        -------
        Tensor
        """
        w = self.windows
        spatial = x.ndim - 2
        if 1 <= spatial <= 3:
            conv = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[spatial - 1]
            return conv(x, weight, bias, w.stride, w.pad, 0, self.group, w.dilation)
        # any other number of axes: every bottom cell adds its weighted kernel to the top
        n, places = x.shape[0], x.shape[2:]
        x = x.reshape(n, self.group, self.channels // self.group, math.prod(places))
        weight = weight.reshape(self.group, self.channels // self.group, -1, math.prod(w.kernel))
        columns = torch.einsum("ngcl,gcok->ngokl", x, weight).reshape(n, self.outputs, math.prod(w.kernel), *places)
        spread = w.spread(places)
        y = columns.new_zeros((n, self.outputs, *(m + 2 * p for m, p in zip(spread, w.pad, strict=True))))
        for k, offset in enumerate(itertools.product(*map(range, w.kernel))):
            taps = [slice(o * d, o * d + (m - 1) * s + 1, s)
                    for o, d, m, s in zip(offset, w.dilation, places, w.stride, strict=True)]
            y[(..., *taps)] += columns[:, :, k]
        y = y[(..., *(slice(p, p + m) for m, p in zip(spread, w.pad, strict=True)))]
        return y if bias is None else y + bias.reshape(-1, *[1] * spatial).to(y.dtype)


@register("Im2col")
class Im2col(_WindowLayer):
    """Every window as a column: (..., C, *spatial) -> (..., C * prod(kernel), *swept)."""

    bottoms = (1, 1)
    tops = (1, 1)

    def setup(self, bottom, top):
        super().setup(bottom, top)
        if not self.windows.kernel:
            raise self.error(f"the bottom is {bottom[0].dims}; expected at least one axis after the channels")

    def infer(self, shape):
        rows = shape[self.channel_axis] * math.prod(self.windows.kernel)
        return (*shape[: self.channel_axis], rows, *self.out_extents(shape))

    def compute(self, x):
        spatial = len(self.windows.kernel)
        columns = self.windows.unfold(x.reshape(-1, *x.shape[self.channel_axis :]))
        order = [0, 1, *range(2 + spatial, 2 + 2 * spatial), *range(2, 2 + spatial)]
        return columns.permute(order).reshape(self.infer(tuple(x.shape)))
