"""What Makefile.config makes of an environment, read by make, with compilers of several CUDAs that pretend."""

import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT

VERSION = f"{sys.version_info.major}{sys.version_info.minor}"
NVCC = """#!/bin/sh
case "$1" in
--version) echo "Cuda compilation tools, release %s, V1" ;;
--list-gpu-arch) for arch in %s; do echo compute_$arch; done ;;
esac
"""
CUDAS = {"11.8": "35 37 50 52 53 60 61 62 70 72 75 80 86 87 89 90",
         "12.8": "50 52 53 60 61 62 70 72 75 80 86 87 89 90 100 101 120",
         "13.0": "75 80 86 87 88 89 90 100 103 110 120 121"}


def make(tmp_path, cuda=None, **variables):
    """(status, {variable: value}, errors) of a Makefile that includes the file."""
    if cuda:
        nvcc = tmp_path / "cuda/bin/nvcc"
        nvcc.parent.mkdir(parents=True, exist_ok=True)
        nvcc.write_text(NVCC % (cuda, CUDAS.get(cuda, "30")))
        nvcc.chmod(0o755)
        variables["CUDA_DIR"] = tmp_path / "cuda"
    names = ("PYTHON_LIBRARIES", "INCLUDE_DIRS", "LIBRARY_DIRS", "LINKFLAGS", "CXXFLAGS", "NVCCFLAGS", "CUDA_ARCH")
    lines = "".join(f"\t@echo '{name}=$({name})'\n" for name in names)
    (tmp_path / "Makefile").write_text(f"include {ROOT}/docker/Makefile.config\nshow:\n{lines}")
    done = subprocess.run(["make", "-s", "-C", str(tmp_path), "show"], capture_output=True, text=True,
                          env={"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHON": sys.executable,
                               **{k: str(v) for k, v in variables.items()}})
    shown = dict(line.split("=", 1) for line in done.stdout.splitlines())
    return done.returncode, {name: value.split() for name, value in shown.items()}, done.stderr


@pytest.fixture(autouse=True, scope="module")
def needs_make():
    if subprocess.run(["sh", "-c", "command -v make"], capture_output=True).returncode:
        pytest.skip("no make here")


def test_debian_without_cuda(tmp_path):
    status, shown, error = make(tmp_path, CPU_ONLY=1)
    assert status == 0, error
    assert shown["PYTHON_LIBRARIES"] == [f"boost_python{VERSION}"]
    assert np.get_include() in shown["INCLUDE_DIRS"] and "/usr/include/opencv4" in shown["INCLUDE_DIRS"]
    assert any(folder.endswith("/hdf5/serial") for folder in shown["LIBRARY_DIRS"])
    assert shown["CXXFLAGS"] == ["-std=c++14"] and not shown["NVCCFLAGS"] and not shown["CUDA_ARCH"]


def test_conda_is_taken_where_it_is_active(tmp_path):
    _, shown, _ = make(tmp_path, CPU_ONLY=1, CONDA_PREFIX="/opt/conda/envs/caffe")
    assert shown["LIBRARY_DIRS"] == ["/opt/conda/envs/caffe/lib"]
    assert "-Wl,-rpath,/opt/conda/envs/caffe/lib" in shown["LINKFLAGS"]
    assert not any(folder.startswith("/usr/") for folder in shown["LIBRARY_DIRS"])


@pytest.mark.parametrize(("cuda", "standard", "architectures"), [
    ("11.8", "c++14", "60 61 70 75 80 86 89 90"), ("12.8", "c++17", "60 61 70 75 80 86 89 90 100 120"),
    ("13.0", "c++17", "75 80 86 89 90 100 120"),
])
def test_each_cuda_gets_the_standard_and_the_gpus_it_knows(tmp_path, cuda, standard, architectures):
    status, shown, error = make(tmp_path, cuda, GPU_ARCHS="")
    assert status == 0, error
    assert shown["NVCCFLAGS"][0] == f"-std={standard}"
    machine = [word.rpartition("sm_")[2] for word in shown["CUDA_ARCH"] if "code=sm_" in word]
    assert machine == architectures.split()
    last = machine[-1]
    assert shown["CUDA_ARCH"][-1] == f"arch=compute_{last},code=compute_{last}", "newer GPUs translate this themselves"


@pytest.mark.parametrize(("cuda", "variables", "said"), [
    ("10.2", {}, "is of CUDA 10; expected 11, 12 or 13"),
    ("13.0", {"GPU_ARCHS": "60 90"}, "CUDA 13 makes no code for 60; it knows 75 80"),
    (None, {"CUDA_DIR": "/nowhere"}, "no /nowhere/bin/nvcc; set CUDA_DIR to a CUDA with its compiler, or CPU_ONLY=1"),
    (None, {"CPU_ONLY": 1, "PYTHON": "/nowhere/python"}, "PYTHON=/nowhere/python does not run"),
    (None, {"CPU_ONLY": 1, "NUMPY_INCLUDE": "/nowhere"}, "no numpy/arrayobject.h in NUMPY_INCLUDE=/nowhere"),
])
def test_what_cannot_be_built_is_said_before_anything_is(tmp_path, cuda, variables, said):
    status, _, error = make(tmp_path, cuda, **variables)
    assert status != 0 and said in error
