"""classifier_quality on a net that sees redness and blueness: what it ranks, says, and never reads."""

import json

import cv2
import numpy as np
import pytest

from dsrg.find_caffe import the_caffe
from dsrg.io.errors import UserError
from localization_cues import classifier_quality

INPUT = 'layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }\n'
MAPS = INPUT + """
layer { name: "CAM" type: "Convolution" bottom: "data" top: "CAM"
        convolution_param { num_output: 2 kernel_size: 1 bias_term: false } }
"""
POOLED = MAPS + """
layer { name: "pool" type: "Pooling" bottom: "CAM" top: "pool" pooling_param { pool: AVE global_pooling: true } }
layer { name: "p" type: "Sigmoid" bottom: "pool" top: "p" }
"""
COLOURS_BGR = np.array([[-0.5, -0.5, 1], [1, -0.5, -0.5]], np.float32)      # redness, blueness


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Twelve photos with a red box of growing size in every second and a blue one in every third."""
    monkeypatch.setenv("ENGINE", "embedded")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    lines = []
    for k in range(12):
        image = np.full((18, 18, 3), 120, np.uint8)
        classes = [1] * (k % 2 == 0) + [2] * (k % 3 == 0) + [3] * (k % 6 in (1, 5))
        if 1 in classes:
            image[2:6 + k // 2, 2:8] = (0, 0, 255)
        if 2 in classes:
            image[9:14 + k // 4, 9:15] = (255, 0, 0)
        cv2.imwrite(f"photos/{k}.png", image)
        lines.append(f"{k} " + " ".join(map(str, classes)))
    (tmp_path / "labels.txt").write_text("\n".join(lines))
    (tmp_path / "list.txt").write_text("".join(f"{k}.png {k}\n" for k in range(12)))
    (tmp_path / "classes.txt").write_text("background\nred\nblue\nother\n")
    return tmp_path


def net(folder, text, weights=COLOURS_BGR):
    caffe = the_caffe()
    weights = np.vstack([weights, np.zeros((1, 3), np.float32)])            # class 'other' is not known
    (folder / "cam.prototxt").write_text(text.replace("num_output: 2", "num_output: 3"))
    made = caffe.Net("cam.prototxt", caffe.TEST)
    made.params["CAM"][0].data[..., 0, 0] = weights
    made.save("cam.caffemodel")


def run(*more):
    classifier_quality.main(["--net", "cam.prototxt", "--weights", "cam.caffemodel", "--list", "list.txt", "--images",
                             "photos", "--labels", "labels.txt", "--classes", "classes.txt", "--out", "quality.json",
                             *more])
    with open("quality.json") as file:
        return json.load(file)


@pytest.mark.parametrize("text", [MAPS, POOLED], ids=["maps", "pooled"])
def test_what_the_classifier_knows_has_100_and_what_it_does_not_chance(folder, text, capsys):
    net(folder, text)
    record = run()
    values = {one["name"]: one["average_precision"] for one in record["classes"]}
    assert values["red"] == values["blue"] == 1
    assert values["other"] == pytest.approx(4 / 12), "equal scores rank by chance"
    assert record["mean_average_precision"] == pytest.approx((1 + 1 + 1 / 3) / 3) and record["images"] == 12
    shown = capsys.readouterr()
    assert "mean average precision 77.8 % (chance 38.9 %) on 12 photos set apart" in shown.out
    assert "warning" not in shown.err and (folder / "quality.txt").read_text() in shown.out


def test_a_classifier_that_knows_nothing_is_warned_of(folder, capsys):
    net(folder, MAPS, -COLOURS_BGR)
    assert run()["mean_average_precision"] < 0.45
    assert "warning: the classifier hardly knows its classes" in capsys.readouterr().err


def test_nothing_set_apart_is_said_and_no_failure(folder, capsys):
    (folder / "list.txt").write_text("")
    assert run()["mean_average_precision"] is None
    assert "classifier quality: not measured, list.txt has no class to rank: it is empty" in capsys.readouterr().out
    (folder / "list.txt").unlink()
    with pytest.raises(UserError, match=r"list of photos list\.txt does not exist"):
        run()


def test_a_net_of_other_data_and_diverged_weights_are_refused(folder):
    net(folder, MAPS)
    (folder / "classes.txt").write_text("background\nred\n")
    (folder / "labels.txt").write_text("".join(f"{k} 1\n" for k in range(12)))
    with pytest.raises(UserError, match="blob 'CAM' scores 3 classes, but the data has 1 besides background"):
        run()
    net(folder, MAPS, COLOURS_BGR * np.nan)
    (folder / "classes.txt").write_text("background\nred\nblue\nother\n")
    with pytest.raises(UserError, match="not finite: its training diverged"):
        run()
