"""BatchNorm and the Scale behind it as one layer: a pass over the maps less, forward and backward.

Where both work in place, nobody but the Scale sees what the BatchNorm makes, and torch computes the two at once. A net
does so as long as nothing looks in between: with callbacks, debug_info, a pass that begins or ends between them or a
factor that is edited after forward, each layer computes for itself, from the same values (to float32's rounding).
"""

from .layers.normalization import BatchNorm, Scale
from .torch_layer import TorchLayer


class FusedScale(TorchLayer):
    """A BatchNorm and its Scale.

    The parameters are those of the two, in their order. While a forward pass of both stands for theirs, each of the
    two knows this layer as its `fused`, and has it :meth:`part` before it runs by itself.

    Parameters
    ----------
    norm : BatchNorm
    scale : Scale
    """

    def __init__(self, norm, scale):
        super().__init__(norm._layer_param)
        self.norm, self.scale = norm, scale
        for blob in (*norm.blobs, *scale.blobs):
            self.blobs.append(blob)

    def compute(self, x, mean, variance, count, factor, offset):
        return self.norm.compute(x, mean, variance, count, factor, offset)

    def forward(self, bottom, top):
        self.propagate_down = self.norm.propagate_down
        self.param_propagate_down = [*self.norm.param_propagate_down, *self.scale.param_propagate_down]
        self._graph = self.norm._graph = self.scale._graph = None
        super().forward(bottom, top)
        self.norm.fused = self.scale.fused = self if self._graph else None

    def _recorded(self, values):
        self._values = values
        return super()._recorded(values)

    def forget(self):
        super().forget()
        self._values = self.norm.fused = self.scale.fused = None

    def _read_in_backward(self, bottom, top):
        return self.scale._read_in_backward(bottom, top)

    def stands(self, blob):
        """Whether the last forward pass was of both, and its backward pass is that of the blobs as they now are.

        Parameters
        ----------
        blob : Blob
            The one that both layers work on.

        Returns
        -------
        bool
        """
        return self.norm.fused is self.scale.fused is self and not self._edited([blob], [blob])

    def part(self):
        """Leave each of the two as if it had run by itself."""
        values, count = self._values, 1 + len(self.norm.blobs)
        self.forget()
        normalised = self.norm.graph_of(values[:count])[0].detach()
        self.scale.graph_of([normalised, *values[count:]])
        self.norm._edits, self.scale._edits = [], self._edits


def fused_scales(nodes):
    """The pairs of a net that can be computed at once.

    Parameters
    ----------
    nodes : list of Node
        All layers in order, with what takes part in the backward pass.

    Returns
    -------
    dict of int to FusedScale
        By the number of the BatchNorm; its Scale is the next layer.
    """
    pairs = zip(nodes, nodes[1:], strict=False)
    return {k: FusedScale(norm.layer, scale.layer) for k, (norm, scale) in enumerate(pairs) if _fuse(norm, scale)}


def _fuse(norm, scale):
    """Whether both work on one blob in place, and the Scale has a factor and an offset for each channel."""
    if type(norm.layer) is not BatchNorm or type(scale.layer) is not Scale or len(scale.layer.blobs) != 2:
        return False
    blobs = [*norm.bottoms, *norm.tops, *scale.bottoms, *scale.tops]
    alone = all(blob is blobs[0] for blob in blobs) and not any((*norm.loss_weights, *scale.loss_weights))
    of_channels = scale.layer.param.axis == 1 and len(scale.layer.blobs[0].dims) == 1
    return (alone and of_channels and norm.bottom_needs == scale.bottom_needs
            and norm.needs_backward <= scale.needs_backward)
