"""What a graph is made of: layers with their wiring, parameter blobs as the solver sees them."""

from dataclasses import dataclass, field

from .blob import Blob, RawBlobVec
from .errors import LayerError
from .layer import NativeLayer
from .proto import caffe_pb2


@dataclass(eq=False)
class Node:
    """One layer with its wiring."""

    layer: object
    param: caffe_pb2.LayerParameter
    bottom_names: list
    top_names: list
    bottoms: RawBlobVec = field(default_factory=RawBlobVec)
    tops: RawBlobVec = field(default_factory=RawBlobVec)
    bottom_needs: list = field(default_factory=list)  # propagate_down per bottom
    param_needs: list = field(default_factory=list)  # per parameter blob
    param_names: list = field(default_factory=list)  # per parameter blob: its shared name, or its number
    needs_backward: bool = False
    loss_weights: list = field(default_factory=list)  # per top
    loss_shapes: list = field(default_factory=list)  # per top: the shape for which its diff holds the loss weight
    checked_shapes: list = field(default_factory=list)  # per top: the shape for which there is memory

    @property
    def title(self):
        """The layer's name and type, as messages begin."""
        return f"layer '{self.param.name}' ({self.param.type})"


@dataclass(eq=False)
class Learnable:
    """A parameter blob as the solver sees it: shared parameters once, with their owner."""

    blob: Blob
    node: Node
    index: int  # among the blobs of its layer
    spec: caffe_pb2.ParamSpec

    @property
    def layer_name(self):
        """Name of the layer that owns the parameter."""
        return self.node.param.name


def check_counts(node):
    """Refuse another number of bottoms or tops than the layer type takes.

    Parameters
    ----------
    node : Node

    Raises
    ------
    LayerError
    """
    layer = node.layer
    if not isinstance(layer, NativeLayer):
        return
    counts = (("bottom", layer.bottoms, len(node.bottoms)), ("top", layer.tops, len(node.tops)))
    for kind, (least, most), have in counts:
        if have < least or (most is not None and have > most):
            expected = f"{least}" if least == most else f"{least} or more" if most is None else f"{least} to {most}"
            raise LayerError(f"{node.title}: {have} {kind} blob(s), expected {expected}")
    if layer.equal and len(node.bottoms) != len(node.tops):
        raise LayerError(f"{node.title}: {len(node.bottoms)} bottoms but {len(node.tops)} tops; this type makes one "
                         "top for each bottom")


def read_loss_weights(node):
    """Set what each top counts in the loss, from loss_weight or by the layer's type.

    Parameters
    ----------
    node : Node

    Raises
    ------
    LayerError
        Another number of loss_weight than of tops.
    """
    weights = list(node.param.loss_weight)
    if weights and len(weights) != len(node.tops):
        raise LayerError(f"{node.title}: {len(weights)} loss_weight for {len(node.tops)} tops; give one for each top "
                         "or none")
    if not weights and node.tops:
        is_loss = isinstance(node.layer, NativeLayer) and node.layer.loss
        weights = [float(is_loss)] + [0.0] * (len(node.tops) - 1)
        if is_loss:
            node.param.loss_weight.extend(weights)  # Caffe's loss layers write it into their parameter, and files
    node.loss_weights = weights
    node.loss_shapes = [None] * len(weights)
