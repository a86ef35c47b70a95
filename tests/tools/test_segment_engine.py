"""Lists, segmentation and evaluation of a small VOC-like data set by a real net of one layer."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dsrg.datasets import voc_sample
from dsrg.io.errors import UserError
from dsrg.io.voc import MEAN_BGR
from tools import evaluate, make_lists, make_voc_sample, segment
from training.findcaffe import caffe

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = """
layer { name: "in" type: "Input" top: "photo" input_param { shape { dim: 1 dim: 3 dim: 64 dim: 64 } } }
layer { name: "pool" type: "Pooling" bottom: "photo" top: "pool"
        pooling_param { pool: AVE kernel_size: 3 pad: 1 stride: 2 } }
layer { name: "fc8" type: "Convolution" bottom: "pool" top: "fc8"
        convolution_param { num_output: %d kernel_size: 1 } }
"""


@pytest.fixture
def run_folder(tmp_path, monkeypatch):
    """A run folder with data, lists, deploy.prototxt and weights that score each class by its colour.

    Nearness to a colour c is linear up to a common term: -|x - c|^2 = 2 c.x - |c|^2 - |x|^2. The data set gives
    four classes (its four outlines) to each colour, so outlines are unified: the highest class of a colour wins.
    """
    monkeypatch.chdir(tmp_path)
    make_voc_sample.main(["--out", "data", "--photos", "8", "--size", "60", "80"])
    make_lists.main([])
    (tmp_path / "deploy.prototxt").write_text(DEPLOY % 21)
    net = caffe.Net("deploy.prototxt", caffe.TEST)
    colours = np.zeros((21, 3))
    colours[0] = 125
    for label in range(1, 21):
        colours[label] = voc_sample.COLOURS_BGR[(label - 1) // 4]
    colours -= MEAN_BGR
    net.params["fc8"][0].data[...] = (2 * colours / 500)[:, :, None, None]
    net.params["fc8"][1].data[...] = -(colours ** 2).sum(axis=1) / 500
    net.save("a.caffemodel")
    return tmp_path


def run(*more):
    segment.main(["--net", "deploy.prototxt", "--weights", "a.caffemodel", "--list", "lists/train_id.txt",
                  "--images", "data/JPEGImages", "--out", "labels", "--sizes", "81", "101", *more])


def test_pseudo_labels_by_a_real_net_find_the_objects(run_folder):
    """With the image's labels allowed only, colour tells most classes of an image apart."""
    run("--no-crf", "--labels", "lists/image_labels.txt")
    evaluate.main(["--pred", "labels", "--gt", "data/SegmentationClassAug", "--list", "lists/train_id.txt",
                   "--classes", "lists/classes.txt", "--out", "results/labels.json"])
    result = json.loads((run_folder / "results" / "labels.json").read_text())
    assert result["pixel_accuracy"] > 0.85


def test_crf_and_cores_change_nothing_by_chance(run_folder):
    pytest.importorskip("krahenbuhl2013", reason="the dense CRF is not built: bash setup.sh")
    run("--labels", "lists/image_labels.txt", "--workers", "3")
    first = {path.name: path.read_bytes() for path in (run_folder / "labels").glob("*.png")}
    run("--labels", "lists/image_labels.txt", "--workers", "1", "--overwrite")
    assert first and first == {path.name: path.read_bytes() for path in (run_folder / "labels").glob("*.png")}


def test_weights_of_another_shape_name_the_layer_and_both_shapes(run_folder):
    (run_folder / "deploy.prototxt").write_text(DEPLOY % 5)
    with pytest.raises(UserError, match=r"layer 'fc8'.*\(5, 3, 1, 1\) here but \(21, 3, 1, 1\) in"):
        run("--no-crf")


def test_truncated_photo_ends_the_command_with_one_line(run_folder):
    photo = run_folder / "data" / "JPEGImages" / "2012_000001.jpg"
    photo.write_bytes(photo.read_bytes()[:-200])
    command = [sys.executable, "-m", "tools.segment", "--net", "deploy.prototxt", "--weights", "a.caffemodel", "--list",
               "lists/train_id.txt", "--images", "data/JPEGImages", "--out", "out", "--sizes", "33", "--no-crf"]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT), "ENGINE": "embedded"}, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: photo data/JPEGImages/2012_000001.jpg is cut off")
