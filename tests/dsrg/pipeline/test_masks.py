"""Masks that are missing, or come later: what a run leaves out for want of them."""

import json
import shutil

import pytest

from dsrg.io.errors import UserError
from tests.dsrg.pipeline.miniature import write
from tests.dsrg.pipeline.test_redone import AFTER_LISTS, DATA, EVALUATE, REFERENCE, change


def test_masks_that_are_missing_leave_out_what_needs_them(toy):
    toy.run("lists")
    (toy.data / "SegmentationClass/b.png").unlink()
    assert toy.run() == AFTER_LISTS - {"evaluate-cues", "evaluate-labels", *REFERENCE} | {"check"}
    reason = "1 photo of lists/train_id.txt has no mask in DATA_ROOT/SegmentationClass"
    said = "\n".join(toy.said)
    assert f"evaluate-cues: left out, {reason}" in said and f"full: left out, {reason}" in said
    with pytest.raises(FileNotFoundError, match="b.png"):       # asked for by name, the reference reads all masks
        toy.run("full")


def test_without_masks_there_is_no_reference_and_nothing_to_measure(toy):
    shutil.rmtree(toy.data / "SegmentationClass")
    assert toy.run() == (AFTER_LISTS | DATA) - EVALUATE - REFERENCE - {"evaluate-cues", "evaluate-labels"}
    assert "[11/23] full: left out, DATA_ROOT has no SegmentationClass" in toy.said
    with pytest.raises(UserError, match="stage full learns from true masks, but .*data-root has no SegmentationClass"):
        toy.run("full")


@pytest.mark.parametrize(("gone", "reason"), [
    ("SegmentationClass", "left out, DATA_ROOT has no SegmentationClass"),
    ("SegmentationClass/e.png", "left out, 1 photo of lists/val_id.txt has no mask in DATA_ROOT/SegmentationClass"),
])
def test_a_plan_of_a_new_run_knows_what_missing_masks_will_leave_out(toy, gone, reason):
    path = toy.data / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    plan = toy.plan()
    models = EVALUATE - {"evaluate-full"}       # without any mask there is no reference to evaluate
    assert {stage: verdict for stage, verdict in plan.items() if stage in models} == dict.fromkeys(models, reason)
    told = {stage for stage, verdict in plan.items() if verdict.startswith("left out")}
    toy.run()
    assert {line.split()[1].rstrip(":") for line in toy.said if "left out" in line} == told


def test_masks_that_come_later_are_taken_up(toy):
    shutil.move(toy.data / "SegmentationClass", toy.folder / "masks")
    toy.run()
    shutil.move(toy.folder / "masks", toy.data / "SegmentationClass")
    assert toy.plan()["lists"] == "will run: folder of the masks changed"
    assert {"lists", "full", *EVALUATE} <= toy.run()


def command_of(toy, stage):
    return json.loads((toy.run_folder / f"stamps/{stage}.json").read_text())["command"]


def test_the_reference_is_trained_as_stage_f_on_the_true_masks(toy):
    toy.run()
    words = " ".join(command_of(toy, "full"))
    assert "--solver solver-f.prototxt" in words
    assert "--set data.source=lists/train_full.txt --snapshot-prefix models/full" in words
    reads = json.loads((toy.run_folder / "stamps/full.json").read_text())["reads"]
    assert {"photos of lists/train_full.txt", "label maps of lists/train_full.txt"} <= reads.keys()
    assert not {"lists/train_f.txt", "label maps of lists/train_f.txt"} & reads.keys()


def test_a_reference_with_a_solver_of_its_own_is_trained_by_that(toy):
    """Experiments made when every experiment had one go on as they are."""
    f = (toy.experiment / "solver-f.prototxt").read_text()
    write(toy.experiment, "solver-full.prototxt",
          f.replace("train-f", "train-full").replace("models/f", "models/whole"))
    net = (toy.experiment / "train-f.prototxt").read_text()
    write(toy.experiment, "train-full.prototxt", net.replace("train_f.txt", "train_full.txt"))
    toy.run()
    words = command_of(toy, "full")
    assert "solver-full.prototxt" in words and not {"--set", "--snapshot-prefix"} & set(words)
    assert (toy.run_folder / "models/whole_iter_8.caffemodel").is_file()
    change(toy.experiment, "solver-f.prototxt")
    assert "full" not in toy.run()
    change(toy.experiment, "train-full.prototxt")
    assert toy.run() == {"full", "segment-full", "evaluate-full"}


def test_a_net_without_the_layer_that_the_reference_changes_is_refused_by_name(toy):
    path = toy.experiment / "train-f.prototxt"
    path.write_text(path.read_text().replace('"data"', '"masks"'))
    with pytest.raises(UserError, match="train-f.prototxt has no Python layer 'data' for data.source=.*: masks; "):
        toy.run()
    assert not toy.run_folder.exists(), "told before the first stage runs"
    settings = toy.experiment / "settings.yaml"
    settings.write_text(settings.read_text() + "full: masks.source=lists/train_full.txt\n")
    toy.run()
    assert "masks.source=lists/train_full.txt" in command_of(toy, "full")
