"""Trainings that go on, and the snapshots they go on from: which are taken, kept, refused, whose they are."""

import json
import os
from pathlib import Path

import pytest

from dsrg.io.errors import UserError
from dsrg.pipeline.locks import Lock
from tests.training.runs import SOLVER, digest, iterations, remove_snapshots


@pytest.mark.parametrize("iter_size", [1, 2])
def test_a_resumed_run_equals_the_unbroken_one(run, iter_size):
    """With shuffled photos, mirroring, dropout, momentum and a step of the learning rate in between."""
    (run.folder / "solver.prototxt").write_text(SOLVER + f"iter_size: {iter_size}\n")
    run("--log", "unbroken.jsonl")
    unbroken = digest(run.folder / "models/tiny_iter_8.caffemodel")
    remove_snapshots(run.folder)
    run("--max-iter", "4", "--log", "resumed.jsonl")
    run("--resume", "--log", "resumed.jsonl")
    assert "resumed from models/tiny_iter_4.solverstate" in run.printed
    assert "models/tiny_solver.prototxt differs from what the snapshot was made with" in run.printed     # max_iter
    assert digest(run.folder / "models/tiny_iter_8.caffemodel") == unbroken
    logs = [[json.loads(line) for line in (run.folder / f"{name}.jsonl").read_text().splitlines()]
            for name in ("unbroken", "resumed")]
    assert [(x["iteration"], x["losses"]) for x in logs[0]] == [(x["iteration"], x["losses"]) for x in logs[1]]


def test_resume_passes_over_a_state_that_was_cut_off(run):
    run("--max-iter", "6")
    unbroken = digest(run.folder / "models/tiny_iter_6.caffemodel")
    state = run.folder / "models/tiny_iter_6.solverstate"
    state.write_bytes(state.read_bytes()[:-10])
    (run.folder / "models/tiny_iter_6.caffemodel").rename(run.folder / "models/tiny_iter_7.caffemodel")
    run("--max-iter", "6", "--resume")
    assert "resumed from models/tiny_iter_3.solverstate" in run.printed
    assert digest(run.folder / "models/tiny_iter_6.caffemodel") == unbroken


def test_resume_with_a_solver_of_another_type_is_refused(run):
    """AdaGrad would take SGD's velocities for sums of squares, Adam would begin anew over them."""
    run("--max-iter", "3")
    before = {path: path.read_bytes() for path in (run.folder / "models").glob("tiny*")}
    for name in ("AdaGrad", "Adam"):
        (run.folder / "solver.prototxt").write_text(SOLVER.replace("momentum: 0.9", f'type: "{name}"'))
        with pytest.raises(UserError, match="^models/tiny_iter_3.solverstate was made by a solver of type SGD, and now "
                                            f"type is {name}, to which its history means something else; keep "):
            run("--resume")
    assert {path: path.read_bytes() for path in (run.folder / "models").glob("tiny*")} == before


def test_weights_that_the_last_update_spoilt_are_no_end_of_a_training(run):
    """The loss is looked at before each update; of this one nobody would hear, and the next stage would use it."""
    (run.folder / "solver.prototxt").write_text(SOLVER.replace("base_lr: 0.0005", "base_lr: 3e38"))
    for words in ((), ("--resume",)):
        with pytest.raises(UserError, match="^models/tiny_iter_1.caffemodel holds numbers that are not finite.*lower"):
            run("--max-iter", "1", *words)


def test_what_killed_trainings_of_the_prefix_were_writing_is_removed(run):
    """A killed snapshot of VGG16 leaves 80 MB; what other trainings are writing there is theirs."""
    rests = [".tiny_iter_3.caffemodel.123.tmp", ".tiny_iter_3.solverstate.h5.123.tmp",
             ".tiny_solver.99999999-4.prototxt", ".tiny_net.99999999-4.prototxt",
             ".tiny_machine.99999999-4.json"]       # beyond the largest process number
    others = [".tiny_b_iter_3.caffemodel.123.tmp", ".tin_iter_3.caffemodel.123.tmp", ".tiny_iter_3.caffemodel",
              ".tiny.lock", "tiny_iter_x.caffemodel.123.tmp",
              f".tiny_net.{os.getppid()}-4.prototxt"]     # of one of several processes that share the training
    for name in (*rests, *others):
        (run.folder / "models" / name).touch()
    run("--max-iter", "1")
    there = {path.name for path in (run.folder / "models").iterdir()}
    assert not there & set(rests) and there >= set(others)


def test_resume_without_a_snapshot_starts_anew(run):
    assert run("--resume") == 0
    assert "resumed" not in run.printed


def test_a_finished_run_is_left_alone(run):
    run()
    before = (run.folder / "models/tiny_iter_8.caffemodel").stat().st_mtime_ns
    for words in ((), ("--resume",)):
        assert run(*words) == 0
        assert "nothing to do: models/tiny_iter_8.caffemodel exists" in run.printed
    assert (run.folder / "models/tiny_iter_8.caffemodel").stat().st_mtime_ns == before


def test_a_finished_run_of_other_settings_is_not_taken_for_this_one(run):
    run()
    with pytest.raises(UserError, match=r"made with other settings .* \(see models/tiny_net\.prototxt\); remove it"):
        run("--set", "annotation.mirror=false")


def test_snapshots_of_an_earlier_run_are_not_written_over(run):
    run("--max-iter", "4")
    with pytest.raises(UserError, match=r"tiny_iter_4\.solverstate is there from an earlier run; add --resume"):
        run()


def test_the_time_of_a_resumed_training_is_that_of_all_its_parts(run):
    run("--max-iter", "4", "--log", "log.jsonl")
    path = run.folder / "log.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[-1]["elapsed"] = 3600                        # as if the first part had taken an hour
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert run("--resume", "--log", "log.jsonl") == 0
    assert "trained: models/tiny_iter_8.caffemodel in 1:00:0" in run.printed and "1:00:0" in run.printed.split("8/8")[1]
    assert 3600 < json.loads(path.read_text().splitlines()[-1])["elapsed"] < 3700


@pytest.mark.parametrize(("keep", "kept"), [(1, [8]), (2, [6, 8]), (3, [3, 6, 8])])
def test_the_newest_snapshots_are_kept_and_the_last(run, keep, kept):
    """Of 3, 6 and the last, 8."""
    assert run("--snapshot-keep", str(keep)) == 0
    assert iterations(run.folder, "caffemodel") == iterations(run.folder, "solverstate") == kept


def test_a_snapshot_that_cannot_be_removed_does_not_end_a_training(run, monkeypatch):
    unlink = Path.unlink

    def refuse(path, missing_ok=False):
        if path.name == "tiny_iter_3.caffemodel":
            raise PermissionError(1, "Operation not permitted", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    assert run("--snapshot-keep", "1") == 0
    assert iterations(run.folder, "caffemodel") == [3, 8] and iterations(run.folder, "solverstate") == [8]
    assert ("warning: models/tiny_iter_3.caffemodel is not needed any more and cannot be removed: Operation not "
            "permitted") in run.printed


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-9])


def of_another_solver(path):
    """As Adam would write it, with two arrays for each parameter."""
    import caffe

    state = caffe.proto.caffe_pb2.SolverState.FromString(path.read_bytes())
    state.history.extend(list(state.history))
    path.write_bytes(state.SerializeToString())


@pytest.mark.parametrize("spoil", [cut_off, of_another_solver, lambda path: path.write_bytes(b""), os.unlink,
                                   lambda path: path.with_suffix(".caffemodel").unlink(),
                                   lambda path: cut_off(path.with_suffix(".caffemodel"))],
                         ids=["cut off", "of another solver", "empty", "no state", "no model", "model cut off"])
def test_the_only_whole_snapshot_is_never_removed(run, spoil):
    """Of 3, 6 and 8 the newer two cannot be gone on from."""
    import caffe

    from training.run_files import resolve

    run()
    caffe_pb2 = caffe.proto.caffe_pb2
    files = resolve(caffe_pb2, "solver.prototxt")
    for iteration in (8, 6):
        spoil(run.folder / f"models/tiny_iter_{iteration}.solverstate")
        files.keep_newest(2, caffe_pb2)
        assert files.newest_complete(caffe_pb2)[0] == (6 if iteration == 8 else 3)
        assert 3 in iterations(run.folder, "solverstate")
    files.keep_newest(1, caffe_pb2)
    assert files.newest_complete(caffe_pb2)[0] == 3


def test_a_snapshot_in_two_formats_counts_once(run):
    import caffe

    from training.run_files import resolve

    run()
    (run.folder / "solver.prototxt").write_text(SOLVER + "snapshot_format: HDF5\n")
    caffe_pb2 = caffe.proto.caffe_pb2
    solver = caffe.get_solver("solver.prototxt")
    solver.restore("models/tiny_iter_8.solverstate")
    solver.snapshot()
    resolve(caffe_pb2, "solver.prototxt").keep_newest(2, caffe_pb2)
    assert iterations(run.folder, "caffemodel") == [6, 8]
    assert (run.folder / "models/tiny_iter_8.solverstate.h5").exists()


def test_two_trainings_of_one_prefix_refuse_each_other(run):
    with Lock(run.folder / "models/.tiny.lock", "x"), \
            pytest.raises(UserError, match=f"snapshot_prefix models/tiny is in use by process {os.getpid()} on "):
        run()
    assert run() == 0


# -- as a process -------------------------------------------------------------------------------------------
