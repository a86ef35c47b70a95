"""Sheets of best, median and worst photos: who is on them by counting pixels, what is drawn, what the page shows."""

import json

import numpy as np
import pytest
from PIL import Image

from dsrg.io.voc import palette
from dsrg.report.run_contents import read_data_set
from dsrg.report.sheets import FOLDER, groups_of, ranked_photos, read_sheets, write_sheets
from tests.dsrg.report.made_run import FOUND, VAL, make_run, predicted, truth


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = make_run(tmp_path_factory.mktemp("sheets") / "demo")
    write_sheets(folder, 2)
    return folder


def iou_of(place, columns):
    """Mean over the classes in truth or map, counted pixel by pixel."""
    true, said = truth(place).ravel().tolist(), predicted(place, columns).ravel().tolist()
    shares = [sum(t == c == s for t, s in zip(true, said, strict=True))
              / sum(c in (t, s) for t, s in zip(true, said, strict=True)) for c in sorted(set(true + said))]
    return sum(shares) / len(shares)


@pytest.mark.parametrize("stage", ["static", "f"])
def test_photos_are_ranked_by_their_own_mean_iou(run, stage):
    expected = {one: iou_of(k, FOUND[stage][k]) for k, one in enumerate(VAL)}
    found = ranked_photos(run, stage, read_data_set(run))
    assert {one["id"]: one["iou"] for one in found} == pytest.approx(expected)
    assert [one["iou"] for one in found] == sorted(expected.values(), reverse=True)
    missed = 100 * 16 * (8 - FOUND[stage][5]) / (24 * 32)
    assert found[-1]["wrong"] == f"sheep <b>& as background, {missed:.0f} % of the pixels" and found[-1]["id"] == "z"


def test_no_photo_is_in_two_groups():
    for count in range(3, 40):
        groups = groups_of(list(range(count)), 10)
        members = sum(groups.values(), [])
        assert len(members) == len(set(members)) == 3 * min(10, count // 3)
        assert groups["best"][0] == 0 and groups["worst"][0] == count - 1 and list(groups)[0] == "worst"
    assert groups_of([1, 2], 10) == {}


def test_a_sheet_shows_photo_truth_and_map_of_each(run):
    record = json.loads((run / FOLDER / "sheets.json").read_text())
    assert list(record) == list(FOUND) and sorted(p.name for p in (run / FOLDER).glob("*.jpg")) == \
        sorted(f"{stage}.jpg" for stage in FOUND)
    assert [[one["id"] for one in record["f"]["groups"][name]] for name in ("best", "median", "worst")] == \
        [["u", "v"], ["w", "x"], ["z", "y"]]
    with Image.open(run / FOLDER / "f.jpg") as image:
        sheet = np.asarray(image).astype(int)
    left = 14                   # of the worst, which come first; z is the first below the heading
    pixels = sheet[48 + 32:48 + 32 + 114, left:left + 3 * (152 + 4)]
    sheep = (np.abs(pixels - palette()[2]).sum(axis=2) < 60).mean(axis=0)
    assert sheep[156 + 45:156 + 70].min() > 0.5, "the truth's object, 16 of 24 rows high"
    assert sheep[2 * 156 + 60:].max() < 0.05, "of the map one column of eight, at the left of it"


def test_the_page_reads_what_is_there_and_leaves_out_what_is_damaged(run, tmp_path):
    found = read_sheets(run)
    assert [one["stage"] for one in found] == list(FOUND) and found[2]["uri"].startswith("data:image/jpeg;base64,/9j/")
    assert found[2]["alt"].startswith("worst: z 49 %, y ") and "best: u 100 %" in found[2]["alt"]
    assert read_sheets(tmp_path) == []
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / "sheets.json").write_text('{"f": {"groups": {"best": 3}}, "s": 1}')
    assert read_sheets(tmp_path) == []
