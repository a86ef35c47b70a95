"""A short run of random_nets.py, its grid over memory layouts, and that it finds faults where there are some."""

import re

import caffe
import numpy as np
import pytest
from caffe.gradients import Like
from caffe.layer import REGISTRY

from tests.conftest import ROOT
from tests.engine.layers.test_gradients import WITHOUT_GRADIENT
from tests.engine.nets import input_layer
from tests.engine.random_drawing import Sample, draw
from tests.engine.random_layers import MAKERS
from tests.engine.random_losses import LOSSES
from tests.engine.random_nets import Disagreement, check, check_caffe, main

CONVOLUTION = ('layer {{ name: "{0}" type: "Convolution" bottom: "{1}" top: "{0}" convolution_param {{ num_output: 3 '
               'kernel_size: 1 weight_filler {{ type: "xavier" }} }} }}\n')
#: layers that take pictures of any size
PICTURES = {
    "BatchNorm": 'type: "BatchNorm" batch_norm_param { use_global_stats: false eps: 0.01 }',
    "BatchNorm global": 'type: "BatchNorm"',
    "Scale": 'type: "Scale" scale_param { bias_term: true filler { type: "gaussian" } }',
    "Bias": 'type: "Bias"',
    "PReLU": 'type: "PReLU"',
    "ReLU": 'type: "ReLU"',
    "Dropout": 'type: "Dropout"',
    "Eltwise": 'type: "Eltwise" bottom: "b" eltwise_param { coeff: 2 coeff: -1 }',
    "Concat": 'type: "Concat" bottom: "b"',
    "Softmax": 'type: "Softmax"',
    "LRN across": 'type: "LRN" lrn_param { alpha: 2 local_size: 3 }',
    "LRN within": 'type: "LRN" lrn_param { alpha: 2 local_size: 3 norm_region: WITHIN_CHANNEL }',
    "MVN": 'type: "MVN" mvn_param { across_channels: true }',
    "MAX": 'type: "Pooling" pooling_param { kernel_size: 3 stride: 2 pad: 1 }',
    "AVE": 'type: "Pooling" pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }',
    "global AVE": 'type: "Pooling" pooling_param { pool: AVE global_pooling: true }',
    "Convolution 1x1 stride 2": 'type: "Convolution" convolution_param { num_output: 2 kernel_size: 1 stride: 2 '
                                'weight_filler { type: "xavier" } }',
    "Convolution 3x3": 'type: "Convolution" convolution_param { num_output: 3 group: 3 kernel_size: 3 pad: 1 '
                       'weight_filler { type: "xavier" } }',
    "Deconvolution": 'type: "Deconvolution" convolution_param { num_output: 2 kernel_size: 2 stride: 2 '
                     'weight_filler { type: "xavier" } }',
    "Interp": 'type: "Interp" interp_param { zoom_factor: 2 }',
    "Crop": 'type: "Crop" bottom: "b" crop_param { axis: 2 }',
    "Slice": 'type: "Slice" top: "rest" slice_param { slice_point: 1 }',
    "Tile": 'type: "Tile" tile_param { tiles: 2 }',
    "Im2col": 'type: "Im2col" convolution_param { kernel_size: 3 pad: 1 }',
    "Reshape": 'type: "Reshape" reshape_param { shape { dim: 0 dim: -1 dim: 1 dim: 0 } }',
}


def test_nets_of_forty_seeds():
    assert sum(check(draw(seed)) for seed in range(40)) > 150


def test_every_layer_type_is_drawn_or_has_no_gradient():
    assert set(MAKERS) | set(LOSSES) | (WITHOUT_GRADIENT - {"Silence"}) == set(REGISTRY)


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (1, 3, 5, 7), (2, 3, 1, 1), (3, 3, 4, 6)], ids=str)
@pytest.mark.parametrize("name", PICTURES)
def test_pictures_behind_and_before_a_convolution(name, shape, rng):
    """Both memory layouts, blobs looked at by nobody, before, in between and at random (random_nets.check_runs)."""
    text = ("force_backward: true\n" + input_layer(*shape, name="x") + input_layer(*shape, name="b") +
            CONVOLUTION.format("c", "x") +
            f'layer {{ name: "free" bottom: "x" top: "free" {PICTURES[name].replace("rest", "rest_free")} }}\n'
            f'layer {{ name: "behind" bottom: "c" top: "behind" {PICTURES[name].replace("rest", "rest_behind")} }}\n' +
            CONVOLUTION.format("e", "free") + CONVOLUTION.format("d", "behind"))
    inputs = {k: np.float64(np.float32(rng.normal(size=shape))) for k in ("x", "b")}
    check(Sample(1, text, inputs, ["x", "b"], set(), caffe.TRAIN, [name]))


# ---- what it finds -----------------------------------------------------------------------------------------


def test_a_wrong_gradient_is_found(monkeypatch):
    monkeypatch.setattr(REGISTRY["TanH"], "compute", lambda self, x: x.tanh().detach() + 0.9 * (x - x.detach()))
    with pytest.raises(Disagreement, match="along a direction, differences say"):
        for seed in range(20):
            check(draw(seed, only=["TanH"]))


def test_gradients_in_a_layout_that_torch_misreads_are_found(monkeypatch, rng):
    """As they come from the blob: what the convolution behind a BatchNorm hands it is channels_last."""
    monkeypatch.setattr(Like, "fitted", lambda self, tensor: tensor)
    monkeypatch.setattr(REGISTRY["BatchNorm"], "compute", _reshaped(REGISTRY["BatchNorm"].compute))
    with pytest.raises(Disagreement, match="float32, blobs seen|differences say"):
        test_pictures_behind_and_before_a_convolution("BatchNorm", (1, 3, 5, 7), rng)


def _reshaped(compute):
    return lambda self, x, *params: compute(self, x, *params).reshape(x.shape)


def test_an_unforeseen_error_is_reported_with_its_net(monkeypatch, capsys):
    monkeypatch.delenv("CAFFE_ROOT", raising=False)
    assert main(["--count", "3", "--only", "Sigmoid"]) == 0
    monkeypatch.setattr(REGISTRY["Sigmoid"], "compute", lambda self, x: x[:, :, :, :, :, :, :])
    assert main(["--count", "3", "--only", "Sigmoid"]) == 1
    out = capsys.readouterr().out
    assert re.search(r"3 nets, \d+ slopes, without real Caffe: 0 wrong", out)
    assert re.search("seed 0: LayerError: .* forward failed: IndexError", out) and 'type: "Sigmoid"' in out


def test_a_caffe_that_ends_at_a_net_goes_on_with_the_next(tmp_path):
    """As a failed CHECK ends it; here every net with a Sigmoid."""
    module = tmp_path / "python" / "caffe.py"
    module.parent.mkdir()
    module.write_text(f"""import os, sys
sys.path[0] = {str(ROOT / "engine")!r}
del sys.modules["caffe"]
import caffe
class Net(caffe.Net):
    def __init__(self, path, phase):
        if "Sigmoid" in open(path).read():
            os.write(2, b"F1 sigmoid_layer.cpp:1] Check failed: no\\n")
            os.abort()
        super().__init__(path, phase)
caffe.Net = Net
sys.modules["caffe"] = caffe
""")
    samples = [draw(seed, plain=True, only=[kind]) for seed, kind in enumerate(["Sigmoid", "TanH", "Sigmoid"])]
    messages, refused = check_caffe(samples, tmp_path)
    assert messages == [] and refused == {"Check failed: no": 2}


def test_an_exception_in_the_comparison_is_not_taken_for_its_end(tmp_path):
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "caffe.py").write_text("def Net(path, phase):\n    raise ValueError(path)\n")
    with pytest.raises(RuntimeError, match="(?s)status 1.*ValueError"):
        check_caffe([draw(0, plain=True, only=["TanH"])], tmp_path)


def test_comparison_with_another_caffe(tmp_path, monkeypatch):
    """The engine takes the part of real Caffe, whole and then with a formula of its own."""
    (tmp_path / "python").mkdir()
    samples = [draw(seed, plain=True) for seed in range(12)]
    assert all(not sample.inplace for sample in samples)
    (tmp_path / "python" / "caffe").symlink_to(ROOT / "engine" / "caffe")
    assert check_caffe(samples, tmp_path) == ([], {})
    monkeypatch.setattr(REGISTRY["Sigmoid"], "compute", lambda self, x: x.tanh())
    found, _ = check_caffe([draw(seed, plain=True, only=["Sigmoid"]) for seed in range(3)], tmp_path)
    assert found and all(re.fullmatch(r"seed \d \(plain\): output \w+ differs from real Caffe", line) for line in found)
