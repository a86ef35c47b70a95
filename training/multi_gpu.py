"""Training on several GPUs, one process for each.

The embedded engine does it through torch's launcher, which `relaunch` puts in this process's place. Caffe 1.0 does it
through the NCCL objects of pycaffe: `relaunch` starts the processes and waits, `announce` and `join` are called in each
of them. DeepLab-v2's Caffe is older than NCCL in pycaffe, and is refused with what to do instead.

RANK, LOCAL_RANK and WORLD_SIZE, by which launchers number their processes, are read here and nowhere else.
"""

import os
import signal
import subprocess
import sys
import time

from dsrg.caffe_device import device_numbers
from dsrg.find_caffe import is_embedded
from dsrg.io.errors import UserError

UID = "DSRG_NCCL_UID"           # what makes the processes of one training find each other, in hexadecimal digits
SECONDS_TO_STOP = 30            # for an iteration and a snapshot, before a process is killed


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
    if is_embedded(caffe):
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        # "--": the launcher would take --log for one of its own options
        os.execv(sys.executable, [*launcher, "-m", "--", "training.train", *arguments])
    if not (hasattr(caffe, "has_nccl") and caffe.has_nccl()):
        raise UserError(f"--device {device}: this pycaffe trains on one GPU; several need Caffe 1.0 built with "
                        "USE_NCCL := 1, and DeepLab-v2's Caffe is older. Give one GPU, or use --engine embedded")
    uid = caffe.NCCL.new_uid()
    shared = {**os.environ, "WORLD_SIZE": str(count), UID: uid.hex()}
    command = [sys.executable, "-m", "training.train", *arguments]
    return _wait([subprocess.Popen(command, env={**shared, "RANK": str(k), "LOCAL_RANK": str(k)}, process_group=0)
                  for k in range(count)])


def is_one_of_several():
    """Whether a launcher, torch's or `relaunch`, started this process beside others."""
    return "LOCAL_RANK" in os.environ


def local_rank():
    """Number of this process among those of this machine that train together; 0 where it trains alone."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def process_count():
    """Number of processes that train together, 1 where this one trains alone."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def _wait(processes):
    """Wait for all processes; when one fails, the others, which would wait for it forever, are ended.

    What asks this process to stop is passed on, once: the processes have groups of their own, which Ctrl-C in a
    terminal does not reach. Each ends its iteration, the first takes a snapshot.
    """
    def pass_on(number, frame):
        for process in processes:
            process.send_signal(number)
        sys.exit(128 + number)

    numbers = [number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
               if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, pass_on) for number in numbers}
    try:
        while True:
            states = [process.poll() for process in processes]
            failed = next((state for state in states if state), None)
            if failed is not None:
                for process in processes:
                    process.terminate()
                return failed if failed > 0 else 128 - failed
            if all(state == 0 for state in states):
                return 0
            time.sleep(0.1)
    finally:
        end = time.monotonic() + SECONDS_TO_STOP
        for process in processes:
            try:
                process.wait(max(0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
        for number, handler in before.items():
            signal.signal(number, handler)


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
