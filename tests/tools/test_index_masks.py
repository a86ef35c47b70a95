"""Colours become indices; what is not a class colour is named."""

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
    before = (tmp_path / "masks/a.png").read_bytes()
    for out in (tmp_path / "masks", tmp_path / "masks/new"):
        with pytest.raises(UserError, match="would write into .*masks, whose photos or masks are read"):
            index_masks.main(["--masks", str(tmp_path / "masks"), "--out", str(out)])
    assert (tmp_path / "masks/a.png").read_bytes() == before
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no PNG masks in"):
        index_masks.main(["--masks", str(tmp_path / "empty"), "--out", str(tmp_path / "out")])


def test_colours_to_ignore_become_255(tmp_path):
    (tmp_path / "colours.txt").write_text("9 9 9\n0 200 0\n")
    write_rgb(tmp_path, [[[0, 200, 0], [1, 2, 3], [4, 5, 6], [9, 9, 9]]])
    made = convert(tmp_path, "--colours", str(tmp_path / "colours.txt"), "--ignore", "1", "2", "3", "--ignore", "4",
                   "5", "6")
    assert made.tolist() == [[1, 255, 255, 0]]


def test_folders_in_the_folder_are_walked_and_other_files_counted(tmp_path, capsys):
    for place in ("masks/one", "masks/two"):
        save_label_png(tmp_path / place / "a.png", LABELS)
    save_label_png(tmp_path / "masks/two/B.PNG", LABELS)
    (tmp_path / "masks/readme.txt").write_text("x")
    index_masks.main(["--masks", str(tmp_path / "masks"), "--out", str(tmp_path / "out")])
    made = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png"))
    assert made == ["one/a.png", "two/B.png", "two/a.png"]
    assert "left out (1 .txt)" in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_binary_masks_become_indices_by_gray_values(tmp_path, mode):
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).convert(mode).save(tmp_path / "masks/a.png")
    assert convert(tmp_path, "--gray", "0", "255").tolist() == [[0, 1], [1, 0]]


def test_gray_masks_of_sixteen_bits_hold_indices(tmp_path):
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.array([[0, 255], [3, 1]], np.uint16)).save(tmp_path / "masks/a.png")
    assert convert(tmp_path).tolist() == [[0, 255], [3, 1]]
    Image.fromarray(np.array([[0, 300], [3, 1]], np.uint16)).save(tmp_path / "masks/a.png")
    with pytest.raises(UserError, match=r"gray value 300 at row 0, column 1, beyond the indices"):
        convert(tmp_path)


def test_every_form_of_mask_that_loading_refuses_is_told_its_remedy_here(tmp_path):
    """load_label_png sends masks of these forms to this command, so it must not send them back."""
    (tmp_path / "masks").mkdir()
    Image.new("1", (2, 2)).save(tmp_path / "masks/a.png")
    with pytest.raises(UserError, match=r"black and white \(mode 1\); --gray 0 255 makes white class 1"):
        convert(tmp_path)
    clear = np.array([[[0, 0, 0, 255], [255, 255, 255, 0]]], np.uint8)
    Image.fromarray(clear).save(tmp_path / "masks/a.png")
    with pytest.raises(UserError, match=r"\(255, 255, 255\) of a transparent pixel .* --ignore R G B"):
        convert(tmp_path)
    assert convert(tmp_path, "--ignore", "255", "255", "255").tolist() == [[0, 255]]


def test_all_bad_masks_are_told_in_one_go_and_the_good_ones_written(tmp_path):
    write_rgb(tmp_path, voc.palette()[LABELS])
    for name in ("b", "c"):
        Image.fromarray(np.full((2, 2, 3), 7, np.uint8)).save(tmp_path / f"masks/{name}.png")
    with pytest.raises(UserError, match="2 faults, the first: mask .*b.png") as caught:
        convert(tmp_path)
    assert sum("has colour (7, 7, 7)" in line for line in caught.value.details) == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]
