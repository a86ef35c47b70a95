"""Runs as people meet them: plans, choices of stages, failures, times."""

import json
import os
import shutil

import pytest

from dsrg.io.errors import UserError
from dsrg.pipeline.locks import Lock
from dsrg.pipeline.processes import Ended, Stopped
from dsrg.pipeline.runner import environment, execute
from dsrg.pipeline.settings import UsageError
from tests.conftest import ROOT
from tests.dsrg.pipeline.miniature import write
from tests.dsrg.pipeline.test_redone import SEGMENT, change


def test_a_plan_of_a_new_run_writes_nothing(toy):
    plan = toy.plan()
    assert plan["data"] == "left out, DATA_ROOT is given" and plan["lists"] == "will run: it has not run"
    assert plan["cues"] == "will run after lists, cam" and plan["report"] == "runs each time"
    assert not toy.run_folder.exists()


def test_a_plan_says_what_changed(toy):
    toy.run()
    before = {path: path.stat().st_mtime_ns for path in toy.run_folder.rglob("*") if path.is_file()}
    write(toy.data, "JPEGImages/b.jpg", "other")
    solver = (toy.experiment / "solver-f.prototxt").read_text()
    change(toy.experiment, "solver-f.prototxt")
    plan = toy.plan()
    assert plan["lists"] == "done"
    assert plan["cam"] == "will run: photos of lists/input_list.txt changed: data/JPEGImages/b.jpg"
    assert plan["train-f"] == ("will run: solver-f.prototxt changed; photos of lists/train_f.txt changed: "
                               "data/JPEGImages/b.jpg")
    assert plan["segment-f"] == "done, unless train-f makes something else"
    toy.set(crf_backend="pydensecrf")
    assert "CRF backend: own -> pydensecrf" in toy.plan()["label"]
    toy.set(max_iter=6)
    assert "its command changed: '--max-iter 6' added" in toy.plan()["cam"]
    (toy.run_folder / "models/full_iter_8.caffemodel").unlink()
    toy.set(crf_backend="own", max_iter=None)
    assert toy.plan()["full"].startswith("will run: solver-f.prototxt changed; photos of lists/train_full.txt changed")
    change(toy.experiment, "solver-f.prototxt", solver)
    write(toy.data, "JPEGImages/b.jpg", "photo b")
    assert toy.plan()["full"] == "will run: models/full_iter_8.caffemodel is gone, and goes on from what is there"
    assert {path: path.stat().st_mtime_ns for path in toy.run_folder.rglob("*") if path in before} == {
        path: time for path, time in before.items() if path.exists()}, "a plan changes nothing"


def test_a_plan_names_the_code_that_changed(toy, tmp_path, monkeypatch):
    from dsrg.pipeline.code_digests import ROOT
    from dsrg.pipeline.stamps import Stamps

    for name in ("dsrg", "tools", "training"):
        shutil.copytree(ROOT / name, tmp_path / "code" / name, ignore=shutil.ignore_patterns("__pycache__", "build"))
    monkeypatch.setattr(Stamps, "root", tmp_path / "code")
    toy.run("lists")
    path = tmp_path / "code/tools/make_lists.py"
    path.write_text(path.read_text() + "\nCHANGED = 1\n")
    assert toy.plan("lists")["lists"] == "will run: code changed: tools/make_lists.py"


def test_stages_are_numbered_and_said_to_be_done(toy):
    toy.run("lists", "cam")
    assert toy.said[0].startswith("[1/3] lists: tools.make_lists --data data") and toy.said[1] == "[1/3] lists: 0 s, " \
        "peak 10 MiB"
    toy.run("lists", "cam")
    assert toy.said == ["[1/3] lists: done", "[2/3] cam: done", "[3/3] cam-quality: done"]


def test_from_a_stage_on(toy):
    toy.run()
    write(toy.data, "JPEGImages/b.jpg", "other")
    assert toy.run(start="train-f") == {"train-f", "full", "segment-f", "segment-full", "calibrate", "evaluate-f",
                                       "evaluate-full"}


def test_a_group_and_one_of_its_stages(toy):
    toy.run()
    shutil.rmtree(toy.run_folder / "segmentations")
    assert toy.run("segment-f") == {"segment-f"}
    assert toy.run("segment") == SEGMENT - {"segment-f"}


def test_force_runs_what_is_done_and_keeps_the_earlier_results(toy):
    toy.run()
    assert toy.run("train-f", force=True) == {"train-f"}
    assert (toy.run_folder / "stale/train-f-1/models/f_iter_8.caffemodel").is_file()
    assert (toy.run_folder / "stale/train-f-1/models/f_iter_4.solverstate").is_file()
    assert toy.run("train-f", force=True) == {"train-f"}
    assert (toy.run_folder / "stale/train-f-2/models/f_iter_8.caffemodel").is_file()


def test_a_stage_whose_inputs_are_not_there_says_what_to_run(toy):
    with pytest.raises(UserError, match="stage cues: models/cam_iter_8.caffemodel does not exist in .*; run what "
                                        "makes it first: --stages lists,cam$"):
        toy.run("lists", "cues")
    with pytest.raises(UserError, match="--stages lists,train-s$"):
        toy.run(start="label")


def test_weights_are_asked_for_by_the_stages_that_start_from_them(toy):
    text = (toy.experiment / "settings.yaml").read_text()
    (toy.experiment / "settings.yaml").write_text(text + "needs: {WEIGHTS: VGG16}\n")
    toy.set(weights={})
    with pytest.raises(UsageError, match="experiment toy needs WEIGHTS, VGG16; stage cam starts from it"):
        toy.run()
    with pytest.raises(UsageError, match="stage train-s starts from it"):
        toy.run("train-s")
    assert toy.run("lists") == {"lists"}
    toy.parts("label", "train-f", "segment", "evaluate", "report")
    toy.set(cues=toy.folder / "init.caffemodel")
    with pytest.raises(UsageError, match="stage static starts from it"):
        toy.run()


def test_one_run_a_folder(toy):
    with Lock(toy.run_folder / ".lock", "x"):
        with pytest.raises(UserError, match=f"{toy.run_folder} is in use by process {os.getpid()} on .* since 20"):
            toy.run("lists")
        assert toy.plan("lists") == {"lists": "will run: it has not run"}
    assert toy.run("lists") == {"lists"}


def test_a_stage_that_fails_ends_the_run_with_its_status(toy):
    def fail(command):
        raise AssertionError("must not go on")

    toy.run("check", "lists")
    toy.commands.run = lambda *_: Ended(3, 1)
    toy.commands.before = fail
    found = toy.parts()
    assert execute(found, toy.choice, toy.said.append, toy.commands) == 3
    assert not (toy.run_folder / "stamps/cam.json").exists() and (toy.run_folder / "stamps/cam.begun").exists()


def test_a_disk_that_is_full_leaves_the_last_word_to_the_stage(toy, monkeypatch):
    """What the runner notes of its time is lost then, and neither the stage's status nor that of a signal."""
    toy.run("lists")

    def full(command, folder, environment, every):
        monkeypatch.setattr("dsrg.pipeline.stamps.write_text", refuse)
        every(30.0)
        return Ended(3, 1)

    def refuse(path, text):
        raise UserError(f"cannot write {path}: No space left on device")

    toy.commands.run = full
    assert execute(toy.parts("cam"), toy.choice, toy.said.append, toy.commands) == 3
    monkeypatch.undo()
    toy.commands.run, toy.commands.wanted = full, 15
    with pytest.raises(Stopped):
        execute(toy.parts("cam"), toy.choice, toy.said.append, toy.commands)


def test_a_quiet_run_has_quiet_stages(toy, monkeypatch):
    monkeypatch.setattr("dsrg.io.terminal._quiet", True)
    assert environment(toy.settings)["QUIET"] == "1"
    monkeypatch.setattr("dsrg.io.terminal._quiet", False)
    assert environment(toy.settings)["QUIET"] == ""


def test_stages_find_the_packages_that_the_run_found(toy, monkeypatch):
    """What `pip install --target` has put on PYTHONPATH, though stages run in another folder."""
    monkeypatch.setenv("PYTHONPATH", "wheels")
    assert environment(toy.settings)["PYTHONPATH"].split(os.pathsep) == [str(ROOT), os.path.abspath("wheels")]


def test_a_stage_that_does_not_make_what_it_should_is_not_done(toy, monkeypatch):
    monkeypatch.setattr(toy.commands, "run", lambda *_: Ended(0, 1))
    with pytest.raises(UserError, match="stage lists ended well but did not make lists"):
        execute(toy.parts("lists"), toy.choice, print, toy.commands)


def test_time_and_memory_of_a_stage_count_all_its_parts(toy):
    """One part is stopped by a signal, one killed without a word: that one counts up to its last note."""
    toy.run("lists")
    found = toy.parts("cam")

    def stopped(command, folder, environment, every):
        every(30.0)
        toy.commands.wanted = 15
        return Ended(130, 10)

    whole, toy.commands.run = toy.commands.run, stopped
    with pytest.raises(Stopped):
        execute(found, toy.choice, toy.said.append, toy.commands)
    toy.commands.wanted = 0
    begun = json.loads((toy.run_folder / "stamps/cam.begun").read_text())
    (toy.run_folder / "stamps/cam.begun").write_text(json.dumps({**begun, "seconds": 100.0, "peak_mib": 700}))

    def killed(command, folder, environment, every):
        every(50.0)
        raise KeyboardInterrupt

    toy.commands.run = killed
    with pytest.raises(KeyboardInterrupt):
        execute(toy.parts("cam"), toy.choice, toy.said.append, toy.commands)
    toy.commands.run = whole
    toy.run("cam")
    stamp = json.loads((toy.run_folder / "stamps/cam.json").read_text())
    assert 150 <= stamp["seconds"] < 160 and stamp["peak_mib"] == 700 and stamp["resumed"] is True
    assert json.loads((toy.run_folder / "stamps/lists.json").read_text())["resumed"] is False
