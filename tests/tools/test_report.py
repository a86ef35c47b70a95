"""The report of a run on data without masks: pictures, and no failure at the end of a run that went well."""

import cv2
import numpy as np
import pytest

from dsrg.io.atomic_files import write_text
from dsrg.io.errors import UserError
from dsrg.io.label_png import save_label_png
from tools import report


@pytest.fixture
def run(tmp_path):
    """A run folder with one segmented val photo and nothing measured."""
    (tmp_path / "data/JPEGImages").mkdir(parents=True)
    (tmp_path / "results").mkdir()
    cv2.imwrite(str(tmp_path / "data/JPEGImages/a.png"), np.full((20, 30, 3), 90, np.uint8))
    write_text(tmp_path / "lists/val_id.txt", "a\n")
    save_label_png(tmp_path / "segmentations/s/a.png", np.ones((20, 30), int))
    return tmp_path


def test_without_masks_there_are_pictures(run, capsys):
    report.main([str(run)])
    assert "Nothing measured:" in capsys.readouterr().out
    assert cv2.imread(str(run / "results/report.png")) is not None


def test_with_masks_a_missing_evaluation_is_an_error(run):
    (run / "data/SegmentationClass").mkdir()
    with pytest.raises(UserError, match="nothing measured yet; run the stages segment and evaluate"):
        report.main([str(run)])
    assert not (run / "results/report.png").exists()


def test_without_masks_and_segmentations_nothing_is_there_to_show(run):
    (run / "segmentations/s/a.png").unlink()
    (run / "segmentations/s").rmdir()
    (run / "segmentations").rmdir()
    with pytest.raises(UserError, match="nothing measured yet"):
        report.main([str(run)])
