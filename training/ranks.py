"""The processes of one training on several devices: started together, stopped at one iteration, none left behind.

The first (rank 0) writes snapshots, logs and lines; the others hold nothing that it has not. So it alone decides when
the training stops: it ends its iteration, takes a snapshot and leaves, and the others, which wait for it in the next
iteration, are ended.
"""

import os
import signal
import subprocess
import sys
import time

from dsrg.io.errors import note
from dsrg.pipeline.processes import FORWARDED, dying_with

LAUNCHER = "DSRG_LAUNCHER"      # number of the process that started this one beside others
SECONDS_TO_STOP = 30            # for an iteration and a snapshot, before the first process is killed
#: status of a process that ends because it lost another: that one says why
LOST = 75


def launch(command, count, variables):
    """Run a command in `count` processes that work together, to their end.

    What asks this process to stop is passed on to the first of them. They have process groups of their own, which
    Ctrl-C in a terminal does not reach, and die with this process.

    Parameters
    ----------
    command : sequence of str
    count : int
    variables : dict
        Environment of all; RANK and LOCAL_RANK are added.

    Returns
    -------
    int
        Exit status, as a shell gives it: the first process's, or that of the one that failed.
    """
    shared = {**os.environ, **variables, LAUNCHER: str(os.getpid())}
    processes, asked = [], []

    def pass_on(number, frame):
        asked.append(number)
        if processes:
            processes[0].send_signal(number)

    numbers = [number for number in FORWARDED if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, pass_on) for number in numbers}
    try:
        for rank in range(count):
            processes.append(subprocess.Popen(command, env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                                              process_group=0, preexec_fn=dying_with(os.getpid())))
        return wait(processes, asked)
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        for number, handler in before.items():
            signal.signal(number, handler)


def wait(processes, asked=()):
    """Wait for all; when one fails, the first is given time to take a snapshot, and the others are ended.

    Parameters
    ----------
    processes : list of Popen
    asked : sequence of int
        Signals that asked for the end; it may grow meanwhile.

    Returns
    -------
    int
        As `launch`.
    """
    first, *others = processes
    while True:
        states = [process.poll() for process in processes]
        if any(states):
            break
        if all(state == 0 for state in states):
            return 0
        time.sleep(0.1)
    failed = _who_failed(states)
    if first.poll() is None:            # another failed, or was killed
        first.terminate()
        try:
            first.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            first.kill()
    for process in others:
        process.kill()
    if failed is None:
        return _status(first)
    if processes[failed].returncode < 0 and not asked:
        name = signal.Signals(-processes[failed].returncode).name
        note(f"error: process {failed + 1} of {len(processes)} of this training was ended by {name} (the system sends "
             "SIGKILL where memory runs out), and the others with it")
    return _status(processes[failed])


def _who_failed(states):
    """Index of the process whose end the others' follow from; None where the first stopped by itself."""
    killed = next((k for k, state in enumerate(states) if state is not None and state < 0), None)
    if killed is not None:
        return killed
    return next((k for k, state in enumerate(states) if k and state not in (None, 0, LOST)), None)


def _status(process):
    """Exit status as a shell gives it."""
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def end_quietly():
    """Leave a process that lost another: without its libraries' farewell, which would wait for that one."""
    sys.stderr.flush()
    os._exit(LOST)
