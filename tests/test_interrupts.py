"""Ctrl-C at any moment of any command: silence or one line, never a traceback."""

import os
import signal
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.parsers import commands

#: a module that every command imports, in its place: Ctrl-C comes while it is imported
IMPORTED = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nraise ImportError('went on after Ctrl-C')\n"


def run(words, folders=(), **options):
    path = os.pathsep.join(map(str, (*folders, ROOT, ROOT / "engine")))
    return subprocess.run([sys.executable, *words], cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, timeout=60,
                          capture_output=True, text=True, check=False, **options)


def test_ctrl_c_while_a_command_imports_ends_it_silently(tmp_path):
    """One command of each package, since that is where it is seen to."""
    (tmp_path / "argparse.py").write_text(IMPORTED)
    for name in {name.partition(".")[0]: name for name in commands()}.values():
        done = run(["-m", name], [tmp_path])
        assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", ""), name


def test_ctrl_c_while_the_engines_command_imports_ends_it_silently(tmp_path):
    (tmp_path / "numpy.py").write_text(IMPORTED)
    done = run(["-m", "caffe", "train"], [tmp_path])
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize("package", ["tools", "caffe"])
def test_a_program_that_imports_the_packages_keeps_its_own_ctrl_c(package):
    done = run(["-c", f"import signal, {package}; print(signal.getsignal(2) is signal.default_int_handler)"])
    assert done.stdout == "True\n", done.stderr


WORK = """
import os, signal, sys, time
from dsrg.io.errors import run_main

class Dropped:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(3): pass

def library():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        raise ImportError("a library's word for it")

def destructor():
    Dropped()
    time.sleep(30)

run_main(lambda argv: globals()[sys.argv[1]]())
"""


@pytest.mark.parametrize("where", ["library", "destructor"])
def test_ctrl_c_that_python_cannot_raise_where_it_came_is_one_line(tmp_path, where):
    """A library that makes another exception of it; a destructor, in which Python would print and go on."""
    (tmp_path / "work.py").write_text(WORK)
    done = run([tmp_path / "work.py", where])
    assert done.returncode == 130
    assert done.stderr == "error: interrupted; the same command goes on from here\n"


POOL = """
import os, signal, sys, time
if __name__ == "__mp_main__":
    os.kill(os.getpid(), signal.SIGINT)     # as of a terminal, to all of the group
    time.sleep(0.01)
from dsrg.io.errors import run_main
from dsrg.io.workers import in_order

def main(argv):
    print(*in_order(abs, [-1, -2, -3], 2))

if __name__ == "__main__":
    run_main(main)
"""


def test_ctrl_c_while_workers_import_is_for_their_owner(tmp_path):
    (tmp_path / "pool.py").write_text(POOL)
    done = run([tmp_path / "pool.py"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 2 3\n", "")


def test_ctrl_c_of_the_engines_command_is_one_line(tmp_path):
    (tmp_path / "run.py").write_text("import sys\nfrom caffe import __main__, command_line\n"
                                     "def interrupted(args): raise KeyboardInterrupt\n"
                                     "parse = command_line.parse\n"
                                     "def parsed(words):\n    args = parse(words)\n    args.run = interrupted\n"
                                     "    return args\n"
                                     "command_line.parse = parsed\n__main__.main(['device_query', '-gpu', 'all'])\n")
    done = run([tmp_path / "run.py"])
    assert (done.returncode, done.stderr) == (130, "error: interrupted\n")
