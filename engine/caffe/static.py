"""Shapes of a net without its data and weights: what a prototxt says, checked layer by layer.

:class:`ShapeNet` wires a net with the code that runs it, but parameters have no memory, data layers open nothing, and
what is wrong with one layer does not end the others.
"""

import numpy as np
import torch

from .blob import Blob
from .graph import Graph
from .prototxt import filter_net
from .python_layer import make_python_layer


class ShapeNet(Graph):
    """The layers of a net in a state, with the shapes of their tops and parameters.

    Python layers are asked through their own code: ``reshape``, after ``configure(bottom, top)`` where the class has
    it (the part of its setup that opens no file) and after ``setup`` otherwise.

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

    @property
    def nodes(self):
        return self._nodes

    def _try_layer(self, param, needs, owners, available):
        before, count = set(self._named_blobs), len(self._nodes)
        why = next((f"layer '{param.name}' reads '{name}'" for name in param.bottom
                    if name not in self._named_blobs or name in self.unknown), None)
        try:
            if why is None:
                self._add_layer(0, param, needs, owners, available)
            else:
                self._make_layer(param, 0)  # its type, at least, can be checked
        except (Unknown, OSError) as error:
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
            self._take_given(param)

    def _take_given(self, param):
        """Give the tops of a source the shapes of `inputs`."""
        given = {name: self._given[name] for name in param.top if name in self._given}
        for name, shape in given.items():
            batch = None if name in self.unknown else self._named_blobs[name].dims[:1]
            self._named_blobs[name].reshape(*shape)
            self.inputs_used.add(name)
            self.unknown.pop(name, None)
            for other in set(param.top) - given.keys() - self.unknown.keys():
                dims = self._named_blobs[other].dims
                if batch and dims[:1] == batch:
                    self._named_blobs[other].reshape(shape[0], *dims[1:])

    # -- layers without memory and files -----------------------------------------------------------------------
    def _make_layer(self, param, index):
        if param.type == "Python":
            layer = make_python_layer(param)
            if hasattr(layer, "configure"):
                layer.setup = layer.configure
            return layer
        layer = super()._make_layer(param, index)
        layer.add_param = lambda shape, filler: layer.blobs.append(_bare_blob(shape))
        if param.type in SOURCES:
            layer.setup = lambda bottom, top: _reshape_all(top, SOURCES[param.type](layer, param, len(top)))
        elif param.type == "HDF5Output":
            layer.setup = lambda bottom, top: None  # its own empties the file
        elif param.type == "InfogainLoss":  # a matrix of the right size stands in for the file's
            layer._read_matrix = lambda path: None
            layer.infer = lambda scores, labels, matrix=None: type(layer).infer(
                layer, scores, labels, matrix or (scores[layer.axis_of()],) * 2)
        return layer


    def _require_memory(self, node):
        """Nothing is computed, so none is needed."""


class Unknown(Exception):
    """Shapes that stand in the data alone; the text says which field would give them."""


class NoMemory:
    """Memory of a parameter whose shape alone matters: reads give tensors without storage, writes are dropped."""

    exposed = True  # so that nobody rearranges it

    def __init__(self, shape):
        self.shape = tuple(shape)

    def read(self, device):
        return torch.zeros(self.shape, device="meta")

    def write(self, tensor):
        pass


def _bare_blob(shape):
    blob = Blob(*shape)
    blob.data_memory = blob.diff_memory = NoMemory(shape)
    return blob


def _text_of(error, param):
    text = str(error)
    known = isinstance(error, (ValueError, RuntimeError)) and "layer" in text
    return text if known else f"layer '{param.name}' ({param.type}): {type(error).__name__}: {text}"


def _reshape_all(top, shapes):
    for blob, shape in zip(top, shapes, strict=True):
        blob.reshape(*shape)


# ---- data layers ------------------------------------------------------------------------------------------


def _batch(layer, param):
    if param.batch_size < 1:
        raise layer.error("batch_size is missing or 0; expected at least 1")
    return param.batch_size


def _extents(param, transform):
    """Height and width of what a picture layer makes: the crop, or else the size it resizes to."""
    if transform.crop_height and transform.crop_width:
        return transform.crop_height, transform.crop_width
    if transform.crop_size:
        return transform.crop_size, transform.crop_size
    if getattr(param, "new_height", 0) and param.new_width:
        return param.new_height, param.new_width
    raise Unknown("its pictures keep the size they have; no crop and no new_height, new_width")


def _image_data(layer, param, tops):
    p = param.image_data_param
    n, size = _batch(layer, p), _extents(p, param.transform_param)
    pictures = (n, 3 if p.is_color else 1, *size)
    if param.type == "ImageData":
        return [pictures, (n,)]
    return [pictures, (n, 1, *size), (n, 1, 1, 2)][:tops]


def _data(layer, param, tops):
    p, t = param.data_param, param.transform_param
    n, size = _batch(layer, p), _extents(p, t)
    color = t.force_color or p.force_encoded_color
    if not color and not t.force_gray:
        raise Unknown("whether its records have colours stands in the database")
    return [(n, 3 if color else 1, *size), (n,)][:tops]


def _hdf5_data(layer, param, tops):
    _batch(layer, param.hdf5_data_param)
    raise Unknown("the shapes stand in its HDF5 files")


def _window_data(layer, param, tops):
    raise Unknown("the channels stand in its window file")


#: layer type -> function (layer, LayerParameter, number of tops) -> shapes of the tops
SOURCES = {
    "Data": _data,
    "HDF5Data": _hdf5_data,
    "ImageData": _image_data,
    "ImageSegData": _image_data,
    "WindowData": _window_data,
}
