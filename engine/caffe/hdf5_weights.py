"""Weights as Caffe's HDF5: a dataset data/<layer>/<index> for each parameter."""

import h5py
import numpy as np

from . import hdf5_files
from .caffemodel_files import Weights
from .modelfile import ModelFileError, atomic_path


def load_hdf5(path):
    """The parameters of an HDF5 weights file.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    Weights

    Raises
    ------
    ModelFileError
        Damaged, or another kind of file.
    """
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
    """Refuse to write layers with parameters (a mapping from their names) where HDF5 cannot keep a name.

    Parameters
    ----------
    path : str or os.PathLike
        The file to write, for messages.
    weights : mapping
        Layer name -> list of arrays or blobs.

    Raises
    ------
    ModelFileError
    """
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
        if index.isdigit() and index in map(str, range(len(weights.get(owner, ())))):
            return f"is where HDF5 keeps a parameter of layer '{owner}'"
    return None
