"""In which order of memory a convolution's tensors lie: what the hardware does well, by rule.

The rule comes from `python -m benchmarks.layouts`, which times forward and backward of VGG16-ASPP's convolutions in
both. On a CPU without AVX-512 oneDNN's backward pass is two to four times as slow in channels_last, except where the
kernel is one cell or widely dilated; with AVX-512 the sums are alike in fp32, and bf16 runs best in channels_last. On a
GPU tensor cores (bf16, tf32) read channels_last and cuDNN's fp32 kernels the other: by its manual, not measured.
"""

import torch

from . import device

LAYOUTS = ("auto", "channels_last", "contiguous")
WIDE_DILATION = 5       # from here on, channels_last on a CPU without AVX-512

_state = {"layout": "auto"}


def set_layout(name):
    """Choose the layout of all convolutions' tensors; results differ in rounding alone.

    Parameters
    ----------
    name : {'auto', 'channels_last', 'contiguous'}
        auto: by the hardware, the precision and the kernel.

    Raises
    ------
    ValueError
        Another name.
    """
    if name not in LAYOUTS:
        raise ValueError(f"layout {name!r}: expected one of {', '.join(LAYOUTS)}")
    _state["layout"] = name


def layout():
    """The layout in force: 'auto', 'channels_last' or 'contiguous'."""
    return _state["layout"]


def of_convolution(kernel, dilation):
    """The torch.memory_format of a convolution with 4-d tensors.

    Parameters
    ----------
    kernel, dilation : sequence of int
        Extents of the kernel and the distance of its cells, an axis each.

    Returns
    -------
    torch.memory_format
    """
    chosen = _state["layout"]
    if chosen == "auto":
        chosen = "channels_last" if _reads_channels_last(kernel, dilation) else "contiguous"
    return torch.channels_last if chosen == "channels_last" else torch.contiguous_format


def _reads_channels_last(kernel, dilation):
    if device.precision() == "bf16":
        return True
    if device.current().type != "cpu":
        return device.precision() == "tf32"
    if torch.backends.cpu.get_cpu_capability() == "AVX512":
        return True
    return max(kernel) == 1 or max(dilation) >= WIDE_DILATION
