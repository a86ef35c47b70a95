"""The report of a run on data without masks: pictures, and no failure at the end of a run that went well."""

import json

import caffe
import cv2
import numpy as np
import pytest

from dsrg.io.atomic_files import write_text
from dsrg.io.errors import UserError
from dsrg.io.label_png import save_label_png
from tests.dsrg.report.made_run import make_run
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
    width = cv2.imread(str(run / "results/report.png")).shape[1]
    assert width == 2 * 2.4 * 90, "photo and stage s, no column of masks and stages that are not there"


def test_before_the_evaluation_there_are_pictures_and_a_page(run, capsys):
    (run / "data/SegmentationClass").mkdir()
    report.main([str(run)])
    out = capsys.readouterr().out
    assert "nothing measured yet; the stages segment and evaluate do it" in out
    assert f"Page: {run / 'report.html'}" in out and (run / "results/report.png").exists()
    assert "Nothing is measured yet" in (run / "report.html").read_text()


def measured(folder, miou, predicted=(10, 10), images=8):
    """A run folder with results of stage f and the reference, each class with its count of predicted pixels."""
    for name, value in miou.items():
        classes = [{"name": one, "pred_pixels": count}
                   for one, count in zip(("background", "cow"), predicted, strict=True)]
        record = {"miou": value, "images": images, "classes": classes}
        write_text(folder / f"results/{name}.json", json.dumps(record))
    return str(folder)


def test_the_ratio_is_blank_when_the_reference_is_worse(tmp_path, capsys):
    """A reference that failed bounds nothing: 0.427 / 0.027 is no result of 15.825."""
    bad = measured(tmp_path / "a", {"f": 0.42727, "full": 0.027})
    report.main([bad, "--photos", "0"])
    out = capsys.readouterr().out
    assert "| retrained / fully supervised | val | – (the reference is worse) |" in out and "15.8" not in out
    good = measured(tmp_path / "b", {"f": 0.45, "full": 0.5})
    report.main([good, "--photos", "0"])
    assert "| val | 0.900 (ratio) |" in capsys.readouterr().out
    report.main([good, bad, "--photos", "0"])
    assert "– (the reference is worse in 1 of 2 runs)" in capsys.readouterr().out
    report.main([measured(tmp_path / "c", {"f": 0.0, "full": 0.0}), "--photos", "0"])
    assert "– (the reference is worse)" in capsys.readouterr().out


def test_a_collapsed_model_is_named_in_the_report(tmp_path, capsys):
    report.main([measured(tmp_path, {"f": 0.3}, predicted=(20, 0)), "--photos", "0"])
    assert "retrained, stage f: every pixel of all 8 label maps is 'background'" in capsys.readouterr().out
    assert "collapsed" in (tmp_path / "results/report.md").read_text()
    assert "<li>retrained, stage f: every pixel of all 8" in (tmp_path / "report.html").read_text()
    report.main([measured(tmp_path, {"s": 0.3}, predicted=(20, 0)), "--photos", "0"])
    assert "DSRG, stage s; retrained, stage f: every pixel of all 8" in capsys.readouterr().out
    report.main([measured(tmp_path, {"s": 0.3, "f": 0.3}, predicted=(20, 1)), "--photos", "0"])
    assert "has collapsed" not in capsys.readouterr().out


def test_a_collapsed_model_is_named_where_no_mask_measures_it(run, capsys, monkeypatch):
    """By the pixels that tools.segment keeps beside its label maps; of a run whose folder is where one stands."""
    write_text(run / "lists/classes.txt", "background\ncow\n")
    record = {"settings": {}, "images": 9, "pixels": {"0": 5400, "255": 3}}
    write_text(run / "segmentations/f/settings.json", json.dumps(record))
    write_text(run / "labels/settings.json", json.dumps({**record, "pixels": {"0": 5399, "1": 1}}))
    monkeypatch.chdir(run)
    report.main([".", "--photos", "0"])
    out = capsys.readouterr().out
    says = "retrained, stage f: every pixel of all 9 label maps is 'background', the model has collapsed"
    assert f"warning: {run.name}: {says}" in out and out.count("has collapsed") == 1
    assert f"Page: {run / 'report.html'}" in out
    assert f"<li>{says}" in (run / "report.html").read_text().replace("&#39;", "'")


@pytest.mark.parametrize(("known", "chance"), [({}, ""), ({"mean_chance": 0.25}, " (chance 25.0 %)")])
def test_what_the_classifier_knows_is_reported(tmp_path, capsys, known, chance):
    record = {"mean_average_precision": 0.7834, "images": 40, **known}
    write_text(tmp_path / "results/cam-quality.json", json.dumps(record))
    report.main([measured(tmp_path, {"f": 0.3}), "--photos", "0"])
    out = capsys.readouterr().out
    assert f"mean average precision 78.3 %{chance} on 40 train photos set apart." in out
    assert f"of 78.3 %{chance} on 40 train photos" in (tmp_path / "report.html").read_text()


def test_after_the_first_stage_there_is_a_page(run):
    for path in (run / "segmentations/s/a.png", run / "segmentations/s", run / "segmentations"):
        path.unlink() if path.is_file() else path.rmdir()
    report.main([str(run), "--photos", "0"])
    assert (run / "report.html").stat().st_size > 1000 and not (run / "results/report.png").exists()


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="has no results/; give the folder of a run"):
        report.main([str(tmp_path)])


def test_the_page_shows_how_seeds_grew_and_says_where_they_cannot_be_followed(tmp_path):
    """A snapshot that the deploy net cannot take leaves the growth out, with the reason, and nothing else."""
    run = make_run(tmp_path / "demo")
    net = caffe.Net(str(run / "deploy.prototxt"), caffe.TEST)
    (run / "models").mkdir()
    net.save(str(run / "models/s_iter_5.caffemodel"))
    report.main([str(run), "--photos", "0"])
    text = (run / "report.html").read_text()
    assert "How seeds grew is left out: deploy.prototxt scores 7 classes" in text and "gallery-val" in text
    report.main([str(run), "--photos", "0", "--no-growth"])
    assert "left out" not in (run / "report.html").read_text()


def test_a_classifier_of_which_nothing_can_be_said_is_left_out(tmp_path, capsys):
    """With a few photos set apart every class may be shown by all or by none of them."""
    write_text(tmp_path / "results/cam-quality.json", json.dumps({"mean_average_precision": None, "images": 2}))
    report.main([measured(tmp_path, {"f": 0.3}), "--photos", "0"])
    assert "mean average precision" not in capsys.readouterr().out


def test_photos_that_the_run_left_out_stand_in_table_and_page(run, capsys):
    """By the fault of each, whether or not anything was measured."""
    write_text(run / "lists/left_out.txt", "a photo-empty\nb photo-empty label-none\nc mask-size\n")
    report.main([str(run), "--photos", "0"])
    empty, size = ("left out of the run: 2 photos have 0 bytes (a, b)",
                   "left out of the run: 1 mask has another size than its photo (c)")
    out = capsys.readouterr().out
    assert empty in out and size in out and empty in (run / "report.html").read_text()
    measured(run, {"f": 0.45, "full": 0.5})
    report.main([str(run), "--photos", "0"])
    text = (run / "results/report.md").read_text()
    assert empty in text and size in text and size in (run / "report.html").read_text()
