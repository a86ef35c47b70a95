"""Training on several GPUs: how the processes are started, joined and ended, with GPUs and NCCL that pretend."""

import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from tests.conftest import ROOT
from tests.facade.gpus import pretended_driver
from tests.training.runs import make_run
from tests.training.test_facade import python
from training import multi_gpu


def train(folder, *arguments, **variables):
    return python(["-m", "training.train", "--solver", "solver.prototxt", "--max-iter", "2", "--device", "0,1",
                   *arguments], folder, FACADE_RECORD=folder / "record.txt", **pretended_driver(folder, 2), **variables)


def test_caffe_1_0_is_driven_through_its_nccl_objects(tmp_path):
    """In the order of Caffe's own python/train.py: device, counts, solver, NCCL, weights, callbacks."""
    make_run(tmp_path)
    done = train(tmp_path)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "record.txt").read_text().splitlines()
    for rank in (0, 1):
        assert [line[2:] for line in lines if line[0] == str(rank)] == [
            f"set_device({rank})", "set_mode_gpu()", "set_solver_count(2)", f"set_solver_rank({rank})",
            "set_multiprocess(True)", "NCCL(solver, 01ff756964)", "bcast()", "add_callback(nccl)",
            "after_backward(nccl)"]
    assert (tmp_path / "models/tiny_iter_2.caffemodel").is_file()
    assert done.stderr.count("trained: ") == 1, "only the first process tells"


def test_the_engine_is_started_by_torchs_launcher(monkeypatch):
    """In this process's place, with the seed for all; a process that the launcher started goes on by itself."""
    asked = []

    def execv(program, words):
        asked.append(words)
        sys.exit()                      # as execv, it does not come back

    monkeypatch.setattr(multi_gpu.os, "execv", execv)
    monkeypatch.setattr(sys, "argv", ["train.py", "--device", "0,1"])
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    engine = SimpleNamespace(EMBEDDED_ENGINE=True, has_nccl=lambda: True)
    assert multi_gpu.relaunch(engine, "0", 7) is None and multi_gpu.relaunch(engine, "cpu", 7) is None and not asked
    with pytest.raises(SystemExit):
        multi_gpu.relaunch(engine, "0,1", 7)
    assert asked[0][1:5] == ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    assert asked[0][5:] == ["-m", "--", "training.train", "--device", "0,1", "--seed", "7"]
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert multi_gpu.relaunch(engine, "0,1", 7) is None


def test_gradients_are_reduced_at_once_where_the_solver_says_so(monkeypatch):
    """layer_wise_reduce: false leaves out the callback of each layer's backward."""
    monkeypatch.setenv(multi_gpu.UID, "ff00")
    called = []
    nccl = SimpleNamespace(bcast=lambda: called.append("bcast"))
    caffe = SimpleNamespace(NCCL=lambda solver, uid: called.append(uid) or nccl)
    solver = SimpleNamespace(add_callback=called.append, param=SimpleNamespace(layer_wise_reduce=False))
    assert multi_gpu.join(caffe, solver) is nccl
    assert called == [b"\xff\x00", "bcast", nccl]


def test_several_gpus_on_deeplabs_caffe_are_refused_in_one_line(tmp_path):
    make_run(tmp_path)
    done = train(tmp_path, FACADE="2016")
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if not line.startswith("caffe: ")]
    assert len(errors) == 1
    assert errors[0].startswith("error: --device 0,1: this pycaffe trains on one GPU; several need Caffe 1.0 built")


def test_a_process_that_fails_ends_the_others(monkeypatch):
    monkeypatch.setattr(multi_gpu, "SECONDS_TO_STOP", 5)
    started = time.monotonic()
    processes = [subprocess.Popen([sys.executable, "-c", code])
                 for code in ("import time; time.sleep(60)", "import sys; sys.exit(3)")]
    assert multi_gpu._wait(processes) == 3
    assert time.monotonic() - started < 30
    assert all(process.poll() is not None for process in processes)


def test_a_process_that_a_signal_ended_gives_the_status_a_shell_would(monkeypatch):
    process = subprocess.Popen([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
    assert multi_gpu._wait([process]) == 128 + 9


def test_sigterm_is_passed_on():
    """The child ends by it, and so does the waiting process, with the status of a terminated one."""
    code = ("import subprocess, sys; from training import multi_gpu\n"
            "child = subprocess.Popen([sys.executable, '-c', 'import time; print(1, flush=True); time.sleep(60)'])\n"
            "multi_gpu._wait([child])")
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "1\n"
        process.terminate()
        assert process.wait(timeout=60) == 143
