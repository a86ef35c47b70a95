"""Training on several GPUs, one process for each.

`relaunch` starts the processes and waits for them (training/ranks.py). Those of the embedded engine find each other
through torch.distributed; those of Caffe 1.0 through the NCCL objects of pycaffe, for which `announce` and `join` are
called in each of them. DeepLab-v2's Caffe is older than NCCL in pycaffe, and is refused with what to do instead.

RANK, LOCAL_RANK and WORLD_SIZE, by which launchers number their processes, are read here and nowhere else. torchrun,
started by hand for several machines, sets them as well.
"""

import os
import socket
import sys

from dsrg.caffe_device import device_numbers
from dsrg.find_caffe import is_embedded
from dsrg.io.errors import UserError
from dsrg.io.workers import available_cpus
from training.ranks import LAUNCHER, launch

UID = "DSRG_NCCL_UID"           # what makes the processes of one training find each other, in hexadecimal digits


def is_root():
    """Whether this process writes snapshots, logs and lines: the first of several, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def relaunch(caffe, device, seed):
    """For several devices, run this command once for each of them.

    Parameters
    ----------
    caffe : module
    device : str
        As --device.
    seed : int
        all processes must use one seed.

    Returns
    -------
    int or None
        Exit status of the training, or None where this process is to train by itself.

    Raises
    ------
    UserError
        A pycaffe without NCCL.
    """
    count = len(device_numbers(device))
    if count < 2 or is_one_of_several():
        return None
    arguments = [*sys.argv[1:], "--seed", str(seed)]
    variables = {"WORLD_SIZE": str(count)}
    if is_embedded(caffe):
        variables |= meeting_place() | {"OMP_NUM_THREADS": threads_of_each(count)}
    elif hasattr(caffe, "has_nccl") and caffe.has_nccl():
        variables[UID] = caffe.NCCL.new_uid().hex()
    else:
        raise UserError(f"--device {device}: this pycaffe trains on one GPU; several need Caffe 1.0 built with "
                        "USE_NCCL := 1, and DeepLab-v2's Caffe is older. Give one GPU, or use --engine embedded")
    return launch([sys.executable, "-m", "training.train", *arguments], count, variables)


def meeting_place():
    """Where the processes of torch.distributed find each other: an address of this machine, a port that is free."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(found.getsockname()[1])}


def threads_of_each(count):
    """OMP_NUM_THREADS of each of so many processes: what the user says, else their share of the cores.

    Parameters
    ----------
    count : int

    Returns
    -------
    str
    """
    return os.environ.get("OMP_NUM_THREADS") or str(max(1, available_cpus() // count))


def is_one_of_several():
    """Whether a launcher, torch's or `relaunch`, started this process beside others."""
    return "LOCAL_RANK" in os.environ


def local_rank():
    """Number of this process among those of this machine that train together; 0 where it trains alone."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def process_count():
    """Number of processes that train together, 1 where this one trains alone."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def launcher():
    """Number of the process that `relaunch` started this one from, to tell what should stop them all; None elsewhere.

    The first of them stops by itself, with a snapshot, and is told so by the launcher; so it has none, either.
    """
    given = os.environ.get(LAUNCHER)
    return None if given is None or is_root() or int(given) != os.getppid() else os.getppid()


def announce(caffe):
    """Tell pycaffe, before a solver is made, which of how many processes this is.

    Parameters
    ----------
    caffe : module
    """
    if UID in os.environ:
        caffe.set_solver_count(int(os.environ["WORLD_SIZE"]))
        caffe.set_solver_rank(int(os.environ["RANK"]))
        caffe.set_multiprocess(True)


def join(caffe, solver):
    """Give every process the first one's weights and have gradients averaged from now on.

    Parameters
    ----------
    caffe : module
    solver : caffe.Solver

    Returns
    -------
    object or None
        To be kept as long as the solver works; None where this process trains alone, or the engine sees to it.
    """
    if UID not in os.environ:
        return None
    nccl = caffe.NCCL(solver, bytes.fromhex(os.environ[UID]))
    nccl.bcast()
    solver.add_callback(nccl)
    if solver.param.layer_wise_reduce:
        solver.net.after_backward(nccl)
    return nccl
