"""The layers find the project's library whatever else is called dsrg, as programs of users call it."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

PROGRAM = """
import caffe
net = caffe.Net("net.prototxt", caffe.TRAIN)
net.forward()
import dsrg
print(dsrg.__file__)
"""
NET = """input: "x" input_shape { dim: 1 dim: 3 dim: 2 dim: 2 }
layer { name: "p" type: "Python" bottom: "x" top: "p" python_param { module: "pylayers" layer: "SoftmaxLayer" } }
"""


@pytest.mark.parametrize("name", ["dsrg.py", "train.py"])
@pytest.mark.parametrize("folders", [("engine", "training", "."), ("engine", "training")], ids=" ".join)
def test_layers_find_their_library_beside_a_program_of_its_name(tmp_path, name, folders):
    (tmp_path / name).write_text(PROGRAM)
    (tmp_path / "net.prototxt").write_text(NET)
    path = os.pathsep.join(str(ROOT / folder) for folder in folders)
    done = subprocess.run([sys.executable, name], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(ROOT / "dsrg" / "__init__.py")
