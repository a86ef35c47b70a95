"""new_experiment: nets of other classes and sizes from any experiment, and its refusals."""

import os
import re
import shlex

import cv2
import numpy as np
import pytest
from google.protobuf import text_format

from dsrg.io.errors import UserError
from dsrg.pipeline.settings import read_experiment
from tests.conftest import EXPERIMENTS, ROOT
from tools import make_nets, new_experiment


@pytest.fixture
def experiments(tmp_path, monkeypatch):
    """A folder of experiments that holds links to the project's; chdir beside it."""
    folder = tmp_path / "prototxts"
    folder.mkdir()
    for path in EXPERIMENTS:
        (folder / path.name).symlink_to(path)
    monkeypatch.setattr(new_experiment, "EXPERIMENTS", folder)
    monkeypatch.setenv("ENGINE", "embedded")
    monkeypatch.chdir(tmp_path)
    return folder


def layers(folder, name):
    import caffe

    message = text_format.Parse((folder / f"{name}.prototxt").read_text(), caffe.proto.caffe_pb2.NetParameter())
    return {layer.name: layer for layer in message.layer}


def solver(folder, kind):
    import caffe

    text = (folder / f"solver-{kind}.prototxt").read_text()
    return text_format.Parse(text, caffe.proto.caffe_pb2.SolverParameter())


@pytest.mark.parametrize(("template", "size", "cells", "scores"), [
    ("demo", 97, 25, "fc8-SEC_1"), ("msrc15-squeezenet", 209, 27, "fc8-SEC_1"), ("voc12-vgg16", 241, 31, "fc8-SEC_4"),
    ("voc12-resnet101", 321, 41, "fc1_voc12_c0"), ("voc12-sec", 289, 37, "fc8-SEC"),
    ("coco-vgg16", 161, 21, "fc8-SEC_2"),
])
def test_classes_and_sizes_reach_every_net(experiments, template, size, cells, scores):
    new_experiment.main(["mine", "--from", template, "--classes", "4", "--size", str(size)])
    folder = experiments / "mine"
    originals = {path.name for path in (ROOT / "prototxts" / template).glob("*.prototxt")}
    assert {path.name for path in folder.glob("*.prototxt")} == originals
    train = layers(folder, "train-s")
    assert train[scores].convolution_param.num_output == 4
    keys = train["Annotation"].python_param.param_str
    assert "'classes': 4" in keys and (f"'size': [{cells}, {cells}]" in keys) == (cells != 41)
    assert train["Input"].image_data_param.new_height == train["Input"].image_data_param.new_width == size
    shape = f"input_shape {{ dim: 1 dim: 3 dim: {size} dim: {size} }}"
    assert f'input: "images" {shape}' in " ".join((folder / "deploy.prototxt").read_text().split())
    assert "'classes': 4" in layers(folder, "cam-train")["Targets"].python_param.param_str
    cam = layers(folder, "cam-deploy")
    outputs = cam["CAM"].convolution_param if "CAM" in cam else cam["scores"].inner_product_param
    assert outputs.num_output == 3
    assert "python -m tools.make_nets prototxts/mine:" in (folder / "deploy.prototxt").read_text()
    assert not [path for path in experiments.iterdir() if path.name.startswith(".")]


def test_without_changes_the_prototxts_are_the_templates(experiments):
    new_experiment.main(["same", "--from", "msrc15-squeezenet", "--classes", "16"])
    for path in (ROOT / "prototxts/msrc15-squeezenet").glob("*.prototxt"):
        assert (experiments / "same" / path.name).read_text().splitlines()[1:] == path.read_text().splitlines()[1:]


TEMPLATES = ["demo", "msrc15-squeezenet", "voc12-vgg16", "voc12-resnet101", "voc12-sec", "coco-vgg16"]


def batch_sizes(folder):
    """Batch of every training net, by file name, wherever the net says it."""
    found = {}
    for path in sorted(folder.glob("*train*.prototxt")):
        found[path.stem] = [int(n) for n in re.findall(r"batch_size'?: (\d+)", path.read_text())]
    return found


@pytest.mark.parametrize("template", TEMPLATES)
def test_batch_and_iterations_reach_every_training_of_every_template(experiments, template):
    original = ROOT / "prototxts" / template
    arguments = ["--classes", "4", "--batch", "3", "--iterations", "cam=40", "s=80"]
    new_experiment.main(["mine", "--from", template, *arguments])
    folder = experiments / "mine"
    assert batch_sizes(folder) == {name: [3] for name in batch_sizes(original)}
    assert {"cam-train", "train-s"} <= set(batch_sizes(folder))
    for kind, end in (("cam", 40), ("s", 80)):
        before, after = solver(original, kind), solver(folder, kind)
        assert after.max_iter == end and after.base_lr == before.base_lr
        for field in ("stepsize", "snapshot"):
            assert getattr(after, field) == round(getattr(before, field) * end / before.max_iter), field
    if (original / "solver-f.prototxt").exists():
        assert solver(folder, "f") == solver(original, "f")


def test_the_crf_of_the_training_keeps_its_share_of_the_map(experiments):
    """Scale 12 for 41 cells, so 12 * 41 / 25 for 25."""
    new_experiment.main(["mine", "--from", "demo", "--classes", "4", "--size", "97"])
    net = layers(experiments / "mine", "train-s")
    for name in ("CRF", "update-seed"):
        assert "'scale': 20" in net[name].python_param.param_str


@pytest.mark.parametrize("text", ["cam", "x=5", "s=0", "f=many"])
def test_iterations_that_do_not_fit_are_refused_with_what_is_expected(experiments, text, capsys):
    with pytest.raises(SystemExit) as stopped:
        new_experiment.main(["mine", "--from", "demo", "--classes", "4", "--iterations", text])
    assert stopped.value.code == 2 and not (experiments / "mine").exists()
    assert ("expected a training (cam, s, f), '=' and its number of iterations, 1 or more, such as cam=500; "
            f"got '{text}'") in capsys.readouterr().err


@pytest.mark.parametrize(("classes", "th1"), [(15, "'th1': 1,"), (16, "'th1': 0.999,"), (60, "'th1': 0.999,")])
def test_a_background_that_does_not_grow_follows_the_number_of_classes(experiments, classes, th1):
    new_experiment.main(["mine", "--from", "msrc15-squeezenet", "--classes", str(classes)])
    assert th1 in layers(experiments / "mine", "train-s")["update-seed"].python_param.param_str


def test_comments_of_the_settings_stay_and_its_nets_can_be_edited(experiments, capsys):
    new_experiment.main(["mine", "--from", "msrc15-squeezenet", "--classes", "4"])
    path = experiments / "mine/settings.yaml"
    text = path.read_text()
    assert "# Faster or less clipped, the fresh branches may die" in text and "classes: 4  " in text
    assert make_nets.main([str(experiments / "mine"), "--check"]) == 0
    path.write_text(text.replace("max_iter: 500", "max_iter: 700"))
    assert make_nets.main([str(experiments / "mine"), "--check"]) == 1
    assert "solver-s.prototxt differs" in capsys.readouterr().err
    assert make_nets.main([str(experiments / "mine")]) == 0
    assert "mine: solver-f.prototxt, solver-s.prototxt written" in capsys.readouterr().out
    assert solver(experiments / "mine", "f").max_iter == 700


def make_root(folder, photos, labels, side):
    """A data root of photos that are all one file; `labels` gives the classes of a photo by its number."""
    (folder / "JPEGImages").mkdir(parents=True)
    (folder / "ImageSets/Segmentation").mkdir(parents=True)
    cv2.imwrite(str(folder / "JPEGImages/p0.png"), np.zeros((60, side, 3), np.uint8))
    for k in range(1, photos):
        os.link(folder / "JPEGImages/p0.png", folder / f"JPEGImages/p{k}.png")
    (folder / "ImageSets/Segmentation/train.txt").write_text("".join(f"p{k}\n" for k in range(photos)))
    rows = [labels(k) for k in range(photos)]
    (folder / "image_labels.txt").write_text(
        "".join(f"p{k} {' '.join(map(str, row))}\n" for k, row in enumerate(rows)))
    names = [f"class {c}" for c in range(1, max(c for row in rows for c in row) + 1)]
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in ["background", *names]))


def test_the_next_command_can_be_typed_as_it_stands(experiments, tmp_path, capsys):
    make_root(tmp_path / "my data", 60, lambda k: [k % 2 + 1], 80)
    new_experiment.main(["flowers", "--from", "demo", "--data", "my data"])
    assert "next: DATA_ROOT='my data' bash run.sh flowers" in capsys.readouterr().out


def test_settings_follow_the_data(experiments, tmp_path, capsys):
    """Photos of 80 pixels, demo's have 160: the CRF's widths are halved; input sizes keep their ratios on 8 n + 1."""
    make_root(tmp_path / "data", 60, lambda k: [k % 2 + 1], 80)
    new_experiment.main(["flowers", "--from", "demo", "--data", "data", "--batch", "8"])
    settings = (experiments / "flowers/settings.yaml").read_text()
    assert "make_data" not in settings and "label: --sizes 129 --crf-scale 6\n" in settings
    assert "chosen_for: {photos: 60, side: 80}" in settings
    assert layers(experiments / "flowers", "train-s")["Input"].image_data_param.batch_size == 8
    # six tenths of the photos that the template shows, in steps of half as many, at half the rate
    assert solver(experiments / "flowers", "s").max_iter == 0.6 * 400 * 2
    assert solver(experiments / "flowers", "s").base_lr == pytest.approx(0.005)
    out = capsys.readouterr().out
    assert "3 classes, inputs 129x129, maps 33x33" in out and "next: DATA_ROOT=data bash run.sh flowers" in out
    new_experiment.main(["wide", "--from", "msrc15-squeezenet", "--data", "data", "--size", "161"])
    assert "next: DATA_ROOT=data WEIGHTS=.. bash run.sh wide" in capsys.readouterr().out
    settings = (experiments / "wide/settings.yaml").read_text()
    # 241, 321, 401 at two thirds; 320 to 80 pixels
    assert "label: --sizes 161 217 265 --flip --crf-scale 4\n" in settings
    assert "needs:\n  WEIGHTS: " in settings and "made from msrc15-squeezenet" in settings


@pytest.mark.parametrize(("classes", "few"), [(4, True), (6, True), (7, False)])
def test_few_classes_have_cues_of_their_own(experiments, tmp_path, capsys, classes, few):
    make_root(tmp_path / "data", 60, lambda k: [k % (classes - 1) + 1], 320)
    for name, words in (("by-data", ["--data", "data"]), ("by-number", ["--classes", str(classes)])):
        new_experiment.main([name, "--from", "msrc15-squeezenet", *words])
        cues = read_experiment(experiments / name).arguments["cues"]
        assert any(word.startswith("cam-low:") for word in cues) is few and "--prior" in cues
        said = capsys.readouterr().out.splitlines()
        assert ("cues: as msrc15-squeezenet has it for so few classes" in "\n".join(said)) is few
        assert all(said) and any(line.startswith(("numbers: msrc15-squeezenet's", "iterations: ")) for line in said)


def test_few_classes_and_more_take_their_own_cues_back_and_forth(experiments, capsys):
    """few: the template's for few; back: the template's own; what was edited in between comes back as well."""
    own = read_experiment(experiments / "msrc15-squeezenet")
    new_experiment.main(["few", "--from", "msrc15-squeezenet", "--classes", "3", "--size", "161"])
    path = experiments / "few/settings.yaml"
    few = read_experiment(path.parent)
    assert few.arguments["cues"] == own.few_classes["arguments"]["cues"]
    assert few.few_classes == {"most": 6, "otherwise": {"cues": own.arguments["cues"]}}
    assert "# For experiments made from this one" not in path.read_text()
    path.write_text(path.read_text().replace("--threshold 0.5", "--threshold 0.35"))
    new_experiment.main(["as-few", "--from", "few", "--classes", "6"])
    assert "0.35" in read_experiment(experiments / "as-few").arguments["cues"]
    capsys.readouterr()
    new_experiment.main(["many", "--from", "few", "--classes", "30"])
    assert "cues: as few has it for more than 6 classes (30 with background)\n" in capsys.readouterr().out
    many = read_experiment(experiments / "many")
    assert many.arguments["cues"] == own.arguments["cues"] and "0.35" in many.few_classes["arguments"]["cues"]
    new_experiment.main(["again", "--from", "many", "--classes", "4", "--size", "241"])
    again = read_experiment(experiments / "again")
    assert again.arguments["cues"] == many.few_classes["arguments"]["cues"]
    assert again.arguments["label"] == own.arguments["label"]
    text = (experiments / "again/settings.yaml").read_text()
    assert text.count("few_classes:") == 1 and "for data of few classes" not in text


def edited(experiments, edits):
    """A copy of msrc15-squeezenet whose settings.yaml has other texts; the experiment's name is t."""
    text = (ROOT / "prototxts/msrc15-squeezenet/settings.yaml").read_text()
    for old, new in edits.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    (experiments / "t").mkdir()
    (experiments / "t/settings.yaml").write_text(text)


SEGMENT = "  segment-s: --sizes 177 241 305\n"
FEW_CUES = "cues: --threshold 0.5 --flip --prior saliency --remainder 0.7 --background saliency:0.5 cam-low:0.1"


@pytest.mark.parametrize(("edits", "arguments"), [
    ({SEGMENT: "  segment-s: >\n    --sizes 177\n    241 305\n"}, {"segment-s": "--sizes 121 161 201"}),
    ({SEGMENT: "  segment-s: >-\n    --sizes 177\n  # why\n"}, {"segment-s": "--sizes 121"}),
    ({SEGMENT: "  segment-s: |+  # why\n    --sizes 177\n\n"}, {"segment-s": "--sizes 121"}),
    ({SEGMENT: "  segment-s: --sizes=177\n"}, {"segment-s": "--sizes 121"}),
    ({SEGMENT: "  segment-s: --sizes=177 241 --crf-scale=3\n"}, {"segment-s": "--sizes 121 161 --crf-scale 1.5"}),
    ({SEGMENT: "  segment-s: --sizes 177 --crf-scale=3\n"}, {"segment-s": "--sizes 121 --crf-scale 1.5"}),
    ({FEW_CUES: "cues: \"--maps-blob 'a: b #x' --flip\""}, {"cues": "--maps-blob 'a: b #x' --flip"}),
    ({FEW_CUES: "cues: --sizes=177 --size 31 31"}, {"cues": "--sizes 121 --size 21 21"}),
    ({FEW_CUES: "label: --sizes=241"}, {"label": "--sizes 161"}),
])
def test_what_a_template_says_in_any_style_of_yaml_and_of_options_follows(experiments, tmp_path, edits, arguments):
    """Inputs of 161 for 241, photos of 640 pixels for 320."""
    edited(experiments, edits)
    make_root(tmp_path / "data", 60, lambda k: [k % 2 + 1], 640)
    new_experiment.main(["n", "--from", "t", "--data", "data", "--size", "161"])
    made = read_experiment(experiments / "n")
    for command, words in arguments.items():
        scale = "" if "--crf-scale" in words or command == "cues" else " --crf-scale 0.5"
        assert made.arguments[command] == tuple(shlex.split(words + scale))
    new = (experiments / "n/settings.yaml").read_text()
    assert ("# why\n" in new) == any("# why\n" in text for text in edits.values())


@pytest.mark.parametrize(("words", "says"), [
    ("--crf-scale three", "segment-s: --crf-scale three: expected a number from 0.000001 to 1000000"),
    ("--crf-scale=nan", "--crf-scale nan: expected a number"), ("--crf-scale 0", "--crf-scale 0: expected a number"),
    ("--crf-scale 1e6", "--crf-scale 1e6: expected a number from 0.000001 to 1000000, also times 4 for these photos"),
    ("--sizes 0", "segment-s: --sizes 0: expected whole numbers from 1"), ("--sizes=x", "--sizes x: expected whole"),
    ("--sizes -9", "--sizes -9: expected whole"), ("--sizes 1234567", "--sizes 1234567: expected whole"),
])
def test_numbers_of_the_templates_arguments_are_checked(experiments, tmp_path, words, says):
    edited(experiments, {SEGMENT: f"  segment-s: {words}\n"})
    make_root(tmp_path / "data", 60, lambda k: [k % 2 + 1], 80)
    with pytest.raises(UserError, match=re.escape(says)):
        new_experiment.main(["n", "--from", "t", "--data", "data"])
    assert not (experiments / "n").exists()


@pytest.mark.parametrize(("few", "says"), [
    ("{most: 6}", "few_classes: expected most, a whole number, and arguments, or otherwise in their place, got"),
    ("{most: 6, arguments: {}, otherwise: {}}", "few_classes: expected most, a whole number, and arguments, or"),
    ("{most: 6, otherwise: {cues: --out x}}", "few_classes: otherwise: cues: "),
    ("{most: six, arguments: {}}", "few_classes: expected most, a whole number, and arguments"),
    ("{most: 6, arguments: {cues: --out x}}", "few_classes: arguments: cues: "),
    ("{most: 6, arguments: {train: x}}", "few_classes: arguments: expected texts by"),
])
def test_few_classes_are_read_with_care(tmp_path, few, says):
    (tmp_path / "settings.yaml").write_text(f"few_classes: {few}\n")
    with pytest.raises(UserError, match=re.escape(says)):
        read_experiment(tmp_path)


@pytest.mark.parametrize(("photos", "side", "iterations", "sizes"), [
    (24, 320, {"cam": 100, "s": 300, "f": 300}, "--sizes 177 241 305\n"),          # six tenths of 160, 500, 500
    (150, 300, {"cam": 100, "s": 300, "f": 300}, "--sizes 177 241 305\n"),
    (660, 640, {"cam": 320, "s": 1000, "f": 1000}, "--sizes 177 241 305 --crf-scale 0.5\n"),
    (3300, 4000, {"cam": 1600, "s": 5000, "f": 5000}, "--sizes 177 241 305 --crf-scale 0.08\n"),
])
def test_numbers_for_data_of_several_sizes(experiments, tmp_path, capsys, photos, side, iterations, sizes):
    """The template's are for 330 photos of 320 pixels: each as often shown, and few photos the more often."""
    make_root(tmp_path / "data", photos, lambda k: [k % 3 + 1], side)
    new_experiment.main(["mine", "--from", "msrc15-squeezenet", "--data", "data"])
    for kind, number in iterations.items():
        made, old = solver(experiments / "mine", kind), solver(ROOT / "prototxts/msrc15-squeezenet", kind)
        assert made.max_iter == number and made.base_lr == old.base_lr
        assert made.snapshot == round(old.snapshot * number / old.max_iter)
    assert f"segment-s: {sizes}" in (experiments / "mine/settings.yaml").read_text()
    shown = capsys.readouterr()
    chosen = ", ".join(f"{kind} {number}" for kind, number in iterations.items())
    template = "the template's cam 160, s 500, f 500 are for 330 photos"
    assert f"iterations: {chosen} ({template}, here are {photos}" in shown.out
    assert "rates: the template's" in shown.out and f"(photos of {side} pixels, the template's have 320)" in shown.out
    few = photos < 60
    assert few == ("warning: under 20 train photos show class 1, class 2, class 3" in shown.err)
    # an experiment made from that one is held against its data
    new_experiment.main(["same", "--from", "mine", "--data", "data"])
    assert solver(experiments / "same", "s").max_iter == iterations["s"]
    assert f"segment-s: {sizes}" in (experiments / "same/settings.yaml").read_text()


def test_numbers_that_are_given_are_taken_and_classes_without_support_are_named(experiments, tmp_path, capsys):
    make_root(tmp_path / "data", 660, lambda k: [1] if k % 2 else [2, 3], 320)
    new_experiment.main(["mine", "--from", "msrc15-squeezenet", "--data", "data", "--iterations", "s=123"])
    assert [solver(experiments / "mine", kind).max_iter for kind in ("cam", "s", "f")] == [320, 123, 1000]
    shown = capsys.readouterr()
    assert "s 123 as asked for" in shown.out
    assert "warning: no train photo shows class 2, class 3 alone" in shown.err
    (tmp_path / "data/classes.txt").write_text("background\n" + "".join(f"c{n}\n" for n in range(60)))
    new_experiment.main(["many", "--from", "msrc15-squeezenet", "--data", "data"])
    shown = capsys.readouterr()
    assert solver(experiments / "many", "cam").base_lr == pytest.approx(0.0005)      # by the root of 15 / 60
    assert solver(experiments / "many", "s").base_lr == pytest.approx(0.0006)
    assert "rates: cam 0.0005 (the template's cam 0.001" in shown.out
    assert "warning: no train photo shows c3, c4," in shown.err


@pytest.mark.parametrize(("arguments", "message"), [
    (["demo", "--from", "demo", "--classes", "3"], "demo exists; choose another name"),
    (["../x", "--from", "demo", "--classes", "3"], "'../x' is not a name for an experiment"),
    (["x", "--from", "dmo", "--classes", "3"], "no experiment 'dmo'; choose one of .*coco-"),
    (["x", "--from", "msrc15-squeezenet", "--classes", "3", "--size", "240"],
     r"--size 240: expected 8 n \+ 1, .* the nearest is 241"),
    (["x", "--from", "demo", "--classes", "3", "--size", "999999997"],
     r"--size, --batch: 16 inputs of 999999997x999999997 make a blob of 2.56e\+20 numbers in small, the trunk of cam; "
     "Caffe's have 2147483647 at most: choose a smaller size or batch"),
    (["x", "--from", "voc12-resnet101", "--classes", "3", "--batch", "326"], "in vgg16, the trunk of cam; Caffe's"),
    (["x", "--from", "voc12-vgg16", "--classes", "3", "--batch", "2147483647"], "2147483647 inputs of 321x321 make"),
    (["x", "--from", "voc12-sec", "--classes", "3", "--iterations", "f=9"],
     "voc12-sec has no training 'f'; it has cam, s"),
    (["x", "--from", "byhand", "--classes", "3"], "byhand/settings.yaml has no `nets` to fill numbers into"),
    (["x", "--from", "demo", "--data", "empty"], "data root empty does not exist"),
    (["x", "--from", "demo", "--data", "bare"], "data root bare has no folder JPEGImages"),
])
def test_refuses_in_one_line(experiments, tmp_path, arguments, message):
    (experiments / "byhand").mkdir()
    (experiments / "byhand/settings.yaml").write_text("skip: [full]\n")
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare/classes.txt").write_text("background\nrose\n")
    with pytest.raises(UserError, match=message):
        new_experiment.main(arguments)
    assert not (experiments / "x").exists()


@pytest.mark.parametrize("extra", [[], ["--classes", "1"], ["--classes", "3", "--data", "d"],
                                   ["--classes", "3", "--size", "0"], ["--classes", "3", "--iterations", "full=3"],
                                   ["--classes", "3", "--iterations", "s=0"],
                                   ["--classes", "3", "--iterations", "s=5", "s=6"],
                                   ["--classes", "3", "--iterations", "s=5", "--iterations", "s=6"]])
def test_usage(experiments, extra):
    with pytest.raises(SystemExit) as stopped:
        new_experiment.main(["x", "--from", "demo", *extra])
    assert stopped.value.code == 2
