"""Layers that combine blobs, or the values along axes: Eltwise, Softmax, ArgMax, Reduction."""

import math

import torch

from ..layer import register
from ..torch_layer import TorchLayer


@register("Eltwise")
class Eltwise(TorchLayer):
    """Several bottoms of one shape: PROD, SUM (weighted by coeff), or MAX.

    Of equal maxima the second of the first two bottoms takes the gradient; a later bottom must be strictly greater.
    """

    bottoms = (2, None)
    inplace = True

    def setup(self, bottom, top):
        p = self.param = self._layer_param.eltwise_param
        if p.coeff and p.operation != p.SUM:
            raise self.error("coeff belongs to operation: SUM")
        if p.coeff and len(p.coeff) != len(bottom):
            raise self.error(f"coeff is given {len(p.coeff)} times for {len(bottom)} bottoms; expected one each")
        self.coeff = list(p.coeff) or [1.0] * len(bottom)
        if p.operation == p.MAX:
            self.keeps = None  # which bottom was the greatest

    def infer(self, *shapes):
        for i, shape in enumerate(shapes):
            if shape != shapes[0]:
                raise self.error(f"bottom {i} is {shape}, bottom 0 is {shapes[0]}; all must have one shape")
        return shapes[0]

    def compute(self, first, *rest):
        p = self.param
        if p.operation == p.SUM:
            y = first * self.coeff[0] if self.coeff[0] != 1 else first
            for x, c in zip(rest, self.coeff[1:], strict=True):
                y = torch.add(y, x, alpha=c)
        elif p.operation == p.PROD:
            y = first
            for x in rest:
                y = y * x
        else:
            y = torch.where(first > rest[0], first, rest[0])
            for x in rest[1:]:
                y = torch.where(x > y, x, y)
        return y


@register("Softmax")
class Softmax(TorchLayer):
    """exp(x) / sum(exp(x)) along `axis`."""

    fp32 = True
    inplace = True
    keeps = (0,)

    def infer(self, shape):
        self.at = self.axis(self._layer_param.softmax_param.axis, len(shape))
        return shape

    def compute(self, x):
        return torch.softmax(x, self.at)

    def gradient(self, grad, x, y):
        return (grad - (grad * y).sum(self.at, keepdim=True)) * y


@register("ArgMax")
class ArgMax(TorchLayer):
    """Places of the top_k largest values, along `axis`, or of all values of an item where no axis is given.

    With an axis: the axis becomes top_k long and holds indices, or values with out_max_val. Without: (N, 1, top_k),
    or (N, 2, top_k) with out_max_val, indices then values; an item of a 1-D bottom is one value. Of equal values the
    largest index comes first.
    """

    labels = (0,)

    def infer(self, shape):
        p = self._layer_param.argmax_param
        self.at = self.axis(p.axis, len(shape)) if p.HasField("axis") else None
        if not shape:
            raise self.error("the bottom is a scalar; expected at least 1 axis")
        choices = math.prod(shape[1:]) if self.at is None else shape[self.at]
        if not 1 <= p.top_k <= choices:
            raise self.error(f"top_k is {p.top_k}; expected 1 to {choices} (the bottom is {shape})")
        if self.at is None:
            return (shape[0], 2 if p.out_max_val else 1, p.top_k, *[1] * (len(shape) - 3))
        return (*shape[: self.at], p.top_k, *shape[self.at + 1 :])

    def compute(self, x):
        p = self._layer_param.argmax_param
        at = 1 if self.at is None else self.at
        shape = self.infer(tuple(x.shape))
        if self.at is None:
            x = x.reshape(x.shape[0], math.prod(x.shape[1:]))
        n = x.shape[at]
        values, index = x.flip(at).sort(dim=at, descending=True, stable=True)
        values = values.narrow(at, 0, p.top_k)
        index = (n - 1 - index.narrow(at, 0, p.top_k)).to(torch.float32)
        if self.at is not None:
            return values.contiguous() if p.out_max_val else index
        return (torch.stack([index, values], 1) if p.out_max_val else index).reshape(shape)


@register("Reduction")
class Reduction(TorchLayer):
    """All axes from `axis` on become one number, times coeff: SUM, ASUM (of |x|), SUMSQ (of x^2) or MEAN."""

    fp32 = True

    def infer(self, shape):
        self.at = self.axis(self._layer_param.reduction_param.axis, len(shape)) if shape else 0
        return shape[: self.at]

    def compute(self, x):
        p = self._layer_param.reduction_param
        x = x.reshape(*x.shape[: self.at], -1)
        if p.operation == p.MEAN:
            return x.mean(-1) * p.coeff
        if p.operation == p.ASUM:
            x = x.abs()
        elif p.operation == p.SUMSQ:
            x = x.square()
        return x.sum(-1) * p.coeff
