"""What the training command says when something is wrong, and what it then leaves alone."""


import pytest

from dsrg.io.errors import UserError
from tests.training.runs import NET, SOLVER, remove_snapshots
from training import train


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
