"""What Caffe's layers compute and PyTorch's modules do not, as modules that can be scripted and exported."""

import torch
import torch.nn.functional as F
from torch import nn


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
        """Cells behind the padded plane that the last window reaches over.

        Parameters
        ----------
        n : int
            Cells of the input along the axis.
        axis : int
            0 for rows, 1 for columns.

        Returns
        -------
        int
        """
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
    """Concat of tensors that agree in all axes but one."""

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
        fill(self.linear, weight, bias)

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


def fill(module, weight, bias=None):
    """Copy parameters into a module of PyTorch.

    Parameters
    ----------
    module : torch.nn.Module
        With `weight` and, where one is given, `bias`.
    weight : torch.Tensor
        Of as many values as the module's, in the same order.
    bias : torch.Tensor, optional

    Returns
    -------
    torch.nn.Module
        The same.
    """
    module.weight.data = weight.reshape(module.weight.shape).clone()
    if bias is not None:
        module.bias.data = bias.reshape(-1).clone()
    return module
