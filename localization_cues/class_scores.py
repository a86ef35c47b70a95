"""Where a classifier makes its class scores, and where the maps behind them are: read off a loaded net.

Only pycaffe's names of layers, bottoms and tops, types and shapes are used. A net is followed from its output
upwards: past layers that leave the order of the scores as it is, to the layer that makes them.
"""

from dataclasses import dataclass

from dsrg.io.errors import UserError

#: layers that turn scores into other scores of the same classes, or pass values on
PASSING = ("Sigmoid", "Softmax", "Flatten", "Reshape", "Dropout", "Split")
#: those of them after which the values are others
OTHER_VALUES = ("Sigmoid", "Softmax")
REMEDY = "name the blob of the maps (--maps-blob), or features and classifier (--features-blob, --classifier)"


@dataclass(frozen=True)
class ScoreLayer:
    """The layer that makes the class scores: its name, its place in the net, the blob of the scores, and the name of a
    later layer that puts other values in their place (a Sigmoid whose top is its bottom), or None."""

    name: str
    index: int
    blob: str
    overwritten_by: str | None = None


@dataclass(frozen=True)
class CamSource:
    """Where class activation maps come from: the blob of the maps, or features and the classifier on their mean."""

    maps_blob: str | None = None
    features_blob: str | None = None
    classifier: str | None = None


def score_layer(net):
    """The ScoreLayer of a net with one output.

    Parameters
    ----------
    net : caffe.Net

    Returns
    -------
    ScoreLayer

    Raises
    ------
    UserError
        Several outputs.
    """
    if len(net.outputs) != 1:
        raise UserError(f"the net has {len(net.outputs)} outputs ({', '.join(net.outputs)}); {REMEDY}")
    blob, index, overwritten_by = net.outputs[0], len(net.layers), None
    while True:
        index = producer(net, blob, index)
        if net.layers[index].type not in PASSING:
            return ScoreLayer(net._layer_names[index], index, blob, overwritten_by)
        bottom = _bottom(net, index)
        if bottom != blob:
            overwritten_by = None
        elif net.layers[index].type in OTHER_VALUES:
            overwritten_by = net._layer_names[index]
        blob = bottom


def find_cam(net):
    """Find the class activation maps of a net.

    Three kinds are known: the output itself is a map (the deploy net ends with the last convolution); a
    convolution feeds global pooling; features are pooled first and scored by an InnerProduct or a 1x1 convolution
    without anything but Dropout, Flatten or Reshape between (SEC's foreground net, Zhou's CAM nets).

    Parameters
    ----------
    net : caffe.Net
        Pooling is told by what it makes (one value a channel), so a kernel of the map's size counts as global.

    Returns
    -------
    CamSource

    Raises
    ------
    UserError
        The net is of another kind, e.g. VGG16 with two hidden layers behind the pooling, which has no maps.
    """
    scores = score_layer(net)
    kind = net.layers[scores.index].type
    if _is_map(net, scores.blob):
        return CamSource(maps_blob=scores.blob)
    if _is_global_pooling(net, scores.index):
        return CamSource(maps_blob=_bottom(net, scores.index))
    if kind in ("InnerProduct", "Convolution"):
        index = scores.index
        while True:
            index = producer(net, _bottom(net, index), index)
            if net.layers[index].type not in PASSING:
                break
        if _is_global_pooling(net, index):
            return CamSource(features_blob=_bottom(net, index), classifier=scores.name)
        between = f"gets its input from layer '{net._layer_names[index]}' ({net.layers[index].type})"
        raise UserError(f"layer '{scores.name}' ({kind}) scores the classes, but {between}, not from a global pooling: "
                        f"such a net has no class activation maps; {REMEDY}")
    raise UserError(f"the scores '{scores.blob}' come from layer '{scores.name}' ({kind}) and are not a map; {REMEDY}")


def producer(net, blob, before):
    """Index of the layer that last writes `blob` before layer `before` runs.

    Parameters
    ----------
    net : caffe.Net
    blob : str
    before : int

    Returns
    -------
    int

    Raises
    ------
    UserError
        No layer makes the blob.
    """
    for index in range(before - 1, -1, -1):
        if blob in net.top_names[net._layer_names[index]]:
            return index
    raise UserError(f"blob '{blob}' is an input of the net, no layer makes it; {REMEDY}")


def _bottom(net, index):
    bottoms = net.bottom_names[net._layer_names[index]]
    if not bottoms:
        raise UserError(f"layer '{net._layer_names[index]}' is an input; {REMEDY}")
    return bottoms[0]


def _is_map(net, blob):
    shape = tuple(net.blobs[blob].shape)
    return len(shape) == 4 and max(shape[2:]) > 1


def _is_global_pooling(net, index):
    """Whether the layer makes one value a channel out of a map."""
    top = net.top_names[net._layer_names[index]][0]
    return net.layers[index].type == "Pooling" and not _is_map(net, top) and _is_map(net, _bottom(net, index))
