"""Weights and solver states on disk: caffemodel and solverstate, binary and HDF5, and mean.binaryproto.

Files are told apart by their first bytes, not by their suffix. Writing is atomic: the file is written beside
its place, synced and renamed, so an interrupted run leaves the old file. Every fault is one ModelFileError
that names the file, what is wrong with it and what to do.
"""

from .blob_messages import array_to_blob, blob_shape, blob_to_array, load_binaryproto
from .caffemodel_files import Weights, load_caffemodel, read_net_binary, save_caffemodel
from .hdf5_weights import check_hdf5_names, load_hdf5, save_hdf5
from .modelfile import ModelFileError, is_hdf5, write_atomic
from .solver_states import SolverState, load_solverstate, save_solverstate

__all__ = [
    "ModelFileError",
    "SolverState",
    "Weights",
    "array_to_blob",
    "blob_shape",
    "blob_to_array",
    "check_hdf5_names",
    "load_binaryproto",
    "load_caffemodel",
    "load_solverstate",
    "load_weights",
    "read_net_binary",
    "save_caffemodel",
    "save_hdf5",
    "save_solverstate",
    "write_atomic",
]


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
        return load_hdf5(path)
    return load_caffemodel(path)[1]
