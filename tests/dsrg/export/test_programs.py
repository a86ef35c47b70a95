"""Exported nets against the engine: ONNX by ONNX Runtime, TorchScript by torch.jit, of every committed deploy net."""

import json
import re

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from dsrg.export.metadata import metadata
from dsrg.export.programs import OPSET, write_onnx, write_torchscript
from dsrg.export.torch_net import torch_net
from dsrg.io.errors import UserError
from dsrg.scoring.recipe import Recipe
from tests.conftest import EXPERIMENTS, ROOT
from tests.dsrg.export.deploy_nets import engine_outputs, make_deploy, thinned

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:DeprecationWarning")
NETS = sorted(path for folder in EXPERIMENTS for path in folder.glob("*deploy.prototxt"))
THIN = 32               # divides the channels, of which two are left at least
TOLERANCE = 1e-4        # of the largest score
INPUT = 'name: "n" input: "data" input_shape { dim: 1 dim: 3 dim: 17 dim: 23 }\n'


@pytest.fixture(autouse=True)
def _embedded(monkeypatch):
    monkeypatch.setenv("ENGINE", "embedded")


def compare(tmp_path, net_file, weights, shapes, output_blob=None):
    """Both formats at several inputs against the engine; what was exported."""
    net = torch_net(net_file, weights, output_blob)
    described = metadata(net, Recipe(), ["background"])
    write_onnx(tmp_path / "net.onnx", net, described)
    write_torchscript(tmp_path / "net.pt", net, described)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    script = torch.jit.load(tmp_path / "net.pt")
    rng = np.random.default_rng(1)
    for shape in shapes:
        image = rng.normal(0, 60, shape).astype(np.float32)
        expected = engine_outputs(net_file, weights, image)
        with torch.no_grad():
            scripted = script(torch.from_numpy(image))
        scripted = [scripted] if isinstance(scripted, torch.Tensor) else scripted
        for name, by_onnx, by_script in zip(net.output_names, session.run(None, {net.input_name: image}), scripted,
                                            strict=True):
            size = np.abs(expected[name]).max()
            assert size > 1e-3
            for found in (by_onnx, by_script.numpy()):
                assert found.shape == expected[name].shape
                assert np.abs(found - expected[name]).max() <= TOLERANCE * size, (shape, name)
    return net


def graphs():
    """Text -> names of the nets of one graph: with few channels those of VOC's and COCO's classes are the same."""
    found = {}
    for path in NETS:
        text = re.sub(r"^(#.*|name: .*)\n", "", thinned(path.read_text(), THIN), flags=re.MULTILINE)
        text = re.sub(r"(dim: 3\s+)dim: \d+(\s+)dim: \d+", r"\1dim: 65\2dim: 65", text, count=1)
        found.setdefault(text, []).append(f"{path.parent.name}/{path.stem}")
    return found


@pytest.mark.parametrize("text", [pytest.param(text, id=" ".join(names)) for text, names in graphs().items()])
def test_every_committed_deploy_net(tmp_path, text):
    """Every graph with a part of its channels, at its input and at one that is not square."""
    files = make_deploy(tmp_path, text)
    assert torch_net(*files).any_size
    compare(tmp_path, *files, [(1, 3, 65, 65), (2, 3, 57, 74)])


@pytest.mark.parametrize("name", ["net.json", "net.prototxt", "net.textproto", "net"])
def test_onnx_is_its_binary_form_whatever_the_file_is_called(tmp_path, name):
    net = torch_net(*make_deploy(tmp_path, next(iter(graphs()))))
    write_onnx(tmp_path / name, net, {"dsrg": "{}"})
    model = onnx.load_from_string((tmp_path / name).read_bytes())
    assert [entry.key for entry in model.metadata_props] == ["dsrg"]


#: what no committed net has: pooling whose last window hangs over, Interp by factors, in-place chains, several outputs
LAYERS = {
    "pooling": """
layer { name: "a" type: "Pooling" bottom: "data" top: "a" pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "b" type: "Pooling" bottom: "a" top: "b" pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "c" type: "Pooling" bottom: "a" top: "c" pooling_param { pool: AVE kernel_h: 2 kernel_w: 3 stride_h: 2
        stride_w: 3 round_mode: FLOOR } }
layer { name: "d" type: "Pooling" bottom: "a" top: "d" pooling_param { pool: AVE kernel_size: 4 stride: 3 } }
layer { name: "e" type: "Pooling" bottom: "a" top: "e" pooling_param { pool: MAX global_pooling: true } }""",
    "interp": """
layer { name: "zoomed" type: "Interp" bottom: "data" top: "zoomed" interp_param { zoom_factor: 3 } }
layer { name: "shrunk" type: "Interp" bottom: "zoomed" top: "shrunk" interp_param { shrink_factor: 2 pad_beg: -1 } }
layer { name: "both" type: "Interp" bottom: "data" top: "both" interp_param { shrink_factor: 3 zoom_factor: 2 } }
layer { name: "sized" type: "Interp" bottom: "data" top: "sized" interp_param { height: 11 width: 5 pad_end: -2 } }""",
    "elementwise": """
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
        convolution_param { num_output: 6 kernel_h: 3 kernel_w: 1 pad_h: 1 pad_w: 0 group: 3 stride: 2 } }
layer { name: "relu" type: "ReLU" bottom: "c" top: "c" relu_param { negative_slope: 0.1 } }
layer { name: "drop" type: "Dropout" bottom: "c" top: "c" }
layer { name: "prelu" type: "PReLU" bottom: "c" top: "p" }
layer { name: "bias" type: "Bias" bottom: "p" top: "p" }
layer { name: "elu" type: "ELU" bottom: "c" top: "elu" elu_param { alpha: 0.5 } }
layer { name: "power" type: "Power" bottom: "elu" top: "power" power_param { shift: 1.5 scale: 0.1 power: 2 } }
layer { name: "sig" type: "Sigmoid" bottom: "power" top: "sig" }
layer { name: "tanh" type: "TanH" bottom: "p" top: "tanh" }
layer { name: "sum" type: "Eltwise" bottom: "sig" bottom: "tanh" bottom: "p" top: "sum"
        eltwise_param { coeff: 2 coeff: -1 coeff: 0.5 } }
layer { name: "prod" type: "Eltwise" bottom: "sum" bottom: "p" top: "prod" eltwise_param { operation: PROD } }
layer { name: "max" type: "Eltwise" bottom: "prod" bottom: "sum" bottom: "sig" top: "max"
        eltwise_param { operation: MAX } }
layer { name: "lrn" type: "LRN" bottom: "max" top: "lrn" lrn_param { local_size: 3 alpha: 0.5 beta: 0.6 k: 2 } }
layer { name: "up" type: "Deconvolution" bottom: "lrn" top: "up"
        convolution_param { num_output: 4 kernel_size: 4 stride: 2 pad: 1 } }
layer { name: "cat" type: "Concat" bottom: "up" bottom: "up" top: "cat" concat_param { axis: 1 } }
layer { name: "soft" type: "Softmax" bottom: "cat" top: "soft" }""",
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_at_sizes_that_divide_otherwise(tmp_path, name):
    files = make_deploy(tmp_path, INPUT + LAYERS[name])
    net = compare(tmp_path, *files, [(1, 3, 17, 23), (1, 3, 18, 24), (2, 3, 19, 26), (1, 3, 40, 21)])
    assert net.any_size


def test_an_inner_product_fixes_the_size(tmp_path):
    text = INPUT + ('layer { name: "f" type: "InnerProduct" bottom: "data" top: "f" '
                    "inner_product_param { num_output: 5 } }")
    net = compare(tmp_path, *make_deploy(tmp_path, text), [(1, 3, 17, 23), (3, 3, 17, 23)])
    assert not net.any_size
    (value,) = onnx.load(tmp_path / "net.onnx").graph.input
    assert [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim] == ["batch", 3, 17, 23]


def test_metadata_opset_and_axes(tmp_path):
    net = compare(tmp_path, *make_deploy(tmp_path, ROOT / "prototxts/demo/deploy.prototxt", 33), [(1, 3, 33, 33)])
    model = onnx.load(tmp_path / "net.onnx")
    assert [(one.domain, one.version) for one in model.opset_import] == [("", OPSET)]
    (value,) = model.graph.input
    dims = [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
    assert (value.name, dims) == ("images", ["batch", 3, "height", "width"])
    said = json.loads({one.key: one.value for one in model.metadata_props}["dsrg"])
    assert said["class_names"] == ["background"] and said["outputs"] == net.output_names and said["any_size"] is True
    rules = said["preprocessing"]
    assert rules["mean_bgr"] == list(Recipe().mean) and rules["sizes"] == [241, 321, 401]
    assert rules["channel_order"] == "BGR" and said["crf_scale"] == Recipe().crf_scale
    beside = {"dsrg": ""}
    torch.jit.load(tmp_path / "net.pt", _extra_files=beside)
    text = beside["dsrg"]
    assert json.loads(text if isinstance(text, str) else text.decode()) == said


PYTHON = ('layer { name: "grow" type: "Python" bottom: "pool" top: "grow" '
          'python_param { module: "pylayers" layer: "DSRGLayer" } }')
POOL = 'layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { kernel_size: 2 } }\n'


@pytest.mark.parametrize(("text", "message"), [
    (POOL + PYTHON, r"layer 'grow' is a Python layer \(pylayers\.DSRGLayer\), which runs in Caffe alone; export what"),
    ('layer { name: "m" type: "MVN" bottom: "data" top: "m" }',
     r"layer 'm' \(MVN\) cannot be exported; there are BatchNorm"),
    ('layer { name: "s" type: "Pooling" bottom: "data" top: "s" pooling_param { pool: STOCHASTIC kernel_size: 2 } }',
     r"layer 's' \(Pooling STOCHASTIC, or with a mask"),
    ('layer { name: "p" type: "Pooling" bottom: "data" top: "p" pooling_param { kernel_size: 2 stride: 3 } }',
     r"layer 'p' \(Pooling with a kernel of \(2, 2\), stride \(3, 3\)"),
])
def test_what_cannot_be_exported_is_named(tmp_path, text, message):
    (tmp_path / "deploy.prototxt").write_text(INPUT + text)
    (tmp_path / "w.caffemodel").write_bytes(b'\n\x01n\xa2\x06\x06\n\x01a\x12\x01b')
    with pytest.raises(UserError, match=message):
        torch_net(tmp_path / "deploy.prototxt", tmp_path / "w.caffemodel")


def test_an_output_before_the_python_layer(tmp_path):
    """A layer that the output does not need is not looked at."""
    text = INPUT + LAYERS["elementwise"] + LAYERS["interp"]
    files = make_deploy(tmp_path, text)
    assert torch_net(*files, "soft").output_names == ["soft"]
    assert [name.split("_", 1)[1] for name, _ in torch_net(*files, "zoomed").module.named_children()] == ["zoomed"]
    with pytest.raises(UserError, match=r"has no blob 'fc8'; its last are zoomed, shrunk, both, sized"):
        torch_net(*files, "fc8")
