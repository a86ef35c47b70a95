"""Runs of ablations: what they take from the plain run, and when."""

import os

import pytest

from dsrg.io.errors import UserError
from dsrg.pipeline.locks import Lock
from tests.dsrg.pipeline.miniature import write
from tests.dsrg.pipeline.test_redone import DATA, change


def test_an_ablation_takes_data_classifier_and_cues_of_the_plain_run(toy):
    plain = toy.run_folder
    toy.set(ablation="static")
    assert toy.run() == {*DATA, "cam", "cam-quality", "cues", "train-s", "segment-s", "evaluate-s",
                         "evaluate-cues"}
    assert "== ablation static: no growing" in toy.said
    assert (toy.run_folder / "ablation.txt").read_text() == "static: no growing\n"
    assert r"\'grow\': False" in (toy.run_folder / "train-s.prototxt").read_text()
    assert os.path.realpath(toy.run_folder / "cues/localization_cues.pickle") == str(
        plain / "cues/localization_cues.pickle")
    assert toy.run() == set()
    toy.set(ablation="")
    assert toy.run("lists", "cam", "cues") == set(), "they are the plain run's"
    change(toy.experiment, "cam-deploy.prototxt")
    toy.set(ablation="static")
    assert toy.run() == {"cam-quality", "cues", "train-s", "segment-s", "evaluate-s", "evaluate-cues"}


def test_an_ablation_of_cues_makes_its_own_by_the_plain_runs_classifier(toy):
    plain = toy.run_folder
    write(toy.folder, "prototxts/ablations/other-cues.yaml", "says: surer cues\narguments: {cues: --threshold 0.6}\n")
    toy.set(ablation="other-cues")
    toy.run()
    made = [command for command in toy.commands.commands if command[2] == "localization_cues.make_cues"]
    assert [command[-2:] for command in made] == [["--threshold", "0.3"], ["--threshold", "0.6"]]
    assert made[1][made[1].index("--weights") + 1] == os.path.relpath(
        plain / made[0][made[0].index("--weights") + 1], toy.run_folder)
    cues = toy.run_folder / "cues/localization_cues.pickle"
    assert cues.is_file() and not cues.is_symlink()
    assert toy.run() == set()
    write(toy.folder, "prototxts/ablations/other-cues.yaml", "says: surer cues\narguments: {cues: --threshold 0.7}\n")
    assert toy.run() == {"cues", "train-s", "segment-s", "evaluate-s", "evaluate-cues"}
    toy.set(ablation="")
    assert toy.run("lists", "cam", "cues") == set(), "the plain run's are as they were"


def test_an_ablation_of_the_retraining_goes_on_from_the_plain_runs_stage_s(toy):
    plain = toy.run_folder
    write(toy.folder, "prototxts/ablations/flip.yaml", "says: mirrored\narguments: {label: --sizes 33 --flip}\n")
    toy.set(ablation="flip")
    plan = toy.plan()
    assert plan["train-s"] == "left out, the plain run's is taken" and "static" not in plan and "full" not in plan
    toy.run()
    trained = [command for command in toy.commands.commands if command[2] == "training.train"]
    assert [command[command.index("--solver") + 1] for command in trained] == [
        "solver-cam.prototxt", "solver-s.prototxt", "solver-f.prototxt"]
    start = trained[2][trained[2].index("--weights") + 1]
    assert start == os.path.relpath(plain / "models/s_iter_8.caffemodel", toy.run_folder)
    label = next(command for command in toy.commands.commands if command[2] == "tools.segment")
    assert label[label.index("--weights") + 1] == start and label[-1] == "--flip"
    assert toy.run() == set()
    change(toy.experiment, "train-s.prototxt")
    assert {"train-s", "label", "train-f"} <= toy.run(), "of the plain run, and what depends on it"
    toy.set(ablation="")
    assert toy.run("train-s") == set()


def test_two_ablations_read_one_plain_run_at_a_time_and_none_changes_it_meanwhile(toy):
    plain = toy.run_folder
    toy.run("check", "lists", "cam", "cues")
    with Lock(plain / ".lock", "the plain run", shared=True):
        toy.set(ablation="static")
        toy.run("lists", "train-s")
        change(toy.experiment, "cam-deploy.prototxt")
        with pytest.raises(UserError, match=f"{plain} is in use by process {os.getpid()} on "):
            toy.run("lists", "train-s")
