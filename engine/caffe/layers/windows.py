"""Windows that slide over space, as base_conv_layer has them: extents, and the views that convolutions are made of."""

import torch.nn.functional as F


class Windows:
    """Kernel, stride, pad and dilation of a ConvolutionParameter, one number for each of n spatial axes."""

    def __init__(self, layer, param, n):
        self.kernel = self._read(layer, param, "kernel_size", n, None)
        self.stride = self._read(layer, param, "stride", n, 1)
        self.pad = self._read(layer, param, "pad", n, 0)
        self.dilation = self._read(layer, param, "dilation", n, 1)
        self.extent = tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @staticmethod
    def _read(layer, param, name, n, default):
        values = list(getattr(param, name))
        if name != "dilation":
            h, w = (name.removesuffix("_size") + end for end in ("_h", "_w"))
            if param.HasField(h) or param.HasField(w):
                if values or n != 2:
                    why = f"{name} is given as well" if values else f"the bottom has {n} spatial axes, not 2"
                    raise layer.error(f"{h} and {w}: {why}; write {name} once, or once for each spatial axis")
                values = [getattr(param, h), getattr(param, w)]
        if not values and default is not None:
            values = [default]
        if len(values) == 1:
            values *= n
        if len(values) != n:
            raise layer.error(f"{name} is given {len(values)} times; expected once, or {n} times (spatial axes)")
        if name != "pad" and any(v < 1 for v in values):
            raise layer.error(f"{name} is {values}; expected at least 1")
        return tuple(values)

    def swept(self, spatial):
        """Extents after a convolution (0 or less where the window does not fit).

        Parameters
        ----------
        spatial : tuple of int

        Returns
        -------
        tuple of int
        """
        # int() truncates towards zero as C++ does
        rows = zip(spatial, self.pad, self.extent, self.stride, strict=True)
        return tuple(int((n + 2 * p - e) / s) + 1 for n, p, e, s in rows)

    def filled(self, x):
        """x padded with zeros at the end of each spatial axis that the window, with its padding, reaches beyond.

        Parameters
        ----------
        x : Tensor
            (N, C, *spatial).

        Returns
        -------
        Tensor
        """
        rows = zip(x.shape[2:], self.pad, self.extent, strict=True)
        missing = [max(0, e - n - 2 * p) for n, p, e in rows]
        return F.pad(x, [m for short in reversed(missing) for m in (0, short)]) if any(missing) else x

    def spread(self, spatial):
        """Extents after a deconvolution.

        Parameters
        ----------
        spatial : tuple of int

        Returns
        -------
        tuple of int
        """
        rows = zip(spatial, self.pad, self.extent, self.stride, strict=True)
        return tuple(s * (n - 1) + e - 2 * p for n, p, e, s in rows)

    def unfold(self, x):
        """View (N, C, *spatial) as (N, C, *swept, *kernel).

        Parameters
        ----------
        x : Tensor
            (N, C, *spatial), padded.

        Returns
        -------
        Tensor
        """
        x = F.pad(self.filled(x), [p for pad in reversed(self.pad) for p in (pad, pad)])
        for axis, (extent, stride, d) in enumerate(zip(self.extent, self.stride, self.dilation, strict=True), 2):
            x = x.unfold(axis, extent, stride)[..., ::d]
        return x
