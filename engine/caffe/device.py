"""Where and how nets compute: device, precision, random seed, rank. Global, as in Caffe.

``caffe.set_mode_cpu``, ``set_mode_gpu``, ``set_device``, ``set_random_seed`` are pycaffe's. ``set_precision``
is the engine's own: ``fp32`` (default), ``tf32`` (CUDA matrix units on fp32 blobs) or ``bf16`` (convolutions and
inner products under autocast; losses, softmax and parameters stay fp32). It is a run-time setting and never a
prototxt field, so that a prototxt means the same everywhere.
"""

import warnings
from contextlib import nullcontext

import numpy as np
import torch

from . import torchrun
from .errors import DeviceError

PRECISIONS = ("fp32", "tf32", "bf16")
PYTHON_LAYERS = ("auto", "tensors", "arrays")
SEED_OF_MANY = 0

_state = {
    "gpu": False,
    "device_id": 0,
    "mode_chosen": False,
    "precision": "fp32",
    "python_layers": "auto",
    "seeds": np.random.SeedSequence(),
    "seeded": False,  # by set_random_seed
    "seedings": 0,  # calls of set_random_seed
    "solver_count": 1,
    "solver_rank": 0,
    "multiprocess": False,
}


def set_mode_cpu():
    """Compute on the CPU from now on."""
    _state.update(gpu=False, mode_chosen=True)


def set_mode_gpu():
    """Compute on the CUDA device chosen by :func:`set_device`.

    Raises
    ------
    DeviceError
        Where torch sees no CUDA device (Caffe aborts the process there).
    """
    _require_cuda("set_mode_gpu()")
    _state.update(gpu=True, mode_chosen=True)
    _apply_precision()


def set_device(device_id):
    """Choose the CUDA device (0-based) that GPU mode uses.

    Parameters
    ----------
    device_id : int
        From 0.

    Raises
    ------
    DeviceError
        No such device on this machine.
    """
    _require_cuda(f"set_device({device_id})")
    count = torch.cuda.device_count()
    if not 0 <= int(device_id) < count:
        raise DeviceError(f"set_device({device_id}): this machine has {count} CUDA device(s), numbered from 0")
    _state["device_id"] = int(device_id)
    torch.cuda.set_device(int(device_id))


def _require_cuda(who):
    if not torch.cuda.is_available():
        raise DeviceError(
            f"{who}: torch {torch.__version__} finds no CUDA device; use caffe.set_mode_cpu(), "
            "or install a CUDA build of torch on a machine with a GPU"
        )


def follow_solver_mode(solver_param):
    """Apply ``solver_mode: GPU`` of a solver file unless the program has chosen a mode itself.

    A machine without a GPU gets a warning and the CPU.

    Parameters
    ----------
    solver_param : SolverParameter
    """
    if _state["mode_chosen"] or not solver_param.HasField("solver_mode"):
        return
    if solver_param.solver_mode == solver_param.GPU:
        if torch.cuda.is_available():
            _state["gpu"] = True
            _apply_precision()
            rank = torchrun.local_rank()
            set_device(solver_param.device_id if rank is None else rank)  # torchrun: one device a process
        else:
            warnings.warn("solver_mode: GPU, but torch finds no CUDA device: computing on the CPU", stacklevel=3)
    else:
        _state["gpu"] = False


def current():
    """The torch.device nets compute on."""
    return torch.device("cuda", _state["device_id"]) if _state["gpu"] else torch.device("cpu")


def set_precision(name):
    """Choose the arithmetic of convolutions and inner products.

    Parameters
    ----------
    name : {'fp32', 'tf32', 'bf16'}
        fp32: 24 bits of mantissa. tf32: products of 11 bits, sums of 24, on CUDA (NVIDIA A100 white paper, 2020);
        elsewhere as fp32. bf16: inputs and outputs of 8 bits, sums of 24 (torch.autocast).

    Raises
    ------
    ValueError
        Another name.
    """
    if name not in PRECISIONS:
        raise ValueError(f"precision {name!r}: expected one of {', '.join(PRECISIONS)}")
    _state["precision"] = name
    _apply_precision()


def _apply_precision():
    """Tell CUDA's libraries: left alone, torch lets cuDNN round the inputs of convolutions to TF32."""
    if torch.cuda.is_available():
        torch.backends.cuda.matmul.allow_tf32 = _state["precision"] != "fp32"
        torch.backends.cudnn.allow_tf32 = _state["precision"] != "fp32"


def precision():
    """The precision in force."""
    return _state["precision"]


def set_python_layers(face):
    """Choose what Python layers that can do both are called with (tensor_calls.py).

    Parameters
    ----------
    face : {'auto', 'tensors', 'arrays'}
        auto: tensors on a GPU, numpy arrays on the CPU.

    Raises
    ------
    ValueError
        Another name.
    """
    if face not in PYTHON_LAYERS:
        raise ValueError(f"Python layers called with {face!r}: expected one of {', '.join(PYTHON_LAYERS)}")
    _state["python_layers"] = face


def python_layers():
    """What Python layers are called with: 'auto', 'tensors' or 'arrays'."""
    return _state["python_layers"]


def native_bf16():
    """Whether the current device multiplies bf16 natively, so that 'bf16' is faster than 'fp32'."""
    if _state["gpu"]:
        return torch.cuda.is_bf16_supported(including_emulation=False)   # before Ampere it is emulated, and slow
    return bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
                and "avx512_bf16" in _cpu_flags())


def _cpu_flags():
    try:
        with open("/proc/cpuinfo") as f:
            return next((line for line in f if line.startswith("flags")), "").split()
    except OSError:
        return []


def autocast():
    """Context manager in which convolutions and inner products run at the precision in force."""
    if _state["precision"] != "bf16":
        return nullcontext()
    return torch.autocast(current().type, dtype=torch.bfloat16, cache_enabled=False)


def set_random_seed(seed):
    """Seed everything random that is drawn after this call.

    Nets made later follow it in all they draw. Of nets that stand, the next forward draws anew what each forward draws
    (dropout, random DummyData, stochastic pooling); data layers keep the order and the crops that they were made with.

    Parameters
    ----------
    seed : int
    """
    _state.update(seeds=np.random.SeedSequence(int(seed)), seeded=True, seedings=_state["seedings"] + 1)


def seedings():
    """How often set_random_seed was called."""
    return _state["seedings"]


def next_seed():
    """A fresh seed for one net, drawn from the seed in force."""
    if _state["solver_count"] > 1 and not _state["seeded"]:
        # processes that were neither seeded nor joined (parallel.share_seeds) must still agree on one order
        _state.update(seeds=np.random.SeedSequence(SEED_OF_MANY), seeded=True)
    return _state["seeds"].spawn(1)[0]


def seeds():
    """The seed in force, as numpy.random.SeedSequence; nets are given its children."""
    return _state["seeds"]


def adopt_seeds(sequence):
    """Go on with the seeds of another process.

    Parameters
    ----------
    sequence : numpy.random.SeedSequence
    """
    _state.update(seeds=sequence, seeded=True)


def set_solver_count(count):
    """Say how many processes train together (pycaffe's; under torchrun the engine sets it): they share the items.

    Parameters
    ----------
    count : int
        1 or more.
    """
    _state["solver_count"] = int(count)


def solver_count():
    """Number of processes that train together, 1 or more."""
    return _state["solver_count"]


def set_solver_rank(rank):
    """Say which of the processes this one is, from 0: of n, rank r reads the items r, r + n, r + 2 n ...

    Parameters
    ----------
    rank : int
        Below the count.
    """
    _state["solver_rank"] = int(rank)


def solver_rank():
    """Number of this process among those that train together, from 0."""
    return _state["solver_rank"]


def set_multiprocess(flag):
    """pycaffe's switch between threads and processes; kept without effect, for there are processes only.

    Parameters
    ----------
    flag : bool
    """
    _state["multiprocess"] = bool(flag)
