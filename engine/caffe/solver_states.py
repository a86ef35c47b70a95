"""Solver states: iteration, history of the update rule and the weights' name; binary and HDF5."""

import os
from dataclasses import dataclass, field

import h5py
import numpy as np

from . import hdf5_files
from . import protobuf_wire as wire
from .blob_messages import in_shape_of
from .modelfile import ModelFileError, atomic_path, decode, is_hdf5, looks_like, mapped, strip, write_atomic
from .proto import caffe_pb2


@dataclass
class SolverState:
    """Content of a .solverstate: `history` is a list of float32 arrays in Caffe's order."""

    iter: int = 0
    learned_net: str = ""
    current_step: int = 0
    history: list = field(default_factory=list)


def load_solverstate(path):
    """SolverState of a .solverstate, binary or HDF5; errors as load_weights.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    SolverState
    """
    if is_hdf5(path):
        return _load_solverstate_hdf5(path)
    name = os.fspath(path)
    with mapped(path) as view:
        skeleton, arrays = strip(view, "SolverState", name, "a solver state")
        state = decode(skeleton, caffe_pb2.SolverState(), view, name, "a solver state")
        if not state.HasField("iter"):
            raise ModelFileError(f"{name}: not a solver state: it has no iteration; {looks_like(view)}")
        history = [
            in_shape_of(blob, arrays[int(blob.data[0])], f"{name}: history blob {k}")
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
