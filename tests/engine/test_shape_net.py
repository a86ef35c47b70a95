"""ShapeNet: the shapes of the net that would run, without memory for it, without files, past errors."""

import caffe
import numpy as np
import pytest
from caffe.layer import REGISTRY, NativeLayer
from caffe.proto import caffe_pb2
from caffe.prototxt import parse_net, read_net
from caffe.shape_net import ShapeNet
from PIL import Image

from tests.conftest import EXPERIMENTS, ROOT
from tests.engine.nets import TWO_HEADS, build, input_layer

NETS = sorted(f"{folder.name}/{path.name}" for folder in EXPERIMENTS for path in folder.glob("*deploy.prototxt"))


def shapes(text, phase=caffe.TEST, **kwargs):
    return ShapeNet(parse_net(text), phase, **kwargs)


@pytest.mark.parametrize("text", [
    TWO_HEADS,
    input_layer(2, 6, 9, 7) + """
    layer { name: "up" type: "Deconvolution" bottom: "data" top: "up"
            convolution_param { num_output: 4 kernel_size: 4 stride: 2 group: 2 } }
    layer { name: "bn" type: "BatchNorm" bottom: "up" top: "up" }
    layer { name: "scale" type: "Scale" bottom: "up" top: "up" scale_param { bias_term: true } }
    layer { name: "prelu" type: "PReLU" bottom: "up" top: "prelu" }
    layer { name: "cut" type: "Slice" bottom: "prelu" top: "a" top: "b" slice_param { slice_point: 1 } }
    layer { name: "flat" type: "Flatten" bottom: "a" top: "flat" }
    layer { name: "big" type: "Interp" bottom: "b" top: "big" interp_param { height: 11 width: 13 } }""",
], ids=["two heads", "others"])
def test_same_shapes_as_the_net_that_runs(tmp_path, text):
    net, found = build(tmp_path, text), shapes(text)
    assert not found.problems and not found.unknown
    made = {name: blob.dims for node in found.nodes for name, blob in zip(node.top_names, node.tops, strict=True)}
    assert made == {name: tuple(net.blobs[name].shape) for name in made}
    assert {name for name in net.blobs if "split" not in name} == made.keys()
    assert ({node.param.name: [blob.dims for blob in node.layer.blobs] for node in found.nodes if node.layer.blobs}
            == {name: [tuple(blob.shape) for blob in blobs] for name, blobs in net.params.items()})


def test_large_nets_take_no_memory():
    """2 * 10^9 weights, near Caffe's limit, which the net that runs would take 32 GB to fill; the shapes take none."""
    found = shapes(input_layer(1, 200, 200) + """
        layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
                inner_product_param { num_output: 50000 } }""")
    assert found.nodes[-1].layer.blobs[0].dims == (50000, 40000) and found.nodes[-1].tops[0].dims == (1, 50000)


def test_parameters_beyond_caffes_limit_are_refused_as_in_the_net_that_runs():
    found = shapes(input_layer(1, 1000, 1000) + """
        layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
                inner_product_param { num_output: 1000000 } }""")
    assert ["1000000000000 values" in text for _, text in found.problems] == [True]


def test_filled_tops_take_no_memory():
    """A constant of 2 * 10^9 values is filled in setup of the net that runs."""
    found = shapes("""layer { name: "d" type: "DummyData" top: "d" dummy_data_param {
                          shape { dim: 50000 dim: 40000 } data_filler { type: "constant" value: 1 } } }""")
    assert not found.problems and found.nodes[0].tops[0].dims == (50000, 40000)


def test_goes_on_after_an_error():
    found = shapes(input_layer(1, 4, 5, 5) + """
        layer { name: "bad" type: "Convolution" bottom: "data" top: "bad"
                convolution_param { num_output: 2 kernel_size: 9 } }
        layer { name: "after" type: "ReLU" bottom: "bad" top: "after" }
        layer { name: "odd" type: "Convolutoin" bottom: "after" top: "odd" }
        layer { name: "good" type: "Pooling" bottom: "data" top: "good" pooling_param { kernel_size: 2 stride: 2 } }""")
    assert [(layer.name, "window of (9, 9)" in text, "unknown layer type" in text) for layer, text in found.problems] \
        == [("bad", True, False), ("odd", False, True)]
    assert [node.param.name for node in found.nodes] == ["data", "good"]
    assert found.nodes[1].tops[0].dims == (1, 4, 3, 3)  # Caffe's pooling rounds up
    assert found.unknown == {"bad": "layer 'bad' is wrong", "after": "layer 'after' reads 'bad'",
                             "odd": "layer 'odd' reads 'after'"}


def test_wrong_sharing_is_found_and_the_shapes_stay():
    found = shapes(input_layer(2, 3) + "".join(f"""
        layer {{ name: "{name}" type: "InnerProduct" bottom: "data" top: "{name}" param {{ name: "w" }}
                inner_product_param {{ num_output: {outputs} bias_term: false }} }}""" for name, outputs in
                                               (("a", 4), ("b", 5))))
    assert [(layer.name, "shared parameter 'w' is (5, 3) here but (4, 3)" in text)
            for layer, text in found.problems] == [("b", True)]
    assert [node.tops[0].dims for node in found.nodes] == [(2, 3), (2, 4), (2, 5)] and not found.unknown


@pytest.mark.parametrize(("text", "expected"), [
    ('type: "ImageData" top: "x" top: "y" image_data_param { source: "no" batch_size: 3 new_height: 20 new_width: 30 }',
     [(3, 3, 20, 30), (3,)]),
    ('type: "ImageData" top: "x" top: "y" transform_param { crop_size: 11 } image_data_param { source: "no" '
     'batch_size: 3 new_height: 20 new_width: 30 is_color: false }', [(3, 1, 11, 11), (3,)]),
    ('type: "ImageSegData" top: "x" top: "y" top: "z" transform_param { crop_height: 11 crop_width: 13 } '
     'image_data_param { source: "no" batch_size: 2 label_type: PIXEL }',
     [(2, 3, 11, 13), (2, 1, 11, 13), (2, 1, 1, 2)]),
    ('type: "Data" top: "x" top: "y" transform_param { crop_size: 7 force_gray: true } data_param { source: "no" '
     'batch_size: 4 backend: LMDB }', [(4, 1, 7, 7), (4,)]),
    ('type: "MemoryData" top: "x" top: "y" memory_data_param { batch_size: 4 channels: 2 height: 5 width: 6 }',
     [(4, 2, 5, 6), (4, 1, 1, 1)]),
])
def test_data_layers_without_their_files(text, expected):
    found = shapes(f'layer {{ name: "data" {text} }}')
    assert not found.problems
    assert [blob.dims for blob in found.nodes[0].tops] == expected


@pytest.mark.parametrize("settings", [
    'transform_param { crop_size: 5 mirror: true }',
    'transform_param { crop_height: 5 crop_width: 6 scale: 2 }',
    "",
])
@pytest.mark.parametrize("kind", ["ImageData", "ImageSegData"])
def test_data_layers_have_the_shapes_of_the_net_that_runs(tmp_path, kind, settings):
    Image.fromarray(np.arange(80, dtype=np.uint8).reshape(8, 10)).save(tmp_path / "a.png")
    (tmp_path / "list.txt").write_text("a.png 3\n")
    text = f"""layer {{ name: "data" type: "{kind}" top: "x" top: "y" {settings} image_data_param {{ batch_size: 2
                   new_height: 9 new_width: 7 source: "{tmp_path}/list.txt" root_folder: "{tmp_path}/" }} }}"""
    found, net = shapes(text), build(tmp_path, text)
    assert [blob.dims for blob in found.nodes[0].tops] == [tuple(net.blobs[name].shape) for name in "xy"]


@pytest.mark.parametrize(("text", "says"), [
    ('type: "ImageData" top: "x" top: "y" transform_param { force_gray: true } image_data_param { source: "no" '
     'batch_size: 3 new_height: 2 new_width: 2 }', "force_color and force_gray are for databases"),
    ('type: "Data" top: "x" transform_param { crop_size: 2 } data_param { source: "no" batch_size: 4 }',
     "LevelDB is not supported"),
    ('type: "HDF5Data" top: "x" hdf5_data_param { source: "no" }', "batch_size is missing or 0"),
    ('type: "WindowData" top: "x" top: "y" window_data_param { source: "no" batch_size: 2 crop_size: 4 '
     'context_pad: 2 }', "context_pad 2 leaves nothing of a crop of 4"),
    ('type: "HDF5Output" bottom: "a" bottom: "a" hdf5_output_param { }', "file_name is missing"),
])
def test_settings_are_checked_without_files(text, says):
    found = shapes(input_layer(2, 3, name="a") + f'layer {{ name: "data" {text} }}')
    assert [says in problem for _, problem in found.problems] == [True], found.problems


def test_a_mean_file_is_not_read():
    found = shapes("""layer { name: "data" type: "ImageData" top: "x" top: "y" image_data_param { source: "no" }
                              transform_param { crop_size: 4 mean_file: "missing.binaryproto" } }""")
    assert not found.problems and found.nodes[0].tops[0].dims == (1, 3, 4, 4)


@pytest.mark.parametrize(("text", "why"), [
    ('type: "ImageSegData" top: "x" top: "y" transform_param { scale_factors: 0.5 scale_factors: 1 } image_data_param '
     '{ source: "no" new_height: 8 new_width: 8 }', "no crop"),
    ('type: "Data" top: "x" transform_param { crop_size: 3 } data_param { source: "no" batch_size: 4 backend: LMDB }',
     "colours"),
    ('type: "WindowData" top: "x" top: "y" window_data_param { source: "no" batch_size: 2 crop_size: 4 }', "channels"),
    ('type: "Data" top: "x" data_param { source: "no" batch_size: 4 backend: LMDB }', "no crop"),
    ('type: "HDF5Data" top: "x" hdf5_data_param { source: "no" batch_size: 4 }', "HDF5 files"),
    ('type: "ImageData" top: "x" top: "y" image_data_param { source: "no" batch_size: 3 }', "no crop"),
])
def test_shapes_that_stand_in_the_data_are_taken_from_inputs(text, why):
    text = f'layer {{ name: "data" {text} }} layer {{ name: "relu" type: "ReLU" bottom: "x" top: "r" }}'
    found = shapes(text)
    assert why in found.unknown["x"] and not found.nodes and not found.problems
    found = shapes(text, inputs={"x": (5, 2, 3, 3)})
    assert found.nodes[-1].tops[0].dims == (5, 2, 3, 3) and found.inputs_used == {"x"}


def test_given_batch_reaches_the_labels():
    text = """layer { name: "data" type: "DummyData" top: "x" top: "label" dummy_data_param {
                      shape { dim: 8 dim: 3 dim: 4 dim: 4 } shape { dim: 8 } } }
              layer { name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "label" top: "loss" }"""
    found = shapes(text, inputs={"x": (2, 3)})
    assert [blob.dims for blob in found.nodes[0].tops] == [(2, 3), (2,)] and not found.problems


def test_files_are_neither_read_nor_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out.h5").write_bytes(b"results")
    found = shapes(input_layer(2, 3) + input_layer(2, name="label") + """
        layer { name: "gain" type: "InfogainLoss" bottom: "data" bottom: "label" top: "gain"
                infogain_loss_param { source: "missing.binaryproto" } }
        layer { name: "out" type: "HDF5Output" bottom: "data" bottom: "label"
                hdf5_output_param { file_name: "out.h5" } }
    """)
    assert not found.problems and found.nodes[2].tops[0].dims == ()
    assert (tmp_path / "out.h5").read_bytes() == b"results"


class Reader(caffe.Layer):
    """A Python layer whose setup needs a file."""

    def setup(self, bottom, top):
        np.load("missing.npy")


class Told(Reader):
    def configure(self, bottom, top):
        self.size = int(self.param_str)

    def reshape(self, bottom, top):
        top[0].reshape(self.size, 2)


def test_python_layers_are_asked_without_their_files(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "reading_layers", __import__("types").SimpleNamespace(
        Reader=Reader, Told=Told, __file__="reading_layers.py"))
    text = ('layer { name: "p" type: "Python" top: "x" python_param { module: "reading_layers" layer: "%s" '
            'param_str: "6" } }')
    assert shapes(text % "Told").nodes[0].tops[0].dims == (6, 2)
    assert "missing.npy" in shapes(text % "Reader").unknown["x"]


class NativeReader(NativeLayer):
    """A layer of the engine that says its shapes without the file that its setup reads."""

    bottoms = (0, 0)

    def configure(self, bottom, top):
        top[0].reshape(4, 2)
        self.add_param((50000, 40000), caffe_pb2.FillerParameter())

    def setup(self, bottom, top):
        np.load("missing.npy")

    def reshape(self, bottom, top):
        pass


def test_a_layer_of_the_engine_says_its_shapes_by_the_same_contract(monkeypatch):
    monkeypatch.setitem(REGISTRY, "ShapeNetTestReader", NativeReader)
    found = shapes('layer { name: "n" type: "ShapeNetTestReader" top: "x" }')
    assert found.nodes[0].tops[0].dims == (4, 2) and found.nodes[0].layer.blobs[0].dims == (50000, 40000)
    with pytest.raises(caffe.LayerError, match="missing.npy"):
        caffe.Net.from_param(parse_net('layer { name: "n" type: "ShapeNetTestReader" top: "x" }'), caffe.TEST)


@pytest.mark.parametrize("name", NETS)
def test_experiments_have_shapes(name):
    found = ShapeNet(read_net(str(ROOT / "prototxts" / name)), caffe.TEST)
    assert not found.problems and not found.unknown
    size, = {blob.dims[2:] for node in found.nodes if node.param.type == "Input" for blob in node.tops}
    assert size[0] == size[1] and found.nodes[-1].tops[0].dims[0] == 1
