"""Where a solver puts its snapshots is what the stages after it look for."""

import json

import pytest

from dsrg.io.errors import UserError
from tests.dsrg.pipeline.test_redone import AFTER_S, change


def test_a_changed_snapshot_prefix_is_followed(toy):
    toy.run()
    change(toy.experiment, "solver-s.prototxt",
           (toy.experiment / "solver-s.prototxt").read_text().replace("models/s", "models/dsrg"))
    assert toy.run() == AFTER_S
    assert (toy.run_folder / "models/dsrg_iter_8.caffemodel").is_file()
    label = json.loads((toy.run_folder / "stamps/label.json").read_text())
    assert "models/dsrg_iter_8.caffemodel" in label["command"]
    assert toy.run() == set()


@pytest.mark.parametrize(("prefix", "message"), [
    ("models/cam", "the trainings cam and s have one snapshot_prefix, 'models/cam'"),
    ("models/static", "the trainings s and static have one snapshot_prefix"),
    ("models/full", "the trainings s and full have one snapshot_prefix"),
    ("models/", "names no file"), ("/tmp/s", "leads out of the run"), ("../s", "leads out of the run"),
    ("data/s", "leads out of the run"),
])
def test_a_snapshot_prefix_that_cannot_work_is_refused_by_name(toy, prefix, message):
    change(toy.experiment, "solver-s.prototxt",
           (toy.experiment / "solver-s.prototxt").read_text().replace("models/s", prefix))
    with pytest.raises(UserError, match=message):
        toy.run()
    assert not toy.run_folder.exists()


def test_prefixes_that_begin_alike_keep_their_files_apart(toy):
    change(toy.experiment, "solver-f.prototxt",
           (toy.experiment / "solver-f.prototxt").read_text().replace("models/f", "models/s_iter"))
    toy.run()
    change(toy.experiment, "solver-s.prototxt")
    toy.run("train-s")
    assert {p.name for p in (toy.run_folder / "stale/train-s-1/models").iterdir()} == {
        "s_iter_4.caffemodel", "s_iter_4.solverstate", "s_iter_8.caffemodel", "s_iter_8.solverstate",
        "s_net.prototxt", "s_solver.prototxt"}
