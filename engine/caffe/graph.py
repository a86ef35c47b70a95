"""The graph of a net: layers wired by blob names, step by step as Caffe's Net::Init does.

Filter by phase, insert splits, wire bottoms and tops, set layers up, share parameters by name, then find out which
layers and bottoms take part in the backward pass (loss, lr_mult, propagate_down, force_backward).
"""

import os
import warnings
from collections import OrderedDict
from functools import cached_property

import numpy as np
import torch

from . import binary_families, collector, device, forks
from .backward_pass import find_backward
from .blob import Blob
from .errors import CaffeError
from .graph_nodes import Learnable, Node, check_counts, read_loss_weights
from .graph_views import GraphViews
from .layer import REGISTRY, LayerError, NativeLayer, layer_type_list
from .limits import TooMuch, require_memory
from .proto import caffe_pb2
from .prototxt import PrototxtError, filter_net, insert_splits, layer_lines, read_text
from .python_layer import make_python_layer

AUTOMATIC = "(automatic)"  # Caffe's name for the tops that a prototxt leaves out


class Graph(GraphViews):
    """Layers and blobs of a net, ready to run; :class:`caffe.Net` adds running and weights."""

    @collector.held_back()
    def _build(self, net_param, phase, level, stages, source):
        forks.note_net()
        self._source = source
        self._text = _read_text(source)
        try:
            param = insert_splits(filter_net(net_param, phase, level, tuple(stages)))
        except PrototxtError as error:  # raised without knowing the file
            raise PrototxtError(f"{self._where(error.layer)}{error}", layer=error.layer) from error
        self.name = param.name
        self.debug_info = param.debug_info
        self._named_blobs = OrderedDict()
        self._nodes = []
        self._learnable = []
        self._input_names = []
        self._seed, self._seedings = device.next_seed(), device.seedings()
        needs, owners, available = {}, {}, set()
        for index, layer_param in enumerate(param.layer):
            if not layer_param.HasField("phase"):
                layer_param.phase = phase
            try:
                self._add_layer(index, layer_param, needs, owners, available)
            except Exception as error:
                self._locate(error, layer_param, "setup")
                raise
        self._separate_changed_splits()
        find_backward(self._nodes, param.force_backward)
        self._output_names = sorted(available)
        self._warn_of_statistics()
        for name, numbers in self._repeated_names().items():
            warnings.warn(f"{self._where(name)}{self._who(numbers)} are all named '{name}': net.params shows the last "
                          "of them only, and their weights can be neither saved nor loaded; name them apart",
                          stacklevel=4)

    def _repeated_names(self):
        """Names that several layers with parameters have, with the numbers of these layers."""
        numbers = {}
        for k, node in enumerate(self._nodes):
            if node.layer.blobs:
                numbers.setdefault(node.param.name, []).append(k)
        return {name: found for name, found in numbers.items() if len(found) > 1}

    def _who(self, numbers):
        """'layers 1 (Convolution), 3 (InnerProduct)'."""
        return "layers " + ", ".join(f"{k} ({self._nodes[k].param.type})" for k in numbers)

    def _warn_of_statistics(self):
        """Say which of two meanings a BatchNorm layer has that DeepLab-v2 reads otherwise than BVLC Caffe does."""
        found = binary_families.ambiguous_statistics([node.param for node in self._nodes])
        if found:
            name, others = found[0].name, f", one of {len(found)}" if len(found) > 1 else ""
            warnings.warn(
                f"{self._where(name)}layer '{name}' (BatchNorm){others}: its statistics are learned, as in BVLC Caffe; "
                "DeepLab-v2, whose layers this net has, learns none unless update_global_stats is true. Write "
                "update_global_stats: true or false", stacklevel=4)

    @cached_property
    def _lines(self):
        """Lines at which the layers begin, by name and number; {} where the net was not read from text."""
        return layer_lines(self._text)

    def _where(self, layer_name):
        """'file:line: ' of a layer, as much of it as is known."""
        line = self._lines.get(layer_name) if layer_name else None
        return f"{self._source}:{line}: " if line else f"{self._source}: "

    def _locate(self, error, param, doing):
        """Add the layer's place to an error: to the text of the engine's own, as a note to a Python layer's.

        What torch, numpy and the like refuse in a layer of the engine (memory, shapes, indices) is an error of the net.
        """
        if isinstance(error, LayerError):
            raise LayerError(self._where(param.name) + str(error)) from error
        if isinstance(error, TooMuch) or param.type != "Python" and not isinstance(error, (CaffeError, Warning)):
            raise LayerError(f"{self._where(param.name)}layer '{param.name}' ({param.type}): {doing} failed: "
                             f"{_reason(error)}") from error
        error.add_note(f"{self._where(param.name)}in {doing} of layer '{param.name}' ({param.type})")

    # -- one layer ---------------------------------------------------------------------------------------------
    def _add_layer(self, index, param, needs, owners, available):
        node = Node(self._make_layer(param, index), param, list(param.bottom), list(param.top))
        self._wire(node, needs, available)
        check_counts(node)
        self._set_up(node)
        read_loss_weights(node)
        self._reshape(node)
        self._nodes.append(node)
        if len(param.param) > len(node.layer.blobs):
            raise LayerError(f"{node.title}: {len(param.param)} param {{...}} entries, but the layer has "
                             f"{len(node.layer.blobs)} parameter blob(s)")
        for k in range(len(node.layer.blobs)):
            self._add_param(node, k, owners)
        node.needs_backward = any(needs[name] for name in node.bottom_names) or any(node.param_needs)
        for name in node.top_names:
            needs[name] = node.needs_backward or needs.get(name, False)

    def _set_up(self, node):
        node.layer.setup(node.bottoms, node.tops)

    def _make_layer(self, param, index):
        if param.type == "Python":
            return make_python_layer(param)
        if param.type in binary_families.REFUSED:
            raise LayerError(f"layer '{param.name}': type '{param.type}' of DeepLab-v2 is not supported: "
                             f"{binary_families.REFUSED[param.type]}")
        if param.type not in REGISTRY:
            raise LayerError(f"layer '{param.name}': unknown layer type '{param.type}'; known types: "
                             + ", ".join(layer_type_list()))
        layer = REGISTRY[param.type](param)
        layer.seed = self._layer_seed(index)
        return layer

    def _layer_seed(self, index):
        return np.random.SeedSequence(self._seed.entropy, spawn_key=(*self._seed.spawn_key, index))

    def _follow_seed(self):
        """Draw from the seed in force if caffe.set_random_seed was called since this net last drew."""
        if self._seedings != device.seedings():
            self._seed, self._seedings = device.next_seed(), device.seedings()
            for index, node in enumerate(self._nodes):
                if isinstance(node.layer, NativeLayer):
                    node.layer.reseed(self._layer_seed(index))

    def _wire(self, node, needs, available):
        param, layer = node.param, node.layer
        if param.propagate_down and len(param.propagate_down) != len(param.bottom):
            raise LayerError(f"{node.title}: {len(param.propagate_down)} propagate_down for {len(param.bottom)} "
                             "bottoms; give one for each bottom or none")
        for k, name in enumerate(param.bottom):
            available.discard(name)
            node.bottoms.append(self._named_blobs[name])
            node.bottom_needs.append(param.propagate_down[k] if param.propagate_down else needs[name])
        for k, name in enumerate(param.top):
            if name not in param.bottom[k : k + 1]:
                if name in self._named_blobs:
                    raise LayerError(f"{node.title}: top blob '{name}' is already made by another layer; each blob has "
                                     "one producer (only an in-place layer repeats the name of its bottom)")
                self._named_blobs[name] = Blob(0)
            elif isinstance(layer, NativeLayer) and not layer.inplace:
                raise LayerError(f"{node.title} cannot work in place: top[{k}] '{name}' is its bottom; give the top "
                                 "another name")
            node.tops.append(self._named_blobs[name])
            available.add(name)
        if param.type == "Input":
            self._input_names += node.top_names
        if isinstance(layer, NativeLayer) and layer.auto_tops:
            while len(node.tops) < layer.tops[0]:
                self._named_blobs[AUTOMATIC] = Blob(0)
                node.tops.append(self._named_blobs[AUTOMATIC])
                node.top_names.append(AUTOMATIC)

    def _separate_changed_splits(self):
        """Give the tops of Split layers that a later layer changes in place a memory of their own."""
        changed = {name for n in self._nodes for k, name in enumerate(n.top_names) if name in n.bottom_names[k : k + 1]}
        for node in self._nodes:
            if node.param.type == "Split":
                node.layer.separate.update(k for k, name in enumerate(node.top_names) if name in changed)
                for k in node.layer.separate:
                    node.tops[k].own_data()
                node.bottoms[0].data_memory.reshape(node.bottoms[0].dims)   # which such a layer may have changed

    def _reshape(self, node):
        node.layer.reshape(node.bottoms, node.tops)
        shapes = [blob.dims for blob in node.tops]
        if shapes != node.checked_shapes:
            self._require_memory(node)
            node.checked_shapes = shapes
        for k, weight in enumerate(node.loss_weights):
            # a loss top's diff holds its weight, which is where the backward pass begins
            if weight and node.loss_shapes[k] != node.tops[k].dims:
                node.loss_shapes[k] = node.tops[k].dims
                node.tops[k].diff_memory.write(torch.full(node.tops[k].dims, weight, device=device.current()))

    def _require_memory(self, node):
        """Refuse a top that this machine has no memory for. (A GPU says so by itself.)"""
        if device.current().type != "cpu":
            return
        for name, blob in zip(node.top_names, node.tops, strict=False):
            try:
                require_memory(4 * blob.count, f"the top '{name}' of shape {blob.dims}")
            except TooMuch as error:
                raise LayerError(f"{node.title}: {error}") from None

    # -- parameters --------------------------------------------------------------------------------------------
    def _add_param(self, node, k, owners):
        spec = caffe_pb2.ParamSpec()
        if k < len(node.param.param):
            spec.CopyFrom(node.param.param[k])
        node.param_needs.append(spec.lr_mult != 0)
        node.param_names.append(spec.name or str(k))
        if spec.name in owners:
            self._share_param(node, k, spec, owners[spec.name])
            return
        entry = Learnable(node.layer.blobs[k], node, k, spec)
        self._learnable.append(entry)
        if spec.name:
            owners[spec.name] = entry

    def _share_param(self, node, k, spec, owner):
        mine, theirs = node.layer.blobs[k], owner.blob
        who = f"{node.title}: shared parameter '{spec.name}'"
        permissive = spec.share_mode == caffe_pb2.ParamSpec.PERMISSIVE
        if mine.count != theirs.count or not (permissive or mine.dims == theirs.dims):
            remedy = " or set share_mode: PERMISSIVE" if mine.count == theirs.count else ""
            raise LayerError(f"{who} is {mine.dims} here but {theirs.dims} in its owner '{owner.layer_name}'; "
                             f"make the shapes equal{remedy}")
        mine.share_data(theirs)
        mine.share_diff(theirs)
        for name in ("lr_mult", "decay_mult"):
            if not spec.HasField(name):
                continue
            mine_value, owner_value = getattr(spec, name), getattr(owner.spec, name)
            if owner.spec.HasField(name) and mine_value != owner_value:
                raise LayerError(f"{who} has {name} {mine_value:g} here and {owner_value:g} in '{owner.layer_name}'; "
                                 "give one value")
            setattr(owner.spec, name, mine_value)


def _reason(error):
    """What torch, numpy and the like say of a fault, on one line, with what a GPU's two usual ones come from."""
    words = " ".join(str(error).split()) or "no reason is given"
    if isinstance(error, torch.OutOfMemoryError):
        return f"the GPU's memory does not hold it ({words.split('. GPU')[0]}); a smaller batch, or bf16, takes less"
    if "device-side assert" in words:
        words = ("CUDA error: device-side assert triggered: a value, here or in a layer before, is outside of what a "
                 "kernel takes; on the CPU the same run ends at its layer")
    return f"{type(error).__name__}: {words}"


def _read_text(source):
    """The text of a prototxt, for the places that messages name; '' where the net comes from elsewhere."""
    if not os.path.isfile(source):
        return ""
    try:
        return read_text(source)
    except PrototxtError:  # a binary net
        return ""
