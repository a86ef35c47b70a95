"""Pooling (MAX, AVE, STOCHASTIC) and SPP, spatial pyramid pooling.

Caffe's rule for an axis of length n, kernel k, stride s, pad p (round_mode CEIL; FLOOR rounds down):

    out = ceil((n + 2p - k) / s) + 1;  with any padding, a last window that would begin at n + p or later is dropped

MAX ignores the padding; the first of equal values (row by row) takes the gradient. AVE divides by the window's
area where it may count padding but no more than the padded plane: a window that begins at b has
min(b + k, n + p) - b cells on that axis.
"""

import math

import torch
import torch.nn.functional as F

from ..layer import register
from ..proto import caffe_pb2
from ..torch_layer import TorchLayer
from .random_streams import MASK, generator, shard


class _MaxOfPlanes(torch.autograd.Function):
    """F.max_pool2d of a contiguous tensor on the CPU, where torch's kernel for channels_last is three to nine times as
    fast forward: the values go through that one, the gradient takes the other, and both come out contiguous."""

    @staticmethod
    def forward(ctx, x, kernel, stride, pad, ceil):
        y, index = torch.ops.aten.max_pool2d_with_indices(x.contiguous(memory_format=torch.channels_last), kernel,
                                                          stride, pad, (1, 1), ceil)
        ctx.save_for_backward(x, index.contiguous())
        ctx.window = kernel, stride, pad, (1, 1), ceil
        return y.contiguous()

    @staticmethod
    def backward(ctx, grad):
        x, index = ctx.saved_tensors
        found = torch.ops.aten.max_pool2d_with_indices_backward(grad.contiguous(), x, *ctx.window, index)
        return found, None, None, None, None


class Pool2d:
    """One pooling operation on (N, C, H, W): kernel, stride, pad as (h, w) pairs."""

    def __init__(self, kernel, stride, pad, floor=False):
        self.kernel, self.stride, self.pad, self.floor = kernel, stride, pad, floor
        self._divisors = {}  # of the plane last averaged by hand

    def out(self, height, width):
        """Extents of the result.

        Parameters
        ----------
        height, width : int

        Returns
        -------
        (int, int)
        """
        sizes = []
        for n, k, s, p in zip((height, width), self.kernel, self.stride, self.pad, strict=True):
            size = (n + 2 * p - k) // s if self.floor else -((k - n - 2 * p) // s)
            size += 1
            if any(self.pad) and (size - 1) * s >= n + p:
                size -= 1
            sizes.append(size)
        return tuple(sizes)

    def _torch_agrees(self, height, width):
        """Whether torch's own ceil_mode gives the same windows for this plane; else they are padded by hand."""
        for n, k, s, p, size in zip((height, width), self.kernel, self.stride, self.pad,
                                    self.out(height, width), strict=True):
            theirs = (n + 2 * p - k) // s if self.floor else -((k - n - 2 * p) // s)
            if not self.floor and theirs * s >= n + p:
                theirs -= 1
            if 2 * p > k or n + 2 * p < k or theirs + 1 != size:
                return False
        return True

    def _padded(self, x, value):
        """x padded such that windows without padding or rounding are exactly Caffe's."""
        (height, width), (out_h, out_w) = x.shape[2:], self.out(*x.shape[2:])
        (kh, kw), (sh, sw), (ph, pw) = self.kernel, self.stride, self.pad
        bottom = (out_h - 1) * sh + kh - ph - height
        right = (out_w - 1) * sw + kw - pw - width
        return F.pad(x, (pw, right, ph, bottom), value=value)  # a negative amount cuts what no window covers

    def max(self, x):
        """Maxima; ties go to the first.

        Parameters
        ----------
        x : Tensor
            (N, C, H, W).

        Returns
        -------
        Tensor
        """
        pad, ceil = self.pad, not self.floor
        if not self._torch_agrees(*x.shape[2:]):
            x, pad, ceil = self._padded(x, torch.finfo(x.dtype).min), (0, 0), False
        if x.device.type == "cpu" and x.requires_grad and x.is_contiguous() and x.numel() > 0:
            return _MaxOfPlanes.apply(x, self.kernel, self.stride, pad, ceil)
        return F.max_pool2d(x, self.kernel, self.stride, pad, ceil_mode=ceil)

    def max_with_index(self, x):
        """Maxima and their places y W + x in the plane, as float32; -1 where a window lies outside the plane.

        Parameters
        ----------
        x : Tensor
            (N, C, H, W).

        Returns
        -------
        (Tensor, Tensor)
        """
        height, width = x.shape[2:]
        padded = self._padded(x, torch.finfo(x.dtype).min)
        y, index = F.max_pool2d(padded, self.kernel, self.stride, return_indices=True)
        row = index // padded.shape[3] - self.pad[0]
        column = index % padded.shape[3] - self.pad[1]
        inside = (0 <= row) & (row < height) & (0 <= column) & (column < width)
        return y, torch.where(inside, row * width + column, -1).float()

    def average(self, x):
        """Means over the clipped windows, padding counted.

        Parameters
        ----------
        x : Tensor
            (N, C, H, W).

        Returns
        -------
        Tensor
        """
        if self._torch_agrees(*x.shape[2:]):
            return F.avg_pool2d(x, self.kernel, self.stride, self.pad, ceil_mode=not self.floor)
        sums = F.avg_pool2d(self._padded(x, 0.0), self.kernel, self.stride, divisor_override=1)
        key = (*x.shape[2:], x.dtype, x.device)
        if key not in self._divisors:
            self._divisors = {key: self._areas(*x.shape[2:]).to(x)}
        return sums / self._divisors[key]

    def _areas(self, height, width):
        lengths = []
        for n, k, s, p, size in zip((height, width), self.kernel, self.stride, self.pad,
                                    self.out(height, width), strict=True):
            begin = torch.arange(size) * s - p
            lengths.append((begin + k).clamp(max=n + p) - begin)
        return lengths[0][:, None] * lengths[1][None, :]


@register("Pooling")
class Pooling(TorchLayer):
    """(N, C, H, W) -> (N, C, H', W'). MAX has an optional second top: the place of each maximum, y W + x.

    STOCHASTIC (no padding): in TRAIN a cell of the window drawn with probability proportional to its value, in TEST
    the mean weighted by the values themselves (Zeiler and Fergus, ICLR 2013).
    """

    tops = (1, 2)
    keeps = None  # the places of the maxima

    def setup(self, bottom, top):
        p = self.param = self._layer_param.pooling_param
        if len(top) == 2 and p.pool != p.MAX:
            raise self.error("a second top, the mask, is made by pool: MAX only")
        sized = p.HasField("kernel_size") or p.HasField("kernel_h") or p.HasField("kernel_w")
        if p.global_pooling:
            if sized:
                raise self.error("global_pooling takes the whole plane: leave out kernel_size, kernel_h and kernel_w")
            if any(self._pair("pad")) or self._pair("stride") != (1, 1):
                raise self.error("global_pooling needs pad 0 and stride 1")
        elif not sized:
            raise self.error("kernel_size (or kernel_h and kernel_w) is missing; or set global_pooling: true")
        else:
            kernel, stride, pad = self._pair("kernel"), self._pair("stride"), self._pair("pad")
            if min(kernel) < 1 or min(stride) < 1:
                raise self.error(f"kernel {kernel} and stride {stride} must be at least 1")
            if any(a >= k for a, k in zip(pad, kernel, strict=True)):
                raise self.error(f"pad {pad} must be smaller than the kernel {kernel}")
            if any(pad) and p.pool == p.STOCHASTIC:
                raise self.error("padding is not supported by pool: STOCHASTIC")
            self.pool = Pool2d(kernel, stride, pad, p.round_mode == p.FLOOR)

    def _pair(self, name):
        p = self.param
        both = f"{name}_size" if name == "kernel" else name
        if p.HasField(f"{name}_h") or p.HasField(f"{name}_w"):
            if p.HasField(both):
                raise self.error(f"give either {both}, or {name}_h and {name}_w, not both")
            if not (p.HasField(f"{name}_h") and p.HasField(f"{name}_w")):
                raise self.error(f"{name}_h and {name}_w must be given together")
            return getattr(p, f"{name}_h"), getattr(p, f"{name}_w")
        return (getattr(p, both),) * 2

    def infer(self, shape):
        if len(shape) != 4:
            raise self.error(f"the bottom is {shape}; expected 4 axes (N, C, H, W)")
        if self.param.global_pooling:
            self.pool = Pool2d(shape[2:], (1, 1), (0, 0))
        out = self.pool.out(*shape[2:])
        if min(out) < 1:
            raise self.error(f"a kernel of {self.pool.kernel} does not fit into the bottom, {shape}, with pad "
                             f"{self.pool.pad}")
        shape = (*shape[:2], *out)
        return [shape] * (2 if self.mask else 1)

    def reshape(self, bottom, top):
        self.mask = len(top) == 2
        super().reshape(bottom, top)

    def compute(self, x):
        p = self.param
        if x.device.type == "cpu" and not (torch.is_grad_enabled() and x.is_contiguous()):
            # torch's kernels are several times as fast in it on a CPU; with gradients see _MaxOfPlanes
            x = x.contiguous(memory_format=torch.channels_last)
        if p.pool == p.AVE:
            return self.pool.average(x)
        if p.pool == p.STOCHASTIC:
            return self._stochastic(x)
        return self.pool.max_with_index(x) if self.mask else self.pool.max(x)

    def _stochastic(self, x):
        (kh, kw), (sh, sw) = self.pool.kernel, self.pool.stride
        windows = self.pool._padded(x, 0.0).unfold(2, kh, sh).unfold(3, kw, sw).flatten(-2)
        if self.phase == caffe_pb2.TEST:
            return windows.square().sum(-1) / (windows.sum(-1) + torch.finfo(torch.float32).tiny)
        sums = windows.detach().float().cumsum(-1)
        random = generator(self, MASK, self.draws, shard(self)[0])
        draw = torch.from_numpy(random.random(tuple(sums.shape[:-1]), dtype="float32")).to(x.device)
        index = (sums < draw[..., None] * sums[..., -1:]).sum(-1, keepdim=True)
        return windows.gather(-1, index.clamp(max=kh * kw - 1)).squeeze(-1)


@register("SPP")
class SPP(TorchLayer):
    """Level l pools a grid of 2^l x 2^l bins; the levels, flattened, are joined: (N, C (4^height - 1) / 3).

    A single level is a pooling of the whole plane and stays (N, C, 1, 1).
    """

    keeps = None

    def setup(self, bottom, top):
        self.param = self._layer_param.spp_param
        if self.param.pyramid_height < 1:
            raise self.error("pyramid_height is missing or 0; expected the number of levels")
        if self.param.pool == self.param.STOCHASTIC:
            raise self.error("pool: STOCHASTIC is not supported; use MAX or AVE")

    def infer(self, shape):
        if len(shape) != 4:
            raise self.error(f"the bottom is {shape}; expected 4 axes (N, C, H, W)")
        self.pools = []
        for level in range(self.param.pyramid_height):
            bins = 2**level
            kernel = tuple(math.ceil(n / bins) for n in shape[2:])
            pad = tuple((k * bins - n + 1) // 2 for n, k in zip(shape[2:], kernel, strict=True))
            if any(p >= k for p, k in zip(pad, kernel, strict=True)):
                raise self.error(f"level {level} divides planes of {shape[2:]} into {bins} x {bins} bins, which is too "
                                 "many; lower pyramid_height")
            self.pools.append(Pool2d(kernel, kernel, pad))
        bins = sum(math.prod(pool.out(*shape[2:])) for pool in self.pools)
        return (*shape[:2], 1, 1) if self.param.pyramid_height == 1 else (shape[0], shape[1] * bins)

    def compute(self, x):
        average = self.param.pool == self.param.AVE
        levels = [p.average(x) if average else p.max(x) for p in self.pools]
        return levels[0] if len(levels) == 1 else torch.cat([level.flatten(1) for level in levels], 1)
