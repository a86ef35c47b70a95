"""Arrays in BlobProto messages, and files of one: mean.binaryproto, an infogain matrix."""

import math
import os

import numpy as np

from . import protobuf_wire as wire
from .limits import MOST_AXES, check_shape
from .modelfile import ModelFileError, decode, looks_like, mapped, strip
from .proto import caffe_pb2


def load_binaryproto(path):
    """Read the blob of a .binaryproto (mean file, infogain matrix).

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    numpy.ndarray, float32
        In the blob's shape; old blobs have four axes.

    Raises
    ------
    OpenError, ModelFileError
        A file that is missing, or is not a binaryproto.
    """
    name = os.fspath(path)
    with mapped(path) as view:
        skeleton, arrays = strip(view, "BlobProto", name, "a binaryproto (one blob)")
        blob = decode(skeleton, caffe_pb2.BlobProto(), view, name, "a binaryproto (one blob)")
        if not arrays[0].size:
            raise ModelFileError(f"{name}: holds no numbers; {looks_like(view)}")
        array = in_shape_of(blob, arrays[0], name)
        del arrays
    return array


def array_to_blob(array, blob=None):
    """Store an array in a BlobProto.

    Parameters
    ----------
    array : numpy.ndarray
        Any shape; stored as float32.
    blob : BlobProto, optional
        An empty one to fill; by default a new one.

    Returns
    -------
    BlobProto
    """
    blob = caffe_pb2.BlobProto() if blob is None else blob
    blob.MergeFromString(b"".join(wire.blob_chunks(array)))
    return blob


def blob_to_array(blob, diff=False):
    """Values of a BlobProto, or its diff.

    Parameters
    ----------
    blob : BlobProto
    diff : bool
        Take its diff instead of its data.

    Returns
    -------
    numpy.ndarray, float32
        In the blob's shape.

    Raises
    ------
    ModelFileError
        Another number of values than the shape needs.
    """
    if len(blob.double_diff if diff else blob.double_data):
        numbers = np.array(blob.double_diff if diff else blob.double_data, np.float64)
    else:
        numbers = np.array(blob.diff if diff else blob.data, np.float32)
    return in_shape_of(blob, numbers, "BlobProto")


def blob_shape(blob):
    """Shape of a BlobProto as tuple: num, channels, height, width where any is given, else `shape`.

    Parameters
    ----------
    blob : BlobProto

    Returns
    -------
    tuple of int
    """
    legacy = ("num", "channels", "height", "width")
    if any(blob.HasField(name) for name in legacy):
        return tuple(getattr(blob, name) for name in legacy)
    return tuple(blob.shape.dim)


def in_shape_of(blob, numbers, where):
    """A float32 copy of flat numbers in the blob's shape.

    Parameters
    ----------
    blob : BlobProto
        Its shape counts, its numbers do not.
    numbers : numpy.ndarray
        Flat, float32 or float64.
    where : str
        The file and the place in it, for messages.

    Returns
    -------
    numpy.ndarray, float32

    Raises
    ------
    ModelFileError
        A shape beyond Caffe's limits, or another number of values.
    """
    shape = blob_shape(blob)
    count = math.prod(shape[: MOST_AXES + 1])
    try:
        check_shape(shape)
    except ValueError as error:
        raise ModelFileError(f"{where}: {error}; the file is damaged, get it again") from None
    if count != numbers.size:
        raise ModelFileError(
            f"{where}: shape {shape} needs {count} numbers, the file has {numbers.size}; "
            "the file is damaged, get it again"
        )
    return numbers.astype(np.float32).reshape(shape)
