"""dsrg.io.whole_folders: whole or not there, and nothing of anybody else's is touched."""

import os
import signal
import stat
import subprocess
import sys

import pytest

from dsrg.io.errors import UserError
from dsrg.io.whole_folders import whole_folder
from tests.conftest import ROOT

KILLED = """
import os, pathlib, signal, sys
from dsrg.io.whole_folders import whole_folder
with whole_folder(sys.argv[1]) as partial:
    partial.mkdir()
    (partial / "half").write_text("x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def fill(out, replace=False):
    with whole_folder(out, replace) as partial:
        assert partial.name == out.name and not partial.exists()
        partial.mkdir()
        (partial / "file").write_text("new")


def test_a_folder_is_whole_or_not_there(tmp_path):
    out = tmp_path / "a/b"
    with pytest.raises(ZeroDivisionError), whole_folder(out) as partial:
        partial.mkdir()
        assert not out.exists()
        raise ZeroDivisionError
    assert list(out.parent.iterdir()) == []
    fill(out)
    assert [path.name for path in out.parent.iterdir()] == ["b"] and (out / "file").read_text() == "new"
    (tmp_path / "plain").mkdir()
    assert stat.S_IMODE(out.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_hidden_folders_of_others_stay_and_those_of_killed_processes_go(tmp_path):
    """.out of the user's was deleted, whoever made it."""
    others = [".out", ".out.partial", ".out.12345678", ".out.12345678.partial.d", ".outer.12345678.partial"]
    for name in others:
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine").write_text("keep")
    (tmp_path / ".out.abcdefgh.partial").write_text("a file")
    (tmp_path / ".out.ijklmnop.partial").symlink_to(tmp_path / ".out")
    stay = {path.name for path in tmp_path.iterdir()}
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "out"], cwd=ROOT)
    left = {path.name for path in tmp_path.iterdir()} - stay
    assert killed.returncode == -signal.SIGKILL and len(left) == 1
    with whole_folder(tmp_path / "out"):        # another that makes the same, still at work
        at_work = {path.name for path in tmp_path.iterdir()} - stay
        assert len(at_work) == 1 and at_work != left
        fill(tmp_path / "out")
        assert {path.name for path in tmp_path.iterdir()} == stay | at_work | {"out"}
        (tmp_path / "out").rename(tmp_path / "first")
        (tmp_path / next(iter(at_work)) / "out").mkdir()
    assert {path.name for path in tmp_path.iterdir()} == stay | {"first", "out"}
    assert all((tmp_path / name / "mine").read_text() == "keep" for name in others)


def test_what_is_there_gives_way_only_where_that_is_asked_for(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/file").write_text("old")
    with pytest.raises(UserError, match=r"cannot write .*/out: Directory not empty; free space or choose another"):
        fill(tmp_path / "out")
    assert (tmp_path / "out/file").read_text() == "old" and os.listdir(tmp_path) == ["out"]
    fill(tmp_path / "out", replace=True)
    assert (tmp_path / "out/file").read_text() == "new" and os.listdir(tmp_path) == ["out"]


def test_a_long_name_and_a_place_that_is_none(tmp_path):
    fill(tmp_path / ("x" * 255))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write .*file/out: File exists"):
        fill(tmp_path / "file/out")
