"""Python layers in the place of missing types: every net of the project, read as each Caffe reads it."""

import importlib.util
import re

import caffe
import pytest
from google.protobuf import text_format

from docker.substitutes import layer_types, learns_statistics, substitute
from dsrg.io.param_str import parse_param_str
from tests.conftest import EXPERIMENTS, ROOT

spec = importlib.util.spec_from_file_location("facade_schema", ROOT / "tests/facade/python/caffe/schema.py")
schema = importlib.util.module_from_spec(spec)
spec.loader.exec_module(schema)

NETS = sorted(path for folder in EXPERIMENTS for path in folder.glob("*.prototxt")
              if not path.name.startswith("solver"))

NET = """
# layer { name: "commented" type: "Interp" }
layer { name: "data" type: "DummyData" top: "label" }   # type: "SegAccuracy"
layer {
  name: "shrink"  # to the scores' size {
  bottom: "label"
  top: "small"
  type: "Interp"
  interp_param { shrink_factor: 8, pad_beg: -1; pad_end: 0 }  # crops
  include { phase: TRAIN }
}
layer { name: "Interp" type: 'SegAccuracy' bottom: "scores" bottom: "small" top: "accuracy"
  seg_accuracy_param { ignore_label: 255 ignore_label: 254 reset: false metric: PixelIOU } }
layer { name: "fill" type: "InnerProduct" inner_product_param { weight_filler { type: "Interp" } } }
"""


def parsed(text, version):
    message = schema.messages(caffe.proto.caffe_pb2, version).NetParameter()
    text_format.Parse(text, message)
    return message


def test_types_are_those_of_the_layers_themselves():
    assert layer_types(NET) == ["DummyData", "Interp", "SegAccuracy", "InnerProduct"]


def test_missing_types_become_python_layers_and_the_rest_stays():
    text, replaced = substitute(NET, {"Interp", "SegAccuracy", "InnerProduct"})
    assert replaced == ["Interp", "SegAccuracy"]
    layers = {layer.name: layer for layer in parsed(text, "1.0").layer}
    shrink, accuracy = layers["shrink"], layers["Interp"]
    assert shrink.type == accuracy.type == "Python"
    assert (list(shrink.bottom), list(shrink.top), shrink.include[0].phase) == (["label"], ["small"], caffe.TRAIN)
    assert (shrink.python_param.module, shrink.python_param.layer) == ("pylayers.deeplab", "InterpLayer")
    assert parse_param_str(shrink.python_param.param_str) == {"shrink_factor": 8, "pad_beg": -1, "pad_end": 0}
    assert parse_param_str(accuracy.python_param.param_str) == {"ignore_label": [255, 254], "reset": False,
                                                                "metric": "PixelIOU"}
    assert layers["fill"].inner_product_param.weight_filler.type == "Interp"
    assert substitute(text, {"Interp", "SegAccuracy"}) == (text, [])


def test_nothing_missing_changes_nothing():
    assert substitute(NET, set()) == (NET, [])


@pytest.mark.parametrize("path", NETS, ids=lambda path: f"{path.parent.name}/{path.name}")
@pytest.mark.parametrize("version", ["1.0", "2016"])
def test_every_net_of_the_project_is_read_by_both_caffes(path, version):
    """DeepLab-v2's needs nothing, BVLC's the substitutes; no layer type is left that it lacks."""
    text, replaced = substitute(path.read_text(), schema.TYPES[version])
    assert bool(replaced) == (version == "1.0" and path.name == "train-f.prototxt")
    net = parsed(text, version)
    types = {layer.type for layer in net.layer}
    assert not types & schema.TYPES[version] and types == set(layer_types(text))
    deployed = "deploy" in path.name
    assert (list(net.input) == ["images"] and len(net.input_shape[0].dim) == 4) if deployed else not net.input


def test_nets_that_learn_statistics_are_told_by_their_text():
    learning = {f"{path.parent.name}/{path.name}" for path in NETS if learns_statistics(path.read_text())}
    assert {name for name in learning if name.startswith("demo/")} == {
        "demo/cam-train.prototxt", "demo/train-s.prototxt", "demo/train-f.prototxt"}
    assert not any("deploy" in name or "resnet101" in name for name in learning)
    assert not learns_statistics('layer { type: "BatchNorm" batch_norm_param { use_global_stats : true } }')
    assert re.search("use_global_stats: true", (ROOT / "prototxts/voc12-resnet101/train-f.prototxt").read_text())
