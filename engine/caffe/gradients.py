"""Gradients of several tensors from given gradients of what was computed from them."""

import torch


class _Weighted(torch.autograd.Function):
    """A number whose gradient with respect to each of some tensors is a given one."""

    @staticmethod
    def forward(ctx, grads, *outputs):
        ctx.grads = grads
        return outputs[0].new_zeros(())

    @staticmethod
    def backward(ctx, grad):
        return None, *ctx.grads


def vector_jacobian(outputs, grads, inputs):
    """Gradients of sum(outputs * grads) with respect to `inputs`; the graph stays for further calls.

    The same as ``torch.autograd.grad(outputs, inputs, grads, retain_graph=True, allow_unused=True)``, to the bit: no
    product is formed. Given gradients, torch checks their shapes by its symbolic shapes, for which the first call in a
    process imports sympy, 486 modules and seconds of a busy machine; a number's gradient needs none.

    Parameters
    ----------
    outputs, grads : sequences of Tensor
        One gradient an output, of its shape, dtype and device.
    inputs : sequence of Tensor
        Leaves that ask for gradients.

    Returns
    -------
    tuple of Tensor or None
        None for an input on which no output depends.
    """
    with torch.enable_grad():
        number = _Weighted.apply(tuple(grads), *outputs)
    return torch.autograd.grad(number, inputs, retain_graph=True, allow_unused=True)
