"""Running a graph: forward and backward layer by layer, with the functions that a program wants called in between."""

from . import debug_info, device, tensor_calls
from .blob import BoolVec
from .fused_scale import fused_scales
from .graph import Graph
from .layer import NativeLayer
from .layers.bottom_checks import LateAnswers
from .shared_memory import owner

FEW = 64    # values of an output that are brought to the host without being asked for, once somebody has read them


class RunningGraph(Graph):
    """A graph whose layers compute; layers are given by their places.

    Attributes
    ----------
    keep_blobs : bool
        Whether data and gradients of blobs between layers stay after a backward pass, as Caffe's do, so that
        ``blob.data`` and ``blob.diff`` can be read. False, for those who read none: each is freed once no layer needs
        it, and a training step takes half the memory. What stays either way: parameters and their gradients, the net's
        inputs and outputs, tops of layers without a backward pass, and what somebody holds a view of.
    """

    keep_blobs = True
    _late = None

    def _build(self, *args):
        self._callbacks = {"before_forward": [], "after_forward": [], "before_backward": [], "after_backward": []}
        super()._build(*args)
        self._fused = fused_scales(self._nodes)

    def _together(self, index, last):
        """What computes layer `index` and the next one, up to `last`, at once; None where each is for itself."""
        watched = self.debug_info or any(self._callbacks.values())
        fused = None if watched or index >= last else self._fused.get(index)
        return fused if fused and self._nodes[index].bottoms[0].count else None

    def _forward(self, start=0, end=None):
        """Run layers start..end (indices, inclusive); the weighted loss of those layers as float."""
        loss = float(self.run_forward(start, end))
        self.raise_late()
        return loss

    def raise_late(self):
        """Refuse what a GPU has found in the bottoms of layers in the forwards since the last call.

        Raises
        ------
        LayerError
        """
        late, self._late = self._late, None
        found = late and late.first()
        if found:
            layer, error = found
            self._locate(error, next(node.param for node in self._nodes if node.layer is layer), "forward")

    def run_forward(self, start=0, end=None):
        """Run layers forward; the loss stays on its device, so that nothing waits for it.

        Parameters
        ----------
        start, end : int, optional
            Numbers of the first and the last layer; by default all.

        Returns
        -------
        Tensor or float
            The weighted loss of these layers; 0.0 where there is none.

        Raises
        ------
        IndexError
            Layers that the net does not have.
        """
        end = len(self._nodes) - 1 if end is None else end
        if not (0 <= start and end < len(self._nodes)):
            raise IndexError(f"layers {start}..{end}: this net has layers 0..{len(self._nodes) - 1}")
        self._follow_seed()
        loss = 0.0
        index = start
        while index <= end:
            fused = self._together(index, end)
            if fused is not None:
                self._forward_fused(index, fused)
                index += 2
                continue
            for callback in self._callbacks["before_forward"]:
                callback(index)
            loss = loss + self._forward_layer(self._nodes[index])
            for callback in self._callbacks["after_forward"]:
                callback(index)
            index += 1
        if device.current().type == "cuda":
            self._tell_host()
        return loss

    def _tell_host(self):
        """Begin the copies to the host that a training step reads, before the backward pass is begun."""
        self._late = LateAnswers(node.layer for node in self._nodes)
        for name in self._output_names:
            blob = self._named_blobs[name]
            if blob.count <= FEW:
                blob.data_memory.start_copy()

    def _forward_layer(self, node):
        try:
            self._reshape(node)
            tensor_calls.forward(node.layer, node.bottoms, node.tops)
        except Exception as error:
            self._locate(error, node.param, "forward")
            raise
        if isinstance(node.layer, NativeLayer):
            node.layer.tick += 1
        if self.debug_info:
            debug_info.forward(node)
        loss = 0.0
        for blob, weight in zip(node.tops, node.loss_weights, strict=True):
            if weight:
                loss = loss + weight * blob.data_memory.read(device.current()).sum()
        return loss

    def _forward_fused(self, index, fused):
        """A BatchNorm and the Scale after it."""
        norm, scale = nodes = self._nodes[index : index + 2]
        try:
            for node in nodes:
                self._reshape(node)
            fused.forward(norm.bottoms, scale.tops)
        except Exception as error:
            self._locate(error, norm.param, "forward")
            raise
        for node in nodes:
            node.layer.tick += 1

    def _backward(self, start=None, end=0):
        """Backward through layers start..end (indices; start is the later one)."""
        start = len(self._nodes) - 1 if start is None else start
        if not (0 <= end and start < len(self._nodes)):
            raise IndexError(f"layers {start}..{end}: this net has layers {len(self._nodes) - 1}..0")
        index = start
        ends = [] if self.keep_blobs else _owners(map(self._named_blobs.get, (*self._input_names, *self._output_names)))
        while index >= end:
            fused = self._together(index - 1, start) if index > end else None
            if fused is not None and fused.stands(self._nodes[index].tops[0]):
                self._backward_layer(self._nodes[index - 1], fused)
                if not self.keep_blobs:
                    _free(self._nodes[index - 1], ends)
                index -= 2
                continue
            node = self._nodes[index]
            for callback in self._callbacks["before_backward"]:
                callback(index)
            if node.needs_backward:
                self._backward_layer(node, node.layer)
                if self.debug_info:
                    debug_info.backward(node)
            for callback in self._callbacks["after_backward"]:
                callback(index)
            if node.needs_backward and not self.keep_blobs:
                _free(node, ends)
            index -= 1

    def _backward_layer(self, node, layer):
        try:
            tensor_calls.backward(layer, node.tops, BoolVec(node.bottom_needs), node.bottoms)
        except Exception as error:
            self._locate(error, node.param, "backward")
            raise

    def run_backward(self):
        """Backward through the whole net, as a solver does it."""
        self._backward()
        if self.debug_info:
            debug_info.backward_total(self._learnable)

    def reshape(self):
        """Propagate the shapes of the inputs through all layers."""
        for node in self._nodes:
            try:
                self._reshape(node)
            except Exception as error:
                self._locate(error, node.param, "reshape")
                raise

    def clear_param_diffs(self):
        """Set the gradients of all parameters to zero (backward adds to them)."""
        for param in self._learnable:
            param.blob.diff_memory.clear()

    # -- callbacks ---------------------------------------------------------------------------------------------
    def before_forward(self, callback):
        """Call ``callback(layer_index)`` before each layer's forward.

        Parameters
        ----------
        callback : callable
        """
        self._callbacks["before_forward"].append(callback)

    def after_forward(self, callback):
        """Call ``callback(layer_index)`` after each layer's forward.

        Parameters
        ----------
        callback : callable
        """
        self._callbacks["after_forward"].append(callback)

    def before_backward(self, callback):
        """Call ``callback(layer_index)`` before each layer's backward.

        Parameters
        ----------
        callback : callable
        """
        self._callbacks["before_backward"].append(callback)

    def after_backward(self, callback):
        """Call ``callback(layer_index)`` after each layer's backward.

        Parameters
        ----------
        callback : callable
        """
        self._callbacks["after_backward"].append(callback)


def _owners(blobs):
    """The memories of some blobs' data and diffs, by their ids."""
    return {id(owner(memory)) for blob in blobs for memory in (blob.data_memory, blob.diff_memory)}


def _free(node, ends):
    """Free what no layer reads any more once this one's backward pass is done; the net's ends (as _owners) stay."""
    if isinstance(node.layer, NativeLayer):
        node.layer.forget()
    stays = ends | _owners((*node.bottoms, *node.layer.blobs))
    for blob, weight in zip(node.tops, node.loss_weights, strict=True):
        for memory in map(owner, (blob.data_memory, blob.diff_memory)):
            if not (weight or memory.exposed or id(memory) in stays):
                memory.clear()
