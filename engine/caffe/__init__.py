"""The embedded engine: ``import caffe`` without Caffe, on PyTorch.

Runs prototxts, caffemodels and Python layers of BVLC Caffe 1.0 and DeepLab-v2 unchanged, on CPU or CUDA. The names
here are pycaffe's; `set_precision` and the exception classes are the engine's own.
"""

from . import _caffe, classifier, coord_map, detector, draw, io, net_spec, proto, pycaffe  # noqa: F401
from .classifier import Classifier
from .detector import Detector
from .device import (
    native_bf16,
    precision,
    set_device,
    set_mode_cpu,
    set_mode_gpu,
    set_multiprocess,
    set_precision,
    set_random_seed,
    set_solver_count,
    set_solver_rank,
    solver_count,
    solver_rank,
)
from .glog import init_log, log
from .layer import Layer, LayerError, layer_type_list
from .net import TEST, TRAIN, Net
from .net_spec import NetSpec, layers, params, to_proto
from .parallel import NCCL, has_nccl
from .prototxt import PrototxtError
from .serialization import ModelFileError
from .solver import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    SolverError,
    get_solver,
)
from .timer import Timer
from .version import __version__  # noqa: F401

__all__ = [
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Classifier",
    "Detector",
    "Layer",
    "LayerError",
    "ModelFileError",
    "NCCL",
    "NesterovSolver",
    "Net",
    "NetSpec",
    "PrototxtError",
    "RMSPropSolver",
    "SGDSolver",
    "SolverError",
    "TEST",
    "TRAIN",
    "Timer",
    "get_solver",
    "has_nccl",
    "init_log",
    "io",
    "layer_type_list",
    "layers",
    "log",
    "native_bf16",
    "net_spec",
    "params",
    "precision",
    "proto",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_multiprocess",
    "set_precision",
    "set_random_seed",
    "set_solver_count",
    "set_solver_rank",
    "solver_count",
    "solver_rank",
    "to_proto",
]
