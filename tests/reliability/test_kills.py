"""A few kills of the kill matrix, and what the matrix itself does not let pass."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.reliability.kills import MARK, Campaign, Fault, digests, processes_with, strike


@pytest.mark.slow
def test_a_killed_stage_ends_with_the_bytes_of_an_undisturbed_one(tmp_path):
    """A training with snapshots, killed twice; the command without this test's limits kills every stage."""
    campaign = Campaign(tmp_path, seed=5)
    campaign.undisturbed(("cam",))
    assert campaign.stages == ["cam"]
    assert {"models/cam_iter_6.caffemodel", "models/cam_iter_2.solverstate",
            "lists/train_id.txt"} <= campaign.expected.keys()
    campaign.killed(2, time.monotonic() + 3600)
    assert sum(campaign.counts.values()) + campaign.late == 2
    (tmp_path / "killed/demo/lists/val_id.txt").write_text("other")
    assert digests(tmp_path / "killed/demo") != campaign.expected


HOLD = "import time; print(1, flush=True); time.sleep(600)"
LEAVES = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"


def test_a_process_that_is_left_is_a_fault(monkeypatch):
    monkeypatch.setattr("tests.reliability.kills.GONE", 0.5)
    with pytest.raises(Fault, match="left 1 processes after SIGTERM to run"):
        strike([sys.executable, "-c", f"{LEAVES}; {HOLD}"], dict(os.environ), (signal.SIGTERM,), "run",
               lambda _: time.sleep(1.5))
    for entry in os.listdir("/proc"):
        if entry.isdigit() and f"{MARK}={os.getpid()}-".encode() in environment_of(entry):
            os.kill(int(entry), signal.SIGKILL)


def test_another_status_than_the_signals_is_a_fault():
    code = f"import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(3)); {HOLD}"
    with pytest.raises(Fault, match="ended with status 3 after SIGTERM to group"):
        strike([sys.executable, "-c", code], dict(os.environ), (signal.SIGTERM,), "group", lambda _: time.sleep(1.5))


def test_a_killed_process_is_told_from_one_that_ended():
    killed = strike([sys.executable, "-c", HOLD], dict(os.environ), (signal.SIGKILL,), "group",
                    lambda _: time.sleep(0.3))
    ended = strike([sys.executable, "-c", ""], dict(os.environ), (signal.SIGKILL,), "run",
                   lambda process: process.wait(60))
    assert (killed.status, killed.in_time, ended.status, ended.in_time) == (-9, True, 0, False)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env={**os.environ, MARK: "here"})
    time.sleep(0.5)
    assert len(processes_with("here")) == 1
    child.kill()
    child.wait()
    assert not processes_with("here")


def environment_of(number):
    try:
        with open(f"/proc/{number}/environ", "rb") as file:
            return file.read()
    except OSError:
        return b""
