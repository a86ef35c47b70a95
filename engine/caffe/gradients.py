"""A layer's own autograd graph, which holds no more than its backward pass needs.

Autograd saves of a computation what its gradient formulas read (of a ReLU the result, of a convolution the input). Who
keeps the tensors that went in and came out, to ask ``torch.autograd.grad`` with them, keeps those as well: a
convolution with a ReLU in place behind it would hold its own result beside the ReLU's for a whole training step.
"""

import math
from dataclasses import dataclass

import torch
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import GradientEdge, get_gradient_edge


@dataclass(frozen=True, slots=True)
class Like:
    """A tensor without its values.

    Attributes
    ----------
    shape : torch.Size
    strides : tuple of int
    dtype : torch.dtype
    device : torch.device
    """

    shape: torch.Size
    strides: tuple
    dtype: torch.dtype
    device: torch.device

    @classmethod
    def of(cls, tensor):
        """What a tensor is like; where its memory has gaps or one value stands at several places, contiguous.

        Parameters
        ----------
        tensor : Tensor

        Returns
        -------
        Like
        """
        strides = tensor.stride()
        if not _dense(tensor.shape, strides):
            strides = tuple(math.prod(tensor.shape[axis + 1:]) for axis in range(tensor.ndim))
        return cls(tensor.shape, strides, tensor.dtype, tensor.device)

    def fitted(self, tensor):
        """A tensor's values, like this.

        Some of torch's backward functions take the layout from one tensor and read another by it. Where an extent is 1
        a tensor may be contiguous and channels_last at once, and batch_norm's then reads a gradient in the wrong order.

        Parameters
        ----------
        tensor : Tensor
            Of the same count, on the same device.

        Returns
        -------
        Tensor
            `tensor` itself where it is like this.
        """
        if tensor.shape != self.shape:
            tensor = tensor.reshape(self.shape)
        if tensor.dtype == self.dtype and tensor.stride() == self.strides:
            return tensor
        return torch.empty_strided(self.shape, self.strides, dtype=self.dtype, device=self.device).copy_(tensor)


def _dense(shape, strides):
    """Whether a tensor's values lie side by side, each once, in the order of some of its axes."""
    count = 1
    for step, extent in sorted(zip(strides, shape, strict=True)):
        if extent > 1 and step != count:
            return False
        count *= extent
    return True


class Tape:
    """Records what is computed from some tensors and gives the gradients with respect to them, any number of times.

    Parameters
    ----------
    passing : sequence of (Tensor, bool)
        What is computed from, and whether its gradient is wanted. The tape keeps none of these tensors.
    staying : sequence of (Tensor, bool)
        The same of tensors that others keep anyway (parameters).

    Attributes
    ----------
    inputs : list of Tensor
        To compute with, passing and then staying, once: they are gone after :meth:`close`.
    outputs : list of Like or None
        After :meth:`close`, what the gradient of each output is to be like; None for one that depends on no input.
    """

    def __init__(self, passing, staying):
        start = torch.empty(0, requires_grad=True)
        with torch.enable_grad():
            self.inputs = [_Source.apply(start, value) if wanted else value.data for value, wanted in passing]
        # .data, not .detach(): the alias gets its own version counter, so that a weight that changes between forward
        # and backward (by the solver of a net that shares it) is used as it then is, as in Caffe, not refused
        self.inputs += [value.data.requires_grad_(wanted) for value, wanted in staying]
        self._edges = [get_gradient_edge(value) if wanted else None
                       for value, (_, wanted) in zip(self.inputs, passing, strict=False)]
        self._edges += [value if value.requires_grad else None for value in self.inputs[len(passing):]]
        self._ends = ()

    def close(self, outputs):
        """End the recording.

        Parameters
        ----------
        outputs : sequence of Tensor
            What was computed from `inputs`, on one device.
        """
        self.inputs = None
        self.outputs = [Like.of(output) if output.requires_grad else None for output in outputs]
        self._ends = tuple(_end(output) for output in outputs if output.requires_grad)

    def gradients(self, grads):
        """Gradients of sum(outputs * grads), as ``torch.autograd.grad`` gives them, by the engine below it.

        Given gradients, ``torch.autograd.grad`` checks their shapes by its symbolic shapes, for which the first call in
        a process imports sympy, 486 modules and seconds of a busy machine; and its checks take as long as the backward
        pass of a small layer.

        Parameters
        ----------
        grads : sequence of Tensor
            One for each output that is not None, like it.

        Returns
        -------
        list of Tensor or None
            One for each input; None where it is not wanted or no output depends on it.
        """
        wanted = tuple(edge for edge in self._edges if edge is not None)
        if not (self._ends and wanted):
            return [None] * len(self._edges)
        keep_graph, create_graph, allow_unreachable, accumulate = True, False, True, False
        found = iter(torch.autograd.Variable._execution_engine.run_backward(
            self._ends, tuple(grads), keep_graph, create_graph, wanted, allow_unreachable, accumulate))
        return [None if edge is None else next(found) for edge in self._edges]


def _end(output):
    """Where the gradient of an output goes in; of a parameter that is handed on as it is, itself."""
    node = output.grad_fn
    if node is None:
        return output
    # a node of Python's is kept by the edge alone as get_gradient_edge makes it, which takes longer
    return get_gradient_edge(output) if isinstance(node, BackwardCFunction) else GradientEdge(node, output.output_nr)


class _Source(torch.autograd.Function):
    """A tensor under another name, which the graph behind it does not keep; no gradient passes it."""

    @staticmethod
    def forward(ctx, start, value):
        return value.data

    @staticmethod
    def backward(ctx, grad):
        return None, None
