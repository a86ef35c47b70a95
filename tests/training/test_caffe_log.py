"""The log in Caffe's form, read by the rules of Caffe's own parse_log.py and of its shell scripts, written anew."""

import datetime
import re
import types

import numpy as np
import pytest

from tests.training.runs import SOLVER, make_run
from training import train
from training.caffe_log import CaffeLog

NUMBER = r"([\.\deE+-]+)"


def parsed(text, year=2026):
    """What parse_log.py makes of a log: {iteration: {"seconds", "rate", output name: value}}.

    It takes times from heads of glog ("I1231 23:59:59.123456"), the start from the first line with "Solving", the
    iteration from "Iteration N", and files every later number under the last iteration seen.
    """
    def time_of(line):
        day, clock = line.split()[:2]
        assert re.fullmatch(r"[IWEF]\d{4}", day) and re.fullmatch(r"\d\d:\d\d:\d\d\.\d{6}", clock), line
        return datetime.datetime.strptime(f"{year}{day[1:]} {clock}", "%Y%m%d %H:%M:%S.%f")

    lines = text.splitlines()
    start = next(time_of(line) for line in lines if "Solving" in line)
    rows, iteration = {}, None
    for line in lines:
        if found := re.search(r"Iteration (\d+)", line):
            iteration = int(found[1])
        if iteration is None:
            continue
        row = rows.setdefault(iteration, {"seconds": (time_of(line) - start).total_seconds()})
        if found := re.search(r"lr = ([-+]?[0-9]*\.?[0-9]+([eE]?[-+]?[0-9]+)?)", line):
            row["rate"] = float(found[1])
        if found := re.search(rf"Train net output #(\d+): (\S+) = {NUMBER}", line):
            row[found[2]] = float(found[3])
    return rows


def columns(text, what):
    """The ninth word of the lines with `what`, as plot scripts take it by awk, beside the iteration."""
    lines = [line for line in text.splitlines() if f", {what} = " in line]
    return [(int(re.sub(r".*Iteration (\d+).*", r"\1", line)), float(line.split()[8])) for line in lines]


def fake_solver(**outputs):
    """A solver whose net has these outputs: name=(value or values, weight in the loss)."""
    blobs = {name: types.SimpleNamespace(data=np.float32(value), count=np.size(value))
             for name, (value, _) in outputs.items()}
    net = types.SimpleNamespace(blobs=blobs, outputs=list(outputs),
                                blob_loss_weights={name: weight for name, (_, weight) in outputs.items()})
    return types.SimpleNamespace(net=net)


def test_outputs_are_numbered_through_and_the_loss_is_the_weighted_mean(tmp_path):
    """Two losses, one of weight 3, and an accuracy of two values; losses of 1 + 3 x 2 = 7, then 2 + 3 x 4 = 14."""
    solver = fake_solver(accuracy=([0.25, 0.5], 0), seed=(1, 1), constrain=(2, 3), map=(np.zeros((8, 9)), 0))
    log = CaffeLog(tmp_path / "a.log", solver, "tiny", display=2, average_loss=2)
    log.write(0, 1e-3, {"seed": 1.0, "constrain": 2.0}, 0.1)
    log.write(1, 1e-3, {"seed": 1.0, "constrain": 2.0}, 0.1)
    log.write(2, 1.25e-05, {"seed": 2.0, "constrain": 4.0}, 0.1)
    text = (tmp_path / "a.log").read_text()
    assert columns(text, "loss") == [(0, 7), (2, 10.5)] and columns(text, "lr") == [(0, 1e-3), (2, 1.25e-05)]
    said = [line.split("] ", 1)[1] for line in text.splitlines()]
    assert said[:6] == ["Solving tiny", "Iteration 0, loss = 7", "    Train net output #0: accuracy = 0.25",
                        "    Train net output #1: accuracy = 0.5", "    Train net output #2: seed = 1 (* 1 = 1 loss)",
                        "    Train net output #3: constrain = 2 (* 3 = 6 loss)"]
    assert all(re.match(r"I\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ (sgd_)?solver\.cpp:\d+\] ", line)
               for line in text.splitlines())
    assert "map" not in text


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENGINE", "embedded")
    monkeypatch.setenv("GLOG_minloglevel", "1")
    make_run(tmp_path, SOLVER + "display: 1\naverage_loss: 1\n")
    return tmp_path


def test_a_resumed_training_has_each_iteration_once_with_the_values_of_the_json_log(tiny):
    import json

    words = ["--solver", "solver.prototxt", "--log", "logs/a.jsonl", "--caffe-log", "logs/a.log"]
    assert train.main([*words, "--max-iter", "4"]) == 0
    with open("logs/a.log", "a") as file:
        file.write("I0101 00:00:00.000000     1 solver.cpp:228] Iteration 4, lo")     # as a kill leaves it
    assert train.main([*words, "--resume"]) == 0
    rows = parsed((tiny / "logs/a.log").read_text())
    told = [json.loads(line) for line in (tiny / "logs/a.jsonl").read_text().splitlines()]
    assert list(rows) == list(range(8)) == [line["iteration"] for line in told]
    for line in told:
        row = rows[line["iteration"]]
        assert row["rate"] == pytest.approx(line["lr"], rel=1e-5) and row["seconds"] >= 0
        assert row["loss-seed"] == pytest.approx(line["losses"]["loss-seed"], rel=1e-5)
    assert columns((tiny / "logs/a.log").read_text(), "loss")[3] == (3, pytest.approx(
        told[3]["losses"]["loss-seed"], rel=1e-5))


def test_a_new_training_begins_a_new_log(tiny):
    words = ["--solver", "solver.prototxt", "--caffe-log", "a.log", "--max-iter", "2"]
    train.main([*words, "--snapshot-prefix", "models/x"])
    train.main([*words, "--snapshot-prefix", "models/y"])
    assert list(parsed((tiny / "a.log").read_text())) == [0, 1] and (tiny / "a.log").read_text().count("Solving") == 1
