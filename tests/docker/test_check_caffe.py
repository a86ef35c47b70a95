"""What the check of the user's Caffe says, one line for each missing thing, on the facade and on broken Caffes."""

import os
import re
import subprocess
import sys

import pytest

from tests.conftest import PATIENCE, ROOT
from tests.facade.gpus import pretended_driver

LEARNING = """
layer { name: "data" type: "DummyData" top: "data" dummy_data_param { shape { dim: 2 dim: 1 dim: 4 dim: 4 } } }
layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" }
"""
RETRAINING = """
layer { name: "shrink" type: "Interp" bottom: "label" top: "small" interp_param { shrink_factor: 4 } }
"""
FOREIGN = 'layer { name: "a" type: "MatRead" top: "a" }\nlayer { name: "b" type: "Reshuffle" top: "b" }\n'


def check(root, *arguments, engine="caffe", **variables):
    environment = {k: v for k, v in os.environ.items() if k not in ("ENGINE", "CAFFE_ROOT", "FACADE")}
    environment |= {"CAFFE_ROOT": str(root), "ENGINE": engine, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
                    **{k: str(v) for k, v in variables.items()}}
    return subprocess.run([sys.executable, "-m", "docker.check_caffe", *map(str, arguments)], cwd=ROOT, text=True,
                          env=environment, capture_output=True, timeout=PATIENCE)


def errors(done):
    assert done.returncode == 1, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if line]
    assert all(line.startswith("error: ") for line in lines), done.stderr
    return lines


@pytest.fixture
def nets(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


FACADE = ROOT / "tests/facade"


@pytest.mark.parametrize(("version", "note"), [("1.0", "lacks Interp; Python layers of pylayers.deeplab stand in"),
                                               ("2016", "")])
def test_a_run_that_can_go_says_what_stands_in(nets, version, note):
    (nets / "train-f.prototxt").write_text(RETRAINING)
    (nets / "solver-f.prototxt").write_text("no net")
    done = check(FACADE, "--nets", nets, FACADE=version)
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert note in lines[0] and len(lines) == (2 if note else 1)
    assert lines[-1].endswith("1 layer types and a Python layer work")
    assert ("InterpLayer" in (nets / "train-f.prototxt").read_text()) == bool(note)


def test_every_missing_type_is_a_line_and_the_nets_stay(nets):
    (nets / "train.prototxt").write_text(FOREIGN + RETRAINING)
    lines = errors(check(FACADE, "--nets", nets, FACADE="1.0"))
    assert [re.search(r"lacks the layer type (\w+);", line)[1] for line in lines] == ["MatRead", "Reshuffle"]
    assert (nets / "train.prototxt").read_text() == FOREIGN + RETRAINING


def test_a_batch_norm_that_ends_the_process_is_a_line(nets):
    """DeepLab-v2's on the CPU: a failed CHECK aborts, so another process is asked."""
    (nets / "train-s.prototxt").write_text(LEARNING)
    broken = {"FACADE": "2016", "FACADE_BATCH_NORM": "deeplab"}
    line, = errors(check(FACADE, "--nets", nets, **broken))
    assert "train-s.prototxt: BatchNorm does not normalise by the batch" in line and "docs/caffe.md" in line
    assert check(FACADE, "--nets", nets, FACADE="2016").returncode == 0
    assert "nets that learn its statistics are refused" in check(FACADE, **broken).stdout
    assert len(errors(check(FACADE, "--batch-norm", **broken))) == 1


@pytest.mark.parametrize(("gpus", "device", "said"), [
    (0, "0", "--device 0: no GPU is visible; use cpu, or a number"),
    (2, "1,2", "--device 1,2: CUDA's driver shows 2 GPUs; use cpu, or a number"),
    (1, "gpu", "--device gpu: expected cpu, a number"),
])
def test_a_gpu_that_is_not_there_is_a_line(nets, tmp_path, gpus, device, said):
    (nets / "a.prototxt").write_text("")
    line, = errors(check(FACADE, "--nets", nets, "--device", device, **pretended_driver(tmp_path, gpus)))
    assert said in line


def test_the_engine_is_not_asked_before_a_run(nets):
    (nets / "train.prototxt").write_text(FOREIGN)
    done = check("", "--nets", nets, "--device", "0", engine="embedded")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


CAFFES = {      # python/caffe/__init__.py of a Caffe -> what the line must hold
    "aborts": ("import os, sys\nprint('F1126 net.cpp:1] Check failed: x', file=sys.stderr)\nos.abort()",
               "ended with SIGABRT when asked for types: F1126 net.cpp:1] Check failed: x"),
    "not built": ("from ._caffe import Net", r"build it there \(make pycaffe, for Python \d\.\d+\)"),
    "six": ("import six_of_pycaffe", "ENGINE=caffe bash setup.sh installs what pycaffe imports"),
    "protobuf": ("raise TypeError('Descriptors cannot be created directly.')",
                 r"protobuf \d+\.[\d.]+ does not read: take protoc"),
    "newer protobuf": ("from google.protobuf import runtime_version_of_tomorrow", "does not read: take protoc"),
    "numpy": ("raise ImportError('numpy.core.multiarray failed to import')", r"another numpy than \d\.\d"),
    "numpy's ABI": ("raise AttributeError('_ARRAY_API not found')", r"another numpy than \d\.\d"),
    "python": ("from . import _caffe", r"it was built for Python 3\.8, this is 3\.\d+: rebuild pycaffe"),
    "no python layers": ("__version__ = '1'\ndef layer_type_list(): return ['Convolution']",
                         "this Caffe has no Python layers; build it with WITH_PYTHON_LAYER := 1"),
}


@pytest.mark.parametrize("name", CAFFES)
def test_a_caffe_that_does_not_load_is_one_line_with_its_remedy(tmp_path, nets, name):
    text, said = CAFFES[name]
    package = tmp_path / "root/python/caffe"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(text + "\n")
    if name == "python":        # no library, but its bytes name what it links
        (package / "_caffe.so").write_bytes(b"\x7fELF libboost_python38.so.1.74.0\0libpython3.8.so.1.0\0")
    (nets / "a.prototxt").write_text("")
    line, = errors(check(tmp_path / "root", "--nets", nets))
    assert re.search(said, line), line
