"""No command waits for, or reads without end, what is no file: FIFOs, devices, folders, links that lead in a circle.

Every option and argument of every command that takes a path is tried with each of them, the other required ones being
given an empty file; a command ends in one line for the user, or has no use for the path.
"""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dsrg.io.errors import run_main
from tests.conftest import ROOT
from tests.parsers import command, commands, parser_of, subparsers

SECONDS = 20.0
KINDS = ("fifo", "/dev/null", "folder", "circle", "\x1b[2J", "missing")
#: serve or run for long once their arguments fit
LEFT_OUT = ("tools.run", "tools.watch")
#: where results go: tried by tests/test_failing_writes.py and tests/test_output_folders.py
WRITTEN = {"out", "scores", "draw", "montage", "log", "csv", "html", "work", "plot", "tensorboard"}


class Hangs(BaseException):
    """The command waits."""


def paths_of(parser):
    """Actions of a parser that take a path to read."""
    return [action for action in parser._actions if action.type is Path and action.dest not in WRITTEN]


def cases():
    """(command, words of its subcommand, dest of the action)."""
    for name in commands():
        if name in LEFT_OUT or name.startswith(("benchmarks.", "docker.")):
            continue
        parser = parser_of(command(name))
        for words, one in [((), parser)] + [((word,), sub) for word, sub in subparsers(parser).items()]:
            for action in paths_of(one):
                yield name, words, action.dest


def arguments(parser, tried, value):
    """Words that give every required argument an empty file or a plain value, and `tried` the value."""
    words, places = [], []
    for action in parser._actions:
        given = value if action.dest == tried else "empty.txt" if action.type is Path else (
            str(next(iter(action.choices))) if action.choices else "1")
        count = action.nargs if isinstance(action.nargs, int) else 1
        if isinstance(action, argparse._SubParsersAction):
            continue
        if not action.option_strings:
            places += [given] * count if action.dest == tried or action.nargs not in ("?", "*") else []
        elif action.dest == tried or action.required:
            words += [action.option_strings[-1]] + ([given] * count if action.nargs != 0 else [])
    return [*places, *words]


@pytest.fixture
def odd(tmp_path, monkeypatch):
    """A folder with one of each, to work in."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    Path("folder").mkdir()
    Path("circle").symlink_to("circle")
    Path("empty.txt").touch()
    return tmp_path


@pytest.mark.parametrize("kind", ["fifo", "/dev/zero", "folder", "circle"])
def test_weights_of_a_training_are_a_file(odd, kind):
    """--weights takes several with commas, and is no path to the test below."""
    code = ("import resource, sys; from caffe.proto import caffe_pb2; from dsrg.io.errors import run_main; "
            "from dsrg.initweights.parameter_shapes import parameter_shapes; "
            "resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31)); "
            "run_main(lambda _: parameter_shapes(sys.argv[1], caffe_pb2))")
    done = subprocess.run([sys.executable, "-c", code, kind], capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'engine'}"})
    assert done.returncode == 1 and done.stderr.startswith(f"error: weights file {kind} ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("name", "words", "dest"), list(cases()), ids=lambda value: "-".join([value] if isinstance(
    value, str) else value))
def test_what_is_no_file_ends_in_a_line_and_at_once(odd, monkeypatch, capsys, name, words, dest):
    def hang(*_):
        raise Hangs(f"{name} waits for {dest}")

    module = command(name)
    parser = parser_of(module)
    parser = subparsers(parser)[words[0]] if words else parser
    monkeypatch.setattr("sys.argv", ["x"])
    before = signal.signal(signal.SIGALRM, hang)
    try:
        for kind in KINDS:
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            with pytest.raises(SystemExit) as end:
                run_main(module.main, [*words, *arguments(parser, dest, kind)])
            lines = capsys.readouterr().err.splitlines()
            assert end.value.code in (0, 1, 2), f"{kind}: status {end.value.code}"
            assert end.value.code == 0 or sum("error: " in line for line in lines) == 1, f"{kind}: {lines}"
            assert not any("this is a bug" in line or "Traceback" in line or "\x1b" in line for line in lines), lines
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert Path("fifo").is_fifo() and Path("folder").is_dir(), "nothing was put in the place of what was given"
