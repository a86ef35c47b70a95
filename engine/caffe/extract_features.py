"""Caffe's extract_features: blobs of a net that feeds itself, stored in LMDBs."""

import contextlib

from . import device, glog
from .datum_database import Writer
from .errors import DatabaseError
from .net import TEST, Net
from .proto import caffe_pb2


def extract_features(weights, model, blobs, paths, batches):
    """Run a net that feeds itself and store blobs: one LMDB for each, one record of floats (C, H, W) an item.

    Parameters
    ----------
    weights, model : str
        Weights and prototxt (phase TEST).
    blobs, paths : sequence of str
        Names of blobs, and for each the database to make. Keys are ten digits.
    batches : int
        Forwards to run.

    Raises
    ------
    DatabaseError
        Unknown blobs, or another number of databases.
    """
    if len(blobs) != len(paths) or len(set(paths)) != len(paths):
        raise DatabaseError(f"{len(blobs)} blob(s), but {len(set(paths))} database(s); give one for each")
    net = Net(model, TEST, weights=weights)
    for name in blobs:
        if name not in net.blobs:
            raise DatabaseError(f"the net '{net.name}' has no blob '{name}'; it has {', '.join(net.blobs)}")
        if len(net.blobs[name].dims) > 4:
            raise DatabaseError(f"blob '{name}' is {net.blobs[name].dims}: a record has three axes at most, after the "
                                "item's")
    glog.info("extract_features", "Extracting Features")
    counts = dict.fromkeys(paths, 0)
    with contextlib.ExitStack() as stack:
        databases = [stack.enter_context(Writer(path)) for path in paths]
        for _ in range(batches):
            net._forward()
            for name, database, path in zip(blobs, databases, paths, strict=True):
                blob = net.blobs[name]
                shape = (blob.channels, blob.height, blob.width)
                for values in blob.data_memory.array().reshape(blob.num, -1):
                    datum = caffe_pb2.Datum(channels=shape[0], height=shape[1], width=shape[2])
                    datum.float_data.extend(values)
                    database.put(f"{counts[path]:010d}", datum)
                    counts[path] += 1
    for name, path in zip(blobs, paths, strict=True):
        glog.info("extract_features", f"Extracted features of {counts[path]} query images for feature blob {name}")


def use_device(mode, device_id):
    """CPU or GPU of extract_features' last two words.

    Parameters
    ----------
    mode : {"CPU", "GPU"}
    device_id : int
        From 0.
    """
    if mode == "GPU":
        device.set_device(device_id)
        device.set_mode_gpu()
