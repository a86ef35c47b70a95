"""Layers computed by torch, with gradients by autograd."""

import torch

from . import device
from .gradients import Tape
from .layer import NativeLayer


class TorchLayer(NativeLayer):
    """A layer whose values torch computes and whose gradients autograd computes.

    Subclasses define ``infer(*bottom_shapes) -> shape or list of shapes`` and
    ``compute(*tensors, *params) -> tensor or tuple of tensors``; setup where there are parameters.

    Every layer is a graph of its own between its bottoms and its tops. That keeps Caffe's contract exactly: any blob
    may be read or changed between two layers, forward and backward may start and end anywhere, a second backward
    without a forward works, and an in-place layer needs no care. The backward pass is that of the blobs as they then
    stand: a layer that has not run, or whose blobs have been written to since, is computed again first.

    Attributes
    ----------
    keeps : tuple of int or None
        Bottoms of which Caffe's forward pass keeps what its backward pass reads (a mask, a difference, statistics), so
        that a change between the two has no effect; None: all bottoms and parameters.
    replaying : bool
        Whether `compute` is run for the backward pass alone and must leave states and statistics be.
    """

    keeps = ()
    replaying = False
    #: whether bf16 precision applies (matrix products); other layers keep the dtype they are given
    autocast = False
    #: whether inputs are widened to float32 first (losses, softmax, normalisation)
    fp32 = False
    _bottom_shapes = None  # for which _top_shapes were inferred
    _graph = None  # the Tape of the last forward
    _kept = {}  # of that forward, the values of the bottoms in `keeps` by their places
    _edits = ()  # of the memories that the graph was made from
    fused = None  # the layer that computed this one's last forward pass together with another's (fused_scale.py)

    def infer(self, *shapes):
        raise NotImplementedError(f"{type(self).__name__} defines no infer")

    def compute(self, *tensors):
        raise NotImplementedError(f"{type(self).__name__} defines no compute")

    def gradient(self, grad, x, y):
        """The bottom's gradient by Caffe's formula, for layers with one bottom whose formula reads the top.

        Only for blobs that have been written to since forward: for all others autograd says the same.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no gradient")

    def reshape(self, bottom, top):
        shapes = [b.dims for b in bottom]
        if shapes != self._bottom_shapes:
            self._graph, self._kept = None, {}
            found = self.infer(*shapes)
            self._top_shapes = [found] if isinstance(found, tuple) else found
            self._bottom_shapes = shapes
        for blob, shape in zip(top, self._top_shapes, strict=True):
            if blob.dims != shape:
                blob.reshape(*shape)

    def forward(self, bottom, top):
        if self.fused is not None:
            self.fused.part()
        where = device.current()
        memories = [b.data_memory for b in (*bottom, *self.blobs)]
        needs = self._needs_graph()
        values = [m.snapshot(where) if needs else m.read(where) for m in memories]
        outputs = self._recorded(values) if needs else self._outputs(values, False)
        for blob, value in zip(top, outputs, strict=True):
            if blob.dims != tuple(value.shape):  # shapes that depend on the data (Filter)
                blob.reshape(*value.shape)
            blob.data_memory.write(value)
        if needs:
            self._edits = [m.edits for m in self._read_in_backward(bottom, top)]

    def _needs_graph(self):
        return any(self.propagate_down) or any(self.param_propagate_down)

    def _recorded(self, values):
        """The tops of these bottoms and parameters, and in `_graph` how they were computed."""
        count = len(self.propagate_down)
        tape = Tape(list(zip(values[:count], self.propagate_down, strict=True)),
                    list(zip(values[count:], self.param_propagate_down, strict=True)))
        outputs = self._outputs(tape.inputs, True)
        tape.close(outputs)
        self._graph = tape
        self._kept = {k: values[k] for k in self.keeps or ()}
        return outputs

    def _outputs(self, values, needs):
        inputs = [t.float() for t in values] if self.fp32 else values
        if needs == torch.is_grad_enabled():
            outputs = self._compute(inputs)
        else:
            with torch.set_grad_enabled(needs):
                outputs = self._compute(inputs)
        return tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)

    def _compute(self, inputs):
        if self.autocast and device.precision() == "bf16":
            with device.autocast():
                return self.compute(*inputs)
        return self.compute(*inputs)

    # -- the backward pass -------------------------------------------------------------------------------------
    def backward(self, top, propagate_down, bottom):
        if self.fused is not None:
            self.fused.part()
        for k, wanted in enumerate(propagate_down):
            if wanted and not self.allow_force_backward(k):
                raise self.error(f"bottom {k} '{self._layer_param.bottom[k]}' cannot have a gradient, but layers that "
                                 "learn lie before it; give propagate_down: false for it")
        if not self._needs_graph():
            return
        if self._graph is None or self._edited(bottom, top):
            if self._reads_top():
                self._backward_from_blobs(top, propagate_down, bottom)
                return
            self._replay(bottom, top)
        tape = self._graph
        made = [like.fitted(blob.diff_memory.read(like.device))     # a layer in place may have changed its shape since
                for like, blob in zip(tape.outputs, top, strict=True) if like is not None]
        self._hand_on(tape.gradients(made), made, top, propagate_down, bottom)

    def forget(self):
        self._graph, self._kept = None, {}
        if self.fused is not None:
            self.fused.forget()

    def _hand_on(self, grads, made, top, propagate_down, bottom):
        """Write the gradients of the bottoms and add those of the parameters.

        A gradient may be the very memory of a top's (an identity, a view of it), which changes when a bottom in place
        is written, when its view is written to, or while the sum of a parameter is kept: such a one is copied.
        """
        exposed = any(blob.diff_memory.exposed for blob in top)
        first = 0 if exposed else len(bottom)   # from here on a gradient's memory must be its own
        own = list(grads)
        passed_on = {_storage(grad) for grad in made} if first < len(own) else ()
        for k in range(first, len(own)):
            if own[k] is not None and _storage(own[k]) in passed_on:
                own[k] = own[k].clone()
        for blob, wants, grad in zip(bottom, propagate_down, own, strict=False):
            if wants:
                blob.diff_memory.clear() if grad is None else blob.diff_memory.write(grad)
        for blob, grad in zip(self.blobs, own[len(bottom) :], strict=True):
            if grad is not None:
                blob.diff_memory.accumulate(grad)

    def _reads_top(self):
        return type(self).gradient is not TorchLayer.gradient

    def _read_in_backward(self, bottom, top):
        """The memories whose newest values count in the backward pass."""
        if self.keeps is None:
            return []
        blobs = [b for k, b in enumerate(bottom) if k not in self.keeps] + list(self.blobs)
        return [b.data_memory for b in (*blobs, *(top if self._reads_top() else ()))]

    def _edited(self, bottom, top):
        """Whether what the backward pass reads has been written to since the graph was made."""
        memories = self._read_in_backward(bottom, top)
        for memory in memories:
            if memory.exposed:
                memory.snapshot(device.current())
        return [m.edits for m in memories] != self._edits

    def _replay(self, bottom, top):
        """Make the graph of the blobs as they stand, with what the forward pass kept; the tops stay as they are."""
        where = device.current()
        kept = self._kept if self._graph is not None else {}
        values = [kept[k] if k in kept else b.data_memory.snapshot(where)
                  for k, b in enumerate((*bottom, *self.blobs))]
        self.graph_of(values)
        self._edits = [m.edits for m in self._read_in_backward(bottom, top)]

    def graph_of(self, values):
        """Make the graph for the backward pass of these bottoms and parameters; the outputs.

        Parameters
        ----------
        values : sequence of Tensor

        Returns
        -------
        tuple of Tensor
        """
        self.replaying = True
        try:
            return self._recorded(values)
        finally:
            self.replaying = False

    def _backward_from_blobs(self, top, propagate_down, bottom):
        if propagate_down[0]:
            where = device.current()
            grad, x, y = (m.read(where) for m in (top[0].diff_memory, bottom[0].data_memory, top[0].data_memory))
            bottom[0].diff_memory.write(self.gradient(grad, x, y))


def _storage(tensor):
    return tensor.untyped_storage().data_ptr()
