"""dsrg.io.errors."""

import os
import subprocess
import sys
import tempfile
import warnings

import pytest

from dsrg.io import errors
from dsrg.io.errors import UserError
from tests.conftest import ROOT


def run(main, argv=()):
    with pytest.raises(SystemExit) as stop:
        errors.run_main(main, list(argv))
    return stop.value.code


def raiser(error):
    def main(argv):
        raise error
    return main


def test_run_main_turns_user_errors_into_one_line_and_status_1(capsys):
    assert run(raiser(UserError("list a.txt\nis empty"))) == 1
    assert capsys.readouterr().err == "error: list a.txt is empty\n"


def test_a_user_error_is_one_printable_line_of_bounded_length_wherever_it_is_shown():
    """Layers and library users print str(error) themselves; names in it come from damaged files."""
    assert str(UserError("photo 'a\x1b[2J\x9b\0.jpg'\n  is\tbad")) == "photo 'a\\x1b[2J\\x9b\\x00.jpg' is bad"
    assert len(str(UserError("x" * 100_000))) == errors.LONGEST_LINE + 4


def test_run_main_names_the_file_of_an_os_error_and_what_helps(capsys):
    assert run(raiser(PermissionError(13, "Permission denied", "/data/x.jpg"))) == 1
    assert capsys.readouterr().err == (
        "error: /data/x.jpg: Permission denied; change its permissions or use another folder\n")


def test_a_warning_of_python_is_a_line_like_any_other(capsys):
    """Of a net that the engine builds, say: no path of a source file, no line of code."""
    def main(argv):
        warnings.simplefilter("always")
        warnings.warn("net.prototxt:3: layer 'a'\n is odd", UserWarning, stacklevel=1)
        warnings.warn("divide by zero", RuntimeWarning, stacklevel=1)

    usual = warnings.showwarning
    assert run(main) == 0 and warnings.showwarning is usual
    assert capsys.readouterr().err == (
        "warning: net.prototxt:3: layer 'a' is odd\nwarning: RuntimeWarning: divide by zero\n")


def test_run_main_passes_status_on():
    assert run(lambda argv: None) == 0
    assert run(lambda argv: 3) == 3


def test_bug_is_one_line_and_its_traceback_a_file(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert run(lambda argv: 1 / 0) == 1
    kept, = tmp_path.iterdir()
    assert capsys.readouterr().err == (
        "error: this is a bug in DSRG for Caffe (ZeroDivisionError: division by zero); please report it with the file "
        f"{kept} (see docs/troubleshooting.md)\n")
    assert "Traceback" in kept.read_text() and "1 / 0" in kept.read_text()


def test_bug_is_told_where_no_file_can_be_written(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    assert run(lambda argv: 1 / 0) == 1
    line, = capsys.readouterr().err.splitlines()
    assert line.endswith("with the output of the same command and --traceback (see docs/troubleshooting.md)")


@pytest.mark.parametrize("error", [UserError("list a.txt is empty"), ZeroDivisionError("x"), OSError(28, "full", "a")])
def test_traceback_is_shown_where_it_is_asked_for(error, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = []

    def main(argv):
        seen.append(argv)
        raise error

    assert run(main, ["a", "--traceback", "--b"]) == 1
    err = capsys.readouterr().err
    assert seen == [["a", "--b"]] and err.startswith("Traceback") and err.splitlines()[-1].startswith("error: ")


def test_traceback_is_taken_from_the_command_line_before_it_is_parsed(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["command", "--seed", "3", "--traceback"])
    with pytest.raises(SystemExit):
        errors.run_main(lambda argv: print(argv, sys.argv))
    assert capsys.readouterr().out == "None ['command', '--seed', '3']\n"


def test_classes_of_other_packages_are_for_the_user_once_they_are_added(capsys, monkeypatch):
    class TheirError(Exception):
        pass

    monkeypatch.setattr(errors, "_for_the_user", [UserError])
    assert not errors.is_for_the_user(TheirError())
    errors.add_user_errors(TheirError)
    assert run(raiser(TheirError("net.prototxt:3:1: no type"))) == 1
    assert capsys.readouterr().err == "error: net.prototxt:3:1: no type\n"


def test_memory_that_runs_out_is_no_bug(capsys):
    assert run(raiser(MemoryError("Unable to allocate 9 TiB"))) == 1
    assert capsys.readouterr().err.startswith("error: out of memory (Unable to allocate 9 TiB); use smaller photos")


@pytest.mark.parametrize("error", [UserError("photo \x1b[2Ja\0.jpg " + "x" * 5000),
                                   OSError(5, "I/O error", "\x1b[2Ja\0.jpg" + "x" * 5000)])
def test_error_lines_end_and_control_characters_are_escaped(error, capsys):
    assert run(raiser(error)) == 1
    line, = capsys.readouterr().err.splitlines()
    assert "\\x1b[2Ja\\x00.jpg" in line and line.isprintable() and len(line) < 2020 and line.endswith(" ...")


def test_run_main_answers_ctrl_c_with_status_130():
    assert run(raiser(KeyboardInterrupt())) == 130


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_files(tmp_path, closed):
    """What a command writes is not written into the first file that it opens."""
    code = ("import os, sys\nfrom dsrg.io.errors import note, run_main\n"
            f"def main(argv):\n    with open({str(tmp_path / 'file')!r}, 'w') as file:\n"
            "        print('text')\n        note('a note')\n        os.write(1, b'of a library')\n"
            "        os.write(2, b'of a library')\n        file.write('content')\n"
            "run_main(main)\n")
    (tmp_path / "code.py").write_text(code)
    done = subprocess.run(f"{sys.executable} {tmp_path / 'code.py'} {closed}", shell=True, capture_output=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "file").read_text() == "content"


def test_a_current_folder_that_was_removed_is_one_line(tmp_path):
    """Before a library ends the process over it."""
    (tmp_path / "gone").mkdir()
    code = "import os; os.rmdir(os.getcwd()); from dsrg.io.errors import run_main; run_main(print)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "gone", capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: the current folder is no longer there; change to another one (cd)\n"
