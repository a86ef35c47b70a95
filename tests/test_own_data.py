"""The README's way from a folder of photos and a labels file to a trained model, in miniature: three classes of photos
of several sizes, in a copy of the project, with the commands as they stand there."""

import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from dsrg.io.label_png import load_label_png, save_label_png
from tests.conftest import PATIENCE, ROOT

COLOURS_BGR = {"red disc": (40, 60, 220), "green box": (60, 190, 60), "bar": (220, 110, 40)}
SIZES = ((60, 80), (80, 60), (49, 66))


@pytest.fixture
def project(tmp_path):
    """A copy of what running needs, sharing the virtual environment; photos and labels.csv beside it."""
    copy = tmp_path / "project"
    for name in ("engine", "dsrg", "training", "tools", "localization_cues", "prototxts", "CRF", "docker"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    for name in ("run.sh", "setup.sh", "requirements.txt"):
        shutil.copy(ROOT / name, copy)
    (copy / ".venv").symlink_to(ROOT / ".venv")
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(1)
    lines = []
    for k in range(8):
        height, width = SIZES[k % 3]
        image = rng.integers(90, 160, (height, width, 3), np.uint8)
        kinds = [list(COLOURS_BGR)[j] for j in {k % 3, (k + 1) % 3 if k % 2 else k % 3}]
        for kind in kinds:
            row, column = rng.integers(8, height - 8), rng.integers(8, width - 8)
            cv2.circle(image, (int(column), int(row)), 8, COLOURS_BGR[kind], -1)
        cv2.imwrite(str(tmp_path / f"photos/my photo {k}.png"), image)
        lines.append(",".join([f"my photo {k}", *kinds]))
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    places = (ROOT / ".venv").glob("lib/python3.*/site-packages/embedded_engine.pth")
    engines = {path: path.read_text() for path in places}
    yield copy
    assert all(path.read_text() == text for path, text in engines.items()), "`import caffe` finds another engine now"


def run(project, *command, status=0, **settings):
    own = ("DATA_ROOT", "WEIGHTS", "CUES", "SEED", "STAGES", "DEVICE", "ENGINE", "EXPERIMENT", "WORK")
    env = {k: v for k, v in os.environ.items() if k not in own}
    env = {**env, "PYTHONPATH": str(project), "PRECISION": "fp32", "OMP_NUM_THREADS": "2", **settings}
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_from_photos_and_labels_to_a_trained_model(project):
    python = sys.executable, "-m"
    out = run(project, *python, "tools.make_dataset", "--photos", "../photos", "--labels", "../labels.csv", "--out",
              "../data")
    assert "6 train photos and 2 val photos, 4 classes with background (bar, green box, red disc)" in out
    out = run(project, *python, "tools.new_experiment", "mine", "--from", "demo", "--data", "../data", "--size", "33",
              "--batch", "2")
    assert "4 classes, inputs 33x33, maps 9x9" in out
    (project.parent / "photos/notes.txt").write_text("no photo")
    first = (project.parent / "data/ImageSets/Segmentation/train.txt").read_text().split()[0]
    cut = project.parent / f"data/JPEGImages/{first}.png"       # a link to a photo, of which a part gets lost later on
    kept = cut.read_bytes()
    cut.resolve().write_bytes(kept[:200])
    out = run(project, *python, "tools.run", "mine", "--stages", "check", status=1, DATA_ROOT="../data")
    assert "fault: 1 photo is cut off before its end" in out and "leaves 1 photo out of it" in out
    out = run(project, "bash", "run.sh", "mine", "--stages", "check,lists,cam,cues,train-s", "--skip-bad",
              DATA_ROOT="../data", MAX_ITER="2")
    folder = project / "work" / "mine"
    assert (folder / "models/s_iter_2.caffemodel").exists()
    lists = "\n".join(path.read_text() for path in (folder / "lists").glob("*.txt") if path.name != "left_out.txt")
    assert "left out of the run: 1 photo" in out and cut.stem not in lists
    assert (folder / "lists/left_out.txt").read_text() == f"{cut.stem} photo-cut-off\n"
    count = len((folder / "lists/train_id.txt").read_text().split())
    out = run(project, *python, "localization_cues.inspect_cues", "work/mine/cues/localization_cues.pickle", "--list",
              "work/mine/lists/input_list.txt", "--classes", "work/mine/lists/classes.txt", "--images",
              "work/mine/data/JPEGImages", "--draw", "work/mine/overlays")
    assert f"{count} images numbered" in out and "map 9x9" in out and "every label has cues" in out
    assert len(list((folder / "overlays").glob("*.png"))) == count


@pytest.fixture
def folders(project):
    """A data root whose photos lie in two folders and have the same file names there, but other labels."""
    root = project.parent / "data"
    ids = [f"{place}/img{k}" for place in ("one", "two") for k in range(3)]
    rng = np.random.default_rng(2)
    for image_id in ids:
        label = 1 if image_id.startswith("one") else 2
        image = rng.integers(90, 160, (48, 64, 3), np.uint8)
        cv2.circle(image, (20, 20), 10, list(COLOURS_BGR.values())[label], -1)
        mask = np.zeros((48, 64), np.uint8)
        cv2.circle(mask, (20, 20), 10, label, -1)
        (root / "JPEGImages" / image_id).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / "JPEGImages" / f"{image_id}.png"), image)
        save_label_png(root / "SegmentationClass" / f"{image_id}.png", mask)
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    train, val = [i for i in ids if i[-1] != "2"], [i for i in ids if i[-1] == "2"]
    (root / "ImageSets/Segmentation/train.txt").write_text("".join(f"{i}\n" for i in train))
    (root / "ImageSets/Segmentation/val.txt").write_text("".join(f"{i}\n" for i in val))
    (root / "image_labels.txt").write_text("".join(f"{i} {1 if i.startswith('one') else 2}\n" for i in ids))
    (root / "classes.txt").write_text("background\ngreen box\nbar\n")
    return root, train, val


def names(folder, suffix=".png"):
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob(f"*{suffix}"))


def test_photos_of_one_name_in_two_folders_stay_apart_through_all_stages(project, folders):
    root, train, val = folders
    python = sys.executable, "-m"
    run(project, *python, "tools.new_experiment", "mine", "--from", "demo", "--data", "../data", "--size", "33",
        "--batch", "2")
    run(project, *python, "localization_cues.saliency", "--images", "../data/JPEGImages", "--out", "../maps",
        "--workers", "1")
    assert names(project.parent / "maps") == sorted([*train, *val])
    run(project, "bash", "run.sh", "mine", DATA_ROOT="../data", MAX_ITER="2")
    folder = project / "work" / "mine"
    assert (folder / "lists/train_id.txt").read_text().split() == train
    assert names(folder / "labels") == sorted(train)
    for model in ("s", "f"):
        assert names(folder / "segmentations" / model) == sorted(val)
    for image_id in train:  # a pseudo-label holds its own photo's class, and not that of the other folder's
        allowed = {0, 1 if image_id.startswith("one") else 2}
        assert set(np.unique(load_label_png(folder / "labels" / f"{image_id}.png")).tolist()) <= allowed
    assert (folder / "results/cues.json").exists() and (folder / "results/report.png").exists()

    cues = "work/mine/cues/localization_cues.pickle"
    lists = "--list", "work/mine/lists/input_list.txt", "--classes", "work/mine/lists/classes.txt"
    out = run(project, *python, "localization_cues.inspect_cues", cues, *lists, "--images", "../data/JPEGImages",
              "--draw", "../overlays", "--out", "../cues.json")
    assert names(project.parent / "overlays") == sorted(train)
    assert "every cue is of a label of its image" in out
    run(project, *python, "localization_cues.make_cues", "--net", "work/mine/cam-deploy.prototxt", "--weights",
        "work/mine/models/cam_iter_2.caffemodel", "--list", "work/mine/lists/input_list.txt", "--images",
        "../data/JPEGImages", "--labels", "work/mine/lists/image_labels.txt", "--saliency-maps", "../maps",
        "--background", "saliency:0.1", "--workers", "1", "--out", "../cues2.npz")
    out = run(project, *python, "localization_cues.evaluate_cues", "--cues", "../cues2.npz", "--list",
              "work/mine/lists/input_list.txt", "--masks", "../data/SegmentationClass", "--classes",
              "work/mine/lists/classes.txt")
    assert "green box" in out and "coverage" in out
