"""The loss log of a training in several parts, and its lines on stderr."""

import io
import json
import sys

import pytest

from training import loss_log
from training.loss_log import LossLog, Progress


@pytest.fixture
def clock(monkeypatch):
    """time.monotonic by hand: clock[0] is now."""
    now = [0.0]
    monkeypatch.setattr(loss_log.time, "monotonic", lambda: now[0])
    return now


def write(log, clock, iterations, seconds):
    for iteration in iterations:
        clock[0] += seconds
        log.write(iteration, 0.1, {"loss": 1.0}, seconds)
    log.close()


def opened(path, start=0):
    log = LossLog(path, start)
    log.close()
    return log


def test_elapsed_counts_all_parts_of_a_training(tmp_path, clock):
    """Ten iterations of 2 s, killed at 9 after the snapshot at 6; resumed, three of 5 s: 20 + 15 s, not 12 + 15."""
    path = tmp_path / "log.jsonl"
    write(LossLog(path), clock, range(10), 2)
    clock[0] += 1000                                    # nothing ran meanwhile
    log = LossLog(path, start=6)
    assert log.earlier == 20
    write(log, clock, range(6, 9), 5)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["iteration"] for line in lines] == list(range(9))
    assert lines[-1]["elapsed"] == 35 and lines[5]["elapsed"] == 12
    assert opened(path, start=9).earlier == 35
    assert opened(path).earlier == 0, "at 0 the training begins anew"


def test_a_log_without_elapsed_counts_its_iterations(tmp_path):
    lines = [json.dumps({"iteration": k, "lr": 1, "losses": {}, "seconds": 1.5}) for k in range(4)]
    (tmp_path / "old.jsonl").write_text("\n".join([*lines, '{"iteration": 4, "lo']))
    assert opened(tmp_path / "old.jsonl", start=4).earlier == 6


def test_lines_follow_display_and_show_means_and_time(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    progress = Progress("s", 4, 9, average_loss=2, display=2, earlier=60)
    for done, loss in zip(range(5, 10), (1, 2, 4, 6, 8), strict=True):
        progress.step(done, 0.01, {"loss": loss})
    progress.close()
    lines = stream.getvalue().splitlines()
    assert [line.split(", ")[:3] for line in lines] == [
        ["s: 6/9", "loss 1.5", "lr 0.01"], ["s: 8/9", "loss 5", "lr 0.01"], ["s: 9/9", "loss 7", "lr 0.01"]]
    assert all("01:00 passed" in line and " left, " in line for line in lines)


def test_all_but_one_of_several_processes_are_silent(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    progress = Progress("s", 0, 1, silent=True)
    progress.step(1, None, {"loss": 1})
    progress.close()
    assert stream.getvalue() == ""
