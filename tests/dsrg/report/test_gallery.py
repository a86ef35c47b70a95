"""Photos side by side: which, in which order, and what the pictures hold."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from dsrg.io import voc
from dsrg.report import gallery, page_pictures
from dsrg.report.run_contents import open_cues, read_data_set
from tests.dsrg.report.made_run import CLASSES, FOUND, VAL, make_run, object_of, predicted


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("gallery") / "demo")


def decoded(picture):
    return Image.open(io.BytesIO(base64.b64decode(picture["uri"].partition(",")[2])))


def iou(columns, wanted=8):
    """Mean IoU of background and object: of the object's 16 rows x 8 columns, `columns` are found in a 24x32 photo."""
    rest, missed = 24 * 32 - 16 * wanted, 16 * (wanted - columns)
    return (rest / (rest + missed) + columns / wanted) / 2


def test_val_photos_best_first_by_stage_f(run):
    rows = gallery.val_rows(run, read_data_set(run), 24)
    assert [row["id"] for row in rows] == list(VAL)
    np.testing.assert_allclose([row["iou"] for row in rows], [iou(n) for n in FOUND["f"]])
    assert [row["rank"] for row in rows] == ["best", "best", "median", "median", "worst", "worst"]
    # of photo u 4, 6, 8 and 8 of the object's 8 columns are found: (4/8 + 640/704) / 2, (6/8 + 640/672) / 2, 1, 1
    assert [p["title"] for p in rows[0]["pictures"]] == ["photo", "static seeds 70.5 %", "stage s 85.1 %",
                                                         "stage f 100.0 %", "supervised 100.0 %", "truth"]
    assert rows[1]["classes"] == [CLASSES[2]]


def test_of_many_photos_best_median_and_worst_are_shown_and_every_class(run):
    data_set = read_data_set(run)
    rows = gallery.val_rows(run, data_set, 3)
    assert [(row["id"], row["rank"]) for row in rows] == [("u", "best"), ("w", "median"), ("z", "worst")]
    assert [row["id"] for row in gallery.val_rows(run, data_set, 1)] == ["u", "v"], "v is the first of the other class"


def test_a_map_keeps_its_classes_and_colours(run):
    row = gallery.val_rows(run, read_data_set(run), 24)[3]
    image = decoded(row["pictures"][3])
    np.testing.assert_array_equal(np.array(image), predicted(3, FOUND["f"][3]))
    np.testing.assert_array_equal(np.array(image.convert("RGB"))[10, 9], voc.palette()[object_of(3)])
    # 16 rows of 4 columns are found in 24 x 32 pixels
    assert row["pictures"][3]["alt"] == f"stage f: background {100 * (1 - 64 / 768):.0f} %, sheep <b>& 8 %"


def test_large_pictures_are_shrunk_without_new_classes():
    labels = np.zeros((1200, 2000), np.uint8)
    labels[300:, 900:] = 7
    image = decoded({"uri": page_pictures.map_uri(labels)})
    assert image.size == (320, 192) and set(np.unique(np.array(image))) == {0, 7}


def test_train_photos_with_cues_and_seeds_of_those_that_were_followed(run):
    growth = {"iterations": [0, 5], "maps": {"c": np.full((2, 6, 8), 1, np.int16)}}
    rows = gallery.train_rows(run, read_data_set(run), open_cues(run), growth, 4)
    titles = {row["id"]: [picture["title"] for picture in row["pictures"]] for row in rows}
    assert list(titles) == ["a", "b", "c", "d"]
    assert titles["a"] == ["photo", "cues", "pseudo-label", "truth"]
    assert titles["c"] == ["photo", "cues", "grown seeds", "pseudo-label", "truth"]
    np.testing.assert_allclose([row["iou"] for row in rows], [iou(8 - 2 * k) for k in range(4)])
    # six cells of background in the first column and one of the object, of 48
    assert rows[0]["pictures"][1]["alt"] == "cues: 15% of the map, background 86 %, cow 14 %"


def test_photos_without_masks_have_no_rank(run, tmp_path):
    other = make_run(tmp_path / "demo")
    (other / "masks").unlink()
    (other / "data/SegmentationClass/u.png").unlink()
    rows = {row["id"]: row for row in gallery.val_rows(other, read_data_set(other), 24)}
    assert rows["u"]["iou"] is None and rows["u"]["rank"] == "" and rows["v"]["rank"] == "best"
    assert [p["title"] for p in rows["u"]["pictures"]][-1] == "supervised"
    assert list(rows)[-1] == "u"


def test_damaged_maps_and_missing_photos_leave_their_row_out(tmp_path):
    run = make_run(tmp_path / "demo")
    (run / "segmentations/f/u.png").write_bytes(b"damaged")
    (run / "data/JPEGImages/v.png").unlink()
    assert [row["id"] for row in gallery.val_rows(run, read_data_set(run), 24)] == ["w", "x", "y", "z"]
