"""What a change redoes: for every kind of input exactly the stages that depend on it, and nothing for no change."""

import os
import shutil

import pytest

from dsrg.pipeline import run_folder
from dsrg.pipeline.code_digests import ROOT
from dsrg.pipeline.runner import execute
from dsrg.pipeline.stages import STAGES
from dsrg.pipeline.stamps import Stamps
from tests.dsrg.pipeline.miniature import Miniature, write

MODELS = ("static", "s", "f", "full")
SEGMENT = {f"segment-{model}" for model in MODELS}
EVALUATE = {f"evaluate-{model}" for model in MODELS}
AFTER_LISTS = {stage.name for stage in STAGES} - {"data", "check", "lists", "report"}
DATA = {"check", "lists"}
AFTER_CUES = AFTER_LISTS - {"cam", "cam-quality", "cues"}
#: trainings of stage s, what is made with them, and what is measured of that
AFTER_S = AFTER_CUES - {"evaluate-cues"}
RETRAINED = {"train-f", "segment-f", "calibrate", "evaluate-f"}
#: what is made of photos that are not trained on
AFTER_VAL = SEGMENT | EVALUATE | {"calibrate"}
REFERENCE = {"full", "segment-full", "evaluate-full"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    miniature = Miniature(tmp_path_factory.mktemp("finished"))
    assert miniature.run() == AFTER_LISTS | DATA
    return miniature.folder


@pytest.fixture
def toy(finished, tmp_path):
    """A finished run at a place of its own, copied anew: every file has other times and another inode."""
    shutil.copytree(finished, tmp_path / "toy", symlinks=True)
    toy = Miniature.__new__(Miniature)
    fresh = Miniature(tmp_path / "fresh")
    toy.__dict__ = fresh.__dict__
    toy.folder, toy.data = tmp_path / "toy", tmp_path / "toy/data-root"
    toy.experiment = tmp_path / "toy/prototxts/toy"
    toy.set(work=tmp_path / "toy/work", data_root=toy.data, weights={"WEIGHTS": tmp_path / "toy/init.caffemodel"})
    return toy


def change(folder, name, text=None):
    path = folder / name
    before = path.read_text()
    path.write_text(text if text is not None else before + "# changed\n")


def test_nothing_is_redone_for_files_that_were_copied_touched_or_moved(toy):
    for path in toy.folder.rglob("*"):
        if path.is_file() and "stamps" not in path.parts:
            os.utime(path, (1, 1))
    toy.set(weights={"WEIGHTS": toy.folder / "moved.caffemodel"})
    shutil.copy(toy.folder / "init.caffemodel", toy.folder / "moved.caffemodel")
    assert toy.run() == set()
    assert not (toy.run_folder / "stale").exists()


@pytest.mark.parametrize(("name", "redone"), [
    ("data-root/JPEGImages/b.jpg", AFTER_LISTS | {"check"}),
    ("data-root/JPEGImages/d.jpg", AFTER_VAL | {"check"}),
    ("data-root/SegmentationClass/b.png", {"check", "full", "segment-full", "evaluate-full", "evaluate-cues",
                                           "evaluate-labels"}),
    ("data-root/SegmentationClass/d.png", EVALUATE | {"check", "calibrate"}),
    ("data-root/image_labels.txt", AFTER_LISTS | DATA),
    ("data-root/classes.txt", DATA | {"cam-quality", "calibrate"} | EVALUATE | {"evaluate-cues",
                                                                                                   "evaluate-labels"}),
    ("init.caffemodel", AFTER_LISTS),
    ("prototxts/toy/cam-train.prototxt", AFTER_LISTS),
    ("prototxts/toy/solver-cam.prototxt", AFTER_LISTS),
    ("prototxts/toy/cam-deploy.prototxt", AFTER_LISTS - {"cam"}),
    ("prototxts/toy/train-s.prototxt", AFTER_S),
    ("prototxts/toy/solver-s.prototxt", AFTER_S),
    ("prototxts/toy/train-f.prototxt", RETRAINED | REFERENCE),
    ("prototxts/toy/solver-f.prototxt", RETRAINED | REFERENCE),
    ("prototxts/toy/deploy.prototxt", {"label", "evaluate-labels", "train-f"} | AFTER_VAL),
])
def test_a_changed_file_redoes_what_depends_on_it(toy, name, redone):
    change(toy.folder, name)
    assert toy.run() == redone
    assert toy.run() == set()


def test_a_photo_with_a_fault_stops_the_run_or_is_left_out_and_comes_back_when_it_is_mended(toy):
    """Stages redo what they do for any other list, and no more."""
    write(toy.data, "JPEGImages/e.jpg", "bad")
    found = toy.parts()
    assert execute(found, toy.choice, print, toy.commands) == 1, "the status of the check"
    assert (toy.run_folder / "segmentations/f/e.png").is_file(), "nothing was touched"
    toy.set(skip_bad=True)
    assert toy.run() == DATA | AFTER_VAL
    assert (toy.run_folder / "lists/val_id.txt").read_text() == "d\n"
    assert not (toy.run_folder / "segmentations/f/e.png").exists()
    assert toy.run() == set()
    write(toy.data, "JPEGImages/e.jpg", "photo e")
    assert toy.run() == DATA | AFTER_VAL
    assert (toy.run_folder / "segmentations/f/e.png").is_file()
    write(toy.data, "JPEGImages/e.jpg", "another good photo")
    assert toy.run() == {"check"} | AFTER_VAL, "lists do not change with a good photo"
    toy.set(skip_bad=False)
    assert toy.run() == DATA, "and the same lists redo nothing"


def test_a_train_photo_left_out_keeps_the_numbers_of_the_others(toy):
    write(toy.data, "JPEGImages/b.jpg", "bad")
    toy.set(skip_bad=True)
    assert toy.run() == DATA | AFTER_LISTS
    assert (toy.run_folder / "lists/input_list.txt").read_text() == "a.jpg 0\nc.jpg 2\n"
    toy.set(ablation="static")
    toy.run()
    assert (toy.run_folder / "lists/input_list.txt").read_text() == "a.jpg 0\nc.jpg 2\n", "of an ablation too"


@pytest.mark.parametrize(("name", "redone"), [
    ("cues/localization_cues.pickle", {"cues"}),
    ("labels/a.png", {"label"}),
    ("models/s_iter_8.caffemodel", {"train-s"}),
    ("lists/input_list.txt", {"lists"}),
    ("segmentations/f/d.png", {"segment-f"}),
    ("calibration/f.json", {"calibrate"}),
    ("results/f.json", {"evaluate-f"}),
])
@pytest.mark.parametrize("how", ["changed", "gone"])
def test_a_result_that_was_changed_or_removed_is_made_again_and_nothing_follows(toy, name, redone, how):
    """What is made again is the same, so that what was made of it stands."""
    path = toy.run_folder / name
    path.unlink() if how == "gone" else path.write_text("by hand")
    assert toy.run() == redone
    assert path.read_text() != "by hand"
    aside = list((toy.run_folder / "stale").rglob(path.name))
    assert [p.read_text() for p in aside] == (["by hand"] if how == "changed" else [])


def test_a_folder_with_files_that_are_gone_and_others_that_were_changed_is_not_built_upon(toy):
    """As a disk that lost files leaves it: the stage would take a map that was cut off for one that it made."""
    (toy.run_folder / "labels/a.png").unlink()
    write(toy.run_folder, "labels/b.png", "")
    assert toy.plan()["label"] == "will run: labels/a.png is gone; labels/b.png is not as the stage made it"
    assert toy.run() == {"label"}
    assert [path.read_text() for path in (toy.run_folder / "stale").rglob("b.png")] == [""], "it was set aside"


def test_the_same_photo_moved_from_val_to_train_redoes_all(toy):
    write(toy.data, "ImageSets/Segmentation/train.txt", "a\nb\nc\nd\n")
    write(toy.data, "ImageSets/Segmentation/val.txt", "e\n")
    assert toy.run() == AFTER_LISTS | DATA


def test_given_cues_are_known_by_content(toy):
    toy.set(cues=toy.folder / "given.pickle", work=toy.folder / "work2")
    write(toy.folder, "given.pickle", "cues")
    assert toy.run() == AFTER_CUES | DATA
    assert toy.run() == set()
    write(toy.folder, "given.pickle", "other cues")
    assert toy.run() == AFTER_CUES | {"check"}
    assert (toy.folder / "given.pickle").read_text() == "other cues", "the user's file is not the run's to move"


@pytest.mark.parametrize(("changes", "redone"), [
    ({"max_iter": 6}, AFTER_LISTS),
    ({"crf_backend": "pydensecrf"}, AFTER_S),
    ({"precision": "bf16"}, AFTER_LISTS),
    ({"device": "0"}, AFTER_LISTS),
    ({"batch": 7}, AFTER_LISTS),
    ({"snapshot_keep": 1}, set()),
    ({"skip_bad": True}, DATA),
])
def test_a_changed_setting_redoes_what_it_is_for(toy, changes, redone):
    toy.set(**changes)
    assert toy.run() == redone


def test_another_engine_redoes_what_nets_compute(toy, monkeypatch):
    monkeypatch.setattr(run_folder, "fit_to_caffe", lambda texts, settings: texts)      # there is no Caffe to ask
    for k in (1, 2):
        write(toy.folder, "caffe/_caffe.so", f"library {k}")
        toy.set(engine="caffe", caffe=toy.folder / "caffe")
        # the models do not change with the library here, so that what follows them stands
        expected = AFTER_LISTS if k == 1 else AFTER_LISTS - EVALUATE - {"evaluate-cues", "evaluate-labels"}
        assert toy.run() == expected


@pytest.mark.parametrize(("text", "redone"), [
    ("cues: --threshold 0.4", AFTER_LISTS - {"cam", "cam-quality"}),
    ("label: --sizes 65", RETRAINED | {"label", "evaluate-labels"}),
    ("segment-s: --sizes 65", {"segment-s", "segment-static", "evaluate-s", "evaluate-static"}),
    ("segment-f: --scales 2", {"segment-f", "segment-full", "evaluate-f", "evaluate-full", "calibrate"}),
])
def test_a_changed_argument_of_the_experiment_redoes_what_it_is_for(toy, text, redone):
    name = text.split(":")[0]
    path = toy.experiment / "settings.yaml"
    old = next(part for part in path.read_text().split("arguments: {")[1].rstrip("}\n").split(", ")
               if part.startswith(f"{name}:"))
    path.write_text(path.read_text().replace(old, text))
    assert toy.run() == redone


# ---- code ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A copy of the project's code, to change."""
    copy = tmp_path_factory.mktemp("sources")
    for name in ("dsrg", "training", "tools", "localization_cues", "engine", "CRF"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "build", "*.so"))
    return copy


TRAININGS = {"cam", "static", "train-s", "train-f", "full"}


@pytest.mark.parametrize(("name", "redone"), [
    ("tools/check_data.py", {"check"}),
    ("dsrg/datacheck/data_root.py", {"check"}),
    ("tools/make_lists.py", {"lists"}),
    ("tools/calibrate.py", {"calibrate"}),
    ("dsrg/calibration/fit.py", {"calibrate"}),
    ("tools/evaluate.py", EVALUATE | {"evaluate-labels"}),
    ("tools/segment.py", SEGMENT | {"label"}),
    ("localization_cues/make_cues.py", {"cues"}),
    ("localization_cues/evaluate_cues.py", {"evaluate-cues"}),
    ("training/train.py", TRAININGS),
    ("training/pylayers/dsrg_layer.py", {"static", "train-s"}),
    ("training/pylayers/image_label_layer.py", {"cam"}),
    ("training/pylayers/layer.py", {"train-f", "full"}),
    ("dsrg/supervision/losses.py", {"static", "train-s"}),
    ("dsrg/supervision/region_growing.py", {"static", "train-s"}),
    ("CRF/src/lattice.cpp", {"static", "train-s", "label", "calibrate"} | SEGMENT),
    ("engine/caffe/net.py", TRAININGS | {"cam-quality", "cues", "label", "calibrate"} | SEGMENT),
    ("engine/caffe/layers/pooling.py", TRAININGS | {"cam-quality", "cues", "label", "calibrate"} | SEGMENT),
    ("dsrg/io/errors.py", AFTER_LISTS | DATA),
    ("dsrg/pipeline/runner.py", set()),
    ("tools/compare.py", set()),
])
def test_changed_code_redoes_what_it_computes(toy, sources, name, redone, monkeypatch):
    """What follows is not redone where the result is the same."""
    monkeypatch.setattr(Stamps, "root", sources)
    path = sources / name
    before = path.read_text()
    try:
        path.write_text(before + ("\nCHANGED = 1\n" if name.endswith(".py") else "// changed\n"))
        assert toy.run() == redone
    finally:
        path.write_text(before)


def test_comments_and_docstrings_of_code_redo_nothing(toy, sources, monkeypatch):
    monkeypatch.setattr(Stamps, "root", sources)
    path = sources / "training/train.py"
    before = path.read_text()
    path.write_text("# a remark\n" + before.replace('"""Train a net', '"""Trains a net'))
    try:
        assert toy.run() == set()
    finally:
        path.write_text(before)


def test_every_read_of_every_stage_counts(toy):
    """Each file that a row names is changed in turn: the stage is not done then, and says which it was."""
    seen = 0
    part = toy.parts()[0]
    for row in part.rows:
        if row.always or row.left_out(part.run):
            continue
        for read in row.reads(part.run):
            for name in read.files[:1]:
                if name in part.run.texts:
                    continue
                path = part.run.path(name)
                before = path.read_bytes()
                path.write_bytes(before + b"changed")
                state = Stamps(part.run).state(row)
                path.write_bytes(before)
                assert not state.done and any(read.label in reason for reason in state.reasons), (row.name, read.label)
                seen += 1
    assert seen > 40
