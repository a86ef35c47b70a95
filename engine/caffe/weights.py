"""Weights of nets: copied from files by layer name, shared between nets, turned into messages."""

import os
from collections import OrderedDict
from itertools import zip_longest

import numpy as np
import torch

from . import device, serialization
from .layer import LayerError
from .proto import caffe_pb2

REMEDY = "rename the layer to learn it from scratch, or use weights made for this net"


def copy_from(net, path):
    """Copy weights of a file into the layers of the same name; nothing is copied when anything does not fit."""
    trained = serialization.load_weights(path)
    owned = {id(p.blob) for p in net._learnable}
    jobs = []
    for node in net._nodes:
        arrays, blobs = trained.get(node.param.name), node.layer.blobs
        if arrays is None:
            continue
        # HDF5 stores a shared parameter once, with its owner; the other places are empty
        kept = [a is not None or b is None or id(b) in owned for a, b in zip_longest(arrays, blobs)]
        if len(arrays) > len(blobs) or not all(a is not None for a, k in zip_longest(arrays, kept) if k):
            stored = sum(a is not None for a in arrays)
            raise LayerError(f"{net._where(node.param.name)}{node.title} has {len(blobs)} parameter blob(s), "
                             f"'{os.fspath(path)}' has {stored}; {REMEDY}")
        pairs = [(k, b, a) for k, (b, a) in enumerate(zip(blobs, arrays, strict=False)) if a is not None]
        for k, blob, array in pairs:
            _check_shape(net, node, k, array.shape, f"'{os.fspath(path)}'")
            jobs.append((blob, array))
    where = device.current()
    for blob, array in jobs:
        values = torch.from_numpy(np.ascontiguousarray(array, np.float32).reshape(blob.dims))
        blob.data_memory.mutable(where).copy_(values)


def share(net, other):
    """Let `net` use the parameter data of the equally named layers of `other`; diffs stay apart."""
    jobs = []
    for node in net._nodes:
        mine, theirs = node.layer.blobs, other.params.get(node.param.name)
        if theirs is None:
            continue
        if len(mine) != len(theirs):
            raise LayerError(f"{net._where(node.param.name)}{node.title} has {len(mine)} parameter blob(s), the other "
                             f"net has {len(theirs)}; {REMEDY}")
        for k, blob in enumerate(theirs):
            _check_shape(net, node, k, blob.dims, "the other net")
            jobs.append((mine[k], blob))
    for blob, source in jobs:
        blob.share_data(source)


def _check_shape(net, node, k, shape, source):
    mine = node.layer.blobs[k].dims
    legacy = len(shape) == 4 and tuple(shape) == (1,) * (4 - len(mine)) + mine  # old files: always four axes
    if mine != tuple(shape) and not legacy:
        raise LayerError(f"{net._where(node.param.name)}{node.title}: parameter {k} is {mine} here but {tuple(shape)} "
                         f"in {source}; {REMEDY}")


def save(net, path, diffs=False, family="merged"):
    """Write the net as wired, with its weights (and diffs), as a .caffemodel; `family` as in save_caffemodel."""
    message = caffe_pb2.NetParameter(name=net.name)
    message.layer.extend(node.param for node in net._nodes)
    for layer in message.layer:
        del layer.blobs[:]
    if not diffs:
        arrays = [[b.data_memory.array() for b in node.layer.blobs] for node in net._nodes]
        serialization.save_caffemodel(path, message, arrays, family)
        return
    for node, layer in zip(net._nodes, message.layer, strict=True):
        for blob in node.layer.blobs:
            stored = serialization.array_to_blob(blob.data_memory.array(), layer.blobs.add())
            stored.diff.extend(blob.diff_memory.array().ravel())
    serialization.save_caffemodel(path, message, family=family)


def save_hdf5(net, path):
    """Write the weights as HDF5: data/<layer>/<index>; a shared parameter once, with its owner."""
    owned = {id(p.blob) for p in net._learnable}
    serialization.save_hdf5(path, OrderedDict(
        (node.param.name, [b.data_memory.array() if id(b) in owned else None for b in node.layer.blobs])
        for node in net._nodes))
