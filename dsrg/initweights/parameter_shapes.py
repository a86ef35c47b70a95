"""Which layers a weights file holds parameters of, and of what shapes: read by Caffe's messages alone."""

import re

import h5py
from google.protobuf.message import DecodeError

from dsrg.io.errors import UserError
from dsrg.io.regular_files import open_regular

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
#: what a file is -> its first bytes
KINDS = {
    "a picture": (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF"),
    "a zip archive or PyTorch's weights": b"PK\x03\x04",
    "a pickle": (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
    "compressed": (b"\x1f\x8b", b"BZh", b"\xfd7zXZ"),
    "a web page": (b"<!DOCTYPE", b"<!doctype", b"<html"),
}
MOST_BLOBS = 1000   # of a layer


def parameter_shapes(path, caffe_pb2):
    """Shapes of the parameters in a weights file, layer by layer.

    Parameters
    ----------
    path : path
        .caffemodel of any age, or HDF5.
    caffe_pb2 : module
        Caffe's messages.

    Returns
    -------
    dict of str to list of tuple of int
        In file order; layers without parameters are left out. Files without the field `shape` (of 2013 and 2014) give
        four axes. HDF5 leaves out parameters that a layer shares with an earlier one: those are None.

    Raises
    ------
    UserError
        A file that is missing, damaged, or no weights.
    """
    try:
        with open_regular(path, "weights file") as file:
            is_hdf5 = file.read(len(HDF5_MAGIC)) == HDF5_MAGIC
            file.seek(0)
            if is_hdf5:
                with h5py.File(file, "r") as archive:
                    return _shapes_of_hdf5(archive)
            message = caffe_pb2.NetParameter.FromString(file.read())
    except (DecodeError, OSError, RuntimeError, KeyError, ValueError, TypeError) as error:     # as h5py raises them
        if kind := kind_of_file(path):
            raise UserError(f"weights {path} are {kind}; give a .caffemodel or .caffemodel.h5") from None
        raise UserError(f"weights {path} are damaged or not a .caffemodel ({error}); download them again") from None
    layers = [(layer.name, layer.blobs) for layer in message.layer]
    for old in message.layers:          # files of 2013 and 2014
        inner = old.layer if old.HasField("layer") else old
        layers.append((inner.name, inner.blobs))
    return {name: [_shape(blob) for blob in blobs] for name, blobs in layers if len(blobs)}


def kind_of_file(path):
    """What a file is that people mix up with weights, by its first bytes; None for any other.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    str or None
        Such as "a prototxt".
    """
    with open_regular(path, "weights file") as file:
        head = file.read(256)
    for kind, starts in KINDS.items():
        if head.startswith(starts):
            return kind
    text = head.isascii() and re.search(rb"^\s*(name|layers?|input|net|base_lr|train_net)\s*[:{]", head, re.MULTILINE)
    return "a prototxt" if text else None


def fits(stored, shape):
    """Whether a stored shape is that of a parameter, as Caffe compares: four old axes match with leading ones.

    Parameters
    ----------
    stored : tuple of int, or None
        None for a parameter that the file leaves out (shared ones in HDF5), which fits anything.
    shape : tuple of int
        The net's.

    Returns
    -------
    bool
    """
    return stored is None or tuple(stored) in (tuple(shape), (1,) * (4 - len(shape)) + tuple(shape))


def _shape(blob):
    if blob.HasField("shape"):
        return tuple(blob.shape.dim)
    return blob.num, blob.channels, blob.height, blob.width


def _shapes_of_hdf5(archive):
    """Caffe writes data/<layer>/<number>; a layer's name may itself hold slashes."""
    found = {}

    def visit(name, item):
        layer, _, number = name.rpartition("/") if isinstance(name, str) else ("", "", "")
        if isinstance(item, h5py.Dataset) and number.isdecimal():
            too_large = len(number) > len(str(MOST_BLOBS)) or int(number) > MOST_BLOBS
            if too_large or number != str(int(number)) or item.shape is None:       # 0 and 00 would be one parameter
                raise ValueError(f"'{name}' is no parameter of a layer")
            shapes = found.setdefault(layer, [])
            shapes += [None] * (int(number) + 1 - len(shapes))
            shapes[int(number)] = tuple(item.shape)

    if isinstance(archive.get("data", getlink=True), h5py.HardLink) and isinstance(archive["data"], h5py.Group):
        archive["data"].visititems(visit)       # which follows no soft and no external link
    return found
