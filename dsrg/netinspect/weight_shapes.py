"""Compares a weights file with a net's parameters, by layer name, without loading the net."""

from caffe.serialization import load_weights

from dsrg.io.errors import UserError
from dsrg.netinspect.prototxt_source import Finding


def compare(state, path):
    """What loading the weights of `path` into the net of a State would do.

    Parameters
    ----------
    state : State
    path : str or Path
        Of a .caffemodel or .caffemodel.h5.

    Returns
    -------
    list of Finding
        An error for each layer whose shapes differ, a note for those left at their filler and for the file's layers
        that the net lacks.

    Raises
    ------
    UserError
        A file that is missing or no weights.
    """
    try:
        stored = load_weights(str(path))
    except RuntimeError as error:
        raise UserError(str(error)) from None
    found, fresh = [], []
    nodes = {node.param.name: node for node in state.shapes.nodes if node.layer.blobs}
    for name, node in nodes.items():
        if name not in stored:
            fresh.append(name)
            continue
        net = [blob.dims for blob in node.layer.blobs]
        # HDF5 leaves the places of shared parameters empty; old files write every shape with four axes
        file = [None if array is None else tuple(array.shape) for array in stored[name]]
        if len(net) != len(file) or any(f not in (None, n, (1,) * (4 - len(n)) + n)
                                        for n, f in zip(net, file, strict=True)):
            found.append(Finding(state.line(name), "error", f"layer '{name}' ({node.param.type}): its parameters are "
                                 f"{_listed(net)}, those of {path} {_listed(file)}; rename the layer to learn it from "
                                 "scratch, or use weights made for this net"))
    stored = {name: arrays for name, arrays in stored.items() if any(array is not None for array in arrays)}
    unknown = [layer.name for layer, _ in state.layers if layer.name in stored and layer.name not in nodes]
    if unknown:
        found.append(Finding(state.line(unknown[0]), "note", f"not compared with {path}, since their shapes are not "
                             f"known or they have no parameters here: {_names(unknown)}"))
    elif not nodes.keys() & stored.keys():
        found.append(Finding(1, "error", f"none of the layers of {path} ({_names(stored)}) is in this net"))
    elif fresh:
        found.append(Finding(state.line(fresh[0]), "note", f"not in {path}, left at their filler: {_names(fresh)}"))
    unused = [name for name in stored if name not in nodes and name not in unknown]
    if unused:
        found.append(Finding(1, "note", f"only in {path}: {_names(unused)}"))
    return found


def _listed(shapes):
    return ", ".join(str(shape) for shape in shapes) or "none"


def _names(names, most=8):
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
