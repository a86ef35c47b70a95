"""A solver's snapshots: weights and solver state in Caffe's files, written whole or not at all, checked when read."""

import contextlib
import os

import numpy as np
import torch

from . import collector, device, glog, net_weights, parallel, serialization
from .errors import OpenError, SolverError


def check_folder(source, param):
    """Refuse a snapshot_prefix that cannot be written before any work is done.

    Parameters
    ----------
    source : str
        The solver file, for messages.
    param : SolverParameter

    Raises
    ------
    SolverError
    """
    folder = os.path.dirname(param.snapshot_prefix) or "."
    if param.snapshot and not (os.path.isdir(folder) and os.access(folder, os.W_OK)):
        raise SolverError(f"{source}: snapshot_prefix '{param.snapshot_prefix}': folder '{folder}' does not exist or "
                          "cannot be written; create it")
    if param.snapshot_diff and param.snapshot_format == param.HDF5:
        raise SolverError(f"{source}: snapshot_diff is written with snapshot_format: BINARYPROTO only")


def check_names(solver):
    """Refuse layer names that a snapshot cannot keep, before any work is done.

    Parameters
    ----------
    solver : Solver

    Raises
    ------
    LayerError, ModelFileError
    """
    net, p = solver.net, solver.param
    path = f"{p.snapshot_prefix}_iter_<n>.caffemodel"
    net_weights.check_distinct(net, path)
    if p.snapshot_format == p.HDF5:
        serialization.check_hdf5_names(f"{path}.h5", net.params)


@collector.held_back()
def write(solver):
    """Write <prefix>_iter_<n>.caffemodel, then .solverstate (.h5 for snapshot_format HDF5).

    Parameters
    ----------
    solver : Solver

    Raises
    ------
    ModelFileError
        A file that cannot be written.
    """
    if not parallel.is_root():
        return
    p = solver.param
    hdf5 = p.snapshot_format == p.HDF5
    stem, suffix = f"{p.snapshot_prefix}_iter_{solver.iter}", ".h5" if hdf5 else ""
    model, state = f"{stem}.caffemodel{suffix}", f"{stem}.solverstate{suffix}"
    kind = "HDF5" if hdf5 else "binary proto"
    with contextlib.suppress(OSError):      # it was there at the start; what it held then need not be lost, too
        os.makedirs(os.path.dirname(stem) or ".", exist_ok=True)
    glog.info("solver.cpp", f"Snapshotting to {kind} file {model}")
    if hdf5:
        net_weights.save_hdf5(solver.net, model)
    else:
        net_weights.save(solver.net, model, diffs=p.snapshot_diff)
    glog.info("sgd_solver.cpp", f"Snapshotting solver state to {kind} file {state}")
    history = [slots[s].cpu().contiguous().numpy() for s in range(solver.slots) for slots in solver.history()]
    serialization.save_solverstate(state, solver.iter, model, history, solver.current_step)


def read(solver, state_file):
    """Set a solver to a .solverstate (or .solverstate.h5); everything is checked before anything changes.

    Parameters
    ----------
    solver : Solver
    state_file : str or os.PathLike

    Raises
    ------
    OpenError, ModelFileError, SolverError, LayerError
        As Solver.restore.
    """
    state_file = os.fspath(state_file)
    state = serialization.load_solverstate(state_file)
    _check_history(solver, state_file, state.history)
    if state.learned_net:
        net_weights.copy_from(solver.net, _learned_net(state_file, state.learned_net), whole=True)
    learnable, where = solver.net.learnable, device.current()
    for k, slots in enumerate(solver.history()):
        for s, slot in enumerate(slots):
            array = np.asarray(state.history[s * len(learnable) + k], np.float32)
            slot.copy_(torch.tensor(array, device=where).reshape(slot.shape))
    solver.iter, solver.current_step = state.iter, state.current_step
    glog.info("sgd_solver.cpp", f"Restored iteration {state.iter} from {state_file}: "
              f"{len(state.history)} history blobs"
              + ("" if state.learned_net else "; it names no weights, those of the net stay"))
    for layer in solver.net.layers:
        if layer.type != "Python":
            layer.seek(state.iter * solver.param.iter_size)


def _check_history(solver, state_file, history):
    learnable = solver.net.learnable
    wanted = solver.slots * len(learnable)
    if len(history) != wanted:  # Caffe: "Incorrect length of history blobs."
        raise SolverError(f"'{state_file}' holds {len(history)} history blobs, this {solver.type} solver needs "
                          f"{wanted} ({solver.slots} for each of {len(learnable)} parameters); it was written for "
                          "another net or solver type")
    for k, array in enumerate(history):
        param = learnable[k % len(learnable)]
        if array.size != param.blob.count:
            raise SolverError(f"'{state_file}': history blob {k} is {array.shape}, but the parameter of layer "
                              f"'{param.layer_name}' is {param.blob.dims}; it was written for another net")


def _learned_net(state_file, learned_net):
    beside = os.path.join(os.path.dirname(state_file), os.path.basename(learned_net))
    for path in (learned_net, beside):
        if os.path.isfile(path):
            return path
    raise OpenError(f"'{state_file}' names the weights '{learned_net}', which do not exist; neither does '{beside}'")
