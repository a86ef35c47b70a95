"""classifier_quality on a net that sees redness and blueness: what it ranks, says, and never reads."""

import json

import numpy as np
import pytest

from dsrg.io.errors import UserError
from localization_cues import classifier_quality
from tests.localization_cues.coloured_boxes import COLOURS_BGR, MAPS, POOLED, net


def run(*more):
    classifier_quality.main(["--net", "cam.prototxt", "--weights", "cam.caffemodel", "--list", "list.txt", "--images",
                             "photos", "--labels", "labels.txt", "--classes", "classes.txt", "--out", "quality.json",
                             *more])
    with open("quality.json") as file:
        return json.load(file)


@pytest.mark.parametrize("text", [MAPS, POOLED], ids=["maps", "pooled"])
def test_what_the_classifier_knows_has_100_and_what_it_does_not_chance(box_folder, text, capsys):
    net(box_folder, text)
    record = run()
    values = {one["name"]: one["average_precision"] for one in record["classes"]}
    assert values["red"] == values["blue"] == 1
    assert values["other"] == pytest.approx(4 / 12), "equal scores rank by chance"
    assert record["mean_average_precision"] == pytest.approx((1 + 1 + 1 / 3) / 3) and record["images"] == 12
    shown = capsys.readouterr()
    assert "mean average precision 77.8 % (chance 38.9 %) on 12 photos set apart" in shown.out
    assert "warning" not in shown.err and (box_folder / "quality.txt").read_text() in shown.out


def test_a_classifier_that_knows_nothing_is_warned_of(box_folder, capsys):
    net(box_folder, MAPS, -COLOURS_BGR)
    assert run()["mean_average_precision"] < 0.45
    assert "warning: the classifier hardly knows its classes" in capsys.readouterr().err


def test_nothing_set_apart_is_said_and_no_failure(box_folder, capsys):
    (box_folder / "list.txt").write_text("")
    assert run()["mean_average_precision"] is None
    assert "classifier quality: not measured, list.txt has no class to rank: it is empty" in capsys.readouterr().out
    (box_folder / "list.txt").unlink()
    with pytest.raises(UserError, match=r"list of photos list\.txt does not exist"):
        run()


def test_a_net_of_other_data_and_diverged_weights_are_refused(box_folder):
    net(box_folder, MAPS)
    (box_folder / "classes.txt").write_text("background\nred\n")
    (box_folder / "labels.txt").write_text("".join(f"{k} 1\n" for k in range(12)))
    with pytest.raises(UserError, match="blob 'CAM' scores 3 classes, but the data has 1 besides background"):
        run()
    net(box_folder, MAPS, COLOURS_BGR * np.nan)
    (box_folder / "classes.txt").write_text("background\nred\nblue\nother\n")
    with pytest.raises(UserError, match="not finite: its training diverged"):
        run()
