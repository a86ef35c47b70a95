"""Interp of DeepLab-v2: bilinear resizing that keeps the corners in place."""

import torch.nn.functional as F

from ..layer import TorchLayer, register


@register("Interp")
class Interp(TorchLayer):
    """(N, C, H, W) -> (N, C, H', W'), sampled at i (H - 1) / (H' - 1).

    The bottom is first cropped by pad_beg and pad_end (0 or negative); with n the cropped extent, the result has
    n + (n - 1) (zoom_factor - 1), or (n - 1) / shrink_factor + 1, or `height` and `width`: exactly one of the three.
    A shrunk label map of 8 k + 1 is sampled at every 8th cell and never blends.
    """

    def setup(self, bottom, top):
        p = self.param = self._layer_param.interp_param
        ways = [p.HasField("zoom_factor"), p.HasField("shrink_factor"), p.HasField("height") and p.HasField("width")]
        if sum(ways) != 1:
            raise self.error("expected exactly one of zoom_factor, shrink_factor, or height with width")
        if p.pad_beg > 0 or p.pad_end > 0:
            raise self.error(f"pad_beg {p.pad_beg} and pad_end {p.pad_end} crop: expected 0 or less")
        if p.zoom_factor < 1 or p.shrink_factor < 1:
            raise self.error(f"zoom_factor {p.zoom_factor} and shrink_factor {p.shrink_factor} must be at least 1")

    def infer(self, shape):
        if len(shape) != 4:
            raise self.error(f"the bottom is {shape}; expected 4 axes (N, C, H, W)")
        p = self.param
        inner = [n + p.pad_beg + p.pad_end for n in shape[2:]]
        if p.HasField("zoom_factor"):
            out = [n + (n - 1) * (p.zoom_factor - 1) for n in inner]
        elif p.HasField("shrink_factor"):
            out = [(n - 1) // p.shrink_factor + 1 for n in inner]
        else:
            out = [p.height, p.width]
        if min(inner) < 1 or min(out) < 1:
            raise self.error(f"the bottom, {shape}, cropped to {tuple(inner)}, becomes {tuple(out)}: nothing is left")
        self.size = tuple(out)
        return (*shape[:2], *out)

    def compute(self, x):
        p = self.param
        if p.pad_beg or p.pad_end:
            x = x[:, :, -p.pad_beg : x.shape[2] + p.pad_end, -p.pad_beg : x.shape[3] + p.pad_end]
        if self.size == tuple(x.shape[2:]):
            return x.clone()
        return F.interpolate(x, self.size, mode="bilinear", align_corners=True)
