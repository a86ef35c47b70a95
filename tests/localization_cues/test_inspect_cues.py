"""inspect: the summary of files whose content was counted by hand, and overlays whose pixels are known."""

import json
import pickle

import cv2
import numpy as np
import pytest

from dsrg.cuefile.format import save_cues
from dsrg.io import voc
from dsrg.io.aligned_grids import nearest_aligned
from dsrg.io.errors import UserError
from dsrg.report.cue_overlay import cue_picture, overlay
from localization_cues import inspect_cues as inspect

# Map 4x5. Image 3: label 1 with two cells, label 2 without, one ground cell. Image 5: class 2 on 3 cells, of which one
# also carries class 4, no label of it, no ground. Image 8: ground alone.
CUES = {
    3: ([1, 2], [[1, 1, 0], [0, 0, 3], [0, 1, 4]]),
    5: ([2], [[2, 2, 2, 4], [1, 1, 2, 2], [1, 2, 2, 2]]),
    8: ([1], [[0], [0], [0]]),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = {}
    for number, (labels, cells) in CUES.items():
        content |= {f"{number}_labels": np.array(labels), f"{number}_cues": np.array(cells)}
    for protocol in (0, 1, 2):
        (tmp_path / f"p{protocol}.pickle").write_bytes(pickle.dumps(content, protocol))
    (tmp_path / "list.txt").write_text("a.png 3\nb.png 5\nc.png 7\n")
    (tmp_path / "classes.txt").write_text("background\nred\ngreen\nblue\nwhite\n")
    (tmp_path / "photos").mkdir()
    for name in ("a", "b"):
        cv2.imwrite(f"photos/{name}.png", np.full((40, 50, 3), 100, np.uint8))
    return tmp_path


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_summary_by_hand(folder, protocol):
    inspect.main([f"p{protocol}.pickle", "--list", "list.txt", "--out", "summary.json"])
    report = json.loads((folder / "summary.json").read_text())
    assert report.pop("format") == ("pickle, protocol 2" if protocol == 2 else "pickle, protocol 0 or 1")
    assert report == {
        "file": f"p{protocol}.pickle", "images": 3, "first": 3, "last": 8, "cue_size": [4, 5],
        "foreground": 6 / 60, "background": 2 / 60, "labels_per_image": {"1": 2, "2": 1},
        "classes": [{"class": 0, "images": 0, "cells": 2, "share": 2 / 60, "without_cue": 0},
                    {"class": 1, "images": 2, "cells": 2, "share": 2 / 60, "without_cue": 1},
                    {"class": 2, "images": 2, "cells": 3, "share": 3 / 60, "without_cue": 1},
                    {"class": 4, "images": 0, "cells": 1, "share": 1 / 60, "without_cue": 0}],
        "overlaps": ["b"], "label_without_cue": ["a", "8"], "cue_without_label": ["b"],
        "without_foreground": ["8"], "without_background": ["b"], "missing": ["c"], "unlisted": ["8"],
    }


def test_printed_with_class_names(folder, capsys):
    inspect.main(["p2.pickle", "--classes", "classes.txt", "--list", "list.txt"])
    out = capsys.readouterr().out
    assert "p2.pickle: pickle, protocol 2, 3 images numbered 3 to 8, map 4x5" in out
    assert "coverage: foreground 10.0%, background 3.3%, together 13.3%" in out
    assert "labels an image: 2 with 1, 1 with 2" in out
    assert "green            2            1         3      5.00" in out
    assert "2 images with a label without cues: a, 8" in out
    assert "1 image of the list without cues in this file: c" in out


def test_npz_and_a_given_size(folder, capsys):
    save_cues("c.npz", {0: ([3], [[3], [1], [1]])})
    inspect.main(["c.npz", "--size", "10", "10"])
    out = capsys.readouterr().out
    assert "c.npz: npz, 1 image numbered 0 to 0, map 10x10" in out and "foreground 1.0%, background 0.0%" in out
    assert "no cell has two cues" in out and "of the list" not in out


def test_cells_lie_on_pixels_corners_on_corners():
    assert nearest_aligned(np.array([[1, 2], [3, 4]]), 4, 5).tolist() == [
        [1, 1, 1, 2, 2], [1, 1, 1, 2, 2], [3, 3, 3, 4, 4], [3, 3, 3, 4, 4]]


def test_overlay_colours():
    image = np.zeros((2, 2, 3), np.uint8)
    image[..., 0] = 120                                              # gray 40
    drawn = overlay(image, np.array([[-1, 0], [1, 2]]), voc.palette())
    ground, red, green = voc.palette()[:3].astype(float)
    assert drawn[0, 0].tolist() == [120, 120, 120]                   # 0.5 * 40 + 100
    for place, colour in (((0, 1), ground), ((1, 0), red), ((1, 1), green)):
        assert drawn[place].tolist() == (0.35 * 40 + 0.65 * colour).astype(int).tolist()


def test_picture_holds_photo_cues_and_a_line_a_class():
    image = np.random.default_rng(0).integers(0, 256, (600, 500, 3), np.uint8)
    label_map = np.full((6, 5), -1)
    label_map[0, 0] = 2
    picture = cue_picture(image, label_map, [2], ["background", "red", "green"])
    assert picture.shape == (600 + 2 * 22, 1000, 3)
    np.testing.assert_array_equal(picture[:600, :500], image)
    np.testing.assert_array_equal(picture[600 + 11, 10], [0, 0, 0])        # background
    np.testing.assert_array_equal(picture[622 + 11, 10], [0, 128, 0])      # green
    assert cue_picture(image[:40, :50], label_map, [2], None).shape[:2] == (384 + 44, 960)   # enlarged
    assert (cue_picture(image, label_map, [2], [*"xyä"]) != cue_picture(image, label_map, [2], [*"xyé"])).any()


def test_overlays_are_written(folder):
    inspect.main(["p2.pickle", "--list", "list.txt", "--images", "photos", "--draw", "out", "--classes", "classes.txt"])
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["a.png", "b.png"]
    inspect.main(["p2.pickle", "--list", "list.txt", "--images", "photos", "--draw", "one", "--only", "b"])
    inspect.main(["p2.pickle", "--list", "list.txt", "--images", "photos", "--draw", "few", "--count", "1"])
    assert [path.name for path in (folder / "one").iterdir()] == ["b.png"]
    assert [path.name for path in (folder / "few").iterdir()] == ["a.png"]


@pytest.mark.parametrize(("arguments", "message"), [
    (["none.pickle"], "none.pickle: no such cue file"),
    (["p2.pickle", "--classes", "few.txt"], "image 5 has class 4, expected 0 to 2"),
    (["p2.pickle", "--size", "3", "5"], "image 3 has row 3, expected 0 to 2"),
    (["p2.pickle", "--list", "list.txt", "--images", "photos", "--draw", "o", "--only", "c"], "--only c: list.txt and"),
    (["p2.pickle", "--list", "far.txt", "--images", "photos", "--draw", "o"], "has no image of far.txt"),
    (["evil.pickle"], r"evil.pickle: refused, not a pickle of numpy arrays alone .it asks for os.system."),
    (["deep.pickle"], "deep.pickle: holds a list"),
    (["packed.pickle.gz"], "is gzip-compressed; unpack it first"),
    (["empty.npz"], "holds no image"),
])
def test_bad_input(folder, arguments, message):
    (folder / "few.txt").write_text("background\nred\ngreen\n")
    (folder / "far.txt").write_text("z.png 99\n")
    (folder / "evil.pickle").write_bytes(b"cos\nsystem\n(S'touch it-ran'\ntR.")
    (folder / "deep.pickle").write_bytes(b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".")
    (folder / "packed.pickle.gz").write_bytes(b"\x1f\x8b\x08\x00rest")
    save_cues("empty.npz", {})
    with pytest.raises(UserError, match=message):
        inspect.main(arguments)
    assert not (folder / "it-ran").exists() and not (folder / "o").exists()


@pytest.mark.parametrize("arguments", [["--draw", "o"], ["--images", "photos", "--draw", "o"], ["--count", "0"]])
def test_overlays_need_photos_and_list(folder, arguments):
    with pytest.raises(SystemExit) as stopped:
        inspect.main(["p2.pickle", *arguments])
    assert stopped.value.code == 2
