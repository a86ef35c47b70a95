"""Prototxts in a run's folder that were edited, are no text or are of an older project, and --adopt."""

import json
import os
import shutil

import pytest

from dsrg.io.errors import UserError
from tests.dsrg.pipeline.test_redone import change


def test_an_edited_copy_is_named_and_neither_used_nor_lost(toy):
    toy.run("lists", "cam", "cues", "train-s")
    copy = toy.run_folder / "train-s.prototxt"
    change(toy.run_folder, "train-s.prototxt")
    edited = copy.read_text()
    for _ in range(2):
        with pytest.raises(UserError, match=f"{copy} was edited: .* add --keep-edits; .* remove the copy"):
            toy.run()
    with pytest.raises(UserError, match="was edited"):
        toy.plan()
    assert copy.read_text() == edited
    assert toy.run("train-s", keep_edits=True) == {"train-s"} and copy.read_text() == edited
    with pytest.raises(UserError, match="was edited"):
        toy.run()
    copy.unlink()
    assert toy.run("train-s") == {"train-s"}
    assert copy.read_text() == (toy.experiment / "train-s.prototxt").read_text()


@pytest.mark.parametrize("where", ["experiment", "run_folder"])
@pytest.mark.parametrize("kind", ["bytes", "fifo"])
def test_a_prototxt_that_is_no_text_is_named(toy, where, kind):
    path = getattr(toy, where) / "train-s.prototxt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(b"\xff\xfe") if kind == "bytes" else os.mkfifo(path)
    if (where, kind) == ("run_folder", "fifo"):
        assert toy.plan()["train-s"]        # nothing of the run reads it there
        return
    with pytest.raises(UserError, match="train-s.prototxt is (not text|a FIFO); expected a"):
        toy.plan()


def test_an_edit_that_went_into_the_experiment_too_is_taken(toy):
    toy.run("lists", "cam")
    change(toy.run_folder, "solver-cam.prototxt")
    shutil.copy(toy.run_folder / "solver-cam.prototxt", toy.experiment)
    assert toy.run("lists", "cam") == {"cam", "cam-quality"}
    change(toy.experiment, "solver-cam.prototxt")
    assert toy.run("lists", "cam") == {"cam", "cam-quality"}, "and the copy follows the experiment again"


def test_a_copy_whose_original_is_gone_is_removed_unless_it_was_edited(toy):
    """Of two copies the edited one is named; runs go on when it is removed."""
    for name in ("train-full.prototxt", "old.prototxt"):
        shutil.copy(toy.experiment / "train-f.prototxt", toy.experiment / name)
    toy.run("lists")
    for name in ("train-full.prototxt", "old.prototxt"):
        (toy.experiment / name).unlink()
    change(toy.run_folder, "train-full.prototxt")
    edited = toy.run_folder / "train-full.prototxt"
    with pytest.raises(UserError, match=f"{edited} was edited, but the experiment has no train-full.prototxt any more"):
        toy.run("lists")
    assert toy.run("lists", keep_edits=True) == set() and edited.is_file()
    assert not (toy.run_folder / "old.prototxt").exists()
    edited.unlink()
    assert toy.run("lists") == set()


def test_an_older_folder_is_refused_with_the_remedy_and_adopted(toy):
    toy.run()
    for path in (toy.run_folder / "stamps").glob("*.json"):
        record = json.loads(path.read_text())
        path.write_text(json.dumps({"hash": "0", "command": record["command"], "seconds": 7.5, "peak_mib": 99}))
    shutil.rmtree(toy.run_folder / "stamps/manifests")
    (toy.run_folder / "stamps/prototxts.copied").unlink()
    shutil.rmtree(toy.run_folder / "segmentations/f")
    with pytest.raises(UserError, match="was made by an earlier version.*add --adopt once"):
        toy.run()
    assert toy.run(adopt=True) == set()
    assert "[14/23] segment-f: not done, nothing to adopt" in toy.said and "[8/23] train-s: adopted" in toy.said
    assert json.loads((toy.run_folder / "stamps/train-s.json").read_text())["seconds"] == 7.5
    assert toy.run() == {"segment-f", "calibrate", "evaluate-f"}


def test_what_is_not_whole_is_not_adopted_and_goes_on_from_what_is_there(toy):
    toy.run()
    maps = {path.name: path.read_text() for path in (toy.run_folder / "labels").iterdir()}
    models = {path.name for path in (toy.run_folder / "models").glob("full_iter_*")}
    change(toy.experiment, "deploy.prototxt")
    # stage label was stopped behind its first map, a map of segment-f was lost, and stage full lost its model alone
    stamps = toy.run_folder / "stamps"
    (stamps / "label.json").rename(stamps / "label.begun")
    for name in ("labels/b.png", "segmentations/f/d.png", "models/full_iter_8.caffemodel"):
        (toy.run_folder / name).unlink()
    assert toy.run(adopt=True) == set()
    assert "[9/23] label: not done; goes on from what is there" in toy.said
    assert "[14/23] segment-f: not whole, segmentations/f/d.png is gone; goes on from what is there" in toy.said
    assert "[11/23] full: not done, nothing to adopt" in toy.said
    assert "[15/23] segment-full: not done, what it reads is not there" in toy.said
    assert {"full", "label", "segment-f", "segment-full"} <= toy.run()
    assert {path.name for path in (toy.run_folder / "labels").iterdir()} == set(maps)
    assert {path.name for path in (toy.run_folder / "models").glob("full_iter_*")} == models
    assert not {"label-1", "full-1"} & {path.name for path in (toy.run_folder / "stale").iterdir()}
