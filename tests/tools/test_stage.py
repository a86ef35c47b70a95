"""tools.stage: a stage runs once, goes on after a kill, and is redone from scratch when its inputs change."""

import json
import os
import sys

import pytest

from dsrg.io.errors import UserError
from tools.stage import main, run_stage

APPEND = "import sys; open(sys.argv[1], 'a').write('x')"


@pytest.fixture(autouse=True)
def run_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "input").write_text("1")


def append(name="s", reads=("input",), makes=("out",), code=APPEND):
    return run_stage(name, list(reads), list(makes), [sys.executable, "-c", code, "out"])


def test_runs_once(tmp_path):
    assert append() == 0 and append() == 0
    assert (tmp_path / "out").read_text() == "x"
    assert json.loads((tmp_path / "stamps/s.json").read_text())["seconds"] >= 0


def test_runs_again_when_its_result_is_gone(tmp_path):
    append()
    (tmp_path / "out").unlink()
    append()
    assert (tmp_path / "out").read_text() == "x"


def test_changed_input_sets_old_results_aside_and_runs_again(tmp_path):
    append()
    (tmp_path / "input").write_text("2")
    append()
    assert (tmp_path / "out").read_text() == "x"
    assert (tmp_path / "stale/s-1/out").read_text() == "x"


def test_files_copied_anew_change_nothing_and_another_file_does(tmp_path):
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "a.txt").write_text("1")
    append(reads=("input", "lists"))
    for path in (tmp_path / "input", folder / "a.txt"):
        os.utime(path, (1, 1))
    append(reads=("input", "lists"))
    assert (tmp_path / "out").read_text() == "x" and not (tmp_path / "stale").exists()
    (folder / "b.txt").write_text("1")
    append(reads=("input", "lists"))
    assert (tmp_path / "stale/s-1/out").exists()


def test_large_inputs_are_known_by_size_and_time(tmp_path, monkeypatch):
    monkeypatch.setattr("tools.stage.HASH_CONTENT_BELOW", 1)
    append()
    os.utime(tmp_path / "input", (1, 1))
    append()
    assert (tmp_path / "stale/s-1/out").exists()


def test_changed_command_runs_again(tmp_path):
    append()
    append(code=APPEND.replace("'x'", "'y'"))
    assert (tmp_path / "out").read_text() == "y"


def test_goes_on_over_what_a_killed_run_left(tmp_path):
    kill = APPEND + "; import os; os.kill(os.getpid(), 9)"
    command = [sys.executable, "-c", kill, "out"]
    assert run_stage("s", ["input"], ["out"], command) == 128 + 9
    assert not (tmp_path / "stamps/s.json").exists()
    assert run_stage("s", ["input"], ["out"], command) == 128 + 9
    assert (tmp_path / "out").read_text() == "xx", "the second run must find what the first had made"


def test_failure_is_passed_on_and_leaves_no_stamp(tmp_path):
    assert append(code="raise SystemExit(3)") == 3
    assert not (tmp_path / "stamps/s.json").exists()


def test_a_stage_that_makes_nothing_is_an_error():
    with pytest.raises(UserError, match="stage s ended well but did not make out"):
        append(code="pass")


def test_missing_input_is_named():
    with pytest.raises(UserError, match="nowhere: does not exist; run the stage that makes it first"):
        append(reads=["nowhere"])


def test_command_line(tmp_path):
    argv = ["s", "--reads", "input", "--makes", "out", "--", sys.executable, "-c", APPEND, "out"]
    assert main(argv) == 0
    assert (tmp_path / "out").read_text() == "x"


@pytest.mark.parametrize("argv", [["s"], ["s", "--"]])
def test_command_line_needs_a_command(argv):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
