"""Device and precision, set on whichever Caffe is in use."""

import ctypes
import re
from pathlib import Path

from dsrg.find_caffe import is_embedded
from dsrg.io.errors import UserError

PRECISIONS = ("auto", "fp32", "tf32", "bf16")


def device_numbers(device):
    """The GPU numbers of a --device, [] for the CPU; UserError when it is neither.

    Parameters
    ----------
    device : str
        Of --device.

    Returns
    -------
    list of int

    Raises
    ------
    UserError
    """
    if device == "cpu":
        return []
    parts = device.split(",")
    if not all(part.isdecimal() and len(part) < 10 for part in parts):
        raise UserError(f"--device {device[:80]}: expected cpu, a number, or numbers with commas such as 0,1")
    return [int(part) for part in parts]


def visible_gpus():
    """Number of GPUs that CUDA's driver shows this process (CUDA_VISIBLE_DEVICES counts); 0 without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def missing_gpus(device):
    """What is wrong with the GPUs of a --device, a line; None where all are visible, or it is the CPU.

    Parameters
    ----------
    device : str
        Of --device.

    Returns
    -------
    str or None
    """
    numbers = device_numbers(device)
    count = visible_gpus() if numbers else 0
    if not numbers or max(numbers) < count:
        return None
    seen = f"CUDA's driver shows {count} GPU{'' if count == 1 else 's'}" if count else "no GPU is visible"
    return f"--device {device}: {seen}; use cpu, or a number that nvidia-smi lists (in Docker: --gpus all)"


def built_with_cuda(caffe):
    """Whether pycaffe's library is linked with CUDA's: a CPU_ONLY build is not; True where that cannot be seen.

    Parameters
    ----------
    caffe : module

    Returns
    -------
    bool
    """
    try:
        libraries = Path("/proc/self/maps").read_text()
    except OSError:
        return True
    return not hasattr(caffe, "_caffe") or "libcudart" in libraries or "libcublas" in libraries


def refuse_missing_gpus(caffe, device):
    """UserError for a GPU that real Caffe would abort at: its own check ends the process.

    Parameters
    ----------
    caffe : module
    device : str
        Of --device.

    Raises
    ------
    UserError
    """
    if is_embedded(caffe):      # it raises
        return
    problem = missing_gpus(device)
    if problem is None and device_numbers(device) and not built_with_cuda(caffe):
        problem = (f"--device {device}: {caffe.__file__} was built without CUDA (CPU_ONLY); use cpu, or build it with "
                   "CUDA")
    if problem:
        raise UserError(problem)


def use_machine(caffe, device="cpu", precision="fp32", local_rank=0):
    """Put Caffe on a device and choose its arithmetic.

    Parameters
    ----------
    caffe : module
        pycaffe or the embedded engine.
    device : str
        As --device; of several numbers one is taken.
    precision : str
        One of PRECISIONS; pycaffe has fp32 only, which is its 'auto'.
    local_rank : int
        Which of several devices: the number of this process, from 0, among those of the machine that train together.

    Returns
    -------
    str
        The precision in force.
    """
    numbers = device_numbers(device)
    refuse_missing_gpus(caffe, device)
    try:
        if numbers:
            caffe.set_device(numbers[local_rank % len(numbers)])
            caffe.set_mode_gpu()
        else:
            caffe.set_mode_cpu()
    except RuntimeError as error:
        problem = re.sub(r"^set_device\(\d+\): ", "", str(error)).replace("caffe.set_mode_cpu()", "--device cpu")
        raise UserError(f"--device {device}: {problem}") from None
    precision = _resolved(caffe, precision)
    if is_embedded(caffe):
        caffe.set_precision(precision)
    return precision


def _resolved(caffe, precision):
    """The precision that 'auto' stands for on the device in use; UserError for one that pycaffe does not have."""
    if not is_embedded(caffe):
        if precision not in ("auto", "fp32"):
            raise UserError(f"--precision {precision}: pycaffe computes in fp32 only; leave it out, or set "
                            "ENGINE=embedded")
        return "fp32"
    if precision == "auto":
        return "bf16" if caffe.native_bf16() else "fp32"
    return precision
