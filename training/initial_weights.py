"""Initial weights: copied by layer name, with a report of what came from where."""

from collections import OrderedDict

from dsrg.initweights.parameter_shapes import parameter_shapes
from dsrg.io.counts import counted
from dsrg.io.errors import UserError
from dsrg.scoring.loaded_weights import require_shapes


def copy_weights(net, paths, caffe_pb2):
    """Copy weights files into a net, in order, and say what was copied.

    Parameters
    ----------
    net : caffe.Net
    paths : sequence of str
        .caffemodel or .h5; a later file wins where two name a layer.
    caffe_pb2 : module
        Caffe's messages.

    Returns
    -------
    list of str
        Lines for the user: what each file gave, and the layers left at their filler.

    Raises
    ------
    UserError
        A file that is missing or damaged, that names no layer of the net, or holds other shapes.
    """
    lines, copied = [], OrderedDict()
    for path in paths:
        named = parameter_shapes(path, caffe_pb2)
        shared = [name for name in net.params if name in named]
        if not shared:
            raise UserError(f"{path}: none of its layers ({_listed(named)}) has the name of a layer of the net "
                            f"({_listed(net.params)}); give weights made for this net, or rename its layers")
        for name in shared:     # real Caffe ends the process where they differ
            require_shapes(name, [tuple(blob.shape) for blob in net.params[name]], named[name], path)
        net.copy_from(path)
        copied.update(OrderedDict.fromkeys(shared))
        unused = [name for name in named if name not in net.params]
        lines.append(f"{path}: copied {counted(len(shared), 'layer')} ({_listed(shared)})"
                     + (f"; not in the net: {_listed(unused)}" if unused else ""))
    fresh = [name for name in net.params if name not in copied]
    if fresh:
        lines.append(f"left at their filler: {_listed(fresh)}")
    return lines


def _listed(names, most=8):
    """Up to `most` names, the others counted."""
    names = list(names)
    shown = ", ".join(names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "") if names else "none"
