"""Children of a run: one signal each, none left behind, ignored ones stay ignored; locks that die with a process."""

import os
import signal
import subprocess
import sys
import time

import pytest

from dsrg.io.errors import UserError
from dsrg.pipeline.locks import Lock
from tests.conftest import PATIENCE, ROOT

CHILD = """
import os, signal, sys, time
got = []
signal.signal(signal.SIGINT, lambda number, frame: got.append(number))
print("child", os.getpid(), flush=True)
while not got:
    time.sleep(0.02)
time.sleep(0.5)                         # the iteration that is ended
print("asked", len(got), flush=True)
sys.exit(130)
"""
RUNNER = """
import os, sys
from dsrg.pipeline.processes import Children
with Children() as children:
    ended = children.run([sys.executable, "-c", sys.argv[1]], ".", dict(os.environ))
print("ended", ended.status, "wanted", children.wanted, flush=True)
"""


def start(*before, code=CHILD):
    process = subprocess.Popen([*before, sys.executable, "-c", RUNNER, code], cwd=ROOT, stdout=subprocess.PIPE,
                               text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True)
    return process, int(process.stdout.readline().split()[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["alone", "group"])
def test_a_signal_reaches_the_child_once_and_is_waited_for(send, number):
    process, _ = start()
    send(process.pid, number)
    out = process.communicate(timeout=PATIENCE)[0]
    assert out.split() == ["asked", "1", "ended", "130", "wanted", str(int(number))]


def test_sighup_stays_ignored_under_nohup():
    process, child = start("nohup")
    os.kill(process.pid, signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    os.kill(process.pid, signal.SIGTERM)
    assert "wanted 15" in process.communicate(timeout=PATIENCE)[0]


def test_no_child_outlives_a_run_that_is_killed():
    process, child = start()
    process.kill()
    process.communicate(timeout=PATIENCE)
    end = time.monotonic() + 20
    while os.path.exists(f"/proc/{child}"):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_memory_is_that_of_the_child_alone():
    """One that takes much, then one that takes little."""
    code = """
import os, sys
from dsrg.pipeline.processes import Children
with Children() as children:
    for mib in (300, 1):
        print(children.run([sys.executable, "-c", f"x = bytearray({mib} << 20)"], ".", dict(os.environ)).peak_mib)
"""
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
                         capture_output=True, text=True, check=True).stdout.split()
    assert int(out[0]) >= 300 > 150 > int(out[1])


def test_a_lock_says_who_holds_it_and_dies_with_its_process(tmp_path):
    code = ("import sys, time; from dsrg.pipeline.locks import Lock\n"
            "lock = Lock(sys.argv[1], 'it'); print(1, flush=True); time.sleep(600)")
    process = subprocess.Popen([sys.executable, "-c", code, tmp_path / "lock"], cwd=ROOT, stdout=subprocess.PIPE,
                               env={**os.environ, "PYTHONPATH": str(ROOT)})
    process.stdout.readline()
    for shared in (False, True):
        with pytest.raises(UserError, match=rf"it is in use by process {process.pid} on \S+ since 20\d\d-"):
            Lock(tmp_path / "lock", "it", shared=shared)
    process.kill()
    process.communicate()
    with Lock(tmp_path / "lock", "it", shared=True), Lock(tmp_path / "lock", "it", shared=True):
        pass
    Lock(tmp_path / "lock", "it").release()


def test_a_lock_is_no_link_to_a_file_of_somebody(tmp_path):
    (tmp_path / "precious").write_text("of somebody")
    (tmp_path / "lock").symlink_to(tmp_path / "precious")
    with pytest.raises(UserError, match="cannot write .*lock: Too many levels of symbolic links"):
        Lock(tmp_path / "lock", "it")
    assert (tmp_path / "precious").read_text() == "of somebody"
