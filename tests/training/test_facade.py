"""The project's pieces on a module caffe that is pycaffe to the letter (tests/facade), each in a process of its own."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import PATIENCE, ROOT
from tests.facade.pieces_list import PIECES
from tests.training.runs import NET, make_run

VERSIONS = ("1.0", "2016")
FACADE = ROOT / "tests/facade"


def python(arguments, folder, version="1.0", **variables):
    """Run Python with the facade as real Caffe."""
    environment = {**os.environ, "CAFFE_ROOT": str(FACADE), "ENGINE": "caffe", "FACADE": version,
                   "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **{k: str(v) for k, v in variables.items()}}
    return subprocess.run([sys.executable, *map(str, arguments)], cwd=folder, env=environment, text=True,
                          capture_output=True, timeout=PATIENCE)


@pytest.fixture(scope="module", params=VERSIONS)
def results(request, tmp_path_factory):
    """Piece -> traceback, empty where it worked."""
    folder = tmp_path_factory.mktemp("pieces")
    done = python([FACADE / "pieces.py", folder], ROOT, request.param)
    assert f"caffe: pycaffe 1.0.0{'' if request.param == '1.0' else '-rc3'} from" in done.stderr, done.stderr
    assert done.stderr.count("caffe: pycaffe") == 1, "the choice is printed once"
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {line["piece"]: line["error"] for line in lines}


@pytest.mark.parametrize("piece", PIECES)
def test_uses_only_what_pycaffe_offers(results, piece):
    assert results[piece] == ""


STRICT = """
import sys
from pathlib import Path
import numpy as np
from training.findcaffe import caffe
Path("net.prototxt").write_text('''
input: "in" input_shape { dim: 1 dim: 2 }
layer { name: "look" type: "Python" bottom: "in" top: "out" python_param { module: "look" layer: "Look" } }
''')
Path("look.py").write_text('''
import caffe
class Look(caffe.Layer):
    def setup(self, bottom, top):
        assert self.param_str == "" and len(self.blobs) == 0 and len(bottom) == len(top) == 1
        assert getattr(self, "phase", "unknown") == (caffe.TEST if hasattr(caffe, "solver_count") else "unknown")
        for wrong in (list, lambda v: v[0:1], lambda v: v[-1], lambda v: v[::-1], lambda v: v[1]):
            for vector in (bottom, top):
                try:
                    wrong(vector)
                except (TypeError, IndexError):
                    continue
                raise AssertionError("went through")
        self.mine = getattr(self, "_layer_param", "nothing")
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)
    def forward(self, bottom, top):
        top[0].data[...] = 2 * bottom[0].data
''')
sys.path.insert(0, ".")
net = caffe.Net("net.prototxt", caffe.TEST)
net.blobs["in"].data[...] = 3
assert net.forward()["out"].tolist() == [[6, 6]]
assert list(net.layers)[1].mine == "nothing"
blob = net.blobs["in"]
assert tuple(blob.shape) == (1, 2) and blob.shape[0] == 1 and blob.shape != [1, 2]
for statement in sys.argv[1:]:
    try:
        exec(statement)
    except (AttributeError, TypeError) as error:
        print(type(error).__name__)
    else:
        print(f"went through: {statement}")
"""

REFUSED = {
    "caffe.set_precision('fp32')": "AttributeError",        # the engine's own
    "caffe.EMBEDDED_ENGINE": "AttributeError",
    "caffe.LayerError": "AttributeError",
    "net.debug_info": "AttributeError",
    "net.layers[0].seek(3)": "AttributeError",
    "net.layers[1].error('x')": "AttributeError",
    "net.layers[1]._layer_param": "AttributeError",
    "blob.data = np.zeros((1, 2))": "AttributeError",       # as pycaffe: no setter
    "blob.dims": "AttributeError",
    "blob.reshape([1, 2])": "TypeError",
    "blob.reshape(np.int64(1), 2)": "TypeError",
    "net.copy_from(Path('a.caffemodel'))": "TypeError",
    "net.save(filename='a')": "TypeError",
    "net.forward_some()": "AttributeError",
    "caffe.set_device('0')": "TypeError",
    "caffe.Net(Path('net.prototxt'), caffe.TEST)": "TypeError",
    "caffe.Net('net.prototxt', weights='a', phase=1, precision='bf16')": "TypeError",
}
ONLY_IN_1_0 = ("caffe.solver_count()", "caffe.has_nccl()", "net.layer_dict", "net.clear_param_diffs()")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_facade_is_strict(tmp_path, version):
    done = python(["-c", STRICT, *REFUSED, *ONLY_IN_1_0], tmp_path, version)
    assert done.returncode == 0, done.stderr
    answers = done.stdout.splitlines()
    assert answers[:len(REFUSED)] == list(REFUSED.values())
    rest = answers[len(REFUSED):]
    assert rest == [f"went through: {s}" for s in ONLY_IN_1_0] if version == "1.0" else ["AttributeError"] * 4


def test_a_net_of_deeplabs_types_on_bvlcs_caffe_says_how_it_can_be_trained(tmp_path):
    interp = 'layer { name: "i" type: "Interp" bottom: "cues" top: "i" interp_param { zoom_factor: 2 } }'
    make_run(tmp_path, net=NET + interp)
    done = python(["-m", "training.train", "--solver", "solver.prototxt"], tmp_path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "LayerParameter has no field 'interp_param'" in last
    assert "docker.check_caffe --nets FOLDER puts a Python layer" in last


ABORTS = {      # what ends the process of a real Caffe, not an exception
    "1.0": 'layer { name: "i" type: "Interp" bottom: "in" top: "out" interp_param { zoom_factor: 2 } }',
    "2016": 'layer { name: "i" type: "Input" top: "in" input_param { shape { dim: 1 } } }',
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("of", VERSIONS)
def test_a_type_that_it_lacks_ends_the_process(tmp_path, version, of):
    text = ABORTS[of] if of == "2016" else 'input: "in" input_shape { dim: 1 dim: 1 dim: 3 dim: 3 }' + ABORTS[of]
    (tmp_path / "net.prototxt").write_text(text)
    done = python(["-c", "from training.findcaffe import caffe; caffe.Net('net.prototxt', caffe.TEST); print('built')"],
                  tmp_path, version)
    if version == of:
        assert done.returncode == -6 and "has no field named" in done.stderr
    else:
        assert done.stdout == "built\n", done.stderr


@pytest.mark.parametrize(("version", "tag"), [("2016", b"\xfa\x08")])     # field 143, a message
def test_deeplabs_caffe_writes_interp_under_its_own_number(tmp_path, version, tag):
    """And the engine reads that file: tests/training/test_real_caffe.py."""
    (tmp_path / "net.prototxt").write_text('input: "in" input_shape { dim: 1 dim: 1 dim: 3 dim: 3 }' + ABORTS["1.0"])
    done = python(["-c", "from training.findcaffe import caffe; caffe.Net('net.prototxt', caffe.TEST).save('a')"],
                  tmp_path, version)
    assert done.returncode == 0, done.stderr
    data = (tmp_path / "a").read_bytes()
    assert tag in data and b"\xca\x09" not in data, "153 is the number of the forks merged with BVLC"
