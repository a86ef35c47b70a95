"""Layers that multiply by learned weights without windows: InnerProduct, Embed (a table looked up by index)."""

import math

import torch.nn.functional as F

from ..layer import register
from ..torch_layer import TorchLayer
from .bottom_checks import in_range


@register("InnerProduct")
class InnerProduct(TorchLayer):
    """All axes from `axis` on are one vector of length K: (..., K) -> (..., num_output).

    Weights (num_output, K), or (K, num_output) with transpose; bias (num_output,).
    """

    autocast = True

    def setup(self, bottom, top):
        p = self.param = self._layer_param.inner_product_param
        if p.num_output < 1:
            raise self.error("num_output is missing or 0; expected the length of the result")
        dims = bottom[0].dims
        self.k_axis = self.axis(p.axis, len(dims))
        self.k = math.prod(dims[self.k_axis :])
        self.add_param((self.k, p.num_output) if p.transpose else (p.num_output, self.k), p.weight_filler)
        if p.bias_term:
            self.add_param((p.num_output,), p.bias_filler)

    def infer(self, shape):
        k = math.prod(shape[self.k_axis :])
        if k != self.k:
            raise self.error(
                f"the bottom is {shape}, {k} values from axis {self.k_axis} on; the weights were made for {self.k}: "
                "an inner product needs inputs of one size"
            )
        return (*shape[: self.k_axis], self.param.num_output)

    def compute(self, x, weight, bias=None):
        x = x.reshape(*x.shape[: self.k_axis], self.k)
        return F.linear(x, weight.t() if self.param.transpose else weight, bias)


@register("Embed")
class Embed(TorchLayer):
    """Row x of a table for every index x: (...) -> (..., num_output); weights (input_dim, num_output), bias."""

    labels = (0,)

    def setup(self, bottom, top):
        p = self.param = self._layer_param.embed_param
        if p.num_output < 1 or p.input_dim < 1:
            raise self.error(f"num_output is {p.num_output}, input_dim {p.input_dim}; expected at least 1 of both")
        self.add_param((p.input_dim, p.num_output), p.weight_filler)
        if p.bias_term:
            self.add_param((p.num_output,), p.bias_filler)

    def infer(self, shape):
        return (*shape, self.param.num_output)

    def compute(self, x, weight, bias=None):
        index = in_range(self, x.long(), self.param.input_dim, "index", "input_dim")
        y = F.embedding(index, weight)
        return y if bias is None else y + bias
