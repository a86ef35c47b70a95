"""The state of runs in all their states, as data and in words."""

import io
import json
import os
import time

import pytest
from rich.console import Console

from dsrg.io.errors import UserError
from dsrg.report import page
from dsrg.report.run_state import read_state
from dsrg.report.state_drawing import STYLES, drawn
from dsrg.report.state_text import plain_lines
from tests.dsrg.pipeline.test_live_page import record
from tests.dsrg.report.made_run import make_run


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "demo")


def test_a_run_in_a_training(run):
    """The last 50 of 300 iterations of 0.25 s: losses 1 + 2 exp(-k / 60), 100 iterations left."""
    os.utime(run / "logs/train-s.jsonl", (time.time() - 90,) * 2)
    (run / "stamps/train-s.json").unlink()
    record(run)
    state = read_state(run)
    assert (state["state"], state["stage"], state["number"], state["of"]) == ("running", "train-s", 2, 3)
    assert state["progress"] == {"unit": "iterations", "done": 300, "of": 400, "seconds_left": 25}
    mean = sum(1 + 2 * 2.718281828459045 ** (-k / 60) for k in range(250, 300)) / 50
    assert state["training"]["losses"] == {"loss-Seed": pytest.approx(mean), "loss-Constrain": pytest.approx(mean)}
    assert 90 <= state["training"]["age"] < 200 and state["training"]["seconds"] == 0.25
    assert state["stages"]["cam"] == "done" and state["stages"]["train-s"] == state["stages"]["lists"] == "to do"
    lines = plain_lines(state)
    assert lines[0].startswith("demo: running for 00:0") and lines[0].split(", ", 1)[1].startswith(
        "stage 2 of 3, train-s, 300 of 400 iterations, 00:25 left, the last one 01:3")
    assert lines[1] == f"  loss-Seed {mean:.4g}, loss-Constrain {mean:.4g}, lr 3.33e-05, 0.25 s an iteration"
    assert json.loads(json.dumps(state)) == state


def test_a_clock_that_was_set_back_gives_no_time_below_zero(run, monkeypatch):
    (run / "stamps/train-s.json").unlink()
    record(run)
    (run / "stamps/train-s.begun").write_text('{"key": "k", "seconds": 9.0, "peak_mib": 100}')
    now = time.time()
    os.utime(run / "logs/train-s.jsonl", (now + 5000,) * 2)
    monkeypatch.setattr(time, "time", lambda: now - 5000)
    state = read_state(run)
    assert state["seconds"] == 0 and state["training"]["age"] == 0
    assert plain_lines(state)[0].startswith("demo: running, stage 2 of 3, train-s, 300 of 400 iterations, 00:25 left")
    stage = next(stage for stage in page._stages(run) if stage["state"] == "running")
    assert stage["name"] == "train-s" and stage["seconds"] == 0


def test_a_log_that_is_cut_off_or_not_there_yet(run):
    record(run)
    path = run / "logs/train-s.jsonl"
    path.write_text(path.read_text()[:-30])
    assert read_state(run)["progress"]["done"] == 299
    path.unlink()
    state = read_state(run)
    assert state["progress"] == {"unit": "iterations", "done": 0, "of": 400, "seconds_left": None}
    assert plain_lines(state)[0].endswith("stage 2 of 3, train-s, 0 of 400 iterations")


def test_photos_are_counted_while_they_are_segmented(run):
    record(run, stage="segment-f", number=3)
    (run / "segmentations/f/z.png").unlink()
    assert "stage 3 of 3, segment-f, 5 of 6 photos" in plain_lines(read_state(run))[0]


@pytest.mark.parametrize("change, first", [
    ({"state": "done", "status": 0, "ended": 65, "began": 0}, "demo: done after 01:05"),
    ({"state": "failed", "status": 3, "ended": 65, "began": 0},
     "demo: failed with status 3 after 01:05, stage 2 of 3, train-s, 300 of 400 iterations"),
    ({"state": "stopped", "status": 130, "ended": 65, "began": 0},
     "demo: stopped after 01:05, stage 2 of 3, train-s, 300 of 400 iterations"),
    ({"process": {}}, "demo: killed, stage 2 of 3, train-s, 300 of 400 iterations"),
])
def test_runs_that_have_ended(run, change, first):
    record(run, **change)
    assert plain_lines(read_state(run))[0] == first
    drawn(read_state(run))


def test_a_folder_of_an_earlier_version_without_a_record(run):
    assert plain_lines(read_state(run)) == ["demo: done"]
    (run / "stamps/full.json").rename(run / "stamps/full.begun")
    state = read_state(run)
    assert (state["state"], state["stage"], state["stages"]["full"]) == ("stopped", "full", "not finished")
    assert plain_lines(state)[0] == "demo: stopped, stage 5 of 5, full, 300 iterations"


def test_a_run_that_has_not_begun_and_a_folder_that_is_no_run(run, tmp_path):
    for folder in ("stamps", "logs", "results"):
        for path in (run / folder).iterdir():
            path.unlink()
    assert plain_lines(read_state(run)) == ["demo: not begun"]
    (tmp_path / "other/stamps").mkdir(parents=True)
    with pytest.raises(UserError, match="dem: not the folder of a run; beside it are demo, other$"):
        read_state(tmp_path / "dem")


def test_the_last_warning_is_shown_and_a_log_is_read_again_when_it_grows(run):
    record(run)
    lines = (run / "logs/cam.jsonl").read_text().splitlines()
    assert read_state(run)["warnings"] == []
    bad = json.loads(lines[-1]) | {"iteration": 300, "losses": {"loss": float("nan")}}
    (run / "logs/cam.jsonl").write_text("\n".join([*lines, json.dumps(bad)]) + "\n")
    state = read_state(run)
    assert plain_lines(state)[-1] == ("  warning: classifier: the loss is not finite from iteration 300 on; try a "
                                      "lower base_lr")
    state["warnings"].append("another")
    assert plain_lines(state)[-1] == "  warning: another (and 1 more)"


@pytest.mark.parametrize("said", [
    {"stages": [[[]]]}, {"stage": {"a": []}, "stages": None, "number": "x"}, {"began": 1e308, "ended": -1e300},
    {"state": "<b>"}, {"state": []}, {"left_out": 5, "iterations": [1]}, {"iterations": {"train-s": 1e400}},
    {"process": {"id": {}}}, {"status": [1]}, {"number": 10 ** 400},
])
def test_a_record_with_values_of_other_forms_is_shown_without_them(run, said):
    record(run, **said)
    state = read_state(run)
    assert state["state"] in STYLES and json.loads(json.dumps(state, allow_nan=False)) == state
    assert plain_lines(state)[0].startswith("demo: ")
    drawn(state)


def test_names_in_a_runs_files_are_shown_harmless(run):
    """Escape sequences of the terminal, and rich's markup, of which [/x] alone is an error."""
    record(run, stage="a\x1b[31m[/x]", stages=["a\x1b[31m[/x]"])
    state = read_state(run)
    assert "stage a\\x1b[31m[/x]" in "stage " + plain_lines(state)[0].split(", ")[-1]
    console = Console(file=io.StringIO(), width=100)
    console.print(drawn(state))
    assert "a\\x1b[31m[/x]" in console.file.getvalue() and "\x1b" not in console.file.getvalue()


def test_every_state_has_a_colour_and_a_word():
    from dsrg.report.run_state import STATES

    assert set(STYLES) == set(STATES)
