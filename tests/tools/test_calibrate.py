"""tools.calibrate, and who uses what it fits: dsrg.load, tools.segment --scores, tools.export."""

import json

import numpy as np
import pytest

from dsrg import load
from dsrg.calibration.temperature import scaled_softmax
from dsrg.io.errors import UserError
from dsrg.io.label_png import save_label_png
from dsrg.scoring import multiscale
from tests.coloured_run import CLASSES, make_coloured_run
from tools import calibrate, export, segment

NET = """layer { name: "data" type: "Python" top: "images" top: "label" python_param { module: "pylayers.layer"
  layer: "ImageSegDataLayer" param_str: "{'source': 'lists/train_f.txt', 'root_folder': '.'}" } }
"""
TRUE = 20.0


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose label maps are drawn with the probabilities of its net's scores at temperature TRUE."""
    folder = tmp_path_factory.mktemp("work") / "mine"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENGINE", "embedded")
        patch.chdir(folder)
        make_coloured_run(folder)
        model = load(folder)
        random = np.random.default_rng(0)
        for k in range(5):
            likely = scaled_softmax(model.segment(folder / f"data/JPEGImages/{k}.jpg").scores, TRUE)
            for name in ("labels", "masks"):
                drawn = (likely.cumsum(axis=2) < random.random((*likely.shape[:2], 1))).sum(axis=2).clip(0, 2)
                drawn[0] = 255
                save_label_png(folder / name / f"{k}.png", drawn)
        (folder / "lists/calibration_id.txt").write_text("0\n1\n2\n3\n")
        learn_from(folder, "4")
        assert load(folder).temperature.about() == {"temperature": 1.0, "calibrated": False,
                                                    "calibration": "no temperature was fitted"}
        calibrate.main([str(folder)])
    return folder


def learn_from(folder, *ids):
    """The net of the run's training has these photos in its list."""
    (folder / "models/f_net.prototxt").write_text(NET)
    (folder / "lists/train_f.txt").write_text("".join(f"/data/JPEGImages/{i}.jpg /labels/{i}.png\n" for i in ids))


@pytest.fixture(autouse=True)
def _here(run, monkeypatch, tmp_path):
    monkeypatch.setenv("ENGINE", "embedded")
    monkeypatch.chdir(tmp_path)


def record_of(run):
    return json.loads((run / "calibration/f.json").read_text())


def test_the_temperature_that_the_label_maps_were_drawn_at_is_found_and_kept(run):
    record, part = record_of(run), record_of(run)["parts"]["net"]
    assert part["temperature"] == pytest.approx(TRUE, rel=0.05) and not part["at_bound"]
    assert record["fitted_on"] == {"photos": 4, "labels": "pseudo-labels", "folder": str(run / "labels"),
                                   "learned_from": 0}
    apart, val = part["measured"]
    assert (apart["labels"], apart["photos"], apart["pixels"]) == ("pseudo-labels", 4, 4 * 59 * 80)
    assert apart["left_out"] == pytest.approx(1 / 60)
    assert (val["labels"], val["photos"]) == ("true masks", 1)
    for one in (apart, val):
        assert one["after"]["ece"] < 0.02 < one["before"]["ece"] and one["after"]["nll"] < one["before"]["nll"]
        assert one["after"]["right"] == one["before"]["right"], "the order of the classes stays"
        assert sum(row["pixels"] for row in one["after"]["bins"]) == one["pixels"]
    for one in record["parts"]["crf"]["measured"]:
        assert one["after"]["ece"] < one["before"]["ece"] and one["after"]["nll"] < one["before"]["nll"]


def test_load_gives_calibrated_probabilities_and_the_same_label_maps(run):
    model, photo = load(run), run / "data/JPEGImages/1.jpg"
    result, values = model.segment(photo), {k: p["temperature"] for k, p in record_of(run)["parts"].items()}
    value = values["crf"]
    assert result.temperature.calibrated and result.temperature.value == value
    assert result.temperature.line() == (f"probabilities are calibrated: temperature {value:.3f}, fitted to "
                                         "pseudo-labels, on 4 photos that the net has not learned from")
    refined = multiscale.marginals(result.scores, result.image[:, :, ::-1], crf_scale=3.0)
    for one, raised in ((result, refined.astype(float) ** (1 / value)),
                        (model.changed(crf=False).segment(photo), np.exp(result.scores / float(values["net"])))):
        np.testing.assert_allclose(one.probabilities(), raised / raised.sum(axis=2, keepdims=True), atol=1e-5)
        np.testing.assert_array_equal(one.probabilities().argmax(axis=2), one.labels)
    other = model.with_temperature(7.0).segment(photo)
    np.testing.assert_array_equal(other.labels, result.labels)
    assert other.temperature.about() == {"temperature": 7.0, "calibrated": False,
                                         "calibration": "temperature 7 was given, and is taken as it is"}


def test_other_sizes_and_other_weights_are_not_called_calibrated(run):
    model = load(run)
    assert model.changed(crf=False).temperature.calibrated
    assert model.changed(crf=False, crf_scale=2.0).temperature.calibrated, "of a CRF that is not used no width counts"
    assert model.changed(crf_scale=2.0).temperature.says.endswith("was fitted for other crf_scale")
    other = model.changed(scales=(1.0,)).temperature
    assert (other.value, other.calibrated) == (1.0, False)
    assert other.says == f"the temperature of {run / 'calibration/f.json'} was fitted for other scales"
    weights = run / "models/f_iter_30.caffemodel"
    content = weights.read_bytes()
    load(run).net.net.save(str(weights.with_name("f_iter_31.caffemodel")))
    try:
        weights.with_name("f_iter_31.caffemodel").write_bytes(content + b"\x0a\x00")      # another file, an empty name
        assert load(run).temperature.says.endswith("was fitted for other weights")
    finally:
        weights.with_name("f_iter_31.caffemodel").unlink()


def test_scores_of_the_command_are_probabilities_with_what_may_be_said_of_them(run, capsys, tmp_path):
    photo = str(run / "data/JPEGImages/2.jpg")
    assert segment.main([str(run), photo, "--out", "out", "--scores", "scores"]) == 0
    assert "scores: probabilities are calibrated: temperature " in capsys.readouterr().err
    result = load(run).segment(photo)
    with np.load(tmp_path / "scores/2.npz") as saved:
        assert saved["probabilities"].dtype == np.float16 and saved["probabilities"].shape == (len(CLASSES), 60, 80)
        np.testing.assert_allclose(saved["probabilities"].transpose(1, 2, 0), result.probabilities(), atol=1e-3)
        np.testing.assert_allclose(saved["scores"].transpose(1, 2, 0), result.scores, rtol=1e-3)
        assert saved["calibrated"] and saved["temperature"] == result.temperature.value and saved["of"] == "crf"
        assert str(saved["calibration"]) == result.temperature.says
    before = (tmp_path / "out/2.png").stat().st_mtime_ns
    segment.main([str(run), photo, "--out", "out", "--scores", "scores"])
    assert (tmp_path / "out/2.png").stat().st_mtime_ns == before, "all is there"
    assert segment.main([str(run), photo, "--out", "out", "--scores", "scores", "--temperature", "1"]) == 0
    said = capsys.readouterr().err
    assert "redoing 1 label maps (temperature: " in said and "before, 1.0 now)" in said
    assert "scores: probabilities are not calibrated: temperature 1 was given" in said
    with np.load(tmp_path / "scores/2.npz") as saved:
        assert not saved["calibrated"] and saved["temperature"] == 1


def test_exports_carry_the_temperature(run, tmp_path):
    onnx = pytest.importorskip("onnx")
    export.main([str(run), "--format", "onnx", "--out", "f.onnx"])
    about = {entry.key: entry.value for entry in onnx.load(tmp_path / "f.onnx").metadata_props}
    said = json.loads(about["dsrg"])["probabilities"]
    assert said["calibrated"] and said["temperature"] == record_of(run)["parts"]["net"]["temperature"]


def test_true_masks_of_some_val_photos_serve_as_well_and_are_not_measured_on_again(run, capsys):
    before = (run / "calibration/f.json").read_text()
    (run / "some.txt").write_text("0\n2\n3\n")
    try:
        calibrate.main([str(run), "--list", str(run / "some.txt"), "--labels", str(run / "masks")])
        record = record_of(run)
        assert record["parts"]["net"]["temperature"] == pytest.approx(TRUE, rel=0.05)
        assert [(one["name"], one["photos"]) for one in record["parts"]["crf"]["measured"]] == [
            ("photos of the list", 3), ("val photos", 2)]
        assert f"fitted to label maps of {run / 'masks'}, on 3 photos that the net has not" in capsys.readouterr().out
    finally:
        (run / "calibration/f.json").write_text(before)


def test_photos_that_the_net_has_learned_from_do_not_calibrate_it(run, capsys):
    before = (run / "calibration/f.json").read_text()
    learn_from(run, "4", "0", "1")
    try:
        calibrate.main([str(run)])
        assert "probabilities are not calibrated: temperature " in (said := capsys.readouterr().out)
        assert "4 photos that the net has learned from, 2 of them, so that it is less often right" in said
        (run / "models/f_net.prototxt").unlink()
        calibrate.main([str(run)])
        assert "4 photos that the net may have learned from, so that" in capsys.readouterr().out
    finally:
        learn_from(run, "4")
        (run / "calibration/f.json").write_text(before)


def test_a_run_without_photos_kept_apart_says_what_to_do(run, monkeypatch):
    with pytest.raises(UserError, match="no photo apart from stage f .calibrate: true in settings.yaml does.; name"):
        calibrate.main([str(run), "--list", "nowhere.txt"])
    (run / "calibration/s.json").write_text('{"temperature": -1}')
    (run / "segmentations/f").rename(run / "segmentations/s")
    try:
        with pytest.raises(UserError, match="calibration/s.json: not what tools.calibrate writes; remove it"):
            load(run)
    finally:
        (run / "segmentations/s").rename(run / "segmentations/f")
        (run / "calibration/s.json").unlink()
