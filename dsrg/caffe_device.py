"""Device and precision: what they ask of the Caffe at hand."""

import os

from dsrg.io.errors import UserError

PRECISIONS = ("auto", "fp32", "tf32", "bf16")


def device_numbers(device):
    """The GPU numbers of a --device, [] for the CPU; UserError when it is neither."""
    if device == "cpu":
        return []
    parts = device.split(",")
    if not all(part.isdecimal() for part in parts):
        raise UserError(f"--device {device}: expected cpu, a number, or numbers with commas such as 0,1")
    return [int(part) for part in parts]


def use_machine(caffe, device="cpu", precision="fp32"):
    """Put Caffe on a device and choose its arithmetic.

    Parameters
    ----------
    caffe : module
        pycaffe or the embedded engine.
    device : str
        As --device; of several, the one of this process's LOCAL_RANK (torchrun), else the first.
    precision : str
        One of PRECISIONS; pycaffe has fp32 only, which is its 'auto'.

    Returns
    -------
    str
        The precision in force.
    """
    numbers = device_numbers(device)
    try:
        if numbers:
            caffe.set_device(numbers[int(os.environ.get("LOCAL_RANK", "0")) % len(numbers)])
            caffe.set_mode_gpu()
        else:
            caffe.set_mode_cpu()
    except RuntimeError as error:
        raise UserError(f"--device {device}: {error}") from None
    if not hasattr(caffe, "set_precision"):
        if precision not in ("auto", "fp32"):
            raise UserError(f"--precision {precision}: pycaffe computes in fp32 only; leave it out, or set "
                            "ENGINE=embedded")
        return "fp32"
    if precision == "auto":
        precision = "bf16" if caffe.native_bf16() else "fp32"
    caffe.set_precision(precision)
    return precision
