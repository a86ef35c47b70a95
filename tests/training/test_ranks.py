"""Processes that train together: stopped at one iteration, one that is lost ends the others, none outlives them."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import PATIENCE, ROOT
from tests.reliability.kills import processes_with
from tests.training.runs import SOLVER, make_run
from training import ranks

#: what `relaunch` does for --device 0,1, on the CPU
TRAIN = """
import sys
from training.multi_gpu import meeting_place
from training.ranks import launch
sys.exit(launch([sys.executable, "-m", "training.train", *sys.argv[1:]], 2, {"WORLD_SIZE": "2", **meeting_place()}))
"""


class Run:
    """Two processes over gloo in a folder."""

    def __init__(self, folder, mark):
        self.folder, self.mark = folder, mark
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "ENGINE": "embedded", "OMP_NUM_THREADS": "1",
                       "DSRG_KILLED_RUN": mark}
        words = ["--solver", "solver.prototxt", "--resume", "--log", "log.jsonl"]
        self.process = subprocess.Popen([sys.executable, "-c", TRAIN, *words], cwd=folder, env=environment,
                                        stderr=subprocess.PIPE, text=True)

    def after(self, iterations):
        """Wait until so many iterations are logged; the number of the second process."""
        log, end = self.folder / "log.jsonl", time.monotonic() + PATIENCE
        while not (log.exists() and len(log.read_text().splitlines()) > iterations):
            assert self.process.poll() is None and time.monotonic() < end, self.process.communicate()[1]
            time.sleep(0.02)
        children = subprocess.run(["ps", "--ppid", str(self.process.pid), "-o", "pid="], text=True, check=True,
                                  capture_output=True).stdout.split()
        return int(children[1])

    def end(self):
        """Status and what was said; nothing is left."""
        error = self.process.communicate(timeout=PATIENCE)[1]
        time.sleep(0.2)
        assert not processes_with(self.mark)
        return self.process.returncode, error


def snapshots(folder):
    return sorted(int(path.stem.rpartition("_")[2]) for path in folder.glob("models/tiny_iter_*.solverstate"))


@pytest.mark.slow
def test_two_processes_stop_as_one_and_go_on_to_the_same_bytes(tmp_path):
    """By a signal to the second process, by the loss of it; then to the end, with one log and one set of snapshots."""
    solver = SOLVER.replace("max_iter: 8", "max_iter: 200").replace("snapshot: 3", "snapshot: 0")
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
        make_run(tmp_path / name, solver)
    whole = Run(tmp_path / "whole", "whole")
    status, error = whole.end()
    assert status == 0 and error.count("trained: models/tiny_iter_200.caffemodel") == 1, error
    folder = tmp_path / "stopped"

    run = Run(folder, "signalled")
    os.kill(run.after(3), signal.SIGTERM)
    status, error = run.end()
    first = snapshots(folder)
    assert status == 143 and len(first) == 1 and error.count(f"stopped after iteration {first[0]}, ") == 1, error
    assert len((folder / "log.jsonl").read_text().splitlines()) == first[0] and "rror" not in error

    run = Run(folder, "lost")
    os.kill(run.after(first[0] + 3), signal.SIGKILL)
    status, error = run.end()
    assert status == 137 and snapshots(folder)[-1] > first[0] and len(snapshots(folder)) == 2, error
    lines = [line for line in error.splitlines() if line.startswith("error: ")]
    assert lines == ["error: process 2 of 2 of this training was ended by SIGKILL (the system sends SIGKILL where "
                     "memory runs out), and the others with it"] and "Traceback" not in error, error

    status, error = Run(folder, "finished").end()
    assert status == 0, error
    for name in ("caffemodel", "solverstate"):
        ends = [tmp_path / part / f"models/tiny_iter_200.{name}" for part in ("whole", "stopped")]
        assert ends[0].read_bytes() == ends[1].read_bytes()
    logs = [[json.loads(line) for line in (tmp_path / part / "log.jsonl").read_text().splitlines()]
            for part in ("whole", "stopped")]
    assert [line["iteration"] for line in logs[1]] == list(range(200))
    assert [line["losses"] for line in logs[0]] == [line["losses"] for line in logs[1]]


def held(code, count=2):
    """A launcher of so many processes that run some Python, and their numbers, once all are there."""
    program = ("import sys; from training.ranks import launch; "
               f"sys.exit(launch([sys.executable, '-c', {code!r}], {count}, {{}}))")
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)})
    ranks_of = dict(map(int, process.stdout.readline().split()) for _ in range(count))
    return process, [ranks_of[rank] for rank in range(count)]


SLEEPER = """import os, time
os.write(1, f"{os.environ['RANK']} {os.getpid()}\\n".encode())
time.sleep(100)
"""
#: the first process ends its iteration and leaves
STOPPING = """import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda number, frame: (time.sleep(0.5), print('snapshot', flush=True), sys.exit(143)))
os.write(1, f"{os.environ['RANK']} {os.getpid()}\\n".encode())
time.sleep(100)
"""


def gone(numbers):
    end = time.monotonic() + 20
    while any(os.path.exists(f"/proc/{number}") for number in numbers):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_no_process_outlives_a_launcher_that_is_killed():
    process, numbers = held(SLEEPER)
    process.kill()
    process.communicate(timeout=PATIENCE)
    assert gone(numbers)


def test_a_signal_reaches_the_first_process_which_decides():
    process, numbers = held(STOPPING)
    process.terminate()
    out, error = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, error) == (143, "snapshot\n", "") and gone(numbers)


def test_where_one_is_lost_the_first_is_given_time_and_one_line_says_it():
    process, numbers = held(STOPPING, 3)
    os.kill(numbers[2], signal.SIGKILL)
    out, error = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (137, "snapshot\n") and gone(numbers)
    assert error.count("\n") == 1 and error.startswith("error: process 3 of 3 of this training was ended by SIGKILL")


@pytest.mark.parametrize(("states", "status", "said"), [
    ((0, 0), 0, ""), ((3, None), 3, ""), ((None, 3), 3, ""), ((130, None), 130, ""), ((ranks.LOST, 1), 1, ""),
    ((1, ranks.LOST), 1, ""), ((ranks.LOST, -9), 137, "process 2 of 2"), ((-11, ranks.LOST), 139, "process 1 of 2")])
def test_the_status_is_that_of_the_one_that_failed(states, status, said, capsys):
    class Process:
        """As Popen; one without a status runs until it is ended."""

        def __init__(self, state):
            self.returncode = state

        def poll(self):
            return self.returncode

        def wait(self, seconds=None):
            return self.returncode

        def terminate(self):
            self.returncode = -15 if self.returncode is None else self.returncode

        kill = terminate

    assert ranks.wait([Process(state) for state in states]) == status
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == bool(said)
