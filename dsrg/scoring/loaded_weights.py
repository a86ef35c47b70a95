"""Whether a weights file gives a net all that it needs to be used: layers left at their filler make garbage."""

from dsrg.initweights.parameter_shapes import fits, parameter_shapes
from dsrg.io.errors import UserError

SHOWN = 8  # layers named in an error; the others are counted


def require_weights(net, net_file, weights, caffe_pb2, allow_random=()):
    """Compare a net's parameters with a weights file before it is loaded: real Caffe ends the process at a misfit.

    Parameters
    ----------
    net : caffe.Net
    net_file, weights : path
    caffe_pb2 : module
        Caffe's messages.
    allow_random : sequence of str
        Layers that may stay at their filler.

    Raises
    ------
    UserError
        A layer with parameters that the file holds none for, or of another number or shape; a name in `allow_random`
        that is not a layer with parameters.
    """
    unknown = [name for name in allow_random if name not in net.params]
    if unknown:
        raise UserError(f"--allow-random {unknown[0]}: {net_file} has no layer of this name with parameters; it has "
                        f"{_listed(net.params)}")
    stored = parameter_shapes(weights, caffe_pb2)
    for name, blobs in net.params.items():
        if name in stored:
            require_shapes(name, [tuple(blob.shape) for blob in blobs], stored[name], weights)
    missing = [name for name in net.params if name not in stored and name not in allow_random]
    if missing:
        raise UserError(
            f"{weights} has no weights for {len(missing)} of the {len(net.params)} layers with parameters of "
            f"{net_file}: {_listed(missing)}; they would stay random and the result be garbage. The file holds "
            f"{_listed(stored)}. Give the weights that were trained for this net, or --allow-random LAYER for each "
            "layer that is meant to be random")


def require_shapes(name, shapes, stored, weights):
    """UserError where the stored parameters of a layer are not of the net's number and shapes.

    Parameters
    ----------
    name : str
        Of the layer.
    shapes : list of tuple of int
        Of the net's parameters.
    stored : list of tuple of int
        Of those in the file.
    weights : path
        The file.

    Raises
    ------
    UserError
    """
    remedy = "give weights that were trained for this net; for a training, rename the layer to learn it from scratch"
    if len(shapes) != len(stored):
        raise UserError(f"layer '{name}': it has {len(shapes)} parameters here but {len(stored)} in '{weights}'; "
                        f"{remedy}")
    for number, (shape, other) in enumerate(zip(shapes, stored, strict=True)):
        if not fits(other, shape):
            raise UserError(f"layer '{name}': parameter {number} is {shape} here but {other} in '{weights}'; {remedy}")


def _listed(names):
    names = list(names)
    rest = len(names) - SHOWN
    return (", ".join(names[:SHOWN]) or "none") + (f" and {rest} more" if rest > 0 else "")
