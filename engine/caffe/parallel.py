"""Several processes, one device each, under torchrun: gradients averaged, rank 0 writes.

``torchrun --nproc-per-node 2 -m training.train ...`` starts the processes; each builds the same solver. Data layers
read their rank's share (device.solver_rank of device.solver_count), gradients are averaged after each backward pass,
so that weights stay equal everywhere. Without torchrun every function here does nothing.
"""

import atexit
import contextlib

import numpy as np
import torch
import torch.distributed as dist

from . import device, torchrun
from .errors import ProcessLost


def start():
    """Join the process group that torchrun announces in the environment; once."""
    if torchrun.world_size() < 2 or dist.is_initialized():
        return
    try:
        dist.init_process_group("nccl" if device.current().type == "cuda" else "gloo")
    except RuntimeError as error:   # all of torch.distributed's are
        raise ProcessLost(f"the processes of this training did not find each other at {torchrun.meeting_place()}: "
                          f"{_first_line(error)}") from error
    atexit.register(dist.destroy_process_group)
    device.set_solver_count(dist.get_world_size())
    device.set_solver_rank(dist.get_rank())


@contextlib.contextmanager
def _all_there():
    """A block in which the processes wait for each other; ProcessLost where one of them has ended."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise ProcessLost(f"another process of this training has ended ({_first_line(error)})") from error


def _first_line(error):
    return str(error).partition("\n")[0]


def share_seeds():
    """Give every process rank 0's seed, so that all draw one order, of which each takes its share."""
    if not dist.is_initialized():
        return
    mine = device.seeds()
    words = [mine.entropy, mine.spawn_key, mine.pool_size, mine.n_children_spawned]
    with _all_there():
        dist.broadcast_object_list(words, 0)
    entropy, spawn_key, pool_size, spawned = words
    device.adopt_seeds(np.random.SeedSequence(entropy, spawn_key=spawn_key, pool_size=pool_size,
                                              n_children_spawned=spawned))


def is_root():
    """Whether this process writes snapshots and lines (rank 0, or the only one)."""
    return not dist.is_initialized() or dist.get_rank() == 0


@torch.no_grad()
def average_gradients(net):
    """Replace every parameter gradient by its mean over the processes.

    Parameters
    ----------
    net : Net

    Raises
    ------
    ProcessLost
        Where one of them has ended: nothing has changed then, the last whole iteration can be kept in a snapshot.
    """
    if not dist.is_initialized():
        return
    where, world = device.current(), dist.get_world_size()
    diffs = [param.blob.diff_memory for param in net.learnable]
    flat = torch.cat([d.read(where).float().reshape(-1) for d in diffs])
    with _all_there():
        dist.all_reduce(flat)
        flat /= world
    first = 0
    for memory in diffs:
        count = memory.read(where).numel()
        memory.write(flat[first : first + count].view(memory.shape))
        first += count


@torch.no_grad()
def share_weights(net):
    """Give every process rank 0's weights.

    Parameters
    ----------
    net : Net
    """
    if not dist.is_initialized():
        return
    where = device.current()
    for param in net.learnable:
        values = param.blob.data_memory.mutable(where)
        received = values.contiguous()  # the layout of memory may differ from process to process
        with _all_there():
            dist.broadcast(received, 0)
        values.copy_(received)


def has_nccl():
    """Whether pycaffe's NCCL class can be used: never here, torchrun takes its place."""
    return False


class NCCL:
    """pycaffe's multi-GPU helper, refused with what to use instead."""

    def __init__(self, *_args):
        self.new_uid()

    @staticmethod
    def new_uid():
        """pycaffe's first step in training on several GPUs; refused as the rest."""
        raise RuntimeError("caffe.NCCL: the engine trains on several GPUs under torchrun "
                           "(torchrun --nproc-per-node N -m training.train ...), without NCCL objects")
