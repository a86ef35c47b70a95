"""A run that is killed between any two file operations ends, started again, as one that was not."""

import os
import shutil
import sys

import pytest

from dsrg.pipeline.run_record import RECORD
from tests.dsrg.pipeline.miniature import Miniature
from tests.dsrg.pipeline.test_redone import change

KILLED = 77
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.truncate", "shutil.move"}
#: events of no change, and one whose every step is an event of its own
OTHERS = {"os.listdir", "os.scandir", "os.walk", "shutil.rmtree"}


def is_change(event, arguments):
    """Whether an audit event is an operation that changes files."""
    if event != "open":
        return event in CHANGES
    mode, flags = arguments[1:]
    return bool(set(mode) & set("wax+") if isinstance(mode, str) else flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def killed_at(step, work):
    """Do `work` in a process that ends, as by SIGKILL, before its file operation number `step`; whether it did."""
    child = os.fork()
    if child == 0:
        left = [step]

        def count(event, arguments):
            if is_change(event, arguments):
                left[0] -= 1
                if left[0] == 0:
                    os._exit(KILLED)

        sys.addaudithook(count)
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, KILLED), status
    return status == KILLED


def results(toy):
    """Content of all that stages made, by name; what the run notes of itself holds times."""
    return {str(path.relative_to(toy.run_folder)): path.read_text()
            for name in ("models", "labels", "lists", "cues", "logs") for path in (toy.run_folder / name).rglob("*.*")
            if str(path.relative_to(toy.run_folder)) != RECORD}


STAGES = ("train-s", "label")
ALL = ("lists", "cam", "cues", *STAGES)


@pytest.fixture
def no_code(monkeypatch):
    """Digests of code take time and are not what is tested here."""
    monkeypatch.setattr("dsrg.pipeline.stage_inputs.sources_of", lambda modules, root: [])


@pytest.mark.slow
@pytest.mark.parametrize("back", [False, True], ids=["changed", "changed back"])
@pytest.mark.parametrize("name", ["solver-s.prototxt", "deploy.prototxt"])
def test_killed_anywhere_while_results_are_set_aside_and_made_again(tmp_path, name, back, no_code):
    """A training with its snapshots, and a folder of label maps; the inputs changed for good, or changed back."""
    start = Miniature(tmp_path / "toy")
    start.run(*ALL)
    old = results(start)
    before = (start.experiment / name).read_text()
    shutil.copytree(tmp_path / "toy", tmp_path / "saved", symlinks=True)
    change(start.experiment, name, before + "# changed\n")
    start.run(*STAGES)
    new = results(start)
    assert new != old
    step, seen = 0, 0
    while True:
        step += 1
        shutil.rmtree(tmp_path / "toy")
        shutil.copytree(tmp_path / "saved", tmp_path / "toy", symlinks=True)
        change(start.experiment, name, before + "# changed\n")
        came = killed_at(step, lambda: start.run(*STAGES))
        seen += came
        if back:
            change(start.experiment, name, before)
        start.run(*STAGES)
        assert results(start) == (old if back else new), f"killed before file operation {step}"
        assert not list(start.run_folder.rglob(".*.[0-9]*-[0-9]*")), "a temporary file was left"
        kept = {path.read_text() for folder in ("models", "labels", "stale")
                for path in (start.run_folder / folder).rglob("*.*")}
        assert set(old.values()) - {old[n] for n in old if n in new and old[n] == new[n]} <= kept, "a result was lost"
        if not came:
            break
    assert seen > 15


def test_every_operation_on_files_is_known_here(tmp_path, no_code):
    """What a run does to files while it sets results aside and makes them again: nothing that the kills leave out."""
    toy = Miniature(tmp_path)
    toy.run(*ALL)
    change(toy.experiment, "solver-s.prototxt", (toy.experiment / "solver-s.prototxt").read_text() + "# changed\n")
    seen, read, write = [], *os.pipe()
    child = os.fork()
    if child == 0:
        def note(event, arguments):
            if event.startswith(("os.", "shutil.", "tempfile.")) or is_change(event, arguments):
                os.write(write, f"{event}\n".encode())

        sys.addaudithook(note)
        try:
            toy.run(*STAGES)
        finally:
            os._exit(0)
    os.close(write)
    with open(read, encoding="ascii") as file:
        seen = set(file.read().split())
    os.waitpid(child, 0)
    assert {"open", "os.rename", "os.remove", "os.mkdir", "shutil.move"} <= seen
    assert seen - CHANGES - OTHERS == {"open"}


def test_a_first_run_killed_anywhere_goes_on(tmp_path, no_code):
    whole = Miniature(tmp_path / "whole")
    whole.run(*ALL[:3])
    step, came = 0, True
    while came:
        step += 9
        toy = Miniature(tmp_path / f"toy{step}")
        came = killed_at(step, lambda toy=toy: toy.run(*ALL[:3]))
        toy.run(*ALL[:3])
        assert results(toy) == results(whole), f"killed before file operation {step}"
    assert step > 40


def test_files_of_killed_writers_are_removed_and_others_are_not(tmp_path):
    toy = Miniature(tmp_path)
    toy.run("lists")
    for name in (".s_iter_4.123-140.caffemodel", ".s_iter_4.caffemodel.123.tmp", "s_iter_4.caffemodel.tmp-123-1"):
        (toy.run_folder / "models" / name).write_text("half")
    for name in ("models/.keep", "models/s.tmp.txt", ".notes"):
        (toy.run_folder / name).write_text("mine")
    (toy.data / ".photo.1-2.jpg").write_text("the user's")
    toy.run("lists")
    assert {p.name for p in (toy.run_folder / "models").iterdir()} == {".keep", "s.tmp.txt"}
    assert (toy.run_folder / ".notes").exists() and (toy.data / ".photo.1-2.jpg").exists()
