"""tools.make_coco: regions against counting by hand and pycocotools, lists, and what is refused."""

import json
import warnings

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from dsrg.datasets.coco_classes import CATEGORIES, class_map
from dsrg.datasets.coco_masks import region_counts, region_mask, run_lengths
from dsrg.io.errors import UserError
from dsrg.io.label_png import load_label_png
from tools import make_lists
from tools.make_coco import main


def box(x0, y0, x1, y1):
    """A polygon around the pixels of rows y0..y1-1 and columns x0..x1-1."""
    return [x0, y0, x1, y0, x1, y1, x0, y1]


TRAIN = {
    "images": [{"id": 25, "file_name": "COCO_train2014_000000000025.jpg", "height": 6, "width": 8},
               {"id": 9, "file_name": "COCO_train2014_000000000009.jpg", "height": 4, "width": 4},
               {"id": 30, "file_name": "COCO_train2014_000000000030.jpg", "height": 4, "width": 4}],
    "annotations": [
        # a small cup (47, class 42) listed before the couch (63, class 58) it stands on; the couch in two parts
        {"id": 1, "image_id": 25, "category_id": 47, "iscrowd": 0, "segmentation": [box(1, 1, 3, 3)]},
        {"id": 2, "image_id": 25, "category_id": 63, "iscrowd": 0, "segmentation": [box(0, 0, 4, 5), box(6, 4, 8, 6)]},
        # a crowd of persons under a dog (18, class 17); run lengths go down the columns
        {"id": 3, "image_id": 9, "category_id": 18, "iscrowd": 0,
         "segmentation": {"size": [4, 4], "counts": [4, 2, 10]}},
        {"id": 4, "image_id": 9, "category_id": 1, "iscrowd": 1,
         "segmentation": {"size": [4, 4], "counts": [0, 8, 8]}},
        # nothing to fill, but a toothbrush (90, class 80) is there
        {"id": 5, "image_id": 9, "category_id": 90, "iscrowd": 0, "segmentation": [[1, 1, 2, 2]]},
    ],
    "categories": [{"id": i, "name": name} for i, name in CATEGORIES.items()],
}
VAL = {"images": [{"id": 42, "file_name": "COCO_val2014_000000000042.jpg", "height": 4, "width": 4}],
       "annotations": [], "categories": TRAIN["categories"]}


@pytest.fixture
def coco(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, content in (("train", TRAIN), ("val", VAL)):
        (tmp_path / name).mkdir()
        for image in content["images"]:
            cv2.imwrite(f"{name}/{image['file_name']}", np.zeros((image["height"], image["width"], 3), np.uint8))
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return tmp_path


def make(*arguments, train="train.json"):
    main(["--train", train, "--val", "val.json", "--train-photos", "train", "--val-photos", "val", "--out", "out",
          *arguments])


def mask(name):
    return load_label_png(f"out/SegmentationClass/{name}.png").tolist()


def test_smaller_regions_win_and_crowds_are_ignored(coco):
    make()
    assert mask("COCO_train2014_000000000025") == [
        [58, 58, 58, 58, 0, 0, 0, 0],
        [58, 42, 42, 58, 0, 0, 0, 0],
        [58, 42, 42, 58, 0, 0, 0, 0],
        [58, 58, 58, 58, 0, 0, 0, 0],
        [58, 58, 58, 58, 0, 0, 58, 58],
        [0, 0, 0, 0, 0, 0, 58, 58]]
    assert mask("COCO_train2014_000000000009") == [[255, 17, 0, 0], [255, 17, 0, 0], [255, 255, 0, 0], [255, 255, 0, 0]]
    assert mask("COCO_val2014_000000000042") == [[0] * 4] * 4


def test_lists_hold_cocos_ids_and_81_classes(coco, capsys):
    make()
    assert "2 train photos (1 without objects left out), 1 val photos, 81 classes" in capsys.readouterr().out
    make_lists.main(["--data", "out", "--out", "lists"])
    lists = {path.name: path.read_text() for path in (coco / "lists").iterdir()}
    assert lists["input_list.txt"] == "COCO_train2014_000000000025.jpg 25\nCOCO_train2014_000000000009.jpg 9\n"
    assert lists["image_labels.txt"] == "COCO_train2014_000000000025 42 58\nCOCO_train2014_000000000009 1 17 80\n"
    assert lists["val_id.txt"] == "COCO_val2014_000000000042\n"
    assert lists["classes.txt"].splitlines()[:2] == ["background", "person"]
    assert len(lists["classes.txt"].splitlines()) == 81
    assert cv2.imread("out/JPEGImages/COCO_train2014_000000000025.jpg").shape == (6, 8, 3)


def test_a_run_that_was_cut_off_goes_on_and_another_is_refused(coco):
    make("--masks", "val")
    assert [p.name for p in (coco / "out/SegmentationClass").iterdir()] == ["COCO_val2014_000000000042.png"]
    assert not list((coco / "out").glob(".*"))
    before = (coco / "out/SegmentationClass/COCO_val2014_000000000042.png").stat().st_mtime_ns
    (coco / "out/ImageSets/Segmentation/train.txt").unlink()
    make("--masks", "val")
    assert (coco / "out/ImageSets/Segmentation/train.txt").read_text().count("COCO") == 2
    assert (coco / "out/SegmentationClass/COCO_val2014_000000000042.png").stat().st_mtime_ns == before
    with pytest.raises(UserError, match="out is not empty, and not begun from these files"):
        make()


def test_classes_of_coco_and_of_others():
    classes, names = class_map(CATEGORIES)
    assert (len(classes), len(names)) == (80, 81) and names[0] == "background"
    assert [classes[i] for i in (1, 11, 13, 25, 27, 44, 46, 90)] == [1, 11, 12, 24, 25, 40, 41, 80]
    assert sorted(set(range(1, 91)) - set(classes)) == [12, 26, 29, 30, 45, 66, 68, 69, 71, 83]
    assert class_map({90: "toothbrush", 3: "car"}) == (classes, names)  # an excerpt of COCO
    assert class_map({7: "weed", 3: "crop"}) == ({3: 1, 7: 2}, ["background", "crop", "weed"])
    with pytest.raises(UserError, match="two categories 'weed'"):
        class_map({7: "weed", 3: "weed"})
    with pytest.raises(UserError, match="a label map holds 254"):
        class_map({i: str(i) for i in range(255)})


def test_regions_are_those_of_pycocotools(rng):
    for _ in range(30):
        height, width = (int(n) for n in rng.integers(5, 60, 2))
        polygons = [rng.uniform(0, (width, height), (rng.integers(3, 9), 2)).ravel().tolist() for _ in range(2)]
        theirs = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
        blob = (cv2.GaussianBlur(rng.normal(size=(height, width)), (0, 0), 3) > 0).astype(np.uint8)
        packed = coco_mask.encode(np.asfortranarray(blob))
        runs = [0] * int(blob[0, 0]) + np.diff(np.flatnonzero(np.diff(blob.T.ravel(), prepend=2, append=2))).tolist()
        text = packed["counts"].decode()
        for region, expected in ((polygons, decode(theirs)), ({"size": [height, width], "counts": text}, blob),
                                 ({"size": [height, width], "counts": runs}, blob)):
            np.testing.assert_array_equal(region_mask(region_counts(region, height, width), height, width), expected)
        assert run_lengths(text).tolist() == runs


def decode(region):
    with warnings.catch_warnings():  # the library's conversion is that of numpy before 2.0
        warnings.simplefilter("ignore", DeprecationWarning)
        return coco_mask.decode(region)


@pytest.mark.parametrize(("segmentation", "message"), [
    ({"size": [4, 4], "counts": [4, 2, 11]}, "cover 17 pixels"),
    ({"size": [3, 4], "counts": [4, 2, 6]}, r"of size \[3, 4\]"),
    ({"size": [4, 4], "counts": [20, -4]}, "negative"),
    ({"size": [4, 4], "counts": "~~~"}, "not compressed text"),
    ({"size": [4, 4], "counts": "P"}, "cut off"),
    ({"size": [4, 4], "counts": [1.5, 14.5]}, "whole numbers"),
    ({"counts": None}, "neither a list nor a text"),
    ([[0, 0, 4, 0, 4, 4, 0]], "a polygon of 7 numbers"),
    ([[0, 0, 4e9, 0, 4, 4]], r"to 4e\+09 does not fit"),
    ([[0, 0, float("nan"), 0, 4, 4]], "does not fit"),
    (3, "neither a list of polygons"),
])
def test_regions_that_do_not_fit_are_refused_by_annotation(coco, segmentation, message):
    content = {**TRAIN, "annotations": [{"id": 77, "image_id": 9, "category_id": 1, "segmentation": segmentation}]}
    (coco / "bad.json").write_text(json.dumps(content).replace("NaN", "1e300"))
    with pytest.raises(UserError, match=f"annotation 77 of image 9: .*{message}"):
        make(train="bad.json")


@pytest.mark.parametrize(("change", "message"), [
    ({"annotations": [{"id": 7, "image_id": 8, "category_id": 1, "segmentation": []}]}, "annotation 7 is of image 8"),
    ({"annotations": [{"id": 7, "image_id": 9, "category_id": 12, "segmentation": []}]}, "category 12"),
    ({"annotations": [{"id": 7, "image_id": 9}]}, "annotation 7 lacks a field"),
    ({"categories": [{"id": 1, "name": "man"}]}, "differ in their categories"),
    ({"images": []}, "names no images"),
    ({"images": [*TRAIN["images"], TRAIN["images"][0]]}, "image 25, .*an id given once"),
    ({"images": [{"id": 1, "file_name": "../x.jpg", "height": 4, "width": 4}]}, "a plain file name"),
    ({"images": [{"id": 1, "file_name": "x.jpg", "height": 4, "width": 4}]}, "photo 'x.jpg' is not in train"),
    ({"images": [{"id": 1, "file_name": "x.jpg"}]}, "without id, file_name, height or width"),
])
def test_files_that_do_not_fit_are_refused(coco, change, message):
    (coco / "bad.json").write_text(json.dumps({**TRAIN, **change}))
    with pytest.raises(UserError, match=message):
        make(train="bad.json")


@pytest.mark.parametrize(("place", "value", "message"), [
    (("images", "height"), 2**31 - 1, "image .* has .* pixels, expected at most 100 megapixels"),
    (("images", "id"), 2**70, "bad.json"), (("images", "width"), 1e999, "bad.json"),    # the parser's word, or ours
    (("annotations", "iscrowd"), 7, "annotation 1 has iscrowd 7, expected 0 or 1"),
    (("categories", "id"), [1], "a category without id and name")])
def test_numbers_that_cannot_be_are_refused(coco, place, value, message):
    whole = json.loads(json.dumps(TRAIN))
    whole[place[0]][0][place[1]] = value
    (coco / "bad.json").write_text(json.dumps(whole).replace("Infinity", "1e999"))
    with pytest.raises(UserError, match=message):
        make(train="bad.json")


def test_an_outline_that_the_library_would_run_out_of_memory_over_is_refused():
    with pytest.raises(ValueError, match="outline of its polygons is longer than 2000000 pixels"):
        region_counts([[0, 0, 1e8, 0, 0, 1, 1e8, 1]], 1, 10**8)


def test_an_annotation_that_is_no_object_is_refused(coco):
    (coco / "bad.json").write_text(json.dumps({**TRAIN, "annotations": [3]}))
    with pytest.raises(UserError, match="bad.json: an annotation is a int, expected an object"):
        make(train="bad.json")


def test_half_a_file_is_refused(coco):
    (coco / "bad.json").write_text((coco / "train.json").read_text()[:300])
    with pytest.raises(UserError, match="bad.json: truncated, or not JSON"):
        make(train="bad.json")
