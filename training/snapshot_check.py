"""Whether a snapshot is whole: a state and weights that a solver can go on from.

Real Caffe ends the process over a state that does not fit, so this is found out before it reads one; no more is used
than Caffe's messages and h5py, which both Caffes have.
"""

import math
import os

import h5py
import numpy as np
from google.protobuf.message import DecodeError

#: arrays of the size of each parameter that an update rule remembers
SLOTS = {"SGD": 1, "Nesterov": 1, "AdaGrad": 1, "RMSProp": 1, "AdaDelta": 2, "Adam": 2}


_NOT_FINITE = "holds numbers that are not finite; nothing can be learned from there on"


class _Fault(Exception):
    """What is wrong with a snapshot."""


def fault(state_path, caffe_pb2, solver_type=None):
    """What is wrong with a snapshot, or None.

    Parameters
    ----------
    state_path : Path
        <prefix>_iter_<n>.solverstate or .solverstate.h5; its weights lie beside it.
    caffe_pb2 : module
        Caffe's messages.
    solver_type : str, optional
        The solver's `type`, by which the state's history must have one or two arrays for each parameter.

    Returns
    -------
    str or None
        One line that begins with the file's name.
    """
    model_path = state_path.with_name(state_path.name.replace(".solverstate", ".caffemodel"))
    for path in (state_path, model_path):
        if not path.is_file():
            return f"{path} is missing"
    try:
        where = state_path
        history = _history(state_path, model_path, caffe_pb2)
        where = model_path
        sizes = _parameter_sizes(model_path, caffe_pb2)
        where = state_path
        _check_history(history, sizes, solver_type)
    except _Fault as found:
        return f"{where} {found}"
    except (DecodeError, UnicodeDecodeError):
        return f"{where} is cut short or damaged"
    except Exception as error:  # h5py lets a dozen classes through for damaged files
        return f"{where} is cut short or damaged ({type(error).__name__}: {error})"
    return None


def weights_fault(path, caffe_pb2):
    """What is wrong with the weights of a snapshot, or None; as of `fault`.

    Parameters
    ----------
    path : Path
        <prefix>_iter_<n>.caffemodel or .caffemodel.h5.
    caffe_pb2 : module

    Returns
    -------
    str or None
    """
    try:
        _parameter_sizes(path, caffe_pb2)
    except _Fault as found:
        return f"{path} {found}"
    except Exception as error:  # as of fault
        return f"{path} is cut short or damaged ({type(error).__name__}: {error})"
    return None


def _history(path, model_path, caffe_pb2):
    """Sizes of the arrays in a state, of which iteration and weights are those of its name."""
    if path.suffix == ".h5":
        with h5py.File(path, "r") as file:
            iteration, learned = int(np.ravel(file["iter"][()])[0]), _hdf5_text(file["learned_net"])
            group = file["history"]
            sizes = [_hdf5_size(group[str(k)]) for k in range(len(group))]
    else:
        state = caffe_pb2.SolverState.FromString(path.read_bytes())
        if not state.HasField("iter"):
            raise _Fault("has no iteration")
        iteration, learned = state.iter, state.learned_net
        sizes = [_blob_size(blob) for blob in state.history]
    if iteration < 0:
        raise _Fault(f"says iteration {iteration}; expected 0 or more")
    if f"_iter_{iteration}.solverstate" not in path.name:
        raise _Fault(f"says iteration {iteration}; it is damaged, or was renamed")
    if os.path.basename(learned) != model_path.name:      # the folder may have been moved
        found = repr(learned[:200]) if learned else "no file"
        raise _Fault(f"names {found} for its weights, expected {model_path.name}")
    return sizes


def _parameter_sizes(path, caffe_pb2):
    """Sizes of the parameters that a solver updates, those of a shared name once.

    In the order of the layers; in HDF5, where Caffe keeps shared ones once, in that of their names.
    """
    sizes = []
    if path.suffix == ".h5":
        with h5py.File(path, "r") as file:
            file["data"].visititems(
                lambda name, item: sizes.append(_hdf5_size(item)) if isinstance(item, h5py.Dataset) else None)
        return sizes
    net = caffe_pb2.NetParameter.FromString(path.read_bytes())
    if not len(net.layer):
        raise _Fault("holds no layers")
    shared = set()
    for layer in net.layer:
        for k, blob in enumerate(layer.blobs):
            size, name = _blob_size(blob), layer.param[k].name if k < len(layer.param) else ""
            if not name or name not in shared:
                sizes.append(size)
            shared.add(name)
    return sizes


def _blob_size(blob):
    legacy = any(blob.HasField(name) for name in ("num", "channels", "height", "width"))
    shape = (blob.num, blob.channels, blob.height, blob.width) if legacy else tuple(blob.shape.dim)
    held = len(blob.data) or len(blob.double_data)
    if len(shape) > 32 or min(shape, default=0) < 0 or math.prod(shape) != held:
        raise _Fault(f"has an array of shape {shape[:8]} with {held} numbers; it is damaged")
    if not math.isfinite(sum(blob.data)) or not math.isfinite(sum(blob.double_data)):
        raise _Fault(_NOT_FINITE)
    return held


def _hdf5_text(dataset):
    """A string as Caffe stores it, with a fixed length."""
    found = np.ravel(dataset[()])[0]
    return found.split(b"\0")[0].decode() if isinstance(found, bytes) else str(found)


def _hdf5_size(dataset):
    """Size of an array, whose every number can be read."""
    if dataset.is_virtual or dataset.external or dataset.dtype.kind not in "fiu":
        raise _Fault(f"keeps '{dataset.name}' elsewhere, or not as numbers")
    values = np.asarray(dataset[()])
    if not np.isfinite(values).all():
        raise _Fault(_NOT_FINITE)
    return values.size


def _check_history(history, sizes, solver_type):
    slots = [SLOTS[solver_type]] if solver_type in SLOTS else sorted(set(SLOTS.values()))
    wanted = {n * len(sizes): sizes * n for n in slots}
    if len(history) not in wanted:
        of = f"a solver of type {solver_type}" if solver_type in SLOTS else "a solver"
        raise _Fault(f"has {len(history)} arrays of history, {of} with these weights needs "
                     f"{' or '.join(map(str, wanted))}; it was written by another solver")
    if sorted(history) != sorted(wanted[len(history)]):
        raise _Fault("has arrays of history of other sizes than the parameters; it was written for another net")
