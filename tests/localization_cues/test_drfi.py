"""DRFI as its commands: train on made photos, apply, evaluate; and what they refuse."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from dsrg.io import photo_folder as folder
from dsrg.io.errors import UserError
from dsrg.io.workers import in_order
from dsrg.saliency.background_detection import photo_saliency
from dsrg.saliency.drfi import forest_training as train
from dsrg.saliency.drfi import map_quality as evaluate
from dsrg.saliency.drfi.model import load_model
from dsrg.saliency.drfi.object_mask import read_mask
from dsrg.saliency.drfi.photo_map import saliency_map, shrunk
from localization_cues import drfi

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--levels", "0.8,100,60", "0.8,300,100", "--trees", "12", "--min-leaf", "1", "--workers", "1"]


def scene(rng, height=72, width=96):
    """A reddish disc near the middle of a greenish ground with noise; and its mask."""
    rows, columns = np.mgrid[:height, :width]
    row, column = rng.uniform(0.4, 0.6, 2) * (height, width)
    mask = (rows - row) ** 2 + (columns - column) ** 2 < rng.uniform(14, 20) ** 2
    image = np.empty((height, width, 3))
    image[:] = rng.uniform((40, 100, 40), (80, 160, 80))
    image[rows > rng.uniform(0.6, 0.9) * height] *= 0.7
    image[mask] = rng.uniform((20, 20, 140), (80, 80, 220))
    return np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8), mask


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Ten photos with masks, and a model trained on the first seven by the command."""
    root = tmp_path_factory.mktemp("drfi")
    rng = np.random.default_rng(7)
    for name in ("images", "masks"):
        (root / name).mkdir()
    for n in range(10):
        image, mask = scene(rng)
        cv2.imwrite(str(root / f"images/p{n}.png"), image)
        cv2.imwrite(str(root / f"masks/p{n}.png"), 255 * mask.astype(np.uint8))
    (root / "train.txt").write_text("".join(f"p{n}\n" for n in range(7)))
    (root / "test.txt").write_text("".join(f"p{n}\n" for n in range(7, 10)))
    drfi.main(["train", *folders(root), "--list", str(root / "train.txt"), "--out", str(root / "m.npz"), *SMALL])
    return root


def folders(root):
    return ["--images", str(root / "images"), "--masks", str(root / "masks")]


def apply(root, out, *more):
    drfi.main(["apply", "--images", str(root / "images"), "--model", str(root / "m.npz"), "--out", str(out),
               "--workers", "1", *more])


def test_train_apply_evaluate(data, tmp_path, capsys):
    apply(data, tmp_path / "maps", "--list", str(data / "test.txt"))
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["p7.png", "p8.png", "p9.png"]
    drfi.main(["evaluate", *folders(data), "--list", str(data / "test.txt"), "--maps", str(tmp_path / "maps"),
               f"masks themselves={data / 'masks'}", "--out", str(tmp_path / "s.json"),
               "--montage", str(tmp_path / "sheet.png"), "--rows", "2"])
    scores = json.loads((tmp_path / "s.json").read_text())["scores"]
    assert scores["maps"]["f_max"] > 0.9 and scores["maps"]["auc"] > 0.95 and scores["maps"]["mae"] < 0.3
    assert scores["masks themselves"]["f_max"] == 1 and scores["masks themselves"]["mae"] == 0
    assert "| masks themselves | 3 | 1.000 |" in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[0] > 200


def test_maps_are_what_make_cues_reads(data, tmp_path):
    apply(data, tmp_path, "--list", str(data / "test.txt"))
    image = cv2.imread(str(data / "images/p7.png"))
    values = saliency_map(image, load_model(data / "m.npz"))
    assert values.dtype == np.float32 and values.min() == 0 and values.max() == 1
    read = photo_saliency(data / "images/p7.png", image.shape[:2], tmp_path / "p7.png")
    np.testing.assert_allclose(read, values, atol=0.5 / 255 + 1e-6)


def test_the_same_seed_trains_the_same_model(data, tmp_path):
    drfi.main(["train", *folders(data), "--list", str(data / "train.txt"), "--out", str(tmp_path / "m.npz"), *SMALL])
    one, other = load_model(data / "m.npz"), load_model(tmp_path / "m.npz")
    for name in ("roots", "feature", "threshold", "children", "value"):
        np.testing.assert_array_equal(getattr(one.forest, name), getattr(other.forest, name))
    drfi.main(["train", *folders(data), "--list", str(data / "train.txt"), "--out", str(tmp_path / "m.npz"), *SMALL,
               "--seed", "1"])
    assert not np.array_equal(load_model(tmp_path / "m.npz").forest.value, one.forest.value)


def test_a_forest_can_be_trained_on_the_authors_features(data, tmp_path):
    drfi.main(["train", *folders(data), "--list", str(data / "train.txt"), "--out", str(tmp_path / "m.npz"), *SMALL,
               "--variant", "authors"])
    model = load_model(tmp_path / "m.npz")
    assert model.variant == "authors"
    mask = cv2.imread(str(data / "masks/p7.png"), cv2.IMREAD_GRAYSCALE) > 0
    values = saliency_map(cv2.imread(str(data / "images/p7.png")), model)
    assert values[mask].mean() > values[~mask].mean() + 0.3


def test_enhanced_levels_by_formula(data):
    image = cv2.imread(str(data / "images/p8.png"))
    model = load_model(data / "m.npz")
    one_level = model.__class__(model.forest, model.levels[:1], model.variant, model.filters, model.max_side)
    plain, sharp = saliency_map(image, one_level), saliency_map(image, one_level, enhance=True)
    np.testing.assert_allclose(sharp, (np.exp(1.25 * plain) - 1) / (np.exp(1.25) - 1), atol=1e-6)


def test_large_photos_are_shrunk_and_their_maps_stretched_back(data):
    image = cv2.imread(str(data / "images/p9.png"))
    model = load_model(data / "m.npz")
    small = model.__class__(model.forest, model.levels, model.variant, model.filters, 48)
    values = saliency_map(cv2.resize(image, None, fx=2, fy=2), small)
    assert values.shape == (144, 192)
    assert shrunk(image, 48).shape == (36, 48, 3) and shrunk(image, 0) is image and shrunk(image, 96) is image


def test_processes_give_the_same_maps_in_order(data, tmp_path):
    apply(data, tmp_path / "one", "--list", str(data / "test.txt"))
    apply(data, tmp_path / "two", "--list", str(data / "test.txt"), "--workers", "2")
    for name in ("p7.png", "p9.png"):
        one, two = (cv2.imread(str(tmp_path / run / name)) for run in ("one", "two"))
        np.testing.assert_array_equal(one, two)


def test_few_results_wait_at_a_time():
    """Jobs are drawn as results are taken, so a folder of any length needs the same memory."""
    drawn = []
    results = in_order(abs, (drawn.append(n) or -n for n in range(100)), 2)
    assert next(results) == 0 and len(drawn) <= 10
    assert list(results) == list(range(1, 100))


def test_samples_are_the_pure_regions(data):
    options = train.TrainOptions(levels=load_model(data / "m.npz").levels, purity=0.75)
    job = (data / "images/p0.png", data / "masks/p0.png")
    features, targets = train.photo_samples(job, options)
    assert features.shape == (len(targets), 93) and features.dtype == np.float32
    assert set(targets) == {0, 1}
    everything, _ = train.photo_samples(job, train.TrainOptions(levels=options.levels, purity=0.5))
    assert len(everything) >= len(features)


def test_target_and_purity_by_hand(data, tmp_path):
    """One region, the whole photo, 60 % object: learned from as object at purity 0.6, left out at 0.75."""
    photo = tmp_path / "flat.png"
    cv2.imwrite(str(photo), np.full((10, 10, 3), 80, np.uint8))
    mask = np.zeros((10, 10), np.uint8)
    mask[:6] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    for purity, expected in ((0.6, [1]), (0.75, [])):
        _, targets = train.photo_samples((photo, tmp_path / "mask.png"), train.TrainOptions(purity=purity))
        assert set(targets) == set(expected)


def test_balance():
    targets = np.array([0] * 100 + [1] * 10)
    chosen = train.balanced(targets, 1.2, np.random.default_rng(0))
    assert (targets[chosen] == 1).sum() == 10 and (targets[chosen] == 0).sum() == 12
    assert len(np.unique(chosen)) == 22 and (np.diff(chosen) > 0).all()
    assert len(train.balanced(1 - targets, 1.2, np.random.default_rng(0))) == 22
    assert len(train.balanced(targets, 0, np.random.default_rng(0))) == 110


def test_measures_by_hand():
    gray = np.array([[200, 100, 0, 0]], np.uint8)
    mask = np.array([[True, False, True, False]])
    precision, recall = evaluate.precision_recall(gray, mask)
    assert (precision[200], recall[200]) == (1, 0.5)
    assert (precision[100], recall[100]) == (0.5, 0.5)
    assert (precision[0], recall[0]) == (0.5, 1)
    assert (precision[201], recall[201]) == (0, 0)
    np.testing.assert_allclose(evaluate.f_measure(np.array([1, 0]), np.array([0.5, 0])), [1.3 * 0.5 / 0.8, 0])
    assert evaluate.roc_area(gray, mask) == (2 + 0.5) / 4      # 200 beats both, 0 loses one and ties one


@pytest.mark.parametrize(("mask", "message"), [
    (None, "no mask .*p0.png; each photo needs a mask"),
    (np.zeros((72, 90), np.uint8), "is 72x90, its photo 72x96"),
    (np.full((72, 96), 15, np.uint8), "holds values up to 15, expected 255"),
    (np.zeros((72, 96, 3), np.uint8), "expected 8-bit gray"),
    (np.zeros((72, 96), np.uint8), "leave no region of the object"),
])
def test_bad_masks_stop_with_one_line(data, tmp_path, mask, message):
    (tmp_path / "list.txt").write_text("p0\n")
    (tmp_path / "masks").mkdir()
    if mask is not None:
        cv2.imwrite(str(tmp_path / "masks/p0.png"), mask)
    with pytest.raises(UserError, match=message) as caught:
        drfi.main(["train", "--images", str(data / "images"), "--masks", str(tmp_path / "masks"), "--list",
                   str(tmp_path / "list.txt"), "--out", str(tmp_path / "m.npz"), *SMALL])
    assert "\n" not in str(caught.value) and not (tmp_path / "m.npz").exists()


def test_masks_of_0_and_1_are_read(tmp_path):
    cv2.imwrite(str(tmp_path / "m.png"), np.eye(3, dtype=np.uint8))
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", (3, 3)), np.eye(3, dtype=bool))


def test_folders_that_give_no_photos(tmp_path):
    with pytest.raises(UserError, match="no folder"):
        folder.photos_of(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no photo in"):
        folder.photos_of(tmp_path)
    for name in ("a.png", "b.jpg", "b.png"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"'b\.jpg' and 'b\.png' have the same id 'b'"):
        folder.photos_of(tmp_path)


def test_evaluate_refuses_a_photo_without_object(data, tmp_path):
    cv2.imwrite(str(tmp_path / "p0.png"), np.zeros((72, 96), np.uint8))
    (tmp_path / "list.txt").write_text("p0\n")
    with pytest.raises(UserError, match="all object or all ground"):
        drfi.main(["evaluate", "--images", str(data / "images"), "--masks", str(tmp_path), "--maps", str(tmp_path),
                   "--list", str(tmp_path / "list.txt")])


@pytest.mark.parametrize(("words", "message"), [
    (["train", "--levels", "0.8,100"], "expected SIGMA,K,MIN such as 0.8,100,150, got '0.8,100'"),
    (["train", "--levels", "0.8,0,9"], "expected sigma >= 0, k > 0 and min >= 1"),
    (["train", "--trees", "0"], "expected a whole number, 1 or more, got '0'"),
    (["train", "--seed", "-1"], "expected a whole number, 0 or more, got '-1'"),
    (["train", "--balance", "-2"], "expected a ratio from 0 to 1000000, got '-2'"),
    (["train", "--purity", "0.2"], "a share from 0.5 to 1"),
    (["train", "--purity", "nan"], "a share from 0.5 to 1, got 'nan'"),
    (["train", "--out", "m.pickle"], "--out ends in .npz"),
])
def test_bad_settings_are_usage_errors(words, message, capsys):
    required = ["--images", "i", "--masks", "m", "--out", "o.npz"]
    with pytest.raises(SystemExit) as caught:
        drfi.main([words[0], *required, *words[1:]])
    assert caught.value.code == 2 and message in capsys.readouterr().err


def test_command_line_says_one_line_for_a_missing_model(data):
    words = ["apply", "--images", data / "images", "--model", "nowhere.npz", "--out", data / "none"]
    result = subprocess.run([sys.executable, "-m", "localization_cues.drfi", *words], capture_output=True, text=True,
                            cwd=ROOT)
    assert result.returncode == 1
    assert result.stderr == "error: no DRFI model nowhere.npz; train one with python -m localization_cues.drfi train\n"
