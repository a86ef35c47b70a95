"""Datum records: the bytes of a database's value as an array of channels, rows and columns, and a label."""

import math

import numpy as np

from ..proto import caffe_pb2
from .pictures import decode_picture


def read_datum(value, flags):
    """The values and label of a record.

    Parameters
    ----------
    value : bytes
        A serialized Datum.
    flags : int
        cv2's, for a record that holds an encoded picture.

    Returns
    -------
    numpy.ndarray, (C, H, W)
        uint8 (uint16 of deeper pictures), or float32 where the record holds floats.
    int

    Raises
    ------
    ValueError
        No Datum, one whose values are not as many as its shape says, or a picture that cannot be decoded or is too
        large; the text goes on from the record's name.
    """
    datum = caffe_pb2.Datum()
    try:
        datum.ParseFromString(value)
    except Exception as error:
        raise ValueError("is not a Datum message") from error
    return values_of(datum, flags), datum.label


def values_of(datum, flags):
    """The values of a Datum as `read_datum` gives them.

    Parameters
    ----------
    datum : Datum
    flags : int
        OpenCV's, for encoded pictures.

    Returns
    -------
    numpy.ndarray
        (C, H, W), uint8 or float32.

    Raises
    ------
    ValueError
        As of read_datum.
    """
    if datum.encoded:
        try:
            picture = decode_picture(datum.data, flags)
        except ValueError as error:
            raise ValueError(f"holds a picture that is refused: {error}") from error
        if picture is None:
            raise ValueError("holds a picture that is truncated or cannot be decoded")
        return np.atleast_3d(picture).transpose(2, 0, 1)
    values = np.frombuffer(datum.data, np.uint8) if datum.data else np.array(datum.float_data, np.float32)
    shape = (datum.channels, datum.height, datum.width)
    if min(shape) < 1 or values.size != math.prod(shape):
        raise ValueError(f"holds {values.size} values for the shape {shape}")
    return values.reshape(shape)
