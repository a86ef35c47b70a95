"""make_cues and evaluate_cues on a net whose maps are the redness and the blueness of the photo."""

import json

import cv2
import numpy as np
import pytest

from dsrg.cuefile.format import load_cues, save_cues
from dsrg.cuefile.label_map import map_from_cues
from dsrg.io.aligned_grids import nearest_aligned
from dsrg.io.errors import UserError
from dsrg.io.label_png import save_label_png
from localization_cues import evaluate_cues, make_cues

INPUT = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 33 dim: 33 } } }
"""
MAPS = INPUT + """
layer { name: "CAM" type: "Convolution" bottom: "data" top: "CAM"
        convolution_param { num_output: 2 kernel_size: 1 stride: 4 } }
"""
CLASSIFIER = INPUT + """
layer { name: "features" type: "Convolution" bottom: "data" top: "features"
        convolution_param { num_output: 2 kernel_size: 1 stride: 4 } }
layer { name: "pool" type: "Pooling" bottom: "features" top: "pool"
        pooling_param { pool: AVE global_pooling: true } }
layer { name: "scores" type: "InnerProduct" bottom: "pool" top: "scores"
        inner_product_param { num_output: 2 bias_term: false } }
"""
RED, BLUE, GRAY = (0, 0, 255), (255, 0, 0), (128, 128, 128)
MEAN = ["--mean", "0", "0", "0"]


@pytest.fixture
def caffe(monkeypatch):
    monkeypatch.setenv("ENGINE", "embedded")
    from training.findcaffe import caffe

    return caffe


@pytest.fixture
def run(tmp_path, caffe, monkeypatch):
    """A folder with two photos, their labels and masks, and the classifier; chdir into it."""
    monkeypatch.chdir(tmp_path)
    for folder in ("photos", "masks"):
        (tmp_path / folder).mkdir()
    image = np.full((33, 33, 3), GRAY, np.uint8)
    image[8:17, 8:17] = RED
    image[20:29, 20:25] = BLUE
    mask = np.zeros((33, 33), int)
    mask[8:17, 8:17] = 1
    mask[20:29, 20:25] = 2
    cv2.imwrite("photos/both.png", image)
    save_label_png("masks/both.png", mask)
    image[20:29, 20:25] = GRAY
    mask[mask == 2] = 255
    cv2.imwrite("photos/red.png", image)
    save_label_png("masks/red.png", mask)
    (tmp_path / "list.txt").write_text("both.png 7\nred.png 2\n")
    (tmp_path / "labels.txt").write_text("both 1 2\nred 1\nother 2\n")
    (tmp_path / "classes.txt").write_text("background\nred\nblue\n")
    write_net(caffe, "cam", MAPS)
    return tmp_path


def write_net(caffe, name, text):
    """Channel 1 is R - (G + B) / 2, channel 2 is B - (G + R) / 2: gray is 0 in both."""
    with open(f"{name}.prototxt", "w") as file:
        file.write(text)
    net = caffe.Net(f"{name}.prototxt", caffe.TEST)
    colours = np.array([[-0.5, -0.5, 1], [1, -0.5, -0.5]], np.float32)     # B, G, R
    if "scores" in net.params:
        mix = np.array([[1, 1], [1, -1]], np.float32)                      # features that mix both classes
        net.params["features"][0].data[..., 0, 0] = mix @ colours
        net.params["scores"][0].data[...] = np.linalg.inv(mix)
    else:
        net.params["CAM"][0].data[..., 0, 0] = colours
    net.save(f"{name}.caffemodel")


def command(*extra, net="cam", out="cues.npz"):
    make_cues.main(["--net", f"{net}.prototxt", "--weights", f"{net}.caffemodel", "--list", "list.txt", "--images",
                    "photos", "--labels", "labels.txt", "--out", out, "--workers", "1", *MEAN, *extra])


def label_map(name="cues.npz", number=7):
    return map_from_cues(load_cues(name)[number][1], (9, 9))


EXPECTED = np.zeros((9, 9), int)       # cells 2..4 are pixels 8, 12, 16; 5..7 are pixels 20, 24, 28
EXPECTED[2:5, 2:5] = 1
EXPECTED[5:8, 5:7] = 2


def test_maps_become_cues_of_the_image_classes(run, capsys):
    command("--background", "cam-low:0.05")
    cues = load_cues("cues.npz")
    assert sorted(cues) == [2, 7]
    assert cues[7][0].tolist() == [1, 2] and cues[2][0].tolist() == [1]
    np.testing.assert_array_equal(label_map(), EXPECTED)
    np.testing.assert_array_equal(label_map(number=2), np.where(EXPECTED == 2, 0, EXPECTED))
    assert "2 images, 9x9 cells, foreground 14.8%, background 85.2%" in capsys.readouterr().out


def test_the_settings_say_which_precision_auto_stood_for(run, caffe, monkeypatch):
    monkeypatch.setattr(caffe, "native_bf16", lambda: False)
    command("--background", "cam-low:0.05", "--precision", "auto")
    assert json.loads((run / "cues.json").read_text())["settings"]["precision"] == "fp32"


def test_weights_without_the_layer_of_the_maps_are_refused(run, caffe):
    """Caffe leaves such a layer random, and cues of a random layer look like cues."""
    text = INPUT + """
        layer { name: "stem" type: "Convolution" bottom: "data" top: "stem" convolution_param { num_output: 3
          kernel_size: 1 weight_filler { type: "gaussian" std: 1 } } }
        layer { name: "CAM" type: "Convolution" bottom: "stem" top: "CAM" convolution_param { num_output: 2
          kernel_size: 1 stride: 4 weight_filler { type: "gaussian" std: 1 } } }"""
    (run / "whole.prototxt").write_text(text)
    caffe.Net("whole.prototxt", caffe.TEST).save("renamed.caffemodel")
    (run / "renamed.prototxt").write_text(text.replace('"CAM"', '"CAM2"'))
    with pytest.raises(UserError, match=r"no weights for 1 of the 2 layers .* renamed\.prototxt: CAM2"):
        command(net="renamed")
    assert not (run / "cues.npz").exists()
    command("--allow-random", "CAM2", "--background", "cam-low:0.05", net="renamed")
    assert (run / "cues.npz").exists()


def test_the_background_nets_weights_must_be_whole(run):
    (run / "background.prototxt").write_text(MAPS.replace('"CAM"', '"conv5"'))
    with pytest.raises(UserError, match=r"has no weights for 1 of .* background\.prototxt: conv5"):
        command("--background", "sec-gradient:0.1", "--background-net", "background.prototxt", "--background-weights",
                "cam.caffemodel", "--background-blob", "conv5")


def test_features_and_classifier_give_the_same_cues(run, caffe):
    command("--background", "cam-low:0.05")
    write_net(caffe, "late", CLASSIFIER)
    command("--background", "cam-low:0.05", "--features-blob", "features", "--classifier", "scores",
            net="late", out="late.pickle")
    np.testing.assert_array_equal(label_map("late.pickle"), EXPECTED)


def test_a_classifier_behind_the_pooling_is_found(run, caffe):
    """The same cues with nothing named: prototxts/voc12-vgg16 and SEC's foreground net are of this kind."""
    write_net(caffe, "late", CLASSIFIER)
    command("--background", "cam-low:0.05", net="late", out="late.pickle")
    np.testing.assert_array_equal(label_map("late.pickle"), EXPECTED)


def test_sizes_flip_and_cue_size(run):
    command("--background", "cam-low:0.05", "--sizes", "33", "65", "--flip")
    np.testing.assert_array_equal(label_map(), EXPECTED)
    command("--background", "cam-low:0.05", "--size", "17", "9", out="tall.npz")
    assert load_cues("tall.npz").least_size() == (17, 9)


def test_saliency_maps_from_files_as_background_and_gate(run):
    (run / "maps").mkdir()
    salient = np.zeros((33, 33), np.uint8)
    salient[8:17, 8:17] = 255
    for name in ("both", "red"):
        cv2.imwrite(f"maps/{name}.png", salient)
    command("--background", "saliency:0.05", "--gate", "saliency:0.5", "--saliency-maps", "maps")
    cells = label_map()
    assert (cells[2:4, 2:4] == 1).all()
    assert (cells == 2).sum() == 6        # nothing of class 2 within the gate: its largest cells, all equal
    report = json.loads((run / "cues.json").read_text())
    assert report["fallback"] == {"both": [2]} and report["lost"] == {} and report["images"] == 2
    assert report["settings"]["background"] == ["saliency:0.05"] and report["settings"]["gate"] == "saliency:0.5"


def test_computed_saliency_is_the_default_background(run):
    command()
    cells = label_map()
    np.testing.assert_array_equal(cells[EXPECTED > 0], EXPECTED[EXPECTED > 0])
    assert (cells[EXPECTED == 0] <= 0).all() and (cells[0] == 0).all()


def test_saliency_as_a_prior_takes_cells_from_a_class_one_by_one(run):
    """Red is 1 in cells 2..4; saliency of 0.15 puts their upper two rows below 20 % of the maximum, 0.3 does not."""
    (run / "maps").mkdir()
    for value, rows_left in ((int(0.15 * 255), 1), (int(0.3 * 255), 3)):
        saliency = np.full((33, 33), 255, np.uint8)
        saliency[:15] = value
        for name in ("both", "red"):
            cv2.imwrite(f"maps/{name}.png", saliency)
        command("--saliency-maps", "maps", "--background", "none", "--prior", "saliency")
        expected = np.full((9, 9), -1)
        expected[5 - rows_left:5, 2:5] = 1
        np.testing.assert_array_equal(label_map(number=2), expected)


def test_a_class_behind_its_companion_is_seeded_beside_it(run):
    """Blue (2) is on every photo, red (1) on four of five: the photo is salient at blue's square and at one corner."""
    (run / "maps").mkdir()
    (run / "list.txt").write_text("".join(f"both{n}.png {n}\n" for n in range(4)) + "red.png 9\n")
    (run / "labels.txt").write_text("".join(f"both{n} 1 2\n" for n in range(4)) + "red 2\n")
    image = cv2.imread("photos/both.png")
    saliency = np.zeros((33, 33), np.uint8)
    saliency[8:17, 8:17], saliency[24:, 24:] = 255, 200
    for name in ("both0", "both1", "both2", "both3", "red"):
        cv2.imwrite(f"photos/{name}.png", image)
        cv2.imwrite(f"maps/{name}.png", saliency)
    flags = ["--saliency-maps", "maps", "--background", "none"]
    command(*flags, "--remainder", "0.7")
    beside = label_map(number=0)
    assert (beside[2:5, 2:5] == 1).all() and (beside[7:, 7:] == 2).all()
    assert (beside[5:8, 5:7] != 2).any()                                    # what its own map shows is not salient
    np.testing.assert_array_equal(label_map(number=9) == 2, EXPECTED == 2)  # alone it has its own map
    command("--background", "none")
    np.testing.assert_array_equal(label_map(number=0), np.where(EXPECTED == 0, -1, EXPECTED))


def test_an_image_with_an_empty_class_is_named(run, capsys):
    (run / "labels.txt").write_text("both 1 2\nred 1 2\n")
    command("--background", "cam-low:0.05")
    out = capsys.readouterr().out
    assert "1 image with a class below threshold or gate everywhere, kept by its largest cell: red" in out


def test_an_empty_class_left_empty_is_named(run, capsys):
    (run / "labels.txt").write_text("both 1 2\nred 1 2\n")
    command("--background", "none", "--leave-empty")
    printed = capsys.readouterr().out
    assert "1 image with a class below threshold or gate everywhere, left without a cue: red" in printed
    report = json.loads((run / "cues.json").read_text())
    assert report["empty"] == {"red": [2]} and report["fallback"] == {}
    assert report["counts"] == {"fallback": 0, "empty": 1, "lost": 0, "without_background": 2, "without_cues": 0}
    assert load_cues("cues.npz")[2][0].tolist() == [1, 2] and (label_map(number=2) == 2).sum() == 0


def test_overlap_rule_is_an_option(run):
    """A magenta patch is half red, half blue, and both classes claim it; the red patch is larger than the blue."""
    image = cv2.imread("photos/both.png")
    image[0:5, 0:5] = (255, 0, 255)
    cv2.imwrite("photos/both.png", image)
    patches = {}
    for rule in ("smaller-area", "strongest", "nobody"):
        command("--background", "none", "--overlap", rule)
        assert json.loads((run / "cues.json").read_text())["settings"]["overlap"] == rule
        patches[rule] = set(label_map()[0:2, 0:2].ravel().tolist())
    assert patches == {"smaller-area": {2}, "strongest": {1}, "nobody": {-1}}


@pytest.mark.parametrize(("file", "text", "message"), [
    ("labels.txt", "both 1 2\n", "1 photo has no label in labels.txt, the first is 'red'"),
    ("labels.txt", "both 1 3\nred 1\n", "label 3: the net has 2 classes"),
    ("list.txt", "both.png 7\nnone.png 2\n", "1 photo is missing of those in list.txt, the first is photos/none.png"),
    ("list.txt", "both.png 7\nred.png 7\n", "number 7 is given twice"),
    ("list.txt", "both.png\n", "list.txt:1: expected '<photo> <number>'"),
])
def test_inputs_that_do_not_fit(run, file, text, message):
    (run / file).write_text(text)
    with pytest.raises(UserError, match=message):
        command("--background", "cam-low:0.05")
    assert not (run / "cues.npz").exists()


@pytest.mark.parametrize(("extra", "message"), [
    (["--classifier", "scores"], "name either the blob of the maps"),
    (["--maps-blob", "none"], "no blob 'none'"),
    (["--features-blob", "CAM", "--classifier", "CAM"], "blob 'CAM' has 2 channels, but the classifier weighs 3"),
    (["--features-blob", "data", "--classifier", "none"], "no layer 'none' with weights; it has CAM"),
])
def test_blobs_that_are_not_there(run, extra, message):
    with pytest.raises(UserError, match=message):
        command(*extra, "--background", "cam-low:0.05")


def test_a_convolution_serves_as_classifier(run):
    command("--features-blob", "data", "--classifier", "CAM", "--background", "cam-low:0.05")
    assert load_cues("cues.npz").least_size() == (33, 33)


@pytest.mark.parametrize("extra", [["--background", "x:1"], ["--gate", "cam-low:0.1"], ["--threshold", "1"],
                                   ["--out", "cues.txt"], ["--sizes", "0"],
                                   ["--background-net", "cam.prototxt"], ["--overlap", "largest"]])
def test_bad_options_end_with_status_2(run, extra, capsys):
    with pytest.raises(SystemExit) as stopped:
        command(*extra)
    assert stopped.value.code == 2


def evaluate(run, *extra, cues="cues.npz"):
    evaluate_cues.main(["--cues", cues, "--list", "list.txt", "--masks", "masks", "--classes", "classes.txt",
                        "--out", "results/cues.json", *extra])
    return json.loads((run / "results" / "cues.json").read_text())


def test_perfect_cues(run):
    command("--background", "cam-low:0.05")
    report = evaluate(run)
    assert report["miou"] == 1 and report["images"] == 2 and report["size"] == [9, 9]
    assert report["coverage_foreground"] == pytest.approx((9 + 6 + 9) / 162)


def test_precision_recall_and_coverage_by_hand(run, capsys):
    """Photo 7: of the 9 red cells 3 are found and 1 cell more is wrongly red; photo 2 has one right ground cell."""
    save_cues("hand.pickle", {7: ([1, 2], [[1, 1, 1, 1], [2, 2, 2, 2], [2, 3, 4, 5]]), 2: ([1], [[0], [8], [8]])})
    report = evaluate(run, cues="hand.pickle")
    ground, red, blue = report["classes"]
    assert (red["precision"], red["recall"], red["coverage"]) == (3 / 4, 3 / 18, 4 / 162)
    assert (ground["precision"], ground["recall"]) == (1, 1 / (66 + 66))  # void does not count
    assert blue["precision"] is None and blue["recall"] == 0
    assert report["miou"] == pytest.approx((1 / 132 + 3 / 19 + 0) / 3)
    assert "foreground 2.5%, background 0.6%, together 3.1%" in capsys.readouterr().out


def test_the_size_of_the_map_stands_in_the_json_beside_the_cues(run):
    """Few cues need not reach the last row; a .json of a smaller map belongs to another file."""
    save_cues("hand.npz", {7: ([1], [[1], [2], [2]]), 2: ([1], [[0], [1], [1]])})
    assert evaluate(run, cues="hand.npz")["size"] == [3, 3]
    (run / "hand.json").write_text('{"cue_size": [9, 9]}')
    assert evaluate(run, cues="hand.npz")["size"] == [9, 9]
    for text in ('{"cue_size": [2, 9]}', "no json", '{"cue_size": 9}', "{}"):
        (run / "hand.json").write_text(text)
        assert evaluate(run, cues="hand.npz")["size"] == [3, 3]


def test_cues_of_another_list_or_another_size(run):
    save_cues("hand.npz", {7: ([1], [[1], [2], [2]])})
    with pytest.raises(UserError, match="no cues for 1 photo of list.txt, the first is red.png"):
        evaluate(run, cues="hand.npz")
    with pytest.raises(UserError, match="image 7 has row 2, expected 0 to 1"):
        evaluate(run, "--size", "2", "9", cues="hand.npz")


def test_mask_at_cells_puts_corners_on_corners():
    mask = np.arange(35).reshape(5, 7)
    assert nearest_aligned(mask, 3, 4).tolist() == [[0, 2, 4, 6], [14, 16, 18, 20], [28, 30, 32, 34]]
