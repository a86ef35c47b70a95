"""Device and precision of a command: the flags, and what they ask of the Caffe at hand."""

import os

from training.common import UserError

PRECISIONS = ("auto", "fp32", "tf32", "bf16")


def add_flags(parser):
    """Add --device and --precision to an argparse parser or group."""
    parser.add_argument("--device", default="cpu",
                        help="cpu, the number of a GPU, or several with commas (training uses all of them, other "
                             "commands the first) (default: %(default)s)")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32",
                        help="arithmetic of the embedded engine; auto: bf16 where the device multiplies it natively, "
                             "else fp32 (default: %(default)s)")


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
