"""Colours become indices; what is no class colour is named."""

import numpy as np
import pytest
from PIL import Image

from dsrg.io import voc
from dsrg.io.errors import UserError
from dsrg.io.label_png import load_label_png, save_label_png
from tools import index_masks

LABELS = np.array([[0, 1, 20], [255, 15, 1]], np.uint8)


def convert(tmp_path, *more):
    index_masks.main(["--masks", str(tmp_path / "masks"), "--out", str(tmp_path / "out"), *more])
    return load_label_png(tmp_path / "out" / "a.png")


def write_rgb(tmp_path, rgb):
    (tmp_path / "masks").mkdir(exist_ok=True)
    Image.fromarray(np.asarray(rgb, np.uint8)).save(tmp_path / "masks" / "a.png")


def test_vocs_colours_become_its_indices(tmp_path):
    write_rgb(tmp_path, voc.palette()[LABELS])
    np.testing.assert_array_equal(convert(tmp_path), LABELS)


def test_index_masks_stay_as_they_are(tmp_path):
    save_label_png(tmp_path / "masks" / "a.png", LABELS)
    np.testing.assert_array_equal(convert(tmp_path), LABELS)


def test_own_colours_in_index_order(tmp_path):
    (tmp_path / "colours.txt").write_text("9 9 9\n0 200 0\n")
    write_rgb(tmp_path, [[[0, 200, 0], [9, 9, 9]]])
    assert convert(tmp_path, "--colours", str(tmp_path / "colours.txt")).tolist() == [[1, 0]]


def test_colour_of_no_class_is_named_with_its_place(tmp_path):
    rgb = voc.palette()[LABELS].copy()
    rgb[1, 2] = (1, 2, 3)
    write_rgb(tmp_path, rgb)
    with pytest.raises(UserError, match=r"a\.png has colour \(1, 2, 3\) at row 1, column 2, which is of no class"):
        convert(tmp_path)


@pytest.mark.parametrize(("text", "message"), [
    ("0 0 0\n1 2\n", r"colours\.txt:2: expected 'R G B'"),
    ("0 0 256\n", r"colours\.txt:1: expected"),
    ("0 0 0\n0 0 0\n", "a colour is listed twice"),
])
def test_bad_colour_lists_are_refused(tmp_path, text, message):
    write_rgb(tmp_path, voc.palette()[LABELS])
    (tmp_path / "colours.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        convert(tmp_path, "--colours", str(tmp_path / "colours.txt"))


def test_masks_are_never_overwritten(tmp_path):
    write_rgb(tmp_path, voc.palette()[LABELS])
    with pytest.raises(UserError, match="choose another"):
        index_masks.main(["--masks", str(tmp_path / "masks"), "--out", str(tmp_path / "masks")])
    with pytest.raises(UserError, match="no PNG masks in"):
        index_masks.main(["--masks", str(tmp_path), "--out", str(tmp_path / "out")])
