"""The embedded engine: ``import caffe`` without Caffe, on PyTorch.

Runs prototxts, caffemodels and Python layers of BVLC Caffe 1.0 and DeepLab-v2 unchanged, on CPU or CUDA. The names
here are pycaffe's; `set_precision` and the exception classes are the engine's own.
"""

from . import (
    proto,
    pycaffe,  # noqa: F401
)
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
from .layer import Layer, LayerError, layer_type_list
from .log import init_log, log
from .net import TEST, TRAIN, Net
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

__version__ = "1.0.0"

__all__ = [
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Layer",
    "LayerError",
    "ModelFileError",
    "NCCL",
    "NesterovSolver",
    "Net",
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
    "layer_type_list",
    "log",
    "native_bf16",
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
]
