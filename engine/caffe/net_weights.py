"""Weights of nets: copied from files by layer name, shared between nets, turned into messages."""

import os
from collections import OrderedDict
from itertools import zip_longest

import numpy as np
import torch

from . import device, glog, serialization
from .layer import LayerError
from .modelfile import ModelFileError
from .proto import caffe_pb2
from .shared_memory import Reshaped

REMEDY = "rename the layer to learn it from scratch, or use weights made for this net"


def copy_from(net, path, whole=False):
    """Copy weights of a file into the layers of the same name, and log what was copied and what was not.

    Nothing is copied when anything does not fit.

    Parameters
    ----------
    net : Net
    path : str or os.PathLike
    whole : bool
        Refuse a file that lacks a layer of the net: the weights of a snapshot.

    Raises
    ------
    LayerError
        Another shape or number of parameters, or a name that several layers have.
    ModelFileError
        A file that cannot be read, or of which no layer fits.
    """
    trained = serialization.load_weights(path)
    _check_names(net, path, trained, whole)
    owned = {id(p.blob) for p in net.learnable}
    jobs = []
    for node in net.nodes:
        arrays, blobs = trained.get(node.param.name), node.layer.blobs
        if arrays is None or (not blobs and node.param.name in net.params):  # a ReLU of the same name
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
    _report(net, path, trained)


def _check_names(net, path, trained, whole):
    """Refuse a file of which no layer has its place in the net, or of which some have several."""
    repeated = net._repeated_names()
    for name in net.params:
        if name in repeated and name in trained:
            raise LayerError(f"{net._where(name)}{net._who(repeated[name])} are all named '{name}': it cannot be told "
                             f"which of them the weights of '{os.fspath(path)}' are for; give each a name of its own")
        if name in trained.repeated:
            raise LayerError(f"{net._where(name)}'{os.fspath(path)}' has several layers named '{name}'; it cannot "
                             "be told which of them fits")
    stored = [name for name, arrays in trained.items() if arrays]
    if net.params and not any(name in trained for name in net.params):
        raise ModelFileError(f"{os.fspath(path)}: none of its layers with parameters ({_listed(stored)}) has the name "
                             f"of one of the net '{net.name}' ({_listed(net.params)}); use weights made for this net, "
                             "or rename its layers")
    if whole and (missing := [name for name in net.params if name not in trained]):
        raise ModelFileError(f"{os.fspath(path)}: lacks the layers {_listed(missing)} of the net '{net.name}'; it was "
                             "written for another net")


def _report(net, path, trained):
    copied = [name for name in net.params if name in trained]
    left = [name for name in net.params if name not in trained]
    unused = [name for name, arrays in trained.items() if arrays and name not in net.params]
    glog.info("net.cpp", f"Copied {len(copied)} of {len(net.params)} layers with parameters from {os.fspath(path)}"
              + (f"; left as they were: {', '.join(left)}" if left else "")
              + (f"; not in the net: {', '.join(unused)}" if unused else ""))


def _listed(names, most=8):
    """Up to `most` names, the others counted."""
    names = [name or "''" for name in names]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more


def share(net, other):
    """Let `net` use the parameter data of the equally named layers of `other`; diffs stay apart.

    Parameters that layers of `net` share with each other stay shared: what one of them takes, all take.

    Parameters
    ----------
    net, other : Net

    Raises
    ------
    LayerError
        Another shape or number of parameters, a name that several layers have, or no layer in common.
    """
    for each in (net, other):
        for name, numbers in each._repeated_names().items():
            if name in net.params and name in other.params:
                raise LayerError(f"{each._where(name)}{each._who(numbers)} are all named '{name}': it cannot be told "
                                 "which of them share their weights; give each a name of its own")
    if net.params and other.params and not net.params.keys() & other.params.keys():
        raise LayerError(f"no layer with parameters of the net '{net.name}' ({_listed(net.params)}) has the name of "
                         f"one of the net '{other.name}' ({_listed(other.params)}): they have no weights to share")
    jobs = []
    for node in net.nodes:
        mine, theirs = node.layer.blobs, other.params.get(node.param.name)
        if theirs is None or (not mine and node.param.name in net.params):
            continue
        if len(mine) != len(theirs):
            raise LayerError(f"{net._where(node.param.name)}{node.title} has {len(mine)} parameter blob(s), the other "
                             f"net has {len(theirs)}; {REMEDY}")
        for k, blob in enumerate(theirs):
            _check_shape(net, node, k, blob.dims, "the other net")
            jobs.append((mine[k], blob))
    taken = {id(_own(blob.data_memory)): source for blob, source in jobs}
    named = {id(blob) for blob, _ in jobs}
    followers = [(blob, taken[id(_own(blob.data_memory))]) for node in net.nodes for blob in node.layer.blobs
                 if id(blob) not in named and id(_own(blob.data_memory)) in taken]
    for blob, source in jobs + followers:
        blob.share_data(source)


def _own(memory):
    """The memory itself, seen through other shapes of it."""
    while isinstance(memory, Reshaped):
        memory = memory.base
    return memory


def _check_shape(net, node, k, shape, source):
    mine = node.layer.blobs[k].dims
    legacy = len(shape) == 4 and tuple(shape) == (1,) * (4 - len(mine)) + mine  # old files: always four axes
    if mine != tuple(shape) and not legacy:
        raise LayerError(f"{net._where(node.param.name)}{node.title}: parameter {k} is {mine} here but {tuple(shape)} "
                         f"in {source}; {REMEDY}")


def check_distinct(net, path):
    """Refuse to write weights that could not be told apart when they are read.

    Parameters
    ----------
    net : Net
    path : str or os.PathLike

    Raises
    ------
    LayerError
    """
    for name, numbers in net._repeated_names().items():
        raise LayerError(f"cannot write {os.fspath(path)}: {net._where(name)}{net._who(numbers)} are all named "
                         f"'{name}'; give each a name of its own")


def save(net, path, diffs=False, family="merged"):
    """Write the net as wired, with its weights (and diffs), as a .caffemodel; `family` as in save_caffemodel.

    Parameters
    ----------
    net : Net
    path : str or os.PathLike
    diffs : bool
    family : str

    Raises
    ------
    LayerError, ModelFileError
        Layers that cannot be told apart; a file that cannot be written.
    """
    check_distinct(net, path)
    message = caffe_pb2.NetParameter(name=net.name)
    message.layer.extend(node.param for node in net.nodes)
    for layer in message.layer:
        del layer.blobs[:]
    if not diffs:
        arrays = [[b.data_memory.array() for b in node.layer.blobs] for node in net.nodes]
        serialization.save_caffemodel(path, message, arrays, family)
        return
    for node, layer in zip(net.nodes, message.layer, strict=True):
        for blob in node.layer.blobs:
            stored = serialization.array_to_blob(blob.data_memory.array(), layer.blobs.add())
            stored.diff.extend(blob.diff_memory.array().ravel())
    serialization.save_caffemodel(path, message, family=family)


def save_hdf5(net, path):
    """Write the weights as HDF5: data/<layer>/<index>; a shared parameter once, with its owner.

    Parameters
    ----------
    net : Net
    path : str or os.PathLike

    Raises
    ------
    LayerError, ModelFileError
        As save; also names that HDF5 cannot keep.
    """
    check_distinct(net, path)
    owned = {id(p.blob) for p in net.learnable}
    layers = OrderedDict()
    for node in net.nodes:
        arrays = [b.data_memory.array() if id(b) in owned else None for b in node.layer.blobs]
        if arrays or node.param.name not in layers:  # a ReLU may have the name of a layer with parameters
            layers[node.param.name] = arrays
    serialization.save_hdf5(path, layers)
