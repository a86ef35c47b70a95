"""tools.watch: once and until the end, on a terminal and elsewhere, for people and for scripts."""

import json
import os
import pty
import subprocess
import sys
import time

import pytest

from dsrg.io.errors import UserError
from tests.conftest import PATIENCE, ROOT
from tests.dsrg.pipeline.test_live_page import record
from tests.dsrg.report.made_run import make_run
from tools import watch


@pytest.fixture
def run(tmp_path):
    folder = make_run(tmp_path / "demo")
    record(folder)
    return folder


def test_once_prints_lines_and_json_an_object(run, capsys):
    assert watch.main([str(run), "--once"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("demo: running for 00:0") and said.err == "" and "\x1b" not in said.out
    assert watch.main([str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["progress"]["done"] == 300
    assert watch.main([str(run), str(run), "--once", "--json"]) == 0
    assert [one["stage"] for one in json.loads(capsys.readouterr().out)] == ["train-s", "train-s"]


def test_a_folder_that_is_no_run_is_refused(run):
    with pytest.raises(UserError, match="nowhere: not the folder of a run; beside it are demo$"):
        watch.main([str(run.parent / "nowhere")])
    with pytest.raises(SystemExit, match="2"):
        watch.main([str(run), "--interval", "0"])


@pytest.mark.parametrize("change, status", [({"state": "done", "status": 0}, 0), ({"state": "failed", "status": 3}, 1),
                                            ({"process": {}}, 1)])
def test_elsewhere_than_on_a_terminal_a_line_a_change_until_the_end(run, capsys, monkeypatch, change, status):
    """Between two looks the run goes on: nothing, the next stage, nothing, its end."""
    steps = iter([None, {}, None, change])

    def sleep(seconds):
        assert seconds == 5
        if (step := next(steps)) is not None:
            record(run, stage="report", number=3, **step)

    monkeypatch.setattr(watch.time, "sleep", sleep)
    assert watch.main([str(run), "--interval", "5"]) == status
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("demo: ")]
    assert len(lines) == 3 and "stage 3 of 3, report" in lines[1] and lines[2].startswith(
        "demo: " + change.get("state", "killed"))


@pytest.mark.parametrize("no_color", ["", "1"])
def test_on_a_terminal_a_picture_with_a_bar_and_colours_where_they_are_wanted(run, no_color):
    record(run, state="stopped", status=130, ended=time.time())
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "NO_COLOR": no_color, "COLUMNS": "100", "LINES": "40"}
    started = subprocess.Popen([sys.executable, "-m", "tools.watch", str(run)], cwd=ROOT, env=environment,
                               stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
    assert started.wait(PATIENCE) == 1 and started.stderr.read() == b""
    started.stderr.close()
    os.close(ours)
    text = shown.decode()
    assert "stage 2 of 3, train-s" in text and "300 of 400 iterations" in text and "━" in text
    assert ("\x1b[1;33mstopped" in text) == (not no_color), "yellow"
