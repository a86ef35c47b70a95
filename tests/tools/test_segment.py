"""The command with a net of four lines of numpy, and its errors; the embedded engine at the end."""

import json
import sys
import threading
import time

import cv2
import numpy as np
import pytest

from dsrg.io.errors import UserError
from dsrg.io.label_png import load_label_png, save_label_png
from dsrg.scoring import listed_photos, photo_pipeline
from dsrg.scoring.multiscale import fuse_scores, input_shapes
from dsrg.scoring.recipe import Recipe
from dsrg.scoring.resizing import to_input
from dsrg.scoring.score_net import ScoreNet, open_net
from tools import segment

COLOURS_BGR = [(30, 30, 30), (40, 40, 220), (220, 60, 40)]  # background, class 1 red, class 2 blue


class Blob:
    """pycaffe's blob, as far as it is used."""

    def __init__(self, *shape):
        self.reshape(*shape)

    def reshape(self, *shape):
        self.data = np.zeros(shape, np.float32)

    @property
    def shape(self):
        return self.data.shape


class ColourNet:
    """Scores nearness to the colour of each class at stride 4, with pycaffe's face."""

    def __init__(self, mean_bgr=(104, 117, 123)):
        self.inputs, self.outputs = ["photo"], ["scores"]
        self.blobs = {"photo": Blob(1, 3, 8, 8), "scores": Blob(1, 3, 2, 2)}
        self.wanted = (np.array(COLOURS_BGR, np.float32) - mean_bgr).reshape(1, 3, 3, 1, 1)
        self.forwards = []

    def reshape(self):
        n, _, height, width = self.blobs["photo"].shape
        self.blobs["scores"].reshape(n, 3, -(-height // 4), -(-width // 4))

    def forward(self):
        photo = self.blobs["photo"].data
        distance = np.abs(photo[:, None, :, ::4, ::4] - self.wanted).sum(axis=2)
        self.blobs["scores"].data[...] = -distance / 20
        self.forwards.append(photo.shape)


@pytest.fixture
def truth(tmp_path, monkeypatch):
    """Photos of coloured squares with their labels, the files the command wants, and the net above.

    Returns the true label maps by id; `truth.net` is the net.
    """
    class Truth(dict):
        net = ColourNet()

    truth = Truth()
    for n, image_id in enumerate(["a", "b", "c"]):
        labels = np.zeros((32, 40 + 4 * n), np.uint8)
        labels[8:24, 8:24] = 1 + n % 2
        truth[image_id] = labels
        (tmp_path / "photos").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "photos" / f"{image_id}.png"), np.array(COLOURS_BGR, np.uint8)[labels])
    (tmp_path / "ids.txt").write_text("a\nb\nc\n")
    (tmp_path / "labels.txt").write_text("a 1\nb 2\nc 1\n")
    (tmp_path / "deploy.prototxt").write_text("net")
    (tmp_path / "a.caffemodel").write_text("weights")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(listed_photos, "open_net", lambda *paths, **options: truth.net)
    return truth


def run(*more, sizes=("--sizes", "32", "48"), crf="--no-crf"):
    segment.main(["--net", "deploy.prototxt", "--weights", "a.caffemodel", "--list", "ids.txt", "--images",
                  "photos", "--out", "out", *sizes, crf, *more])


def read_all(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def test_maps_have_the_photos_size_and_find_the_squares(truth, tmp_path):
    run()
    for image_id, labels in truth.items():
        result = load_label_png(tmp_path / "out" / f"{image_id}.png")
        assert result.shape == labels.shape
        assert (result == labels).mean() > 0.9
    assert {shape[2:] for shape in truth.net.forwards} == {(32, 32), (48, 48)}


def test_inputs_of_one_size_follow_each_other(truth):
    """Squares: the net is reshaped once a size, not once a photo."""
    run()
    assert [shape[2] for shape in truth.net.forwards] == [32] * 3 + [48] * 3


def test_without_sizes_they_follow_the_net(truth, tmp_path):
    (tmp_path / "deploy.prototxt").write_text('input: "photo" input_shape { dim: 1 dim: 3 dim: 33 dim: 33 }')
    run(sizes=())
    assert {shape[2:] for shape in truth.net.forwards} == {(25, 25), (33, 33), (41, 41)}


def test_scales_follow_the_photo(truth, tmp_path):
    run(sizes=("--scales", "0.75", "1"))
    assert [shape[2:] for shape in truth.net.forwards] == [
        (24, 30), (32, 40), (24, 33), (32, 44), (24, 36), (32, 48)]
    assert (load_label_png(tmp_path / "out" / "a.png") == truth["a"]).mean() > 0.9


def test_scores_are_the_sum_over_sizes(truth, tmp_path):
    run("--scores", "scores")
    image_bgr = cv2.imread("photos/b.png")
    net = ScoreNet(ColourNet())
    maps = [net.scores(to_input(image_bgr, *shape, (104, 117, 123)))
            for shape in input_shapes(32, 44, sizes=[32, 48])]
    with np.load(tmp_path / "scores" / "b.npz") as saved:
        assert saved["scores"].dtype == np.float16 and saved["scores"].shape == (3, 32, 44)
        np.testing.assert_allclose(saved["scores"].transpose(1, 2, 0), fuse_scores(maps, 32, 44), rtol=1e-3)


def test_flip_averages_with_the_mirrored_photo(truth, rng):
    image = rng.normal(0, 50, (3, 16, 21)).astype(np.float32)
    net = ScoreNet(ColourNet())
    straight, mirrored = net.scores(image), net.scores(np.ascontiguousarray(image[:, :, ::-1]))
    np.testing.assert_allclose(net.scores(image, flip=True), (straight + mirrored[:, :, ::-1]) / 2, rtol=1e-6)
    run("--flip")
    assert {shape[0] for shape in truth.net.forwards} == {2}


def test_labels_restrict_the_map(truth, tmp_path):
    (tmp_path / "labels.txt").write_text("a 2\nb 2\nc 1 2\n")  # a truly shows class 1, which is not allowed
    run("--labels", "labels.txt")
    assert 1 not in load_label_png(tmp_path / "out" / "a.png")
    assert set(np.unique(load_label_png(tmp_path / "out" / "b.png"))) == {0, 2}


def test_pseudo_labels_leave_out_what_the_net_is_less_sure_of(truth, tmp_path):
    """By the saved scores, pixel by pixel: softmax over the photo's classes of the mean over sizes, mirrored too."""
    flags = ["--labels", "labels.txt", "--flip", "--scores", "scores"]
    run(*flags)
    whole = {name: load_label_png(f"out/{name}.png") for name in truth}
    run(*flags, "--ignore-below", "0.9")                # other settings: all maps are made anew
    assert json.loads((tmp_path / "out/settings.json").read_text())["settings"]["ignore_below"] == 0.9
    ignored = 0
    for name, label in (("a", 1), ("b", 2), ("c", 1)):
        scores = np.load(f"scores/{name}.npz")["scores"].astype(float) / 2
        odds = np.exp(-np.abs(scores[label] - scores[0]))
        unsure = 1 / (1 + odds) < 0.9
        clear = np.abs(1 / (1 + odds) - 0.9) > 1e-3     # the saved scores are rounded
        result = load_label_png(f"out/{name}.png")
        np.testing.assert_array_equal(result[clear], np.where(unsure, 255, whole[name])[clear])
        ignored += (result == 255).sum()
    assert ignored > 0


def test_leaving_out_is_for_pseudo_labels_alone(truth, capsys):
    with pytest.raises(SystemExit):
        run("--ignore-below", "0.5")
    assert "--ignore-below is for pseudo-labels: it goes with --labels" in capsys.readouterr().err


def test_mean_is_subtracted(truth, tmp_path):
    truth.net = ColourNet(mean_bgr=(1, 2, 3))
    run("--mean", "1", "2", "3")
    assert (load_label_png(tmp_path / "out" / "a.png") == truth["a"]).mean() > 0.9


def test_workers_and_company_change_no_map(truth, tmp_path):
    run("--workers", "1")
    together = read_all(tmp_path / "out")
    (tmp_path / "ids.txt").write_text("c\n")
    run("--workers", "3", "--overwrite")
    assert (tmp_path / "out" / "c.png").read_bytes() == together["c.png"]


def test_number_of_photos_under_way_is_bounded(truth, tmp_path, monkeypatch):
    """A slow CRF must not let photos that were read pile up, however many there are."""
    counts = {"under way": 0, "most": 0}
    lock = threading.Lock()
    image_bgr = cv2.imread("photos/a.png")

    def load(image_id, path):
        with lock:
            counts["under way"] += 1
            counts["most"] = max(counts["most"], counts["under way"])
        return image_bgr

    def finish(image_id, photo, maps):
        time.sleep(0.002)
        with lock:
            counts["under way"] -= 1

    photos = dict.fromkeys(range(100), tmp_path / "any")
    recipe = Recipe(sizes=(16,))
    done = list(photo_pipeline.score_photos(ScoreNet(truth.net), photos, finish, recipe, workers=2, load=load))
    assert done == list(range(100))
    assert counts["most"] <= 2 * photo_pipeline.WINDOW + 2 * 2


def test_resumed_run_skips_finished_maps_and_writes_the_rest_alike(truth, tmp_path, capsys):
    run()
    whole = read_all(tmp_path / "out")
    (tmp_path / "out" / "b.png").unlink()
    truth.net.forwards.clear()
    run()
    assert len(truth.net.forwards) == 2
    assert read_all(tmp_path / "out") == whole
    run()
    assert "all 3 label maps are there" in capsys.readouterr().err


def test_overwrite_redoes_all(truth):
    run()
    truth.net.forwards.clear()
    run("--overwrite")
    assert len(truth.net.forwards) == 6


def test_a_net_that_cannot_run_costs_no_earlier_result(truth, tmp_path):
    run()
    whole = read_all(tmp_path / "out")
    with pytest.raises(UserError, match="no blob 'nope'"):
        run("--output-blob", "nope")
    assert read_all(tmp_path / "out") == whole
    run()
    assert read_all(tmp_path / "out") == whole


def test_other_weights_redo_the_maps(truth, tmp_path, capsys):
    """Maps of two models never stand side by side in one folder."""
    run()
    (tmp_path / "a.caffemodel").write_text("better weights")
    truth.net.forwards.clear()
    run()
    assert "redoing 3 label maps (weights)" in capsys.readouterr().err
    assert len(truth.net.forwards) == 6
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert settings["settings"]["sizes"] == [32, 48] and settings["settings"]["crf"] is False


def test_maps_of_unknown_origin_are_left_alone(truth, tmp_path):
    save_label_png(tmp_path / "out" / "a.png", np.zeros((2, 2), int))
    with pytest.raises(UserError, match="out holds label maps but no settings.json"):
        run()
    assert load_label_png(tmp_path / "out" / "a.png").shape == (2, 2)


def test_truncated_photo_is_named_and_earlier_maps_stay(truth, tmp_path):
    data = (tmp_path / "photos" / "c.png").read_bytes()
    (tmp_path / "photos" / "c.png").write_bytes(data[:len(data) // 2])
    with pytest.raises(UserError, match=r"photo photos/c\.png is cut off"):
        run(sizes=("--scales", "1"))
    assert sorted(read_all(tmp_path / "out")) == ["a.png", "b.png"]


def test_missing_photo_is_named_before_any_is_scored(truth, tmp_path):
    (tmp_path / "ids.txt").write_text("a\nx\n")
    with pytest.raises(UserError, match="1 of 2 ids has no photo in photos, the first is 'x'"):
        run()
    assert not truth.net.forwards


@pytest.mark.parametrize(("labels", "message"), [
    ("a 1\n", "2 of 3 images have no labels in labels.txt, the first is 'b'"),
    ("a 1\nb 3\nc 1\n", "image 'b' has label 3, but the net scores 3 classes"),
])
def test_labels_that_do_not_fit_are_refused(truth, tmp_path, labels, message):
    (tmp_path / "labels.txt").write_text(labels)
    with pytest.raises(UserError, match=message):
        run("--labels", "labels.txt")


def test_scores_of_diverged_weights_are_refused(truth):
    truth.net.wanted = truth.net.wanted * np.nan
    with pytest.raises(UserError, match="scores of image 'a' are not finite"):
        run()


def test_missing_crf_is_said_at_once(truth, monkeypatch):
    monkeypatch.setitem(sys.modules, "krahenbuhl2013", None)
    with pytest.raises(UserError, match=r"dense CRF is missing .* run bash setup\.sh or pass --no-crf"):
        run(crf="--crf")
    assert not truth.net.forwards


def test_backend_of_the_crf_is_handed_on_and_another_one_redoes_the_maps(truth, monkeypatch, capsys):
    krahenbuhl2013 = pytest.importorskip("krahenbuhl2013", reason="the dense CRF is not built: bash setup.sh")
    chosen, used = [], []

    def refine(image, unary, backend, **settings):
        used.append(backend)
        return unary

    monkeypatch.setattr(krahenbuhl2013, "set_backend", chosen.append)
    monkeypatch.setattr(krahenbuhl2013, "CRF", refine)
    monkeypatch.delenv("CRF_BACKEND", raising=False)
    run(crf="--crf")
    assert chosen == ["own"] and set(used) == {"own"}
    used.clear()
    run("--crf-backend", "pydensecrf", crf="--crf")
    assert chosen == ["own", "pydensecrf"] and used == ["pydensecrf"] * 3
    assert "redoing 3 label maps (crf_backend: own before, pydensecrf now)" in capsys.readouterr().err


def test_nets_that_are_no_deploy_nets_are_refused():
    net = ColourNet()
    net.inputs = []
    with pytest.raises(UserError, match=r"the net has 0 inputs \(none\); expected one .* deploy prototxt"):
        ScoreNet(net)
    net = ColourNet()
    net.outputs = ["scores", "other"]
    with pytest.raises(UserError, match=r"2 outputs \(scores, other\); choose the scores with --output-blob"):
        ScoreNet(net)
    assert ScoreNet(net, "scores").output_blob == "scores"
    with pytest.raises(UserError, match="no blob 'fc8'; its outputs are scores, other"):
        ScoreNet(net, "fc8")
    net = ColourNet()
    net.blobs["photo"].reshape(1, 1, 8, 8)
    with pytest.raises(UserError, match=r"input blob 'photo' is \(1, 1, 8, 8\), expected \(N, 3, H, W\)"):
        ScoreNet(net)


@pytest.mark.parametrize("file", ["deploy.prototxt", "a.caffemodel"])
def test_missing_files_are_named(truth, tmp_path, monkeypatch, file):
    monkeypatch.setattr(listed_photos, "open_net", open_net)
    (tmp_path / file).unlink()
    with pytest.raises(UserError, match=f"{file} does not exist"):
        run()


def test_unknown_device_is_refused(truth, monkeypatch):
    monkeypatch.setattr(listed_photos, "open_net", open_net)
    with pytest.raises(UserError, match="--device gpu0: expected cpu, a number"):
        run("--device", "gpu0")


def test_bad_numbers_are_refused_by_the_parser(truth, capsys):
    with pytest.raises(SystemExit) as stop:
        run(sizes=("--sizes", "0"))
    assert stop.value.code == 2 and "expected a whole number, 1 or more, got '0'" in capsys.readouterr().err


def test_a_collapsed_model_is_said_when_its_maps_are_made_and_when_they_are_there(truth, tmp_path, capsys):
    (tmp_path / "ids.txt").write_text("a\nb\nc\nd\n")
    (tmp_path / "photos/d.png").write_bytes((tmp_path / "photos/a.png").read_bytes())
    run()
    assert "collapsed" not in capsys.readouterr().err
    truth.net.wanted[:, 1:] += 1e4                             # nearest to background, whatever the colour
    run("--overwrite")
    assert "out: every pixel of all 4 label maps is class 0, the model has collapsed" in capsys.readouterr().err
    kept = json.loads((tmp_path / "out/settings.json").read_text())
    pixels = sum(load_label_png(tmp_path / f"out/{name}.png").size for name in "abcd")
    assert (kept["images"], kept["pixels"]) == (4, {"0": pixels})
    run()
    shown = capsys.readouterr()
    assert "all 4 label maps are there" in shown.err and "collapsed" in shown.err
