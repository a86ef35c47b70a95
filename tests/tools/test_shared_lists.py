"""Commands under torch's launcher: two processes share a list and make, file by file, what one makes."""

import contextlib
import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys

import caffe
import cv2
import numpy as np
import pytest

from dsrg.io.process_share import Ranks, launched
from tests.conftest import PATIENCE, ROOT

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 33 dim: 33 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "features"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 stride: 4 weight_filler { type: "msra" } } }
"""
DEPLOY = NET + """layer { name: "score" type: "Convolution" bottom: "features" top: "score"
  convolution_param { num_output: 3 kernel_size: 1 weight_filler { type: "msra" } } }
"""
CAM = NET + """layer { name: "maps" type: "Convolution" bottom: "features" top: "maps"
  convolution_param { num_output: 2 kernel_size: 1 weight_filler { type: "msra" } } }
"""
IDS = [f"p{k}" for k in range(7)]       # uneven: four and three


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Photos, masks, lists and two nets with weights."""
    folder = tmp_path_factory.mktemp("shared")
    rng = np.random.default_rng(0)
    for name in ("photos", "masks"):
        (folder / name).mkdir()
    for name in IDS:
        cv2.imwrite(str(folder / f"photos/{name}.png"), rng.integers(0, 256, (40, 50, 3), dtype=np.uint8))
        cv2.imwrite(str(folder / f"masks/{name}.png"), rng.integers(0, 3, (40, 50), dtype=np.uint8))
    (folder / "ids.txt").write_text("".join(f"{name}\n" for name in IDS))
    (folder / "list.txt").write_text("".join(f"{name}.png {k}\n" for k, name in enumerate(IDS)))
    (folder / "labels.txt").write_text("".join(f"{name} {1 + k % 2}\n" for k, name in enumerate(IDS)))
    (folder / "classes.txt").write_text("background\ncow\nsheep\n")
    for name, text in (("deploy", DEPLOY), ("cam", CAM)):
        (folder / f"{name}.prototxt").write_text(text)
        caffe.set_random_seed(2)
        caffe.Net(str(folder / f"{name}.prototxt"), caffe.TEST).save(str(folder / f"{name}.caffemodel"))
    return folder


def launch(folder, *words):
    """Run a module's words in two processes of torch's launcher."""
    command = launched([sys.executable, "-m", *map(str, words)], 2)
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE,
                          env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"})


def contents(folder):
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "settings.json"}


def segment(photos, out):
    return ["tools.segment", "--net", "deploy.prototxt", "--weights", "deploy.caffemodel", "--list", "ids.txt",
            "--images", str(photos), "--sizes", "33", "--out", str(out)]


def commands(out):
    """Every command that shares a list, with its results below `out`."""
    for name in ("cues", "results"):
        (out / name).mkdir(parents=True)
    return [
        segment("photos", out / "maps"),
        ["tools.evaluate", "--pred", str(out / "maps"), "--gt", "masks", "--list", "ids.txt", "--classes",
         "classes.txt", "--out", str(out / "results/val.json")],
        ["localization_cues.make_cues", "--net", "cam.prototxt", "--weights", "cam.caffemodel", "--list", "list.txt",
         "--images", "photos", "--labels", "labels.txt", "--maps-blob", "maps", "--out", str(out / "cues/cues.pickle")],
        ["localization_cues.saliency", "--images", "photos", "--out", str(out / "saliency")],
    ]


def read_json(path):
    record = json.loads(path.read_text())
    return {key: value for key, value in record.items() if key not in ("settings", "pred")}


def test_two_processes_make_what_one_makes(data, tmp_path, monkeypatch):
    monkeypatch.chdir(data)
    one, two = tmp_path / "one", tmp_path / "two"
    for module, *words in commands(one):
        importlib.import_module(module).main(words)
    (tmp_path / "commands.json").write_text(json.dumps(commands(two)))
    done = launch(data, "tests.tools.shared_commands", tmp_path / "commands.json")
    assert done.returncode == 0, done.stderr
    expected, found = contents(one), contents(two)
    for name in ("results/val.json", "cues/cues.json"):       # they name paths
        assert read_json(one / name) == read_json(two / name)
        del expected[name], found[name]
    assert found == expected
    assert {f"{folder}/{name}.png" for folder in ("maps", "saliency") for name in IDS} < set(found)


def test_a_process_that_ends_takes_the_others_with_it_and_the_next_run_goes_on(data, tmp_path, monkeypatch):
    monkeypatch.chdir(data)
    photos, out = tmp_path / "photos", tmp_path / "out"
    shutil.copytree(data / "photos", photos)
    bad = photos / f"{IDS[5]}.png"                              # of the second process
    whole = bad.read_bytes()
    bad.write_bytes(whole[:40])
    done = launch(data, *segment(photos, out))
    said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode and bad.name in said[0] and "another of the processes" in said[-1], done.stderr
    there = contents(out)
    assert 0 < len(there) < len(IDS)
    bad.write_bytes(whole)
    segment_listed = importlib.import_module("tools.segment").main
    segment_listed(segment(photos, out)[1:])
    assert there.items() < contents(out).items() and len(contents(out)) == len(IDS)


def test_results_come_in_the_order_of_the_list(monkeypatch):
    """Of two processes whose parts are exchanged by hand, over more than one exchange."""
    items = list(range(150))
    sent = [[Ranks(k, 2).share(items)[start:start + 64] for start in (0, 64)] for k in range(2)]
    rounds = iter(range(2))

    class Group:
        @staticmethod
        def gather_object(some, parts):
            number = next(rounds)
            assert some == sent[0][number]
            parts[:] = [sent[k][number] for k in range(2)]

    monkeypatch.setattr(Ranks, "_together", lambda self: contextlib.nullcontext(Group))
    monkeypatch.setattr(Ranks, "sum", lambda self, counts: counts)
    assert list(Ranks(0, 2).gathered(iter(Ranks(0, 2).share(items)))) == items


def test_shares_cover_the_list_once():
    items = list(range(11))
    parts = [Ranks(k, 3).share(items) for k in range(3)]
    assert sorted(sum(parts, [])) == items and parts[1] == [1, 4, 7, 10]
    assert Ranks(1, 2).share({"a": 1, "b": 2, "c": 3}) == {"b": 2}
    assert Ranks(local_rank=3, local_count=4).device("0,1") == "1" and Ranks().device("cpu") == "cpu"
    assert Ranks(local_count=4).part_of(2) == 1
