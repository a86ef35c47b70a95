"""What a run tells those who watch it: its record, written by the runner, and how a reader knows that it was killed."""

import json
import os
import subprocess
import sys

import pytest

from dsrg.pipeline import run_record, runner
from dsrg.pipeline.processes import Ended, Stopped
from dsrg.pipeline.run_record import RECORD, read_record
from tests.dsrg.pipeline.miniature import Miniature


@pytest.fixture
def toy(tmp_path):
    return Miniature(tmp_path)


def test_a_run_records_its_stages_and_its_end(toy):
    seen = {}
    toy.commands.before = lambda command: seen.setdefault(command[2], read_record(toy.run_folder))
    toy.run("lists", "cam", "data")
    during, after = seen["training.train"], read_record(toy.run_folder)
    assert during["stages"] == ["data", "lists", "cam", "cam-quality"] and during["iterations"] == {"cam": 8}
    assert during["left_out"] == {"data": "DATA_ROOT is given"}
    assert (during["state"], during["stage"], during["number"]) == ("running", "cam", 3)
    assert during["process"]["id"] == os.getpid() and during["began"] <= during["stage_began"] <= after["ended"]
    assert (after["state"], after["status"], after["stage"]) == ("done", 0, "cam-quality")


def test_failed_and_stopped_runs_say_so(toy):
    toy.run("lists")
    toy.commands.run = lambda *_: Ended(3, 1)
    assert runner.execute(toy.parts("cam"), toy.choice, print, toy.commands) == 3
    assert (read_record(toy.run_folder)["state"], read_record(toy.run_folder)["status"]) == ("failed", 3)

    def stopped(*_):
        toy.commands.wanted = 15
        return Ended(130, 1)

    toy.commands.run = stopped
    with pytest.raises(Stopped):
        runner.execute(toy.parts("cam"), toy.choice, print, toy.commands)
    assert (read_record(toy.run_folder)["state"], read_record(toy.run_folder)["status"]) == ("stopped", 143)


def test_a_run_whose_process_is_gone_was_killed(toy):
    """Another process with its number is not it; one of another machine is taken at its word."""
    toy.run("lists")
    path = toy.run_folder / RECORD
    record = json.loads(path.read_text()) | {"state": "running"}

    def state(**changes):
        path.write_text(json.dumps(record | changes))
        return read_record(toy.run_folder)["state"]

    mine = record["process"]
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    assert state() == "running"
    assert state(process=mine | {"id": int(gone.stdout)}) == "killed"
    assert state(process=mine | {"start": mine["start"] + 1}) == state(process=mine | {"boot": "x"}) == "killed"
    assert state(process="damaged") == state(process={}) == "killed"
    assert state(host="elsewhere", process=mine | {"boot": "x"}) == "running"
    assert state(process=None) == "running", "a system without /proc"
    path.write_text("{")
    assert read_record(toy.run_folder) == {}


def test_a_record_that_cannot_be_written_keeps_no_run_from_going_on(toy, monkeypatch):
    (toy.run_folder / RECORD).mkdir(parents=True)
    assert toy.run("lists") == {"lists"}
    assert run_record.read_record(toy.run_folder) == {}


def test_the_page_is_kept_by_stages_and_given_to_the_stage_report(toy):
    """In the order of the stages; a failed stage makes no page, and a stopped run waits for none."""
    calls = []

    class Page:
        def __init__(self, folder, environment):
            assert folder == toy.run_folder and "PYTHONPATH" in environment

        def __getattr__(self, name):
            return lambda **options: calls.append((name, *options.values()))

    def execute(*words):
        calls.clear()
        found = toy.parts(*words)
        return runner.execute(found, toy.choice, lambda line: None, toy.commands, Page)

    assert execute("lists", "cam", "report") == 0
    assert calls == [("stage_done",), ("stage_done",), ("stage_done",), ("forget",), ("close", True)]
    assert execute("lists", "cam") == 0 and calls == [("close", True)]
    toy.commands.run = lambda *_: Ended(3, 1)
    assert execute("cues") == 3 and calls == [("close", True)]

    def stopped(command, folder, environment, every):
        every(20.0)
        toy.commands.wanted = 2
        return Ended(130, 1)

    toy.commands.run = stopped
    with pytest.raises(Stopped):
        execute("cues")
    assert calls == [("while_running",), ("close", False)]
