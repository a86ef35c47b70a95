"""The training command: end to end, resumed as unbroken, overrides, logs, and what it says when something is wrong."""

import gc
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dsrg.io.errors import UserError
from dsrg.pipeline.locks import Lock
from tests.conftest import ROOT
from tests.training.runs import NET, SOLVER, make_run
from training import train
from training.loss_watch import LossWatch


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """A run folder as working directory, and a function that trains there and returns what was printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENGINE", "embedded")
    monkeypatch.setenv("GLOG_minloglevel", "1")
    make_run(tmp_path)

    def call(*words):
        status = train.main(["--solver", "solver.prototxt", *words])
        call.printed = capsys.readouterr().err
        return status

    call.folder = tmp_path
    return call


def weights(path):
    import caffe

    net = caffe.Net("net.prototxt", caffe.TRAIN, weights=str(path))
    return np.concatenate([blob.data.ravel() for blobs in net.params.values() for blob in blobs])


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def remove_snapshots(folder):
    for path in folder.glob("models/*_iter_*"):
        path.unlink()


def test_a_run_ends_with_the_weights_of_the_last_iteration(run):
    assert run("--log", "logs/tiny.jsonl") == 0
    assert (run.folder / "models/tiny_iter_8.caffemodel").is_file()
    assert "trained: models/tiny_iter_8.caffemodel" in run.printed and "tiny: 8/8, loss-seed " in run.printed
    lines = [json.loads(line) for line in (run.folder / "logs/tiny.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == list(range(8))
    np.testing.assert_allclose([line["lr"] for line in lines], [5e-4] * 4 + [2.5e-4] * 4, rtol=1e-6)
    assert all(np.isfinite(line["losses"]["loss-seed"]) and line["seconds"] >= 0 for line in lines)


def test_a_net_that_learns_statistics_beside_layers_of_deeplab_trains_without_a_warning(run):
    """As the demo's train-f does: training.train has asked this Caffe what its BatchNorm learns."""
    drop = next(line for line in NET.splitlines() if '"drop"' in line)
    layers = ('layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }\n'
              'layer { name: "zoom" type: "Interp" bottom: "conv" top: "zoom" interp_param { zoom_factor: 1 } }')
    (run.folder / "net.prototxt").write_text(
        NET.replace(drop, layers).replace('bottom: "conv" top: "score"', 'bottom: "zoom" top: "score"'))
    assert run("--max-iter", "1") == 0 and "statistics" not in run.printed


def test_the_run_keeps_the_solver_and_net_that_made_it(run):
    run("--max-iter", "2", "--seed", "5", "--set", "annotation.mirror=false")
    solver = (run.folder / "models/tiny_solver.prototxt").read_text()
    assert 'net: "models/tiny_net.prototxt"' in solver and "max_iter: 2" in solver and "random_seed: 5" in solver
    assert "mirror: false" in (run.folder / "models/tiny_net.prototxt").read_text()
    model = digest(run.folder / "models/tiny_iter_2.caffemodel")
    remove_snapshots(run.folder)
    assert train.main(["--solver", "models/tiny_solver.prototxt"]) == 0
    assert digest(run.folder / "models/tiny_iter_2.caffemodel") == model


def test_the_net_is_kept_word_for_word_unless_it_is_changed(run):
    run("--max-iter", "1")
    assert (run.folder / "models/tiny_net.prototxt").read_text() == NET


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(run):
    digests = []
    for seed in ("3", "3", "4"):
        remove_snapshots(run.folder)
        run("--seed", seed)
        digests.append(digest(run.folder / "models/tiny_iter_8.caffemodel"))
    assert digests[0] == digests[1] != digests[2]


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


@pytest.mark.parametrize("words", [("--log", "list.txt"), ("--log", "photos/0.png"), ("--caffe-log", "net.prototxt"),
                                   ("--caffe-log", "cues.npz")])
def test_a_log_is_not_written_over_what_is_none(run, words):
    before = (run.folder / words[1]).read_bytes()
    with pytest.raises(UserError, match=f"^{words[1]} is there and is not a log of .*; choose another name, or remove"):
        run("--max-iter", "1", *words)
    assert (run.folder / words[1]).read_bytes() == before


@pytest.mark.parametrize("words", [(), ("--set", "update-seed.th1=0.4")], ids=["solver", "net"])
def test_the_files_beside_the_snapshots_are_not_written_over_the_users_own(run, words):
    """Under a prefix "mine" they are mine_solver.prototxt and mine_net.prototxt, as a user may call his."""
    folder, own = run.folder, "# mine\n" + SOLVER.replace("models/tiny", "mine")
    names = ("mine_solver.prototxt", "net.prototxt") if not words else ("solver.prototxt", "mine_net.prototxt")
    (folder / "net.prototxt").rename(folder / names[1])
    (folder / "solver.prototxt").unlink()
    (folder / names[0]).write_text(own.replace("net.prototxt", names[1]))
    before = [(folder / name).read_text() for name in names]
    with pytest.raises(UserError, match="mine_(solver|net).prototxt would be written over: beside the snapshots of"):
        train.main(["--solver", names[0], "--max-iter", "1", *words])
    assert [(folder / name).read_text() for name in names] == before


def test_weights_that_the_last_update_spoilt_are_no_end_of_a_training(run):
    """The loss is looked at before each update; of this one nobody would hear, and the next stage would use it."""
    (run.folder / "solver.prototxt").write_text(SOLVER.replace("base_lr: 0.0005", "base_lr: 3e38"))
    for words in ((), ("--resume",)):
        with pytest.raises(UserError, match="^models/tiny_iter_1.caffemodel holds numbers that are not finite.*lower"):
            run("--max-iter", "1", *words)


def test_what_killed_trainings_of_the_prefix_were_writing_is_removed(run):
    """A killed snapshot of VGG16 leaves 80 MB; what other trainings are writing there is theirs."""
    rests = [".tiny_iter_3.caffemodel.123.tmp", ".tiny_iter_3.solverstate.h5.123.tmp", ".tiny_solver.123-456.prototxt",
             ".tiny_net.123-456.prototxt", ".tiny_machine.123-456.json"]
    others = [".tiny_b_iter_3.caffemodel.123.tmp", ".tin_iter_3.caffemodel.123.tmp", ".tiny_iter_3.caffemodel",
              ".tiny.lock", "tiny_iter_x.caffemodel.123.tmp"]
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


def test_a_drawn_seed_stays_that_of_the_run(run):
    (run.folder / "solver.prototxt").write_text(SOLVER.replace("random_seed: 11\n", ""))
    run("--max-iter", "4")
    seed = [line for line in (run.folder / "models/tiny_solver.prototxt").read_text().splitlines() if "seed" in line]
    run("--resume")
    assert len(seed) == 1 and seed[0] in (run.folder / "models/tiny_solver.prototxt").read_text()


def test_weights_are_copied_and_the_rest_is_named(run):
    run("--max-iter", "1")
    (run.folder / "first").mkdir()
    (run.folder / "models/tiny_iter_1.caffemodel").rename(run.folder / "first/a.caffemodel")
    remove_snapshots(run.folder)
    (run.folder / "net.prototxt").write_text(NET.replace('name: "score"', 'name: "score-new"'))
    run("--weights", "first/a.caffemodel", "--max-iter", "1")
    assert "first/a.caffemodel: copied 1 layer (conv); not in the net: score" in run.printed
    assert "left at their filler: score-new" in run.printed


def test_initial_weights_are_those_of_the_file(run):
    run("--max-iter", "1")
    first = weights(run.folder / "models/tiny_iter_1.caffemodel")
    (run.folder / "models/tiny_iter_1.caffemodel").rename(run.folder / "first.caffemodel")
    remove_snapshots(run.folder)
    (run.folder / "solver.prototxt").write_text(SOLVER.replace("0.0005", "0"))
    run("--weights", "first.caffemodel", "--seed", "99", "--max-iter", "1")
    np.testing.assert_array_equal(weights(run.folder / "models/tiny_iter_1.caffemodel"), first)


def test_an_older_pycaffe_without_callbacks_rates_and_ranks_trains_to_the_same_weights(run, monkeypatch):
    """DeepLab-v2's Caffe is older than 1.0."""
    import caffe

    run()
    modern = digest(run.folder / "models/tiny_iter_8.caffemodel")
    remove_snapshots(run.folder)
    solver = caffe.SGDSolver.__mro__[1]
    for owner, name in ((solver, "add_callback"), (solver, "lr"), (caffe, "solver_count"), (caffe, "solver_rank")):
        monkeypatch.delattr(owner, name)
    run()
    assert digest(run.folder / "models/tiny_iter_8.caffemodel") == modern


# -- what is refused ----------------------------------------------------------------------------------------


def test_weights_without_a_layer_of_the_net_are_refused(run):
    run("--max-iter", "1")
    (run.folder / "models/tiny_iter_1.caffemodel").rename(run.folder / "a.caffemodel")
    remove_snapshots(run.folder)
    renamed = NET.replace('name: "score"', 'name: "s"').replace('name: "conv"', 'name: "c"')
    (run.folder / "net.prototxt").write_text(renamed)
    with pytest.raises(UserError, match=r"a\.caffemodel: none of its layers \(conv, score\) has the name .* \(c, s\)"):
        run("--weights", "a.caffemodel")


def test_weights_of_another_shape_are_refused(run):
    run("--max-iter", "1")
    (run.folder / "models/tiny_iter_1.caffemodel").rename(run.folder / "a.caffemodel")
    remove_snapshots(run.folder)
    (run.folder / "net.prototxt").write_text(NET.replace("num_output: 4", "num_output: 5"))
    with pytest.raises(UserError, match=r"layer 'conv': .*\(5, 3, 3, 3\).*\(4, 3, 3, 3\).*a\.caffemodel"):
        run("--weights", "a.caffemodel")


def test_a_net_for_other_classes_is_refused_before_it_trains(run):
    """With fewer classes in the data it would train without a word, on scores that nothing teaches."""
    (run.folder / "classes.txt").write_text("background\ncow\n")
    message = r"layer 'annotation' is set to 3 classes with background, but the data has 2 \(classes\.txt\)"
    with pytest.raises(UserError, match=message + ".* python -m tools.new_experiment NAME"):
        run()
    (run.folder / "classes.txt").write_text("background\ncow\ndog\n")
    assert run("--max-iter", "1") == 0


def test_auto_means_the_same_arithmetic_in_every_part_of_a_run(run, monkeypatch):
    """Stopped where bf16 is native and resumed where it is not, or the other way: half a run in each otherwise."""
    import caffe

    asked = []
    set_precision = caffe.set_precision
    monkeypatch.setattr(caffe, "set_precision", lambda name: (asked.append(name), set_precision("fp32")))
    monkeypatch.setattr(caffe, "native_bf16", lambda: True)
    run("--max-iter", "4", "--precision", "auto")
    assert json.loads((run.folder / "models/tiny_machine.json").read_text()) == {"precision": "bf16"}
    monkeypatch.setattr(caffe, "native_bf16", lambda: False)
    run("--resume", "--max-iter", "6", "--precision", "auto")
    assert asked == ["bf16", "bf16"]
    run("--resume", "--precision", "fp32")
    assert asked[-1] == "fp32" and "note: goes on in fp32, the snapshot was made in bf16" in run.printed


def test_the_time_of_a_resumed_training_is_that_of_all_its_parts(run):
    run("--max-iter", "4", "--log", "log.jsonl")
    path = run.folder / "log.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[-1]["elapsed"] = 3600                        # as if the first part had taken an hour
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert run("--resume", "--log", "log.jsonl") == 0
    assert "trained: models/tiny_iter_8.caffemodel in 1:00:0" in run.printed and "1:00:0" in run.printed.split("8/8")[1]
    assert 3600 < json.loads(path.read_text().splitlines()[-1])["elapsed"] < 3700


@pytest.mark.parametrize(("words", "message"), [
    (("--set", "update-seed.grwo=false"), r"layer 'update-seed' \(DSRGLayer\): unknown param 'grwo'"),
    (("--set", "score.grow=false"), r"has no Python layer 'score'; its Python layers: annotation, softmax, update"),
    (("--set", "grow"), r"--set grow: expected LAYER\.key=value"),
    (("--set", "annotation.size=[1"), r"--set annotation\.size=\[1: the value or the param_str .* not readable"),
    (("--weights", "none.caffemodel"), r"weights file none\.caffemodel does not exist"),
    (("--weights", "cues.npz"), r"weights cues\.npz are a zip archive .*; give a \.caffemodel"),
    (("--max-iter", "0"), r"max_iter is 0, expected 1 or more"),
    (("--device", "gpu"), r"--device gpu: expected cpu, a number, or numbers with commas"),
])
def test_wrong_words_are_answered_in_one_line(words, message, run):
    with pytest.raises(UserError, match=message):
        run(*words)
    assert not list(run.folder.glob("models/*_iter_*"))


@pytest.mark.parametrize(("solver", "message"), [
    (SOLVER.replace('net: "net.prototxt"', ""), r"solver\.prototxt: neither net nor train_net"),
    (SOLVER.replace('snapshot_prefix: "models/tiny"', ""), r"solver\.prototxt: no snapshot_prefix"),
    (SOLVER.replace("models/tiny", "models/t\\000iny"), r"snapshot_prefix 'models/t.*iny' holds a NUL character"),
    (SOLVER.replace("net.prototxt", "none.prototxt"), r"net none\.prototxt does not exist"),
    (SOLVER + "speed: 3\n", r"^solver\.prototxt:12:1: SolverParameter has no field 'speed'$"),
])
def test_solvers_that_cannot_be_run_are_named(solver, message, run):
    (run.folder / "solver.prototxt").write_text(solver)
    with pytest.raises(UserError, match=message):
        run()


@pytest.mark.parametrize("prefix", ["../{name}/tiny", "{folder}/tiny", "link/tiny", "{folder}/"])
def test_a_solver_of_a_stranger_writes_below_the_current_folder(prefix, run, monkeypatch):
    """Nothing is written before; the folder may be allowed, or the place given by the user."""
    elsewhere = run.folder.with_name(f"not-{run.folder.name}")
    elsewhere.mkdir()
    (run.folder / "link").symlink_to(elsewhere)
    prefix = prefix.format(name=elsewhere.name, folder=elsewhere)
    solver = SOLVER.replace("models/tiny", prefix).replace("max_iter: 8", "max_iter: 1")
    (run.folder / "solver.prototxt").write_text(solver)
    with pytest.raises(UserError, match=r"^solver\.prototxt: snapshot_prefix '.*' leads out of the current folder .*: "
                                        rf"ALLOW_OUTPUT={elsewhere}$"):
        run()
    assert not list(elsewhere.iterdir())
    monkeypatch.setenv("ALLOW_OUTPUT", str(elsewhere))
    assert run() == 0
    assert list(elsewhere.glob("*_iter_1.solverstate"))


def test_a_missing_photo_is_named(run):
    import caffe

    (run.folder / "photos/4.png").unlink()
    with pytest.raises(caffe.CaffeError, match=r"photos/4\.png"):
        run()


def test_a_loss_that_is_not_finite_ends_the_run_before_the_weights_change(run):
    """A learning rate that is far too high: the snapshots of before are whole and finite."""
    (run.folder / "solver.prototxt").write_text(SOLVER.replace("0.0005", "1e30").replace("snapshot: 3", "snapshot: 1"))
    with pytest.raises(UserError, match=r"iteration \d+: loss-seed (nan|inf) at lr 1e\+30; .* Lower base_lr"):
        run()
    snapshots = sorted(run.folder.glob("models/*.caffemodel"))
    assert not (run.folder / "models/tiny_iter_8.caffemodel").exists() and len(snapshots) < 8


def test_a_bug_in_a_layer_keeps_its_traceback(run, monkeypatch):
    monkeypatch.setattr("pylayers.dsrg_layer.DSRGLayer.forward", lambda self, bottom, top: {}["bug"])
    with pytest.raises(KeyError, match="bug"):
        run()


def test_precision_is_refused_where_caffe_has_none(run, monkeypatch):

    monkeypatch.setattr("dsrg.caffe_device.is_embedded", lambda caffe: False)
    with pytest.raises(UserError, match=r"--precision bf16: pycaffe computes in fp32 only"):
        run("--precision", "bf16")


def test_several_devices_start_one_process_for_each(run, monkeypatch):
    asked = []
    monkeypatch.setattr("training.multi_gpu.launch", lambda *words: asked.append(words) or 0)
    monkeypatch.setattr("sys.argv", ["train.py", "--solver", "solver.prototxt", "--device", "0,1", "--log", "x"])
    assert run("--device", "0,1", "--log", "x") == 0
    (command, count, _), = asked
    assert count == 2 and command[1:] == ["-m", "training.train", "--solver", "solver.prototxt", "--device", "0,1",
                                          "--log", "x", "--seed", "11"]


def test_several_processes_need_a_seed_they_share(run, monkeypatch):
    (run.folder / "solver.prototxt").write_text(SOLVER.replace("random_seed: 11\n", ""))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="several processes need one seed: give --seed"):
        run()


# -- snapshots and their prefix ---------------------------------------------------------------------------


def iterations(folder, kind):
    return sorted(int(path.stem.rsplit("_", 1)[1]) for path in folder.glob(f"models/tiny_iter_*.{kind}"))


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


def test_freed_memory_goes_back_after_every_snapshot(run, monkeypatch):
    """Without it, a training grows for hours by the gaps between the blocks that it holds."""
    given_back = []
    monkeypatch.setattr(train.free_memory, "give_back", lambda: given_back.append(None))
    assert run() == 0
    assert len(given_back) == len(iterations(run.folder, "caffemodel")) - 1 == 2      # 3, 6; and the last, 8


def test_what_a_training_is_made_of_is_not_looked_through_by_the_collector(run, monkeypatch):
    frozen, step = [], LossWatch.step
    monkeypatch.setattr(LossWatch, "step", lambda self: frozen.append(gc.get_freeze_count()) or step(self))
    assert run() == 0
    assert min(frozen) > 10_000 and gc.get_freeze_count() == 0


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


def start(folder, *words, launcher=("-m",)):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ENGINE": "embedded", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, "training.train", "--solver", "solver.prototxt", *words]
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def test_errors_are_one_line_and_a_status(run):
    process = start(run.folder, "--weights", "none.caffemodel")
    error = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    assert error.splitlines()[-1].startswith("error: weights file none.caffemodel does not exist")
    assert "Traceback" not in error


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_leaves_a_snapshot_and_says_how_to_go_on(run, number, status):
    (run.folder / "solver.prototxt").write_text(
        SOLVER.replace("max_iter: 8", "max_iter: 100000").replace("snapshot: 3", "snapshot: 0"))
    process = start(run.folder, "--log", "log.jsonl")
    deadline = time.monotonic() + 100
    while not ((run.folder / "log.jsonl").exists() and (run.folder / "log.jsonl").read_text()):
        assert time.monotonic() < deadline and process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    process.send_signal(number)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == status, error
    states = list(run.folder.glob("models/tiny_iter_*.solverstate"))
    assert len(states) == 1 and "python -m training.train --solver solver.prototxt --log log.jsonl --resume" in error
