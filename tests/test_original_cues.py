"""A cue pickle with the original's keys, in the numbers of the user's own input_list.txt, trains stage s unchanged."""

import os
import pickle
import shutil
import subprocess
import sys

import caffe
import numpy as np
import pytest

from tests.conftest import ROOT

PHOTOS = 16
CLASSES, CELLS = 7, 33


def command(folder, *arguments):
    return subprocess.run([sys.executable, "-m", *map(str, arguments)], cwd=folder, check=True, capture_output=True,
                          text=True, env={**os.environ, "PYTHONPATH": str(ROOT), "ENGINE": "embedded"})


@pytest.fixture
def run_folder(tmp_path, rng):
    """A run of the demo with photos, a list numbered in no order from 100 up, and cues under these numbers."""
    command(tmp_path, "tools.make_demo_data", "--out", "data", "--train", PHOTOS, "--val", 2)
    for path in (ROOT / "prototxts" / "demo").glob("*.prototxt"):
        shutil.copy(path, tmp_path)
    names = sorted(p.name for p in (tmp_path / "data/JPEGImages").iterdir())[:PHOTOS]
    numbers = [int(n) for n in 100 + rng.permutation(PHOTOS)]
    cues = {}
    for number in numbers:
        label = 1 + number % (CLASSES - 1)
        row = number - 100  # which number a map belongs to can be read off it
        cues[f"{number}_labels"] = np.array([label])
        cues[f"{number}_cues"] = np.array([[0, label], [CELLS - 1, row], [CELLS - 1, 2]])
    for name in ("lists", "cues", "models"):
        (tmp_path / name).mkdir()
    lines = (f"{name} {number}\n" for name, number in zip(names, numbers, strict=True))
    (tmp_path / "lists/input_list.txt").write_text("".join(lines))
    (tmp_path / "cues/localization_cues.pickle").write_bytes(pickle.dumps(cues, protocol=2))
    return tmp_path


def test_cues_arrive_with_the_photo_of_their_number(run_folder, monkeypatch):
    monkeypatch.chdir(run_folder)
    net = caffe.Net("train-s.prototxt", caffe.TRAIN)
    net.forward()
    numbers = net.blobs["image_ids"].data.reshape(-1).astype(int)
    assert sorted(numbers) == list(range(100, 100 + PHOTOS))
    for k, number in enumerate(numbers):
        label = 1 + number % (CLASSES - 1)
        assert np.flatnonzero(net.blobs["labels"].data[k]).tolist() == [0, label]
        kind, row, column = (axis.tolist() for axis in np.nonzero(net.blobs["cues"].data[k]))
        assert kind == [0, label] and row == [CELLS - 1, number - 100]
        assert column in ([CELLS - 1, 2], [0, CELLS - 3])  # as written, or mirrored


def test_run_sh_trains_stage_s_on_them_by_the_numbers_of_their_list(run_folder):
    """CUES and INPUT_LIST: no cues are made, and the run's own list has the user's numbers."""
    theirs, cues = run_folder / "lists/input_list.txt", run_folder / "cues/localization_cues.pickle"
    before = cues.read_bytes()
    settings = {"DATA_ROOT": run_folder / "data", "CUES": cues, "INPUT_LIST": theirs, "WORK": run_folder / "work",
                "MAX_ITER": 1, "BATCH": 4, "PRECISION": "fp32", "ENGINE": "embedded"}
    result = subprocess.run(["bash", ROOT / "run.sh", "demo", "--stages", "lists,cam,cues,train-s"], text=True,
                            env={**os.environ, **{k: str(v) for k, v in settings.items()}}, capture_output=True)
    assert result.returncode == 0, result.stdout + result.stderr
    run = run_folder / "work/demo"
    assert sorted((run / "lists/input_list.txt").read_text().split("\n")) == sorted(theirs.read_text().split("\n"))
    assert (run / "models/s_iter_1.caffemodel").stat().st_size > 100_000
    assert not (run / "stamps/cues.json").exists() and cues.read_bytes() == before
