"""Nets: layers wired by blob names, run forward and backward (Caffe's net.cpp and pycaffe's Net).

Construction follows Caffe step by step: filter by phase, insert splits, wire bottoms and tops, set layers up, share
parameters by name, then find out which layers and bottoms need a gradient (loss, lr_mult, propagate_down,
force_backward).
"""

import os
from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np

from . import device, serialization
from . import layers as _layers  # noqa: F401  (fills the registry)
from .blob import Blob, BlobVec, BoolVec, LayerVec, RawBlobVec
from .layer import REGISTRY, LayerError, NativeLayer, layer_type_list
from .proto import caffe_pb2
from .prototxt import PrototxtError, filter_net, insert_splits, layer_lines, parse_net
from .python_layer import make_python_layer

TRAIN = caffe_pb2.TRAIN
TEST = caffe_pb2.TEST


@dataclass
class Node:
    """One layer with its wiring."""

    layer: object
    param: caffe_pb2.LayerParameter
    bottom_names: list = field(default_factory=list)
    top_names: list = field(default_factory=list)
    bottoms: RawBlobVec = field(default_factory=RawBlobVec)
    tops: RawBlobVec = field(default_factory=RawBlobVec)
    bottom_needs: list = field(default_factory=list)  # propagate_down per bottom
    param_needs: list = field(default_factory=list)  # per parameter blob
    needs_backward: bool = False
    loss_weights: list = field(default_factory=list)  # per top
    loss_shapes: list = field(default_factory=list)  # shapes for which the loss weight stands in the diff


class Net:
    """A network of a prototxt.

    Parameters
    ----------
    network_file : str
        Prototxt. (Legacy order: ``Net(prototxt, weights, phase)``.)
    phase : int
        caffe.TRAIN or caffe.TEST.
    level : int
    stages : list of str
        NetState that include/exclude rules are held against.
    weights : str
        .caffemodel or .h5 copied in by layer name.

    Raises
    ------
    RuntimeError
        A file that does not exist.
    caffe.PrototxtError, caffe.LayerError
        A net that cannot be built; the message names the file and the line where they are known.
    """

    def __init__(self, network_file, *args, phase=None, level=0, stages=None, weights=None):
        if len(args) == 2 and isinstance(args[0], (str, os.PathLike)):
            weights, phase = args
        elif args:
            phase, level, stages, weights = [*args, *(level, stages, weights)[len(args) - 1 :]]
        if phase not in (TRAIN, TEST):
            raise TypeError(f"Net({str(network_file)!r}): give phase=caffe.TRAIN or phase=caffe.TEST, got {phase!r}")
        path = os.fspath(network_file)
        if not os.path.isfile(path):
            raise RuntimeError(f"Could not open file {path}")
        if weights is not None and not os.path.isfile(os.fspath(weights)):
            raise RuntimeError(f"Could not open file {weights}")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        self._build(parse_net(text, path), phase, level, stages or (), path, layer_lines(text))
        if weights is not None:
            self.copy_from(weights)

    @classmethod
    def from_param(cls, net_param, phase, level=0, stages=(), source="net", share_with=None):
        """Net of a NetParameter message (solvers hold nets inline); `source` is the file it was read from, if any."""
        net = cls.__new__(cls)
        lines = {}
        if os.path.isfile(source):
            with open(source, encoding="utf-8") as f:
                lines = layer_lines(f.read())
        net._build(net_param, phase, level, stages, source, lines, share_with)
        return net

    # -- construction ------------------------------------------------------------------------------------------
    def _build(self, net_param, phase, level, stages, source, lines, share_with=None):
        try:
            param = insert_splits(filter_net(net_param, phase, level, tuple(stages)))
        except PrototxtError as error:  # raised without knowing the file
            raise PrototxtError(f"{source}: {error}") from error
        self._source, self._lines, self._phase = source, lines, phase
        self.name = param.name
        self._force_backward = param.force_backward
        self._debug_info = param.debug_info
        self._blobs = OrderedDict()
        self._nodes = []
        self._owners = {}  # name of a shared parameter -> (node index, blob index)
        self._learnable = []  # (blob, lr_mult, decay_mult, layer name)
        self._callbacks = {"before_forward": [], "after_forward": [], "before_backward": [], "after_backward": []}
        self._seed = device.next_seed()
        needs, available = {}, {}
        for index, layer_param in enumerate(param.layer):
            if not layer_param.HasField("phase"):
                layer_param.phase = phase
            self._add_layer(index, layer_param, needs, available)
        self._find_backward(needs)
        self._outputs = sorted(available)
        self._inputs = [t for n in self._nodes if n.param.type == "Input" for t in n.top_names]
        self._layer_names = [n.param.name for n in self._nodes]
        if share_with is not None:
            self.share_trained_layers(share_with)

    def _where(self, layer_param):
        line = self._lines.get(layer_param.name)
        return f"{self._source}:{line}: " if line else f"{self._source}: "

    def _add_layer(self, index, param, needs, available):
        where = self._where(param)
        node = Node(self._make_layer(param, index, where), param)
        node.bottom_names, node.top_names = list(param.bottom), list(param.top)
        if param.propagate_down and len(param.propagate_down) != len(param.bottom):
            raise LayerError(f"{where}layer '{param.name}': {len(param.propagate_down)} propagate_down for "
                             f"{len(param.bottom)} bottoms; give one for each bottom or none")
        for k, name in enumerate(param.bottom):
            if name not in available:
                known = ", ".join(available) or "none"
                raise LayerError(f"{where}layer '{param.name}' ({param.type}): unknown bottom blob '{name}' "
                                 f"(bottom[{k}]); blobs free to be read here: {known}")
            del available[name]
            node.bottoms.append(self._blobs[name])
            node.bottom_needs.append(param.propagate_down[k] if param.propagate_down else needs[name])
        for k, name in enumerate(param.top):
            self._add_top(node, k, name, where)
            available[name] = index
        self._auto_tops(node, available, index)
        self._check_counts(node, where)
        self._nodes.append(node)
        layer = node.layer
        try:
            layer.setup(node.bottoms, node.tops)
            self._loss_weights(node)
            self._reshape(node)
        except Exception as error:
            if isinstance(error, LayerError):
                raise LayerError(where + str(error)) from error
            error.add_note(f"{where}in setup of layer '{param.name}' ({param.type})")
            raise
        self._append_params(node, index, where)
        node.needs_backward = any(node.bottom_needs) or any(node.param_needs)
        for name in node.top_names:
            needs[name] = node.needs_backward
        if isinstance(layer, NativeLayer):
            layer.propagate_down, layer.param_propagate_down = node.bottom_needs, node.param_needs

    def _make_layer(self, param, index, where):
        if param.type == "Python":
            try:
                return make_python_layer(param)
            except LayerError as error:
                raise LayerError(where + str(error)) from error
        if param.type not in REGISTRY:
            raise LayerError(f"{where}layer '{param.name}': unknown layer type '{param.type}'; known types: "
                             + ", ".join(layer_type_list()))
        layer = REGISTRY[param.type](param)
        layer.seed = np.random.SeedSequence(self._seed.entropy, spawn_key=(*self._seed.spawn_key, index))
        return layer

    def _add_top(self, node, k, name, where):
        if k < len(node.bottom_names) and node.bottom_names[k] == name:
            if isinstance(node.layer, NativeLayer) and not node.layer.inplace:
                raise LayerError(f"{where}layer '{node.param.name}' ({node.param.type}) cannot work in place: "
                                 f"top[{k}] '{name}' is its bottom; give the top another name")
        elif name in self._blobs:
            raise LayerError(f"{where}layer '{node.param.name}': top blob '{name}' is already made by another layer; "
                             "each blob has one producer (only in-place layers may repeat a name)")
        else:
            self._blobs[name] = Blob(0)
        node.tops.append(self._blobs[name])

    def _auto_tops(self, node, available, index):
        layer = node.layer
        if not (isinstance(layer, NativeLayer) and layer.auto_tops):
            return
        while len(node.tops) < layer.tops[0]:
            name = f"(automatic) {node.param.name}" + (f"_{len(node.tops)}" if node.tops else "")
            self._blobs[name] = Blob(0)
            node.tops.append(self._blobs[name])
            node.top_names.append(name)
            available[name] = index

    def _check_counts(self, node, where):
        layer = node.layer
        if not isinstance(layer, NativeLayer):
            return
        for kind, (least, most), have in (("bottom", layer.bottoms, len(node.bottoms)),
                                          ("top", layer.tops, len(node.tops))):
            if have < least or (most is not None and have > most):
                expected = f"{least}" if least == most else f"{least} or more" if most is None else f"{least} to {most}"
                raise LayerError(f"{where}layer '{node.param.name}' ({node.param.type}): {have} {kind} blob(s), "
                                 f"expected {expected}")
        if layer.equal and len(node.bottoms) != len(node.tops):
            raise LayerError(f"{where}layer '{node.param.name}' ({node.param.type}): {len(node.bottoms)} bottoms but "
                             f"{len(node.tops)} tops; this type makes one top for each bottom")

    def _loss_weights(self, node):
        weights = list(node.param.loss_weight)
        if weights and len(weights) != len(node.tops):
            raise LayerError(f"layer '{node.param.name}': {len(weights)} loss_weight for {len(node.tops)} tops; "
                             "give one for each top or none")
        if not weights:
            is_loss = isinstance(node.layer, NativeLayer) and node.layer.loss
            weights = [float(is_loss and k == 0) for k in range(len(node.tops))]
        node.loss_weights = weights
        node.loss_shapes = [None] * len(weights)

    def _reshape(self, node):
        node.layer.reshape(node.bottoms, node.tops)
        for k, weight in enumerate(node.loss_weights):
            # a loss top's diff holds its weight, which is where the backward pass begins
            if weight and node.loss_shapes[k] != node.tops[k].dims:
                node.tops[k].diff[...] = weight
                node.loss_shapes[k] = node.tops[k].dims

    def _append_params(self, node, index, where):
        param, blobs = node.param, node.layer.blobs
        if len(param.param) > len(blobs):
            raise LayerError(f"{where}layer '{param.name}' ({param.type}): {len(param.param)} param {{...}} entries, "
                             f"but the layer has {len(blobs)} parameter blob(s)")
        for k, blob in enumerate(blobs):
            spec = param.param[k] if k < len(param.param) else caffe_pb2.ParamSpec()
            node.param_needs.append(spec.lr_mult != 0)
            if spec.name and spec.name in self._owners:
                self._share_param(node, k, spec, where)
                continue
            if spec.name:
                self._owners[spec.name] = (index, k, len(self._learnable))
            self._learnable.append([blob, spec.lr_mult, spec.decay_mult, param.name])

    def _share_param(self, node, k, spec, where):
        owner_index, owner_k, learnable = self._owners[spec.name]
        owner = self._nodes[owner_index]
        mine, theirs = node.layer.blobs[k], owner.layer.blobs[owner_k]
        strict = spec.share_mode == caffe_pb2.ParamSpec.STRICT
        if mine.count != theirs.count or (strict and mine.dims != theirs.dims):
            raise LayerError(f"{where}layer '{node.param.name}': shared parameter '{spec.name}' is {mine.dims} here but "
                             f"{theirs.dims} in its owner '{owner.param.name}'; make the shapes equal"
                             + (" or set share_mode: PERMISSIVE" if mine.count == theirs.count else ""))
        if mine.dims == theirs.dims:
            mine.share_data(theirs)
            mine.share_diff(theirs)
        else:
            raise LayerError(f"{where}layer '{node.param.name}': shared parameter '{spec.name}' of equal count but "
                             f"another shape ({mine.dims}, owner {theirs.dims}) is not supported; use a Reshape layer")
        entry = self._learnable[learnable]
        for slot, value, given in ((1, spec.lr_mult, spec.HasField("lr_mult")),
                                   (2, spec.decay_mult, spec.HasField("decay_mult"))):
            if given and entry[slot] != value:
                first = owner.param.param[owner_k]
                if first.HasField("lr_mult" if slot == 1 else "decay_mult"):
                    raise LayerError(f"{where}layer '{node.param.name}': shared parameter '{spec.name}' has "
                                     f"{'lr_mult' if slot == 1 else 'decay_mult'} {value:g} here and {entry[slot]:g} in "
                                     f"'{owner.param.name}'; give one value")
                entry[slot] = value

    def _find_backward(self, needs):
        """Which layers and bottoms take part in the backward pass (second half of Caffe's Net::Init)."""
        under_loss, skipped = set(), set()
        for node in reversed(self._nodes):
            contributes = any(w or name in under_loss
                              for w, name in zip(node.loss_weights, node.top_names, strict=True))
            if node.needs_backward and all(name in skipped for name in node.top_names):
                node.needs_backward = False
                node.bottom_needs[:] = [False] * len(node.bottom_needs)
            if not contributes:
                node.needs_backward = False
            for k, name in enumerate(node.bottom_names):
                if contributes:
                    under_loss.add(name)
                else:
                    node.bottom_needs[k] = False
                if not node.bottom_needs[k]:
                    skipped.add(name)
        if self._force_backward:
            for node in self._nodes:
                node.needs_backward = True
                for k in range(len(node.bottoms)):
                    allowed = not isinstance(node.layer, NativeLayer) or node.layer.allow_force_backward(k)
                    node.bottom_needs[k] = node.bottom_needs[k] or allowed
                node.param_needs[:] = [True] * len(node.param_needs)
        for node in self._nodes:
            if isinstance(node.layer, NativeLayer) and not node.needs_backward:
                # nothing will ask for gradients here: compute forward without a graph
                node.layer.propagate_down = [False] * len(node.bottoms)
                node.layer.param_propagate_down = [False] * len(node.param_needs)

    # -- what pycaffe shows ------------------------------------------------------------------------------------
    @property
    def blobs(self):
        """OrderedDict: blob name -> Blob, in order of creation, with those of automatic splits."""
        return self._blobs

    @property
    def layers(self):
        """LayerVec of all layers in order, with Input and Split layers; a Python layer is the user's own object."""
        return self._cached("layers", lambda: LayerVec(n.layer for n in self._nodes))

    @property
    def layer_dict(self):
        """OrderedDict: layer name -> layer."""
        return self._cached("layer_dict", lambda: OrderedDict((n.param.name, n.layer) for n in self._nodes))

    @property
    def params(self):
        """OrderedDict: layer name -> BlobVec, for layers that have parameters."""
        return self._cached("params", lambda: OrderedDict(
            (n.param.name, n.layer.blobs) for n in self._nodes if len(n.layer.blobs)))

    @property
    def inputs(self):
        """Names of the tops of Input layers."""
        return list(self._inputs)

    @property
    def outputs(self):
        """Names of the blobs that no layer reads."""
        return list(self._outputs)

    @property
    def top_names(self):
        return self._cached("top_names", lambda: OrderedDict((n.param.name, list(n.top_names)) for n in self._nodes))

    @property
    def bottom_names(self):
        return self._cached("bottom_names",
                            lambda: OrderedDict((n.param.name, list(n.bottom_names)) for n in self._nodes))

    @property
    def blob_loss_weights(self):
        """OrderedDict: blob name -> its weight in the loss."""
        weights = OrderedDict.fromkeys(self._blobs, 0.0)
        for node in self._nodes:
            for name, weight in zip(node.top_names, node.loss_weights, strict=True):
                weights[name] = max(weight, weights[name])
        return weights

    def _cached(self, name, make):
        cache = self.__dict__.setdefault("_cache", {})
        if name not in cache:
            cache[name] = make()
        return cache[name]

    # -- running -------------------------------------------------------------------------------------------------
    def _forward(self, start=0, end=None):
        """Run layers start..end (indices, inclusive); the weighted loss of those layers."""
        end = len(self._nodes) - 1 if end is None else end
        if not 0 <= start < len(self._nodes) or not end < len(self._nodes):
            raise IndexError(f"layers {start}..{end}: this net has layers 0..{len(self._nodes) - 1}")
        loss = 0.0
        for index in range(start, end + 1):
            for callback in self._callbacks["before_forward"]:
                callback(index)
            loss += self._forward_layer(self._nodes[index])
            for callback in self._callbacks["after_forward"]:
                callback(index)
        return loss

    def _forward_layer(self, node):
        layer = node.layer
        try:
            self._reshape(node)
            layer.forward(node.bottoms, node.tops)
        except LayerError as error:
            if str(error).startswith(self._source):
                raise
            raise LayerError(self._where(node.param) + str(error)) from error
        except Exception as error:
            error.add_note(f"{self._where(node.param)}in forward of layer '{node.param.name}' ({node.param.type})")
            raise
        if isinstance(layer, NativeLayer):
            layer.tick += 1
        if self._debug_info:
            self._log_forward(node)
        loss = 0.0
        for blob, weight in zip(node.tops, node.loss_weights, strict=True):
            if weight:
                loss += weight * float(blob.data_memory.read(device.current()).sum())
        return loss

    def _backward(self, start=None, end=0):
        """Backward through layers start..end (indices; start is the later one)."""
        start = len(self._nodes) - 1 if start is None else start
        for index in range(start, end - 1, -1):
            node = self._nodes[index]
            for callback in self._callbacks["before_backward"]:
                callback(index)
            if node.needs_backward:
                try:
                    node.layer.backward(node.tops, BoolVec(node.bottom_needs), node.bottoms)
                except Exception as error:
                    error.add_note(f"{self._where(node.param)}in backward of layer '{node.param.name}' "
                                   f"({node.param.type})")
                    raise
                if self._debug_info:
                    self._log_backward(node)
            for callback in self._callbacks["after_backward"]:
                callback(index)

    def reshape(self):
        """Propagate the shapes of the inputs through all layers."""
        for node in self._nodes:
            self._reshape(node)

    def clear_param_diffs(self):
        """Set the gradients of all parameters to zero (backward adds to them)."""
        for blob, *_ in self._learnable:
            blob.diff_memory.clear()

    def _index(self, layer_name):
        return self._layer_names.index(layer_name)

    def forward(self, blobs=None, start=None, end=None, **kwargs):
        """Run the net forward.

        Parameters
        ----------
        blobs : list of str
            Blobs to return beside the outputs.
        start, end : str
            First and last layer to run, by name; default all.
        **kwargs : array
            Values for the inputs: all of them or none.

        Returns
        -------
        dict
            Blob name -> view of its data, for the outputs (or the tops of `end`) and `blobs`.
        """
        first = 0 if start is None else self._index(start)
        if end is not None:
            last, outputs = self._index(end), set(self.top_names[end]) | set(blobs or [])
        else:
            last, outputs = len(self._nodes) - 1, set(self._outputs) | set(blobs or [])
        if kwargs:
            if set(kwargs) != set(self._inputs):
                raise Exception("Input blob arguments do not match net inputs.")
            for name, value in kwargs.items():
                if value.shape[0] != self._blobs[name].dims[0]:
                    raise Exception("Input is not batch sized")
                self._blobs[name].data[...] = value
        for name in outputs:
            self._blobs[name]  # an unknown blob is a KeyError before anything runs
        self._forward(first, last)
        return {name: self._blobs[name].data for name in outputs}

    def backward(self, diffs=None, start=None, end=None, **kwargs):
        """Run the net backward, from the later layer `start` to `end`.

        Keyword arguments set the diffs of all outputs. Returns views of the diffs of the inputs (or of the bottoms of
        `end`) and of `diffs`. Gradients of parameters add up until :meth:`clear_param_diffs`.
        """
        first = len(self._nodes) - 1 if start is None else self._index(start)
        if end is not None:
            last, outputs = self._index(end), set(self.bottom_names[end]) | set(diffs or [])
        else:
            last, outputs = 0, set(self._inputs) | set(diffs or [])
        if kwargs:
            if set(kwargs) != set(self._outputs):
                raise Exception("Top diff arguments do not match net outputs.")
            for name, value in kwargs.items():
                if value.shape[0] != self._blobs[name].dims[0]:
                    raise Exception("Diff is not batch sized")
                self._blobs[name].diff[...] = value
        self._backward(first, last)
        return {name: self._blobs[name].diff for name in outputs}

    def forward_all(self, blobs=None, **kwargs):
        """Forward over any number of items, in batches of the net's size (the last one padded with zeros)."""
        if not kwargs:
            raise RuntimeError("forward_all() needs a value for every input: " + ", ".join(self._inputs))
        collected = {name: [] for name in set(self._outputs) | set(blobs or [])}
        for batch in self._batches(kwargs):
            out = self.forward(blobs=blobs, **batch)
            for name, values in out.items():
                collected[name].extend(values.copy())
        total = len(next(iter(kwargs.values())))
        out = {name: np.asarray(values) for name, values in collected.items()}
        return {name: values[:total] if len(values) > total else values for name, values in out.items()}

    def forward_backward_all(self, blobs=None, diffs=None, **kwargs):
        """Forward and backward over any number of items, in batches; (outputs, diffs) as two dicts."""
        inputs = {k: v for k, v in kwargs.items() if k in self._inputs}
        tops = {k: v for k, v in kwargs.items() if k in self._outputs}
        outs = {name: [] for name in set(self._outputs) | set(blobs or [])}
        grads = {name: [] for name in set(self._inputs) | set(diffs or [])}
        for fwd, bwd in zip_longest(self._batches(inputs), self._batches(tops), fillvalue={}):
            for name, values in self.forward(blobs=blobs, **fwd).items():
                outs[name].extend(values.copy())
            for name, values in self.backward(diffs=diffs, **bwd).items():
                grads[name].extend(values.copy())
        total = len(next(iter(inputs.values())))
        return ({k: np.asarray(v)[:total] for k, v in outs.items()},
                {k: np.asarray(v)[:total] for k, v in grads.items()})

    def _batches(self, arrays):
        if not arrays:
            return
        total = len(next(iter(arrays.values())))
        size = self._blobs[next(iter(arrays))].dims[0]
        for first in range(0, total, size):
            batch = {}
            for name, values in arrays.items():
                part = np.asarray(values[first : first + size], np.float32)
                padding = np.zeros((size - len(part), *part.shape[1:]), np.float32)
                batch[name] = np.concatenate([part, padding]) if len(padding) else part
            yield batch

    def set_input_arrays(self, data, labels):
        """Feed a MemoryData first layer from arrays: data (N, C, H, W) float32, labels (N,) float32."""
        first = self._nodes[0].layer
        if self._nodes[0].param.type != "MemoryData":
            raise RuntimeError("set_input_arrays may only be called if the first layer is a MemoryDataLayer")
        first.set_arrays(data, labels)

    # -- callbacks -----------------------------------------------------------------------------------------------
    def before_forward(self, callback):
        """Call ``callback(layer_index)`` before each layer's forward."""
        self._callbacks["before_forward"].append(callback)

    def after_forward(self, callback):
        """Call ``callback(layer_index)`` after each layer's forward."""
        self._callbacks["after_forward"].append(callback)

    def before_backward(self, callback):
        """Call ``callback(layer_index)`` before each layer's backward."""
        self._callbacks["before_backward"].append(callback)

    def after_backward(self, callback):
        """Call ``callback(layer_index)`` after each layer's backward."""
        self._callbacks["after_backward"].append(callback)

    # -- weights -------------------------------------------------------------------------------------------------
    def share_with(self, other):
        """Use the parameter data of `other` (a net with layers of the same names) from now on."""
        self.share_trained_layers(other)

    def share_trained_layers(self, other):
        """Share parameter data with the equally named layers of `other`; diffs stay apart."""
        for node in self._nodes:
            theirs = other.params.get(node.param.name)
            if theirs is None or not len(node.layer.blobs):
                continue
            self._check_blobs(node, [b.dims for b in theirs], "the other net")
            for mine, blob in zip(node.layer.blobs, theirs, strict=True):
                mine.share_data(blob)

    def _check_blobs(self, node, shapes, source):
        mine = node.layer.blobs
        remedy = "rename the layer to learn it from scratch, or use weights made for this net"
        if len(shapes) != len(mine):
            raise LayerError(f"{self._where(node.param)}layer '{node.param.name}' ({node.param.type}) has {len(mine)} "
                             f"parameter blob(s), {source} has {len(shapes)}; {remedy}")
        for k, (blob, shape) in enumerate(zip(mine, shapes, strict=True)):
            if blob.dims != tuple(shape) and not _legacy_equal(blob.dims, tuple(shape)):
                raise LayerError(f"{self._where(node.param)}layer '{node.param.name}' ({node.param.type}): parameter {k} "
                                 f"is {blob.dims} here but {tuple(shape)} in {source}; {remedy}")

    def copy_from(self, path):
        """Copy weights from a .caffemodel or .h5 by layer name; layers that only one side has are left alone.

        Nothing is copied when a shape does not fit.
        """
        path = os.fspath(path)
        trained = serialization.load_weights(path)
        jobs = []
        for node in self._nodes:
            arrays = trained.get(node.param.name)
            if not arrays:
                continue
            blobs = node.layer.blobs
            arrays = [*arrays, *[None] * (len(blobs) - len(arrays))] if path.endswith(".h5") else arrays
            shapes = [b.dims if a is None else a.shape for a, b in zip_longest(arrays, blobs)]
            self._check_blobs(node, shapes, f"'{path}'")
            jobs += [(b, a) for b, a in zip(blobs, arrays, strict=True) if a is not None]
        for blob, array in jobs:
            _assign(blob, array)

    def load_hdf5(self, path):
        """Copy weights from an HDF5 file."""
        self.copy_from(path)

    def save(self, path):
        """Write the net and its weights as a .caffemodel (atomically)."""
        serialization.save_caffemodel(path, self.to_proto())

    def save_hdf5(self, path):
        """Write the weights as HDF5: data/<layer>/<index> (atomically)."""
        owners = {id(blob) for blob, *_ in self._learnable}  # a shared parameter is stored once, with its owner
        serialization.save_hdf5(path, OrderedDict(
            (n.param.name, [b.data_memory.array() if id(b) in owners else None for b in n.layer.blobs])
            for n in self._nodes))

    def to_proto(self):
        """NetParameter of this net as wired, with the weights and without diffs."""
        out = caffe_pb2.NetParameter(name=self.name)
        for node in self._nodes:
            message = out.layer.add()
            message.CopyFrom(node.param)
            del message.bottom[:], message.top[:], message.blobs[:]
            message.bottom.extend(node.bottom_names)
            message.top.extend(node.top_names)
            for blob in node.layer.blobs:
                serialization.array_to_blob(blob.data_memory.array(), message.blobs.add())
        return out

    # -- debug_info ----------------------------------------------------------------------------------------------
    def _log_forward(self, node):
        for name, blob in zip(node.top_names, node.tops, strict=True):
            print(f"    [Forward] Layer {node.param.name}, top blob {name} data: {_asum_mean(blob.data_memory):g}")
        for k, blob in enumerate(node.layer.blobs):
            print(f"    [Forward] Layer {node.param.name}, param blob {k} data: {_asum_mean(blob.data_memory):g}")

    def _log_backward(self, node):
        for name, blob, needed in zip(node.bottom_names, node.bottoms, node.bottom_needs, strict=True):
            if needed:
                print(f"    [Backward] Layer {node.param.name}, bottom blob {name} diff: "
                      f"{_asum_mean(blob.diff_memory):g}")
        for k, (blob, needed) in enumerate(zip(node.layer.blobs, node.param_needs, strict=True)):
            if needed:
                print(f"    [Backward] Layer {node.param.name}, param blob {k} diff: {_asum_mean(blob.diff_memory):g}")


def _asum_mean(memory):
    values = memory.read(device.current())
    return float(values.float().abs().mean()) if values.numel() else 0.0


def _legacy_equal(mine, theirs):
    """Whether an old 4-axis shape such as (1, 1, 5, 48) means `mine`."""
    return len(theirs) == 4 and len(mine) < 4 and theirs == (1,) * (4 - len(mine)) + mine


def _assign(blob, array):
    import torch

    values = torch.from_numpy(np.ascontiguousarray(array, np.float32).reshape(blob.dims))
    where = device.current()
    blob.data_memory.mutable(where).copy_(values)


__all__ = ["TEST", "TRAIN", "BlobVec", "Net", "Node"]
