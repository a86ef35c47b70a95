"""tools.ablate: every committed ablation changes what it says and no more, and what does not fit is refused."""

import shutil

import numpy as np
import pytest
from google.protobuf import text_format

from dsrg.io.errors import UserError
from dsrg.io.param_str import parse_param_str
from dsrg.pipeline.prototxt_edits import read_ablation
from dsrg.supervision import floored_softmax, grow_seeds
from localization_cues import make_cues
from tests.conftest import EXPERIMENTS, ROOT
from tests.training.nets import one_layer_net
from tools import segment
from tools.ablate import main

ABLATIONS = ROOT / "prototxts" / "ablations"


def layers(pb, folder):
    net = text_format.Parse((folder / "train-s.prototxt").read_text(), pb.NetParameter())
    return {layer.name: layer for layer in net.layer}


def ablated(pb, tmp_path, name):
    """Layers of demo's train-s before and after, and the names of those that differ."""
    shutil.copytree(ROOT / "prototxts" / "demo", tmp_path, dirs_exist_ok=True)
    before = layers(pb, tmp_path)
    main([str(ABLATIONS / f"{name}.yaml"), str(tmp_path)])
    after = layers(pb, tmp_path)
    return after, {n for n in before.keys() | after.keys() if before.get(n) != after.get(n)}


@pytest.mark.parametrize(("name", "changed"), [
    ("static", {"update-seed": {"grow": False}}),
    ("textbook-crf", {"CRF": {"textbook": True}, "update-seed": {"textbook": True}}),
    ("raw-growing", {"update-seed": {"textbook": True, "iters": 0}}),
    ("theta-fg-80", {"update-seed": {"th2": 0.8}}),
    ("theta-fg-90", {"update-seed": {"th2": 0.9}}),
    ("theta-fg-95", {"update-seed": {"th2": 0.95}}),
    ("theta-fg-99", {"update-seed": {"th2": 0.99}}),
])
def test_param_str_changes_at_the_named_keys_alone(pb, tmp_path, name, changed):
    plain = {"CRF": {"scale": 15}, "update-seed": {"th1": 0.99, "th2": 0.85, "scale": 15}}
    after, differ = ablated(pb, tmp_path, name)
    assert differ == set(changed)
    for layer, keys in changed.items():
        assert parse_param_str(after[layer].python_param.param_str) == {**plain[layer], **keys}


def test_plain_seed_loss_has_the_bottoms_of_the_balanced_one(pb, tmp_path):
    after, differ = ablated(pb, tmp_path, "seed-loss")
    assert differ == {"loss-Seed"} and after["loss-Seed"].python_param.layer == "SeedLossLayer"
    assert list(after["loss-Seed"].bottom) == ["fc8-SEC-Softmax", "cues-new"]


def test_the_papers_baseline_is_static_and_unbalanced(pb, tmp_path):
    after, differ = ablated(pb, tmp_path, "baseline")
    assert differ == {"loss-Seed", "update-seed"} and after["loss-Seed"].python_param.layer == "SeedLossLayer"
    assert parse_param_str(after["update-seed"].python_param.param_str)["grow"] is False


def test_raw_growing_grows_on_the_nets_own_probabilities(pb, tmp_path, rng):
    """No mean-field step from -log p is p itself: the layer does what growing without a CRF does."""
    after, differ = ablated(pb, tmp_path, "raw-growing")
    probabilities = floored_softmax(rng.normal(0, 4, (2, 7, 12, 12))).astype(np.float32)
    labels = np.zeros((2, 1, 1, 7), np.float32)
    labels[:, :, :, [0, 2, 5]] = 1
    cues = np.zeros((2, 7, 12, 12), np.float32)
    for label, row in ((0, 1), (2, 5), (5, 9)):
        cues[:, label, row, 2:9] = 1
    blobs = {"labels": labels, "probs": probabilities, "cues": cues,
             "images": rng.uniform(-100, 100, (2, 3, 25, 25)).astype(np.float32)}
    net = one_layer_net(tmp_path, "DSRGLayer", blobs, after["update-seed"].python_param.param_str, ("grown",))
    net.forward()
    expected = grow_seeds(labels[:, 0, 0], cues, probabilities, 0.99, 0.85)
    np.testing.assert_array_equal(net.blobs["grown"].data, expected)
    assert expected.sum() > cues.sum()


def test_without_constrain_loss_its_crf_goes_too(pb, tmp_path):
    after, differ = ablated(pb, tmp_path, "no-constrain")
    assert differ == {"CRF", "loss-Constrain"} and not differ & after.keys()


def test_sec_reads_the_cues_as_they_are_and_expands(pb, tmp_path):
    after, differ = ablated(pb, tmp_path, "sec")
    assert differ == {"update-seed", "CRF", "loss-Seed", "loss-Expand"} and "update-seed" not in after
    assert list(after["loss-Seed"].bottom) == ["fc8-SEC-Softmax", "cues"]
    assert list(after["loss-Expand"].bottom) == ["fc8-SEC-Softmax", "labels"]
    assert list(after["loss-Expand"].loss_weight) == [1] and list(after["CRF"].propagate_down) == [False, False]


def test_the_run_says_what_was_changed(pb, tmp_path):
    ablated(pb, tmp_path, "static")
    assert (tmp_path / "ablation.txt").read_text() == "static: static seeds, growing off\n"


def test_every_ablation_fits_every_experiment(pb, tmp_path):
    names = sorted(p.stem for p in ABLATIONS.glob("*.yaml") if read_ablation(p).layers)
    assert len(EXPERIMENTS) >= 3 and len(names) >= 9
    for experiment in EXPERIMENTS:
        if "update-seed" not in layers(pb, experiment):
            continue  # SEC's own: nothing of growing to leave out
        for name in names:
            folder = tmp_path / experiment.name / name
            folder.mkdir(parents=True)
            shutil.copy(experiment / "train-s.prototxt", folder)
            main([str(ABLATIONS / f"{name}.yaml"), str(folder)])
            assert layers(pb, folder) != layers(pb, experiment), f"{experiment.name} {name}"


def test_arguments_of_commands_are_not_put_into_prototxts(tmp_path):
    with pytest.raises(UserError, match="changes arguments of cues.*tools.run NAME --ablation cues-gate"):
        main([str(ABLATIONS / "cues-gate.yaml"), str(tmp_path)])
    assert read_ablation(ABLATIONS / "cues-gate.yaml").arguments == {
        "cues": ("--threshold", "0.4", "--background", "saliency:0.1", "--gate", "saliency:0.2")}


@pytest.mark.parametrize("name", sorted(p.stem for p in ABLATIONS.glob("*.yaml") if read_ablation(p).arguments))
def test_arguments_are_those_of_the_commands(name):
    files = ["--net", "n", "--weights", "w", "--list", "l", "--images", "i", "--labels", "c", "--out", "o.npz"]
    for command, words in read_ablation(ABLATIONS / f"{name}.yaml").arguments.items():
        parse = make_cues.parse_args if command == "cues" else segment.parse_args
        assert vars(parse([*files, *words])) != vars(parse(files))


@pytest.mark.parametrize(("text", "message"), [
    ("says: x\narguments: {cues: --out elsewhere}", "cues: '--out' is not for an experiment to choose"),
    ("says: x\narguments: {evaluate: --x}", "arguments: expected texts by cues, label,"),
    ("says: x\narguments: {cues: '\"a'}", "whose quotation marks are closed"),
    ("train-s.prototxt: {}", "expected a mapping with the line 'says"),
    ("says: x\ntrain-s.prototxt: {nothere: remove}", "has no layer 'nothere'; its layers: .*loss-Seed"),
    ("says: x\ntrain-s.prototxt: {CRF: {no_such_field: 1}}", "layer 'CRF'.*no_such_field"),
    ("says: x\ntrain-s.prototxt: {conv1_1: {param_str: {a: 1}}}", "is a Convolution layer"),
    ("says: x\ntrain-s.prototxt: {CRF: {add: {type: ReLU}}}", "cannot be added"),
    ("says: x\ntrain-s.prototxt: {CRF: 3}", "remove or"),
    ("says: x\nother.prototxt: {CRF: remove}", "has no such net"),
    ("says: [", "is not valid YAML"),
])
def test_refuses_what_does_not_fit_and_changes_nothing(pb, tmp_path, text, message):
    shutil.copytree(ROOT / "prototxts" / "demo", tmp_path / "run")
    (tmp_path / "bad.yaml").write_text(text)
    before = layers(pb, tmp_path / "run")
    with pytest.raises(UserError, match=message):
        main([str(tmp_path / "bad.yaml"), str(tmp_path / "run")])
    assert layers(pb, tmp_path / "run") == before


def test_unknown_ablation_names_those_there_are(tmp_path):
    with pytest.raises(UserError, match="does not exist; known: .*static"):
        main([str(ABLATIONS / "nothere.yaml"), str(tmp_path)])
