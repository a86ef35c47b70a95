"""setup.sh: what it asks of the machine before it installs anything, and what it asks of pip."""

import os
import shutil
import subprocess

import pytest

from tests.conftest import ROOT

FILES = ("setup.sh", "requirements.txt", "requirements-dev.txt", "requirements.lock", "requirements-torch-cpu.lock",
         "docker/requirements-caffe.txt")
#: a Python that makes a venv of itself, and as pip only writes down its words
PYTHON = """#!/bin/sh
case "$*" in
  *version_info*) exit ${OLD:-0} ;;
  *ensurepip*) exit ${NO_VENV:-0} ;;
  "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
  -V) echo Python 3.9.2 ;;
  "-m pip --version") case "$0" in .venv/*) exit 0 ;; *) exit 1 ;; esac ;;
  "-m pip "*) echo "$*" >> pip.txt ;;
esac
"""
TOOLS = ("bash", "sh", "cat", "sed", "grep", "awk", "cut", "sha256sum", "find", "sort", "xargs", "mkdir", "rm", "mv",
         "cp", "dirname", "uname")


@pytest.fixture
def setup(tmp_path):
    """Runs setup.sh in a folder with a Python, compiler and disk that pretend; (status, last line, pip's words)."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for package in ("CRF", "CRF/pydensecrf_compat", "dsrg/saliency/drfi/native"):
        (tmp_path / package).mkdir(parents=True, exist_ok=True)
        (tmp_path / package / "pyproject.toml").write_text("")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in TOOLS:
        (programs / name).symlink_to(shutil.which(name))

    def program(name, text):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)

    program("python3", PYTHON)
    program("c++", "#!/bin/sh\ncat > /dev/null\nexit ${OLD_COMPILER:-0}\n")
    program("df", "#!/bin/sh\necho head\necho disk 9 9 ${FREE:-90000000} 1% /\n")

    def run(*words, without=(), **variables):
        for name in without:
            os.unlink(programs / name)
        done = subprocess.run(["bash", "setup.sh", *words], cwd=tmp_path, text=True, capture_output=True, check=False,
                              env={"PATH": str(programs), **variables})
        asked = tmp_path / "pip.txt"
        words_of_pip = asked.read_text().splitlines() if asked.exists() else []
        asked.unlink(missing_ok=True)
        return done.returncode, (done.stderr or done.stdout).strip(), words_of_pip

    run.folder = tmp_path
    return run


@pytest.mark.parametrize(("variables", "without", "line"), [
    ({"OLD": "1"}, (), "error: python3 is Python 3.9.2, this project needs Python 3.11 or newer; set PYTHON"),
    ({"PYTHON": "python9"}, (), "error: no python9; install Python 3.11 or newer, or set PYTHON"),
    ({"NO_VENV": "1"}, (), "error: python3 has no venv; on Debian: apt-get install python3-venv"),
    ({}, ("c++",), "error: CRF/ needs a C++17 compiler; on Debian: apt-get install g++"),
    ({"OLD_COMPILER": "1"}, (), "/bin/c++ compiles no C++17, which CRF/ needs; install GCC 9 or newer, or set CXX"),
    ({"FREE": "2900000"}, (), "error: 2 GB are free in "),
], ids=["old Python", "no Python", "no venv", "no compiler", "old compiler", "full disk"])
def test_what_is_missing_is_said_in_one_line_before_anything_is_made(setup, variables, without, line):
    status, error, asked = setup(without=without, **variables)
    assert status == 1 and line in error and error.startswith("error: ") and "\n" not in error
    assert not asked and not (setup.folder / ".venv").exists()


def test_nothing_is_asked_or_installed_twice(setup):
    status, _, asked = setup()
    assert status == 0 and len(asked) == 4 and asked[0].endswith("install -r .venv/requirements.new")
    status, said, asked = setup(without=("c++", "df"), OLD="1")
    assert (status, said, asked) == (0, "", [])


def test_a_half_made_venv_is_made_again_whole(setup):
    setup()
    (setup.folder / ".venv/bin/python").write_text("#!/bin/sh\nexit 1\n")
    status, _, asked = setup()
    assert status == 0 and len(asked) == 4


def test_locked_takes_the_locks_by_hash(setup):
    status, _, asked = setup(LOCKED="1")
    assert status == 0 and asked[0].endswith(
        "install --require-hashes --only-binary=:all: -rrequirements.lock -rrequirements-torch-cpu.lock")
    assert not any("requirements.new" in words for words in asked)
    status, said, asked = setup("--dev", LOCKED="1")
    assert "note: by version, not by hash: requirements-dev.txt" in said and len(asked) == 3
    assert "-rrequirements.lock" in asked[0] and asked[1].endswith("-r .venv/requirements.new")
    assert "--target" in asked[2]
    (asked, *_) = setup(LOCKED="1", ENGINE="caffe")[2]
    assert "torch" not in asked
