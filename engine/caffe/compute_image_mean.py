"""Caffe's compute_image_mean: the mean picture of an LMDB."""

import os

import numpy as np

from . import glog
from .datum_database import records, values_of
from .errors import DatabaseError
from .modelfile import write_atomic
from .proto import caffe_pb2


def compute_image_mean(path, target=None):
    """Mean over the records of an LMDB, written as a binaryproto of shape (1, C, H, W) where `target` is given.

    Parameters
    ----------
    path : str
        The database.
    target : str, optional
        File to write.

    Returns
    -------
    numpy.ndarray, float64
        (C, H, W).

    Raises
    ------
    DatabaseError
        Records of several sizes, or a target in the database itself.
    """
    if target and _lies_in(target, path):
        raise DatabaseError(f"'{target}' would be written into the database '{path}', which is read; choose another "
                            "name")
    total, count = None, 0
    for what, datum in records(path):
        values = values_of(what, datum)
        if total is None:
            total = np.zeros(values.shape, np.float64)
        if values.shape != total.shape:
            raise DatabaseError(f"{what} is {values.shape}, those before it {total.shape}: a mean needs pictures of "
                                "one size; give convert_imageset --resize_height and --resize_width")
        total += values
        count += 1
        if count % 10000 == 0:
            glog.info("compute_image_mean", f"Processed {count} files.")
    glog.info("compute_image_mean", f"Processed {count} files.")
    mean = total / count
    if target:
        blob = caffe_pb2.BlobProto(num=1, channels=mean.shape[0], height=mean.shape[1], width=mean.shape[2])
        blob.data.extend(mean.astype(np.float32).ravel())
        glog.info("compute_image_mean", f"Write to {target}")
        write_atomic(target, blob.SerializeToString())
    glog.info("compute_image_mean", f"Number of channels: {len(mean)}")
    for channel, value in enumerate(mean.mean((1, 2))):
        glog.info("compute_image_mean", f"mean_value channel [{channel}]: {value:g}")
    return mean


def _lies_in(target, database):
    """Whether a file would come to lie in a database, or in its place."""
    target, database = os.path.realpath(target), os.path.realpath(database)
    return os.path.commonpath([target, database]) == database
