"""Training on several GPUs: how the processes are started, joined and ended, with GPUs and NCCL that pretend."""

import sys
from types import SimpleNamespace

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


def test_processes_of_the_engine_are_told_where_to_meet(monkeypatch):
    """With the seed for all and their share of the cores; a process that was started so goes on by itself."""
    asked = []
    monkeypatch.setattr(multi_gpu, "launch", lambda *words: asked.append(words) or 0)
    monkeypatch.setattr(multi_gpu, "available_cpus", lambda: 7)
    monkeypatch.setattr(sys, "argv", ["train.py", "--device", "0,1"])
    for name in ("LOCAL_RANK", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    engine = SimpleNamespace(EMBEDDED_ENGINE=True, has_nccl=lambda: True)
    assert multi_gpu.relaunch(engine, "0", 7) is None and multi_gpu.relaunch(engine, "cpu", 7) is None and not asked
    assert multi_gpu.relaunch(engine, "0,1", 7) == 0
    (command, count, variables), = asked
    assert command[1:] == ["-m", "training.train", "--device", "0,1", "--seed", "7"] and count == 2
    assert int(variables.pop("MASTER_PORT")) > 0
    assert variables == {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "3"}
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
