"""In which order of memory a convolution's tensors lie: what the hardware does well, by rule.

The rule comes from `python -m benchmarks.layouts`, which times forward and backward of the convolutions of VGG16-ASPP
and of demo's small nets in both. On a CPU without AVX-512 oneDNN's gradient of the weights is two to six times as slow
in channels_last where maps are large and channels many; where either is small, the kernel is one cell or widely
dilated, channels_last is as fast, and pooling and normalisation in it are up to nine times faster. With AVX-512 the
sums are alike in fp32, and bf16 runs best in channels_last. On a GPU tensor cores (bf16, tf32) read channels_last and
cuDNN's fp32 kernels the other: by its manual, not measured.
"""

from dataclasses import dataclass

import torch

from . import device

LAYOUTS = ("auto", "channels_last", "contiguous")
# Where channels_last is no slower on a CPU without AVX-512:
WIDE_DILATION = 5       # from here on
SMALL_ROW = 3200        # a row of the map with all its channels, in numbers, at most; kernels of 3 cells
FEW_CHANNELS = (16, 32)     # into and out of the convolution, at most, for maps of any size; kernels of 3 cells


@dataclass(frozen=True)
class Window:
    """What the rule looks at of a convolution; `row` is the width of its bottom, groups count among the channels."""

    kernel: tuple
    dilation: tuple
    channels: int
    outputs: int
    row: int
    group: int = 1


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


def of_convolution(window):
    """The torch.memory_format of a convolution with 4-d tensors.

    Parameters
    ----------
    window : Window

    Returns
    -------
    torch.memory_format
    """
    chosen = _state["layout"]
    if chosen == "auto":
        chosen = "channels_last" if _reads_channels_last(window) else "contiguous"
    return torch.channels_last if chosen == "channels_last" else torch.contiguous_format


def _reads_channels_last(window):
    if device.precision() == "bf16":
        return True
    if device.current().type != "cpu":
        return device.precision() == "tf32"
    if torch.backends.cpu.get_cpu_capability() == "AVX512":
        return True
    return max(window.kernel) == 1 or max(window.dilation) >= WIDE_DILATION or _is_small(window)


def _is_small(window):
    if max(window.kernel) > 3 or window.group > 1:
        return False
    return (max(window.channels, window.outputs) * window.row <= SMALL_ROW
            or (window.channels <= FEW_CHANNELS[0] and window.outputs <= FEW_CHANNELS[1]))
