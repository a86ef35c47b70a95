"""Which Caffe is found, in a process of its own for each case."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT

FAKE = """
__version__ = "1.0.0-fake"
def layer_type_list():
    return LAYERS
"""


@pytest.fixture
def real(tmp_path):
    """A folder like a built Caffe, whose module only knows its layer types."""
    package = tmp_path / "root" / "python" / "caffe"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(FAKE.replace("LAYERS", '["Convolution", "Python"]'))
    return tmp_path / "root"


def find(path=(), **variables):
    """Import caffe through findcaffe; (status, file of the module or last line of the error, announcement)."""
    code = ("from dsrg.io.errors import UserError, run_main\n"
            "def main(argv):\n    from training.findcaffe import caffe\n    print(caffe.__file__)\n"
            "run_main(main)")
    environment = {k: v for k, v in os.environ.items() if k not in ("ENGINE", "CAFFE_ROOT")}
    environment |= {"PYTHONPATH": os.pathsep.join(map(str, [ROOT, *path])), **{k: str(v) for k, v in variables.items()}}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def test_the_engine_is_found_where_there_is_no_caffe():
    status, file, announced = find()
    assert status == 0 and file == str(ROOT / "engine/caffe/__init__.py")
    assert announced == f"caffe: embedded engine 1.0.0 from {ROOT / 'engine/caffe'}"


def test_caffe_root_is_preferred(real):
    status, file, announced = find(CAFFE_ROOT=real, path=[ROOT / "engine"])
    assert status == 0 and file == str(real / "python/caffe/__init__.py")
    assert announced == f"caffe: pycaffe 1.0.0-fake from {real / 'python/caffe'}"


def test_an_installed_caffe_is_preferred_even_behind_the_engine_on_the_path(real):
    assert find(path=[ROOT / "engine", real / "python"])[1] == str(real / "python/caffe/__init__.py")


def test_an_engine_that_pip_installed_is_no_pycaffe(tmp_path, real):
    shutil.copytree(ROOT / "engine" / "caffe", tmp_path / "site" / "caffe")
    assert find(path=[tmp_path / "site"])[1] == str(ROOT / "engine/caffe/__init__.py")
    assert find(path=[tmp_path / "site", real / "python"])[1] == str(real / "python/caffe/__init__.py")
    status, _, error = find(path=[tmp_path / "site"], ENGINE="caffe")
    assert status == 1 and "no module caffe is installed" in error


def test_embedded_means_the_engine_whatever_is_installed(real):
    file = find(ENGINE="embedded", CAFFE_ROOT=real, path=[real / "python"])[1]
    assert file == str(ROOT / "engine/caffe/__init__.py")


@pytest.mark.parametrize(("variables", "message"), [
    ({"ENGINE": "caffe"}, "error: ENGINE=caffe, but no module caffe is installed; set CAFFE_ROOT"),
    ({"ENGINE": "torch"}, "error: ENGINE=torch: expected one of auto, embedded, caffe"),
    ({"CAFFE_ROOT": "/nowhere"}, "error: CAFFE_ROOT=/nowhere: no python/caffe in it"),
])
def test_what_cannot_be_found_is_said_in_one_line(variables, message):
    status, _, error = find(**variables)
    assert status == 1 and error.startswith(message) and "\n" not in error


def test_a_caffe_without_python_layers_is_refused(real):
    (real / "python/caffe/__init__.py").write_text(FAKE.replace("LAYERS", '["Convolution"]'))
    status, _, error = find(CAFFE_ROOT=real)
    assert status == 1 and "this Caffe has no Python layers; build it with WITH_PYTHON_LAYER := 1" in error


@pytest.mark.parametrize(("text", "remedy"), [
    ("from ._caffe import Net", "build it there (make pycaffe, for Python"),
    ("raise ImportError('undefined symbol: PyUnicode_x')", "rebuild pycaffe for Python"),
    ("import a_package_that_pycaffe_needs", "ENGINE=caffe bash setup.sh installs what pycaffe imports"),
])
def test_a_caffe_that_does_not_load_is_named(real, text, remedy):
    (real / "python/caffe/__init__.py").write_text(text + "\n")
    status, _, error = find(CAFFE_ROOT=real)
    assert status == 1 and f"the module caffe of {real / 'python'} does not load" in error and remedy in error


@pytest.mark.parametrize("tool", ["run", "compare", "inspect_net"])
def test_tools_that_compute_nothing_start_without_torch(tool):
    code = f"import runpy, sys\nsys.argv = ['{tool}', '--help']\n" \
           f"try:\n    runpy.run_module('tools.{tool}', run_name='__main__')\n" \
           "except SystemExit:\n    pass\nprint('torch' in sys.modules, file=sys.stderr)"
    path = os.pathsep.join(map(str, [ROOT / "engine", ROOT / "training", ROOT]))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "PYTHONPATH": path, "ENGINE": "embedded"})
    assert done.stderr.splitlines()[-1] == "False" and "usage:" in done.stdout
