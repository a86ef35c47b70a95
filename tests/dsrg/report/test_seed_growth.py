"""Seeds at the snapshots of stage s, on a net whose answer can be read off the photo."""

import caffe
import cv2
import numpy as np
import pytest

from dsrg.cuefile.format import load_cues, save_cues
from dsrg.io.atomic_files import write_text
from dsrg.io.errors import UserError
from dsrg.report import seed_growth as module
from dsrg.report.run_contents import read_data_set
from dsrg.report.seed_growth import seed_growth, shares

SIDE = 9
#: softmax of 20 times blue or red: class 0 is sure where the photo is blue, class 1 where it is red
DEPLOY = """layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }
layer { name: "score" type: "Convolution" bottom: "data" top: "score"
  convolution_param { num_output: 2 kernel_size: 1 bias_term: false } }
"""
TRAIN = """layer { name: "Input" type: "ImageData" top: "images" top: "ids"
  image_data_param { source: "lists/input_list.txt" new_height: 9 new_width: 9 } }
layer { name: "grow" type: "Python" top: "grow" python_param { module: "pylayers" layer: "DSRGLayer"
  param_str: "{'th1': 0.6, 'th2': 0.6, 'iters': 0, 'textbook': True, 'mean': [0, 0, 0]}" } }
"""


def photo():
    """Blue, but for a red block at the left and a red cell alone at the right (BGR)."""
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    image[..., 0] = 200
    red = np.zeros((SIDE, SIDE), bool)
    red[2:6, 1:4] = red[7, 7] = True
    image[red] = (0, 0, 200)
    return image, red


@pytest.fixture
def run(tmp_path):
    """Two snapshots: the first is sure of nothing, the second knows red from blue."""
    image, _ = photo()
    write_text(tmp_path / "deploy.prototxt", DEPLOY)
    write_text(tmp_path / "train-s.prototxt", TRAIN)
    write_text(tmp_path / "lists/classes.txt", "background\ncow\n")
    write_text(tmp_path / "lists/train_id.txt", "a\n")
    write_text(tmp_path / "lists/input_list.txt", "a.png 3\n")
    (tmp_path / "data/JPEGImages").mkdir(parents=True)
    (tmp_path / "models").mkdir()
    cv2.imwrite(str(tmp_path / "data/JPEGImages/a.png"), image)
    save_cues(tmp_path / "cues.pickle", {3: ([1], np.array([[0, 1], [0, 3], [8, 2]]))})
    net = caffe.Net(str(tmp_path / "deploy.prototxt"), caffe.TEST)
    for iteration, strength in ((10, 0), (20, 0.1)):
        net.params["score"][0].data[...] = strength * np.array([[1, 0, 0], [0, 0, 1]])[..., None, None]
        net.save(str(tmp_path / f"models/s_iter_{iteration}.caffemodel"))
    return tmp_path


def grown(run):
    return seed_growth(run, caffe, load_cues(run / "cues.pickle"), read_data_set(run))


def test_seeds_grow_over_what_the_net_knows_and_hangs_together_with_a_cue(run):
    found = grown(run)
    _, red = photo()
    cues = np.full((SIDE, SIDE), -1)
    cues[0, 8], cues[3, 2] = 0, 1
    expected = np.where(red, -1, 0)         # all blue hangs together with the cue of background
    expected[2:6, 1:4] = 1                  # so does the block with its cue; the red cell at the right has none
    assert found["iterations"] == [0, 10, 20]
    np.testing.assert_array_equal(found["maps"]["a"], [cues, cues, expected])
    np.testing.assert_allclose(shares(found)["object"], [1 / 81, 1 / 81, 12 / 81])
    np.testing.assert_allclose(shares(found)["background"], [1 / 81, 1 / 81, 68 / 81])


def test_it_is_computed_once_and_again_after_a_new_snapshot(run, monkeypatch):
    grown(run)
    with monkeypatch.context() as patch:
        patch.setattr(module, "open_net", None)
        assert grown(run)["iterations"] == [0, 10, 20], "from results/seed-growth.npz"
    (run / "models/s_iter_20.caffemodel").rename(run / "models/s_iter_30.caffemodel")
    assert grown(run)["iterations"] == [0, 10, 30]


def test_snapshots_are_those_of_the_solver(run):
    write_text(run / "solver-s.prototxt", 'snapshot_prefix: "weights/mine"\n')
    (run / "weights").mkdir()
    (run / "models/s_iter_20.caffemodel").rename(run / "weights/mine_iter_7.caffemodel")
    assert grown(run)["iterations"] == [0, 7]


def test_of_many_snapshots_some_with_the_first_and_the_last(run):
    source = (run / "models/s_iter_20.caffemodel").read_bytes()
    for iteration in range(30, 500, 10):
        (run / f"models/s_iter_{iteration}.caffemodel").write_bytes(source)
    iterations = grown(run)["iterations"]
    assert len(iterations) == 1 + module.SNAPSHOTS and iterations[:2] == [0, 10] and iterations[-1] == 490


@pytest.mark.parametrize("path", ["models", "deploy.prototxt", "train-s.prototxt", "lists/input_list.txt"])
def test_nothing_is_followed_where_a_part_is_missing(run, path):
    (run / path).rename(run / "away")
    assert grown(run) is None


def test_a_net_that_does_not_grow_has_no_growth(run):
    write_text(run / "train-s.prototxt", TRAIN.replace("'th1'", "'grow': False, 'th1'"))
    assert grown(run) is None


def test_a_net_that_does_not_fit_the_cues_is_named(run):
    save_cues(run / "cues.pickle", {3: ([1], np.array([[0, 1], [0, 3], [10, 2]]))})
    with pytest.raises(UserError, match=r"scores 2 classes on a map of 9x9, the cues are for 2 classes and 4x11"):
        grown(run)
