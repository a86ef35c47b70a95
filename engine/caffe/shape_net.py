"""Shapes of a net without its data and weights: what a prototxt says, checked layer by layer.

:class:`ShapeNet` wires a net with the code that runs it. Layers are set up by ``Layer.configure``, the part of setup
that opens no file, and their parameters have no memory; an error in one layer does not end the others.
"""

import numpy as np

from .blob import Blob
from .errors import UnknownShapeError
from .graph import Graph
from .layer import NativeLayer
from .limits import TooMuch
from .prototxt import filter_net


class ShapeNet(Graph):
    """The layers of a net in a state, with the shapes of their tops and parameters.

    Each layer, Python layers too, is asked by ``configure(bottom, top)``, which is all of ``setup`` unless its class
    defines it, and by ``reshape``.

    Parameters
    ----------
    net_param : NetParameter
        Upgraded (prototxt.parse_net).
    phase, level, stages
        The state, as for caffe.Net.
    inputs : dict of str to tuple of int, optional
        Shapes that take the place of those an Input, data or Python layer gives its tops. Its other tops follow in
        their first extent, the batch.

    Attributes
    ----------
    nodes : list of Node
        The layers whose shapes are known, in order.
    problems : list of (LayerParameter, str)
        Layers and what is wrong with them.
    unknown : dict of str to str
        Blob -> why its shape is not known. A layer that reads one has no node.
    inputs_used : set of str
        The names of `inputs` that counted.
    """

    def __init__(self, net_param, phase, level=0, stages=(), inputs=None):
        self._given = dict(inputs or {})
        self.problems, self.unknown, self.inputs_used = [], {}, set()
        self._named_blobs, self._nodes, self._learnable, self._input_names = {}, [], [], []
        self._seed = np.random.SeedSequence(0)  # nothing is drawn
        needs, owners, available = {}, {}, set()
        for param in filter_net(net_param, phase, level, tuple(stages)).layer:
            if not param.HasField("phase"):
                param.phase = phase
            self._try_layer(param, needs, owners, available)

    def _try_layer(self, param, needs, owners, available):
        before, count = {name for name in param.top if name in self._named_blobs}, len(self._nodes)
        why = next((f"layer '{param.name}' reads '{name}'" for name in param.bottom
                    if name not in self._named_blobs or name in self.unknown), None)
        try:
            if why is None:
                self._add_layer(0, param, needs, owners, available)
            else:
                self._make_layer(param, 0)  # its type, at least, can be checked
        except (UnknownShapeError, OSError) as error:
            why = why or f"layer '{param.name}' ({param.type}): {error}"
        except Exception as error:  # a Python layer may raise anything
            why = why or f"layer '{param.name}' is wrong"
            self.problems.append((param, _text_of(error, param)))
        known = len(self._nodes) > count  # whatever is wrong with its parameters then
        for name in param.top:
            self._named_blobs.setdefault(name, Blob(0))
            needs.setdefault(name, False)
            if not known and name not in before:
                self.unknown[name] = why
        if not (known and param.bottom):
            try:
                self._take_given(param)
            except TooMuch as error:
                self.problems.append((param, f"layer '{param.name}' ({param.type}): {error}"))

    def _take_given(self, param):
        """Give the tops of a source the shapes of `inputs`."""
        given = {name: self._given[name] for name in param.top if name in self._given}
        others = set(param.top) - given.keys() - self.unknown.keys()
        batches = {}  # extent in the prototxt -> given extent
        for name, shape in given.items():
            blob = self._named_blobs[name]
            if name not in self.unknown and blob.dims:
                batches.setdefault(blob.dims[0], shape[0])
            self.inputs_used.add(name)
            self.unknown.pop(name, None)
            blob.reshape(*shape)
        for other in others:
            dims = self._named_blobs[other].dims
            if dims and dims[0] in batches:
                self._named_blobs[other].reshape(batches[dims[0]], *dims[1:])

    # -- layers without memory and files -----------------------------------------------------------------------
    def _make_layer(self, param, index):
        layer = super()._make_layer(param, index)
        if isinstance(layer, NativeLayer):
            layer.shapes_only = True
        return layer

    def _set_up(self, node):
        node.layer.configure(node.bottoms, node.tops)

    def _require_memory(self, node):
        """Nothing is computed, so none is needed."""


def _text_of(error, param):
    text = str(error)
    known = isinstance(error, (ValueError, RuntimeError)) and "layer" in text
    return text if known else f"layer '{param.name}' ({param.type}): {type(error).__name__}: {text}"
