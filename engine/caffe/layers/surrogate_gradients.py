"""Values whose gradient is that of another expression, where Caffe defines a gradient by hand."""

import torch


class _ValueWithGradientOf(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value, surrogate):
        return value.clone()

    @staticmethod
    def backward(ctx, grad):
        return None, grad


def value_with_gradient_of(value, surrogate):
    """A tensor equal to `value` whose gradient is that of `surrogate`: for gradients Caffe defines by hand.

    The two have one shape; no sum of theirs is formed, so that a large surrogate does not swallow the value.

    Parameters
    ----------
    value, surrogate : Tensor
        Scalars.

    Returns
    -------
    Tensor
    """
    return _ValueWithGradientOf.apply(value, surrogate)
