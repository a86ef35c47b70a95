"""Initial weights: copied by layer name, with a report of what came from where."""

from collections import OrderedDict

import h5py
from google.protobuf.message import DecodeError

from dsrg.io.errors import UserError


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
        A file that is missing or damaged, or that names no layer of the net. Shapes that do not fit are refused by
        the engine.
    """
    lines, copied = [], OrderedDict()
    for path in paths:
        named = layers_with_weights(path, caffe_pb2)
        shared = [name for name in net.params if name in named]
        if not shared:
            raise UserError(f"{path}: none of its layers ({_listed(named)}) has the name of a layer of the net "
                            f"({_listed(net.params)}); give weights made for this net, or rename its layers")
        net.copy_from(path)
        copied.update(OrderedDict.fromkeys(shared))
        unused = [name for name in named if name not in net.params]
        lines.append(f"{path}: copied {len(shared)} layers ({_listed(shared)})"
                     + (f"; not in the net: {_listed(unused)}" if unused else ""))
    fresh = [name for name in net.params if name not in copied]
    if fresh:
        lines.append(f"left at their filler: {_listed(fresh)}")
    return lines


def layers_with_weights(path, caffe_pb2):
    """Names of the layers of a weights file that hold parameters, in file order."""
    try:
        with open(path, "rb") as file:
            is_hdf5 = file.read(8) == b"\x89HDF\r\n\x1a\n"
            file.seek(0)
            if is_hdf5:
                with h5py.File(file, "r") as archive:
                    return hdf5_layers(archive.get("data", {}))
            message = caffe_pb2.NetParameter.FromString(file.read())
    except FileNotFoundError:
        raise UserError(f"weights {path} do not exist") from None
    except (DecodeError, OSError) as error:
        raise UserError(f"weights {path} are damaged or no .caffemodel ({error}); get them again") from None
    layers = [(layer.name, layer.blobs) for layer in message.layer]
    for old in message.layers:          # files of 2013 and 2014
        inner = old.layer if old.HasField("layer") else old
        layers.append((inner.name, inner.blobs))
    return [name for name, blobs in layers if len(blobs)]


def hdf5_layers(data):
    """Names of the layers with parameters below the group `data`; a name with "/" is a path of groups."""
    found = []

    def note(path, item):
        layer, _, index = path.rpartition("/")
        if index.isdigit() and isinstance(item, h5py.Dataset) and layer not in found:
            found.append(layer)

    if isinstance(data, h5py.Group):
        data.visititems(note)
    return found


def _listed(names, most=8):
    """Up to `most` names, the others counted."""
    names = list(names)
    shown = ", ".join(names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "") if names else "none"
