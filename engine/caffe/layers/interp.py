"""Interp of DeepLab-v2: bilinear resizing that keeps the corners in place."""

import torch.nn.functional as F

from ..layer import register
from ..torch_layer import TorchLayer
from .bottom_checks import legacy_shape


@register("Interp")
class Interp(TorchLayer):
    """(N, C, H, W) -> (N, C, H', W'), sampled at i (H - 1) / (H' - 1); a bottom of fewer axes is padded with ones.

    The bottom is first cropped by pad_beg and pad_end (0 or negative). With n the cropped extent, the result has, by
    the first of these that applies:

        shrink_factor s without zoom_factor     (n - 1) / s + 1      (integer division)
        zoom_factor z without shrink_factor     n + (n - 1) (z - 1)
        height and width                        height, width
        both factors                            shrunk, then that zoomed; resampled once

    A shrunk label map of 8 k + 1 is sampled at every 8th cell and never blends.
    """

    def setup(self, bottom, top):
        p = self.param = self._layer_param.interp_param
        self.shrinks, self.zooms = p.HasField("shrink_factor"), p.HasField("zoom_factor")
        sized = p.HasField("height") and p.HasField("width")
        if not (self.shrinks or self.zooms or sized):
            raise self.error("expected zoom_factor, shrink_factor, or height with width")
        self.sized = sized and self.shrinks == self.zooms
        if p.pad_beg > 0 or p.pad_end > 0:
            raise self.error(f"pad_beg {p.pad_beg} and pad_end {p.pad_end} crop: expected 0 or less")
        if p.zoom_factor < 1 or p.shrink_factor < 1:
            raise self.error(f"zoom_factor {p.zoom_factor} and shrink_factor {p.shrink_factor} must be at least 1")

    def infer(self, shape):
        p, shape = self.param, legacy_shape(self, shape)
        inner = [n + p.pad_beg + p.pad_end for n in shape[2:]]
        # a factor that is not given is 1, its default
        out = [p.height, p.width] if self.sized else [((n - 1) // p.shrink_factor) * p.zoom_factor + 1 for n in inner]
        if min(inner) < 1 or min(out) < 1:
            raise self.error(f"the bottom, {shape}, cropped to {tuple(inner)}, becomes {tuple(out)}: nothing is left")
        self.size = tuple(out)
        return (*shape[:2], *out)

    def compute(self, x):
        p = self.param
        x = x.reshape(legacy_shape(self, tuple(x.shape)))
        if p.pad_beg or p.pad_end:
            x = x[:, :, -p.pad_beg : x.shape[2] + p.pad_end, -p.pad_beg : x.shape[3] + p.pad_end]
        if self.size == tuple(x.shape[2:]):
            return x.clone()
        return F.interpolate(x, self.size, mode="bilinear", align_corners=True)
