"""What a page reads of a run: whole, cut off, begun, or missing."""

import math

import numpy as np
import pytest

from dsrg.io.atomic_files import write_text
from dsrg.report.curves import training_curves
from dsrg.report.run_contents import open_cues, photo_numbers, read_data_set, read_log, read_logs, read_stages
from tests.dsrg.report.made_run import TRAIN, VAL, make_run


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "demo")


def test_a_log_with_a_line_that_a_kill_cut_off(tmp_path):
    write_text(tmp_path / "a.jsonl", '{"iteration": 0, "lr": 0.5, "losses": {"a": 2, "b": 1}, "seconds": 0.1}\n'
               '{"iteration": 1, "lr": null, "losses": {"a": NaN}, "seconds": 0.2, "elapsed": 3}\n'
               '[1]\n{"iteration": 2, "lr"')
    log = read_log(tmp_path / "a.jsonl")
    assert log["iteration"].tolist() == [0, 1] and log["seconds"].tolist() == [0.1, 0.2]
    assert log["lr"][0] == 0.5 and math.isnan(log["lr"][1])
    np.testing.assert_array_equal(log["losses"]["a"], [2, math.nan])
    np.testing.assert_array_equal(log["losses"]["b"], [1, math.nan])


def test_numbers_that_no_training_can_log_are_infinite(tmp_path):
    """Training computes in float32; means and ticks of numbers near the end of float64 overflow."""
    write_text(tmp_path / "a.jsonl", '{"iteration": 145, "lr": 1e308, "losses": {"a": -1e308, "b": 3e38}}\n'
               '{"iteration": 146, "lr": 1e308, "losses": {"a": NaN, "b": 1}}\n')
    log = read_log(tmp_path / "a.jsonl")
    assert log["lr"].tolist() == [math.inf, math.inf] and log["losses"]["b"].tolist() == [3e38, 1]
    np.testing.assert_array_equal(log["losses"]["a"], [-math.inf, math.nan])
    assert training_curves("s", "Stage s", log).startswith("<svg")


def test_logs_are_in_the_order_of_the_pipeline_and_empty_ones_left_out(run):
    write_text(run / "logs/train-f.jsonl", "")
    assert list(read_logs(run)) == ["cam", "static", "train-s", "full"]


def test_stages_in_order_with_those_that_have_not_ended(run):
    (run / "stamps/train-f.json").unlink()
    write_text(run / "stamps/train-f.begun", '{"key": "x", "seconds": 12.5, "peak_mib": 77}')
    write_text(run / "stamps/train-s.begun", "of an earlier start")
    (run / "stale/train-s-1").mkdir(parents=True)
    (run / "stale/train-s-2").mkdir()
    stages = {stage["name"]: stage for stage in read_stages(run)}
    assert list(stages) == ["cam", "static", "train-s", "train-f", "full"]
    assert (stages["train-f"]["state"], stages["train-f"]["seconds"]) == ("not finished", 12.5)
    s = stages["train-s"]
    assert (s["state"], s["seconds"], s["resumed"], s["set_aside"]) == ("done", 95.0, True, 2)


def test_photos_of_each_class_by_list(run):
    data_set = read_data_set(run)
    assert data_set["train"] == list(TRAIN) and data_set["val"] == list(VAL)
    assert {name: counts.tolist() for name, counts in data_set["counts"].items()} == {"train": [0, 2, 2],
                                                                                      "val": [0, 3, 3]}


def test_what_is_missing_is_none(tmp_path):
    assert read_data_set(tmp_path) is None and open_cues(tmp_path) is None
    assert read_logs(tmp_path) == {} and read_stages(tmp_path) == [] and photo_numbers(tmp_path) == {}


def test_cues_and_numbers(run):
    assert photo_numbers(run) == {"a": 0, "b": 1, "c": 2, "d": 3}
    assert len(open_cues(run)) == 4
    (run / "cues/localization_cues.pickle").write_bytes(b"damaged")
    assert open_cues(run) is None
