"""predict_labels on a net that sees redness and blueness: what stays, what goes, and that tools.segment reads it."""

import numpy as np
import pytest

from dsrg.io.errors import UserError
from dsrg.io.image_labels import read_image_labels
from localization_cues import predict_labels
from localization_cues.predict_labels import likely_classes
from tests.localization_cues.coloured_boxes import COLOURS_BGR, MAPS, POOLED, net


def test_what_exceeds_the_probability_stays_and_the_likeliest_always():
    scores = np.array([-8.0, 0.0, 3.0])                         # 0.0003, 0.5, 0.953
    assert likely_classes(scores, 0.0001) == [1, 2, 3]
    assert likely_classes(scores, 0.01) == [2, 3]
    assert likely_classes(scores, 0.5) == [3], "a class must exceed the probability"
    assert likely_classes(scores, 0.99) == [3]
    assert likely_classes([-1000.0, -999.0], 0.01) == [2], "however unlikely"


def run(*more):
    predict_labels.main(["--net", "cam.prototxt", "--weights", "cam.caffemodel", "--list", "ids.txt", "--images",
                         "photos", "--classes", "classes.txt", "--out", "found.txt", *more])
    return read_image_labels("found.txt", 4)


@pytest.mark.parametrize("text", [MAPS, POOLED], ids=["maps", "pooled"])
def test_labels_of_photos_without_any(box_folder, text, capsys):
    net(box_folder, text)
    (box_folder / "labels.txt").unlink()
    (box_folder / "ids.txt").write_text("8\n2\n3\n")               # red; red, smaller; blue
    kept = run("--mean", "120", "120", "120", "--above", "0.9")
    assert kept == {"8": [1], "2": [1], "3": [2]} and list(kept) == ["8", "2", "3"], "ids and order of the list"
    assert "found.txt: 1.00 classes a photo stay, of 3 photos" in capsys.readouterr().out
    assert run("--mean", "120", "120", "120", "--above", "0.1")["3"] == [2, 3], "of what is not known 0.5"


def test_photos_that_are_missing_and_diverged_weights_write_nothing(box_folder):
    net(box_folder, MAPS, COLOURS_BGR * np.nan)
    (box_folder / "ids.txt").write_text("1\n99\n")
    with pytest.raises(UserError, match="99"):
        run()
    (box_folder / "ids.txt").write_text("1\n")
    with pytest.raises(UserError, match="not finite: its training diverged"):
        run()
    assert not (box_folder / "found.txt").exists()


def test_a_net_of_other_classes_and_scores_that_are_overwritten_are_refused(box_folder):
    """A net for segmentation scores the background, too: its classes would all be one too high."""
    net(box_folder, MAPS)
    (box_folder / "ids.txt").write_text("1\n")
    (box_folder / "classes.txt").write_text("background\nred\nblue\n")
    with pytest.raises(UserError, match="scores 3 classes, but the data has 2 besides background"):
        run()
    (box_folder / "classes.txt").write_text("background\nred\nblue\nother\n")
    net(box_folder, POOLED.replace('top: "p"', 'top: "pool"'))
    with pytest.raises(UserError, match="layer 'p' writes its values over the scores of layer 'pool'"):
        run()
