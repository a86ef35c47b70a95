"""caffe.io: pictures into nets (Transformer, load_image, resize_image, oversample) and arrays into messages.

The functions and results are pycaffe's; pictures are (H, W, K) float32 RGB in [0, 1] until a Transformer makes
a net's input of them. What pycaffe changes in its argument (preprocess scales a float32 picture in place) is left
unchanged here.
"""

import math

import numpy as np

from .blob_messages import array_to_blob, blob_shape, blob_to_array
from .modelfile import ModelFileError
from .picture_arrays import load_image, oversample, resize_image
from .proto import caffe_pb2
from .transformer import Transformer

__all__ = [  # also what pycaffe's module lets through
    "Transformer",
    "array_to_blobproto",
    "array_to_datum",
    "arraylist_to_blobprotovector_str",
    "blobproto_to_array",
    "blobprotovector_str_to_arraylist",
    "caffe_pb2",
    "datum_to_array",
    "load_image",
    "np",
    "oversample",
    "resize_image",
]


def __getattr__(name):
    """`resize`, `zoom` and `skimage`, which pycaffe's module lets through to its users; imported at the first use."""
    if name == "resize":
        from skimage.transform import resize as value
    elif name == "zoom":
        from scipy.ndimage import zoom as value
    elif name == "skimage":
        import skimage as value
        import skimage.io
        import skimage.transform
    else:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return value


def blobproto_to_array(blob, return_diff=False):
    """Convert a BlobProto into an array.

    Parameters
    ----------
    blob : BlobProto
    return_diff : bool
        Take its diff instead of its data.

    Returns
    -------
    numpy.ndarray, float32
        In the blob's shape; old blobs have four axes.

    Raises
    ------
    ValueError
        The blob holds another number of values than its shape needs.
    """
    try:
        return blob_to_array(blob, return_diff)
    except ModelFileError:
        shape = blob_shape(blob)
        held = len(blob.diff if return_diff else blob.data)
        raise ValueError(f"the BlobProto's shape {shape} needs {math.prod(shape)} numbers, it holds {held}") from None


def array_to_blobproto(arr, diff=None):
    """Convert an array into a BlobProto.

    Parameters
    ----------
    arr : array_like
        Any shape; stored as float32.
    diff : array_like, optional
        Of the same shape, stored as the blob's diff.

    Returns
    -------
    BlobProto

    Raises
    ------
    ValueError
        A diff of another shape.
    """
    blob = array_to_blob(np.asarray(arr))
    if diff is not None:
        if np.shape(diff) != np.shape(arr):
            raise ValueError(f"diff is {np.shape(diff)}, expected {np.shape(arr)} like the data")
        blob.diff.extend(np.asarray(diff, np.float32).ravel().tolist())
    return blob


def arraylist_to_blobprotovector_str(arraylist):
    """Serialized BlobProtoVector of a list of arrays.

    Parameters
    ----------
    arraylist : sequence of array_like

    Returns
    -------
    bytes
    """
    vector = caffe_pb2.BlobProtoVector()
    for array in arraylist:
        array_to_blob(np.asarray(array), vector.blobs.add())
    return vector.SerializeToString()


def blobprotovector_str_to_arraylist(str):
    """List of arrays of a serialized BlobProtoVector.

    Parameters
    ----------
    str : bytes

    Returns
    -------
    list of numpy.ndarray, float32
    """
    return [blobproto_to_array(blob) for blob in caffe_pb2.BlobProtoVector.FromString(str).blobs]


def array_to_datum(arr, label=None):
    """Convert an array into a Datum.

    Parameters
    ----------
    arr : array_like
        (C, H, W). uint8 is stored as bytes, any other dtype as float_data.
    label : int, optional

    Returns
    -------
    Datum

    Raises
    ------
    ValueError
        Another number of axes.
    """
    arr = np.asarray(arr)
    if arr.ndim != 3:
        raise ValueError(f"Incorrect array shape: {arr.shape}, expected (channels, height, width)")
    datum = caffe_pb2.Datum(channels=arr.shape[0], height=arr.shape[1], width=arr.shape[2])
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(arr.astype(np.float64).ravel().tolist())
    if label is not None:
        datum.label = label
    return datum


def datum_to_array(datum):
    """Convert a Datum into an array.

    Parameters
    ----------
    datum : Datum

    Returns
    -------
    numpy.ndarray
        (C, H, W): uint8 of its bytes, or float64 of its float_data.

    Raises
    ------
    ValueError
        An encoded picture, or another number of values than the extents need.
    """
    if datum.encoded:
        raise ValueError("the Datum holds an encoded picture; decode its data with cv2.imdecode or PIL")
    shape = (datum.channels, datum.height, datum.width)
    numbers = np.frombuffer(datum.data, np.uint8) if datum.data else np.array(datum.float_data, np.float64)
    if numbers.size != np.prod(shape):
        raise ValueError(f"the Datum says {shape} but holds {numbers.size} numbers")
    return numbers.reshape(shape).copy()
