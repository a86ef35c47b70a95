"""caffe.draw: the same graph as pycaffe's for the same net."""

import sys

import pytest
from caffe import draw
from caffe.proto import caffe_pb2
from caffe.prototxt import TEST, TRAIN, parse_net

pydot = pytest.importorskip("pydot", reason="drawing nets needs pydot")

NET = """
name: "a"
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 6 dim: 5 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" inner_product_param { num_output: 5 } }
layer { name: "sig" type: "Sigmoid" bottom: "conv" top: "sig" }
"""


def structure(dot):
    """Nodes with attributes, edges with labels, in order, whatever the order of attributes and spaces."""
    lines = [line for line in dot.replace("]", "").replace(";", "").splitlines()[1:-1] if line]
    return [
        (head.strip(), sorted(part.strip() for part in attributes.split(",")))
        for head, _, attributes in (line.partition(" [") for line in lines)
    ]


def test_graph_equals_pycaffes(data_files):
    ours = draw.draw_net(parse_net(NET), "LR", "raw").decode()
    assert structure(ours) == structure((data_files / "draw.dot").read_text())


def test_phase_selects_layers():
    net = parse_net("""
        layer { name: "t" type: "Data" top: "x" include { phase: TRAIN } data_param { batch_size: 7 } }
        layer { name: "v" type: "Data" top: "x" include { phase: TEST } data_param { batch_size: 9 } }
        layer { name: "n" type: "Silence" bottom: "x" exclude { phase: TEST } }
    """)
    for phase, expected in [(TRAIN, "Batch 7"), (TEST, "Batch 9")]:
        text = draw.get_pydot_graph(net, "TB", phase=phase).to_string()
        assert expected in text
        assert ("Silence" in text) == (phase == TRAIN)
    assert "Batch" not in draw.get_pydot_graph(net, "TB", label_edges=False).to_string()


def test_labels():
    pool = caffe_pb2.LayerParameter(
        name="p", type="Pooling", pooling_param={"kernel_size": 3, "stride": 2, "pool": 1}
    )
    assert draw.get_layer_label(pool, "TB") == '"p (AVE Pooling) kernel size: 3 stride: 2 pad: 0"'
    ip = caffe_pb2.LayerParameter(name="i", type="InnerProduct", param=[{"lr_mult": 2}])
    assert draw.get_layer_label(ip, "LR", display_lrm=True) == '"i\\n(InnerProduct)\\nlr mult: 2, 1"'
    with pytest.raises(ValueError, match="Pooling layers do not have a learning rate multiplier"):
        draw.get_layer_lr_mult(pool)
    with pytest.raises(ValueError, match="layer 'i': 3 param, expected at most two"):
        draw.get_layer_lr_mult(caffe_pb2.LayerParameter(name="i", type="Convolution", param=[{}, {}, {}]))


def test_colours_by_type():
    assert draw.choose_color_by_layertype("Convolution") == draw.choose_color_by_layertype("Deconvolution") == "#FF5050"
    assert draw.choose_color_by_layertype("Pooling") == "#FF9900"
    assert draw.choose_color_by_layertype("InnerProduct") == "#CC33FF"
    assert draw.choose_color_by_layertype("ReLU") == draw.LAYER_STYLE_DEFAULT["fillcolor"] == "#6495ED"


def test_dot_text_is_written_to_a_file(tmp_path):
    path = tmp_path / "net.dot"
    draw.draw_net_to_file(parse_net(NET), str(path))
    assert path.read_text().startswith("digraph a {")
    with pytest.raises(ValueError, match="no suffix that names the picture's format"):
        draw.draw_net_to_file(parse_net(NET), str(tmp_path / "net"))


def test_missing_programs_say_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match="needs graphviz's program 'dot': install graphviz"):
        draw.draw_net(parse_net(NET), "LR")
    monkeypatch.setitem(sys.modules, "pydot", None)
    with pytest.raises(ImportError, match="needs the Python package pydot: pip install pydot"):
        draw.draw_net(parse_net(NET), "LR")
