"""The README's way from a folder of photos and a labels file to a trained model, in miniature: three classes of photos
of several sizes, in a copy of the project, with the commands as they stand there."""

import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from tests.conftest import PATIENCE, ROOT

COLOURS_BGR = {"red disc": (40, 60, 220), "green box": (60, 190, 60), "bar": (220, 110, 40)}
SIZES = ((60, 80), (80, 60), (49, 66))


@pytest.fixture
def project(tmp_path):
    """A copy of what running needs, sharing the virtual environment; photos and labels.csv beside it."""
    copy = tmp_path / "project"
    for name in ("engine", "dsrg", "training", "tools", "localization_cues", "prototxts", "CRF"):
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
    return copy


def run(project, *command, **settings):
    own = ("DATA_ROOT", "WEIGHTS", "CUES", "SEED", "STAGES", "DEVICE", "ENGINE", "EXPERIMENT", "WORK")
    env = {k: v for k, v in os.environ.items() if k not in own}
    env = {**env, "PYTHONPATH": str(project), "PRECISION": "fp32", "OMP_NUM_THREADS": "2", **settings}
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_from_photos_and_labels_to_a_trained_model(project):
    python = sys.executable, "-m"
    out = run(project, *python, "tools.make_dataset", "--photos", "../photos", "--labels", "../labels.csv", "--out",
              "../data")
    assert "6 train and 2 val photos, 4 classes with background (bar, green box, red disc)" in out
    out = run(project, *python, "tools.new_experiment", "mine", "--from", "demo", "--data", "../data", "--size", "33",
              "--batch", "2")
    assert "4 classes, inputs 33x33, maps 9x9" in out
    out = run(project, "bash", "run.sh", "mine", "--stages", "lists,cam,cues,train-s", DATA_ROOT="../data",
              MAX_ITER="2")
    folder = project / "work" / "mine"
    assert (folder / "models/s_iter_2.caffemodel").exists()
    out = run(project, *python, "localization_cues.inspect_cues", "work/mine/cues/localization_cues.pickle", "--list",
              "work/mine/lists/input_list.txt", "--classes", "work/mine/lists/classes.txt", "--images",
              "work/mine/data/JPEGImages", "--draw", "work/mine/overlays")
    assert "6 images numbered 0 to 5, map 9x9" in out and "no images have a label without a cue" in out
    assert len(list((folder / "overlays").glob("*.png"))) == 6
