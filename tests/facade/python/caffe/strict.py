"""Nets, blobs, layers and vectors as pycaffe has them: what is not in pycaffe raises AttributeError or TypeError."""

import importlib.util
import os
import sys
import threading
from collections import OrderedDict
from pathlib import Path

from . import schema

ROOT = Path(__file__).resolve().parents[4]
#: "1.0", or "2016" for the state of pycaffe that DeepLab-v2's Caffe holds
VERSION = os.environ.get("FACADE", "1.0")


def load_engine():
    """The embedded engine under another name, so that this module can be `caffe`."""
    spec = importlib.util.spec_from_file_location("embedded_engine", ROOT / "engine/caffe/__init__.py",
                                                  submodule_search_locations=[str(ROOT / "engine/caffe")])
    module = importlib.util.module_from_spec(spec)
    sys.modules["embedded_engine"] = module
    spec.loader.exec_module(module)
    return module


engine = load_engine()
caffe_pb2 = schema.messages(engine.proto.caffe_pb2, VERSION)


def expect(function, values, *kinds):
    """Refuse arguments that Boost.Python would not convert: no subclasses of str such as paths, no numpy numbers."""
    if len(values) != len(kinds) or not all(isinstance(v, k) for v, k in zip(values, kinds, strict=False)):
        got = ", ".join(type(v).__name__ for v in values)
        raise TypeError(f"Boost.Python.ArgumentError: {function}({got}); expected "
                        f"({', '.join(k.__name__ for k in kinds)})")


def in_callers_thread():
    """Refuse nets in other threads than the first: CPU or GPU is a setting of each thread in Caffe."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("a net runs in a thread where no mode was set; real Caffe would use the CPU there")


class Strict:
    """An object of the engine behind the names pycaffe has for it; nothing can be set."""

    __slots__ = ("_behind",)
    NAMES = ()

    def __init__(self, behind):
        object.__setattr__(self, "_behind", behind)

    def __getattr__(self, name):
        if name in self.NAMES:
            return getattr(self._behind, name)
        raise AttributeError(f"pycaffe {VERSION}: '{type(self).__name__}' has no attribute '{name}'")

    def __setattr__(self, name, value):
        raise AttributeError(f"pycaffe {VERSION}: can't set attribute '{name}' of '{type(self).__name__}'")


class Vec:
    """A C++ vector: len, indices, slices without a step, iteration; equal only to itself."""

    def __init__(self, items, wrap):
        self._items, self._wrap = items, wrap

    def __len__(self):
        return len(self._items)

    def __getitem__(self, index):
        if isinstance(index, slice):
            if index.step is not None:
                raise IndexError("slice step size not supported.")
            return type(self)(self._items[index], self._wrap)
        expect("__getitem__", (index,), int)
        return self._wrap(self._items[index])

    def __iter__(self):
        return (self._wrap(item) for item in self._items)


class RawBlobVec(Vec):
    """`bottom` and `top` of a Python layer: raw pointers, for which there is no converter but that of an index.

    Stricter than the real one in that an index counts from the front.
    """

    def __getitem__(self, index):
        expect("__getitem__", (index,), int)
        if not 0 <= index < len(self):
            raise IndexError("Index out of range")
        return self._wrap(self._items[index])

    def __iter__(self):
        raise TypeError("No to_python (by-value) converter found for C++ type: caffe::Blob<float>*")


class BlobVec(Vec):
    """`layer.blobs`; add_blob takes separate numbers."""

    def add_blob(self, *shape):
        expect("add_blob", shape, *[int] * len(shape))
        self._items.add_blob(*shape)


class Blob(Strict):
    """data, diff, shape and the legacy sizes."""

    __slots__ = ()
    NAMES = ("data", "diff", "num", "channels", "height", "width", "count")

    @property
    def shape(self):
        return Vec(list(self._behind.shape), int)

    def reshape(self, *shape):
        expect("reshape", shape, *[int] * len(shape))
        self._behind.reshape(*shape)


class NativeLayer(Strict):
    """A layer of Caffe in net.layers."""

    __slots__ = ()
    NAMES = ("type", "setup", "reshape")

    @property
    def blobs(self):
        return BlobVec(self._behind.blobs, Blob)


def wrap_layer(layer):
    """A Python layer is the user's own object; others are behind the facade."""
    return layer if isinstance(layer, Layer) else NativeLayer(layer)


def _wrapped_blobs(blobs):
    return blobs if isinstance(blobs, Vec) else RawBlobVec(blobs, Blob)


def _with_strict_blobs(method):
    def call(self, *vectors):
        return method(self, *(_wrapped_blobs(v) if not _is_flags(v) else Vec(list(v), bool) for v in vectors))
    return call


def _is_flags(vector):
    return not isinstance(vector, Vec) and len(vector) > 0 and isinstance(vector[0], bool)


class Layer(engine.Layer):
    """Base of Python layers: they see strict blobs, and of the base only what pycaffe's has."""

    OFFERED = ("blobs", "setup", "reshape", "type", "param_str") + (("phase",) if VERSION == "1.0" else ())

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name in ("setup", "reshape", "forward", "backward"):
            if name in vars(cls):
                setattr(cls, name, _with_strict_blobs(vars(cls)[name]))

    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        asked_by = sys._getframe(1).f_globals.get("__name__", "")
        if asked_by.startswith("embedded_engine") or name.startswith("__") or name in Layer.OFFERED:
            return BlobVec(value, Blob) if name == "blobs" and not asked_by.startswith("embedded_engine") else value
        own = name in super().__getattribute__("__dict__") and name not in ENGINE_SETS
        mro = type(self).__mro__
        if own or any(name in vars(c) for c in mro[:mro.index(Layer)]):
            return value
        raise AttributeError(f"pycaffe {VERSION}: '{type(self).__name__}' has no attribute '{name}'")


#: what the engine's base class puts into a layer beside pycaffe's names
ENGINE_SETS = ("_layer_param",) if VERSION == "1.0" else ("_layer_param", "phase")


class Net(Strict):
    """caffe.Net."""

    __slots__ = ("_breaks",)
    NAMES = ("inputs", "outputs", "bottom_names", "top_names", "blob_loss_weights", "_layer_names")
    NAMES_OF_1_0 = ("clear_param_diffs", "_bottom_ids", "_top_ids")

    def __init__(self, *args, **kwargs):
        if len(args) == 1 and isinstance(args[0], engine.Net):
            object.__setattr__(self, "_breaks", False)
            return super().__init__(args[0])
        if len(args) == 3 and not kwargs and isinstance(args[1], str):
            expect("Net", args, str, str, int)                  # prototxt, weights, phase
        elif VERSION == "1.0":
            expect("Net", args, *(str, int, int, list, str)[:len(args)])
            unknown = set(kwargs) - {"phase", "level", "stages", "weights"}
            if unknown:
                raise TypeError(f"pycaffe {VERSION}: Net takes no {', '.join(sorted(unknown))}")
        else:
            expect("Net", args, str, int)
            if kwargs:
                raise TypeError(f"pycaffe {VERSION}: Net takes no names, got {', '.join(sorted(kwargs))}")
        message = schema.check_net(args[0], caffe_pb2, VERSION)
        phase = kwargs.get("phase", args[-1] if isinstance(args[-1], int) else None)
        object.__setattr__(self, "_breaks", phase == engine.TRAIN and schema.breaks_batch_norm(message))
        return super().__init__(engine.Net(*args, **kwargs))

    def __getattr__(self, name):
        if VERSION == "1.0" and name in self.NAMES_OF_1_0:
            return getattr(self._behind, name)
        return super().__getattr__(name)

    @property
    def blobs(self):
        return OrderedDict((name, Blob(blob)) for name, blob in self._behind.blobs.items())

    @property
    def params(self):
        return OrderedDict((name, BlobVec(blobs, Blob)) for name, blobs in self._behind.params.items())

    @property
    def layers(self):
        return Vec(self._behind.layers, wrap_layer)

    @property
    def layer_dict(self):
        return OrderedDict((name, wrap_layer(layer)) for name, layer in self._behind.layer_dict.items())

    def forward(self, blobs=None, start=None, end=None, **inputs):
        in_callers_thread()
        if self._breaks:
            schema.abort("blob.hpp Check failed: data_")
        return self._behind.forward(blobs, start, end, **inputs)

    def backward(self, diffs=None, start=None, end=None, **diffs_of_outputs):
        in_callers_thread()
        return self._behind.backward(diffs, start, end, **diffs_of_outputs)

    def forward_all(self, blobs=None, **inputs):
        in_callers_thread()
        return self._behind.forward_all(blobs, **inputs)

    def reshape(self):
        self._behind.reshape()

    def copy_from(self, *args):
        expect("copy_from", args, str)
        self._behind.copy_from(*args)

    def save(self, *args):
        expect("save", args, str)
        self._behind.save(*args)
        schema.renumber(args[0], engine.proto.caffe_pb2, caffe_pb2, VERSION)

    def save_hdf5(self, *args):
        expect("save_hdf5", args, str)
        self._behind.save_hdf5(*args)

    def load_hdf5(self, *args):
        expect("load_hdf5", args, str)
        self._behind.load_hdf5(*args)

    def share_with(self, *args):
        expect("share_with", args, Net)
        self._behind.share_with(args[0]._behind)

    def after_backward(self, *args):
        if hasattr(args[0], "noted"):               # an NCCL
            args[0].noted("after_backward(nccl)")
        else:
            self._behind.after_backward(*args)


if VERSION != "1.0":
    for _name in ("save_hdf5", "load_hdf5", "after_backward", "layer_dict"):
        delattr(Net, _name)
