"""The embedded engine: ``import caffe`` without Caffe, on PyTorch.

Runs prototxts, caffemodels and Python layers of BVLC Caffe 1.0 and DeepLab-v2 unchanged, on CPU or CUDA. The names
here are pycaffe's; `set_precision`, `EMBEDDED_ENGINE`, the `allow_` functions and the exception classes are the
engine's own.

Names and modules are imported at their first use: what only reads messages and prototxts (caffe.proto, caffe.prototxt,
caffe.net_spec) does without torch and starts fast.
"""

import importlib
import importlib.util
import os
import sys
import types

from . import interrupts, picture_files  # noqa: F401 - interrupts first: importing it is all that it is for
from .errors import (
    CaffeError,
    DeviceError,
    LayerError,
    ModelFileError,
    OpenError,
    PictureError,
    ProcessLost,
    PrototxtError,
    SolverError,
)
from .proto.caffe_pb2 import TEST, TRAIN
from .version import __version__
from .waiting import wait_briefly

#: pycaffe lacks it: a program that must know which Caffe it runs on asks `getattr(caffe, "EMBEDDED_ENGINE", False)`
EMBEDDED_ENGINE = True

#: module -> names that stand here too
_NAMES = {
    "classifier": ("Classifier",),
    "detector": ("Detector",),
    "device": ("native_bf16", "precision", "set_device", "set_mode_cpu", "set_mode_gpu", "set_multiprocess",
               "set_precision", "set_random_seed", "set_solver_count", "set_solver_rank", "solver_count",
               "solver_rank"),
    "glog": ("init_log", "log"),
    "layer": ("Layer", "layer_type_list"),
    "net": ("Net",),
    "picture_files": ("allow_megapixels",),
    "permissions": ("allow_everything", "allow_output_folders", "allow_python_modules"),
    "net_spec": ("NetSpec", "params", "to_proto"),
    "parallel": ("NCCL", "has_nccl"),
    "solver": ("AdaDeltaSolver", "AdaGradSolver", "AdamSolver", "NesterovSolver", "RMSPropSolver", "SGDSolver",
               "get_solver"),
    "timer": ("Timer",),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = ["CaffeError", "DeviceError", "EMBEDDED_ENGINE", "LayerError", "ModelFileError", "OpenError", "PictureError",
           "ProcessLost", "PrototxtError", "SolverError", "TEST", "TRAIN", "__version__", "io", "layers", "net_spec",
           "proto", *sorted(_HOMES)]


def __getattr__(name):
    if name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    if not name.startswith("__") and importlib.util.find_spec(f"{__name__}.{name}"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__():
    return sorted({*globals(), *__all__, *_NAMES, "coord_map", "draw", "pycaffe"})


class _Package(types.ModuleType):
    """`caffe.layers` is pycaffe's L (net_spec.layers); the package of that name is reached by import statements."""

    @property
    def layers(self):
        return importlib.import_module(f"{__name__}.net_spec").layers

    @layers.setter
    def layers(self, package):
        """The import system would put the package here."""


sys.modules[__name__].__class__ = _Package
wait_briefly()  # before any module here imports torch
picture_files.follow(os.environ.get(picture_files.VARIABLE))  # scripts have no other edge; read this once
