"""Measures against hand-counted 3x4 label maps; bad maps refused by name."""

import json

import numpy as np
import pytest
from PIL import Image

from dsrg.io.errors import UserError
from dsrg.io.label_png import save_label_png
from dsrg.scoring.metrics import Result, confusion_matrix
from tools import evaluate as command
from tools.evaluate import evaluate

GT = np.array([[0, 0, 1, 1],
               [0, 0, 1, 255],
               [2, 2, 2, 255]], np.uint8)
PRED = np.array([[0, 1, 1, 1],
                 [0, 0, 0, 1],
                 [2, 0, 255, 2]], np.uint8)
# Counted by hand, gt 255 left out:
#   class 0: hits 3, gt 4, predicted 5 -> IoU 3/6    class 1: hits 2, gt 3, predicted 3 -> IoU 2/4
#   class 2: hits 1, gt 3, predicted 1 -> IoU 1/3    class 3: nowhere
CLASSES = ["background", "cow", "sheep", "boat"]


@pytest.fixture
def maps(tmp_path):
    """Folders pred/ and gt/ with the maps above as image 'a', and their list and classes."""
    save_label_png(tmp_path / "pred" / "a.png", PRED)
    save_label_png(tmp_path / "gt" / "a.png", GT)
    (tmp_path / "ids.txt").write_text("a\n")
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    return tmp_path


def run(maps, *more):
    paths = {"--pred": "pred", "--gt": "gt", "--list": "ids.txt", "--classes": "classes.txt"}
    return command.main([*(word for flag, name in paths.items() for word in (flag, str(maps / name))), *more])


def test_confusion_matrix_counts_void_predictions_as_misses():
    assert confusion_matrix(GT, PRED, 3).tolist() == [[3, 1, 0, 0], [1, 2, 0, 0], [1, 0, 1, 1]]


def test_measures_of_a_hand_counted_map(maps):
    result = evaluate(maps / "pred", maps / "gt", ["a"], 4)
    np.testing.assert_allclose(result.iou, [3 / 6, 2 / 4, 1 / 3, np.nan])
    np.testing.assert_allclose(result.precision, [3 / 5, 2 / 3, 1, np.nan])
    np.testing.assert_allclose(result.recall, [3 / 4, 2 / 3, 1 / 3, np.nan])
    assert result.miou == pytest.approx((3 / 6 + 2 / 4 + 1 / 3) / 3)
    assert result.pixel_accuracy == pytest.approx(6 / 10)
    assert result.mean_accuracy == pytest.approx((3 / 4 + 2 / 3 + 1 / 3) / 3)
    assert result.images == 1


def test_nonzero_diagonal_mean_leaves_out_a_class_never_hit():
    result = Result(np.array([[2, 0, 0], [2, 0, 0]]), 1)
    assert result.miou == pytest.approx((2 / 4 + 0) / 2)
    assert result.miou_nonzero_diagonal == pytest.approx(2 / 4)
    assert "over 2 classes\n" in result.table(["background", "cow"]) and "over the 1 class with a hit" in result.table(
        ["background", "cow"])


def test_several_images_add_up_to_one_confusion_matrix(maps, rng):
    expected = confusion_matrix(GT, PRED, 4)
    for name in "bcd":
        gt, pred = rng.integers(0, 4, (2, 5, 6), np.uint8)
        save_label_png(maps / "gt" / f"{name}.png", gt)
        Image.fromarray(pred).save(maps / "pred" / f"{name}.png")  # 8-bit gray holds indices as well
        for g in range(4):
            for p in range(4):
                expected[g, p] += np.sum((gt == g) & (pred == p))
    np.testing.assert_array_equal(evaluate(maps / "pred", maps / "gt", list("abcd"), 4).confusion, expected)


def test_command_writes_json_and_table(maps, capsys):
    run(maps, "--out", str(maps / "results" / "val.json"))
    table = capsys.readouterr().out
    assert (maps / "results" / "val.txt").read_text() == table
    assert "sheep            33.33     100.00   33.33\n" in table
    assert "boat                 -          -       -\n" in table
    assert "mean IoU         44.44  over 3 classes  (1 in neither" in table
    values = json.loads((maps / "results" / "val.json").read_text())
    assert values["miou"] == pytest.approx(4 / 9) and values["images"] == 1
    third = pytest.approx(1 / 3)
    assert values["classes"][2] == {"index": 2, "name": "sheep", "iou": third, "precision": 1.0,
                                    "recall": third, "gt_pixels": 3, "pred_pixels": 1}
    assert values["classes"][3]["iou"] is None


def test_ground_truth_of_nothing_but_void_has_no_means(maps):
    save_label_png(maps / "gt" / "a.png", np.full_like(GT, 255))
    run(maps, "--out", str(maps / "val.json"))
    assert json.loads((maps / "val.json").read_text())["miou"] is None


def test_missing_prediction_is_named(maps):
    (maps / "ids.txt").write_text("a\nb\nc\n")
    with pytest.raises(UserError, match=r"2 of 3 images have no prediction in .*pred, the first is 'b\.png'"):
        run(maps)


def test_missing_ground_truth_is_named(maps):
    (maps / "gt" / "a.png").unlink()
    with pytest.raises(UserError, match=r"gt/a\.png does not exist"):
        run(maps)


def test_mask_of_another_size_is_named(maps):
    save_label_png(maps / "pred" / "a.png", PRED[:, :3])
    with pytest.raises(UserError, match="image 'a': prediction is 3x3, ground truth 3x4"):
        run(maps)


@pytest.mark.parametrize(("folder", "what"), [("gt", "ground truth"), ("pred", "prediction")])
def test_class_out_of_range_is_named(maps, folder, what):
    save_label_png(maps / folder / "a.png", np.full_like(GT, 22))
    with pytest.raises(UserError, match=f"image 'a': {what} has class index 22, out of range for 4 classes"):
        run(maps)


def test_colour_coded_mask_is_refused(maps):
    Image.new("RGB", (4, 3)).save(maps / "gt" / "a.png")
    with pytest.raises(UserError, match="colour-coded"):
        run(maps)


def test_failed_evaluation_leaves_earlier_results(maps):
    (maps / "val.json").write_text("earlier")
    (maps / "pred" / "a.png").unlink()
    with pytest.raises(UserError):
        run(maps, "--out", str(maps / "val.json"))
    assert (maps / "val.json").read_text() == "earlier"


def test_a_collapsed_model_is_said(maps, capsys):
    """One class everywhere gives an mIoU like any other; the table alone does not tell."""
    for k in range(4):
        save_label_png(maps / "pred" / f"{k}.png", np.ones_like(PRED))
        save_label_png(maps / "gt" / f"{k}.png", GT)
    (maps / "ids.txt").write_text("0\n1\n2\n3\n")
    run(maps)
    shown = capsys.readouterr()
    assert "every pixel of all 4 label maps is 'cow', the model has collapsed" in shown.err
    save_label_png(maps / "pred" / "3.png", PRED)
    run(maps)
    assert "collapsed" not in capsys.readouterr().err
