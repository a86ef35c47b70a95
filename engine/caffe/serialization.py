"""Weights and solver states on disk: caffemodel and solverstate, binary and HDF5, and mean.binaryproto.

Files are told apart by their first bytes, not by their suffix. Writing is atomic: the file is written beside
its place, synced and renamed, so an interrupted run leaves the old file. Every fault is one ModelFileError
that names the file, what is wrong with it and what to do.
"""

import math
import os
from collections import OrderedDict
from dataclasses import dataclass, field

import h5py
import numpy as np

from . import binary_families, hdf5_files, upgrade
from . import protobuf_wire as wire
from .limits import MOST_AXES, check_shape
from .modelfile import (
    ModelFileError,
    atomic_path,
    decode,
    decode_net,
    is_hdf5,
    looks_like,
    mapped,
    strip,
    write_atomic,
)
from .proto import caffe_pb2


@dataclass
class SolverState:
    """Content of a .solverstate: `history` is a list of float32 arrays in Caffe's order."""

    iter: int = 0
    learned_net: str = ""
    current_step: int = 0
    history: list = field(default_factory=list)


class Weights(OrderedDict):
    """Layer name -> list of float32 arrays. `repeated`: names that several layers with parameters share."""

    def __init__(self, *args):
        super().__init__(*args)
        self.repeated = set()


# ---- weights ------------------------------------------------------------------------------------------


def load_weights(path):
    """Parameters of a .caffemodel or .h5, of any age.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    Weights
        Layer name -> list of float32 arrays, in file order (HDF5: sorted by name), layers without parameters
        included. Old four-axis blobs keep four axes, double data is rounded to float32. In HDF5 a parameter
        that a layer shares with an earlier one is not stored; its place is None, and a layer name with "/" is a
        path of groups. Of layers of one name the last one's arrays are given, and the name is in `repeated`.

    Raises
    ------
    RuntimeError
        "Could not open file X".
    ModelFileError
        Truncated, corrupt, empty or another kind of file.
    """
    if is_hdf5(path):
        return _load_weights_hdf5(path)
    return load_caffemodel(path)[1]


def load_caffemodel(path):
    """Structure and parameters of a binary .caffemodel.

    Returns
    -------
    net : NetParameter
        Upgraded; its blobs keep their shapes but not their numbers.
    weights : OrderedDict
        As load_weights.
    """
    name = os.fspath(path)
    with mapped(path) as view:
        skeleton, arrays = strip(view, "NetParameter", name, "a caffemodel")
        net = decode_net(skeleton, view, name)
        if not len(net.layer) and not len(net.layers):
            raise ModelFileError(f"{name}: holds no layers; {looks_like(view)}")
        try:
            upgrade.upgrade_net(net, weights_only=True)
        except upgrade.UpgradeError as error:
            raise ModelFileError(f"{name}: {error}") from None
        weights = Weights()
        for layer in net.layer:
            blobs = [
                _shaped(blob, arrays[int(blob.data[0])], f"{name}: layer '{layer.name}', blob {k}")
                for k, blob in enumerate(layer.blobs)
            ]
            if blobs and weights.get(layer.name):
                weights.repeated.add(layer.name)
            if blobs or layer.name not in weights:
                weights[layer.name] = blobs
            for blob in layer.blobs:
                blob.ClearField("data")
        del arrays
    return net, weights


def save_caffemodel(path, net_param, blobs=None, family=binary_families.MERGED):
    """Write a binary .caffemodel.

    Parameters
    ----------
    path : str or os.PathLike
    net_param : NetParameter
        Written as it is, with the blobs its layers hold, unless `blobs` is given.
    blobs : sequence of sequences of numpy.ndarray, optional
        The parameters of each of net_param.layer, which hold none themselves then. Large weights are written
        straight from these arrays; inside messages they cost a few copies and seconds.
    family : str
        Field numbers of DeepLab-v2's parameters: "merged", which the forks merged with BVLC Caffe read and BVLC Caffe
        passes over, or "deeplab-v2", which the DeepLab-v2 of its authors reads. For weights it makes no difference.
    """
    binary_families.check(family)
    if blobs is None:
        write_atomic(path, binary_families.from_engine(net_param.SerializeToString(), family))
        return
    head = caffe_pb2.NetParameter()
    head.CopyFrom(net_param)
    del head.layer[:]
    chunks = [head.SerializeToString()]
    for layer, arrays in zip(net_param.layer, blobs, strict=True):
        if len(layer.blobs):
            raise ValueError(f"layer '{layer.name}' holds blobs itself; give them in one place")
        chunks += wire.layer_chunks(binary_families.layer_from_engine(layer.SerializeToString(), family), arrays)
    write_atomic(path, chunks)


def save_hdf5(path, weights):
    """Write parameters as Caffe's HDF5: datasets data/<layer>/<index>, an empty group for a layer without.

    A "/" in a layer's name makes a path of groups, as in Caffe.

    Parameters
    ----------
    path : str or os.PathLike
    weights : mapping
        Layer name -> list of float32 arrays; None in place of an array leaves its dataset out.

    Raises
    ------
    ModelFileError
        A layer's name that HDF5 has no path for, or the path of another layer's parameter.
    """
    check_hdf5_names(path, weights)
    weights = {name: arrays for name, arrays in weights.items() if arrays or not _obstacle(name, weights)}
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        data = file.create_group("data")
        for name, arrays in weights.items():
            group = data.require_group(name)
            for k, array in enumerate(arrays):
                if array is not None:
                    group.create_dataset(str(k), data=np.asarray(array, np.float32))


def check_hdf5_names(path, weights):
    """Refuse to write layers with parameters (a mapping from their names) where HDF5 cannot keep a name."""
    for name, arrays in weights.items():
        if arrays and (why := _obstacle(name, weights)):
            raise ModelFileError(f"cannot write {path}: the layer name '{name}' {why}; rename the layer, or write a "
                                 ".caffemodel (snapshot_format: BINARYPROTO)")


def _obstacle(name, weights):
    """Why a layer's name cannot be a path of groups in HDF5, or None."""
    parts = name.split("/")
    if "" in parts or "." in parts:  # which HDF5 drops from a path
        return "is not a valid HDF5 path"
    for end in range(1, len(parts)):
        owner, index = "/".join(parts[:end]), parts[end]
        if index.isdigit() and int(index) < len(weights.get(owner, ())):
            return f"is where HDF5 keeps a parameter of layer '{owner}'"
    return None


def read_net_binary(path):
    """A binary NetParameter whole, numbers included, upgraded: for the upgrade tools."""
    name = os.fspath(path)
    with mapped(path) as view:
        net = decode_net(view, view, name)
        if not len(net.layer) and not len(net.layers) and not len(net.input):
            raise ModelFileError(f"{name}: holds no layers; {looks_like(view)}")
    try:
        return upgrade.upgrade_net(net)
    except upgrade.UpgradeError as error:
        raise ModelFileError(f"{name}: {error}") from None


def _load_weights_hdf5(path):
    with hdf5_files.reading(path, "weights file") as file:
        data = file.find("data")
        if data is None:
            names = file.names(file.root)
            kind = "it is a solver state" if "history" in names else f"it has {', '.join(names) or 'nothing'}"
            raise ModelFileError(f"{path}: HDF5 without the group 'data', not a Caffe weights file; {kind}")
        if not isinstance(data, h5py.Group):
            raise ModelFileError(f"{path}: its 'data' is an array, so this is data for HDF5Data, not weights")
        weights = Weights()
        _read_groups(file, file.children(data), (), weights)
        return weights


def _read_groups(file, groups, above, weights):
    """Add the layers in `groups`, by name; those of a name with "/" lie deeper."""
    for key, group in groups.items():
        name = "/".join((*above, key))
        if not isinstance(group, h5py.Group):
            raise ModelFileError(f"{file.path}: 'data/{name}' is not a Caffe parameter (data/<layer>/<index>); these "
                                 "are weights of another program")
        children = file.children(group, len(above))
        arrays = {k: item for k, item in children.items() if isinstance(item, h5py.Dataset) and _is_index(k)}
        if arrays or not children:
            weights[name] = [None] * (max(map(int, arrays), default=-1) + 1)
            for k, item in arrays.items():
                weights[name][int(k)] = file.numbers(item)
        _read_groups(file, {k: item for k, item in children.items() if k not in arrays}, (*above, key), weights)


def _is_index(name):
    """Whether a name of HDF5 is the place of a parameter in its layer; no layer has a thousand."""
    return name.isascii() and name.isdigit() and len(name) <= 3


# ---- solver states ------------------------------------------------------------------------------------


def load_solverstate(path):
    """SolverState of a .solverstate, binary or HDF5; errors as load_weights."""
    if is_hdf5(path):
        return _load_solverstate_hdf5(path)
    name = os.fspath(path)
    with mapped(path) as view:
        skeleton, arrays = strip(view, "SolverState", name, "a solver state")
        state = decode(skeleton, caffe_pb2.SolverState(), view, name, "a solver state")
        if not state.HasField("iter"):
            raise ModelFileError(f"{name}: not a solver state: it has no iteration; {looks_like(view)}")
        history = [
            _shaped(blob, arrays[int(blob.data[0])], f"{name}: history blob {k}")
            for k, blob in enumerate(state.history)
        ]
        del arrays
    return _checked_state(name, SolverState(state.iter, state.learned_net, state.current_step, history))


def save_solverstate(path, iteration, learned_net, history, current_step=0):
    """Write a solver state; HDF5 when `path` ends in .h5.

    Parameters
    ----------
    path : str or os.PathLike
    iteration, current_step : int
    learned_net : str
        Path of the weights, stored as given.
    history : sequence of numpy.ndarray
        float32, in Caffe's order.
    """
    if os.fspath(path).endswith(".h5"):
        _save_solverstate_hdf5(path, iteration, learned_net, history, current_step)
        return
    learned = os.fspath(learned_net).encode()
    chunks = [wire.tag(1, wire.VARINT) + wire.varint(iteration)]
    chunks.append(wire.tag(2, wire.BYTES) + wire.varint(len(learned)) + learned)
    for array in history:
        blob = wire.blob_chunks(array)
        chunks.append(wire.tag(3, wire.BYTES) + wire.varint(sum(map(len, blob))))
        chunks += blob
    chunks.append(wire.tag(4, wire.VARINT) + wire.varint(current_step))
    write_atomic(path, chunks)


def _load_solverstate_hdf5(path):
    with hdf5_files.reading(path, "solver state") as file:
        iteration, history = file.integer("iter"), file.find("history")
        if iteration is None or not isinstance(history, h5py.Group):
            names = file.names(file.root)
            kind = "these are weights" if "data" in names else f"it has {', '.join(names) or 'nothing'}"
            raise ModelFileError(f"{path}: HDF5 without 'iter' and 'history' is not a solver state; {kind}")
        learned, step = file.text("learned_net"), file.integer("current_step") or 0
        blobs = file.children(history)
        missing = [k for k in range(len(blobs)) if not isinstance(blobs.get(str(k)), h5py.Dataset)]
        if missing:
            raise ModelFileError(
                f"{path}: history blob {missing[0]} of {len(blobs)} is missing; take another state"
            )
        arrays = [file.numbers(blobs[str(k)]) for k in range(len(blobs))]
        return _checked_state(path, SolverState(iteration, learned, step, arrays))


def _checked_state(path, state):
    if state.iter < 0 or state.current_step < 0:
        raise ModelFileError(f"{path}: iteration {state.iter}, step {state.current_step}: expected 0 or more; the "
                             "state is damaged, take another")
    return state


def _save_solverstate_hdf5(path, iteration, learned_net, history, current_step):
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.create_dataset("iter", data=np.array([iteration], np.int32))
        file.create_dataset("current_step", data=np.array([current_step], np.int32))
        _write_c_string(file, "learned_net", os.fspath(learned_net).encode())
        group = file.create_group("history")
        for k, array in enumerate(history):
            group.create_dataset(str(k), data=np.asarray(array, np.float32))


def _write_c_string(file, name, value):
    """A scalar string of fixed length with its closing zero, as H5LTmake_dataset_string writes it."""
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(len(value) + 1)
    kind.set_strpad(h5py.h5t.STR_NULLTERM)
    dataset = h5py.h5d.create(file.id, name.encode(), kind, h5py.h5s.create(h5py.h5s.SCALAR))
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array(value + b"\0", dtype=f"S{len(value) + 1}"), kind)


# ---- single blobs -------------------------------------------------------------------------------------


def load_binaryproto(path):
    """Read the blob of a .binaryproto (mean file, infogain matrix).

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
        array = _shaped(blob, arrays[0], name)
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
    return _shaped(blob, numbers, "BlobProto")


def blob_shape(blob):
    """Shape of a BlobProto as tuple: num, channels, height, width where any is given, else `shape`."""
    legacy = ("num", "channels", "height", "width")
    if any(blob.HasField(name) for name in legacy):
        return tuple(getattr(blob, name) for name in legacy)
    return tuple(blob.shape.dim)


def _shaped(blob, numbers, where):
    """A float32 copy of flat numbers in the blob's shape."""
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
