"""tools.inspect_net: counts against hand and torch, every kind of mistake with its line, drawing, differences."""

import re

import caffe
import cv2
import pytest
from caffe.prototxt import parse_net
from torch.utils.flop_counter import FlopCounterMode

from dsrg.io.errors import UserError
from dsrg.netinspect.checks import State
from dsrg.netinspect.cost import readable, rows
from dsrg.netinspect.graph_layout import Layout
from dsrg.netinspect.net_differences import differences
from dsrg.netinspect.prototxt_source import Source, without_field
from tests.conftest import EXPERIMENTS, ROOT
from tools.inspect_net import main

VGG16 = [64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512, "pool"]
INPUT = 'layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 2 dim: 6 dim: 9 dim: 7 } } }\n'
NETS = sorted(f"{folder.name}/{path.name}" for folder in EXPERIMENTS for path in folder.glob("*.prototxt")
              if not path.name.startswith("solver"))


def write(folder, text, name="net.prototxt"):
    path = folder / name
    path.write_text(text)
    return path


def state_of(folder, text, phase="test"):
    return State(Source(write(folder, text)), phase)


def inspect(path, *arguments):
    return main([str(path), *map(str, arguments)])


def said(capsys, path):
    """What was said of the file, as (line, severity, text)."""
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith(str(path))]
    return [(int(number), severity, text) for number, severity, text in
            (re.match(r":(\d+): (\w+): (.*)", line.removeprefix(str(path))).groups() for line in lines)]


# ---- counts -------------------------------------------------------------------------------------------------


def vgg16():
    """The net of Simonyan and Zisserman, configuration D."""
    text, below = INPUT.replace("dim: 2 dim: 6 dim: 9 dim: 7", "dim: 1 dim: 3 dim: 224 dim: 224"), "data"
    for k, outputs in enumerate(VGG16):
        kind = ('type: "Pooling" pooling_param { pool: MAX kernel_size: 2 stride: 2 }' if outputs == "pool" else
                f'type: "Convolution" convolution_param {{ num_output: {outputs} kernel_size: 3 pad: 1 }}')
        text += f'layer {{ name: "l{k}" bottom: "{below}" top: "l{k}" {kind} }}\n'
        below = f"l{k}"
    for k, outputs in enumerate((4096, 4096, 1000)):
        text += (f'layer {{ name: "fc{k}" type: "InnerProduct" bottom: "{below}" top: "fc{k}" '
                 f'inner_product_param {{ num_output: {outputs} }} }}\n')
        below = f"fc{k}"
    return text


def test_vgg16_has_its_known_size(tmp_path):
    """138,357,544 parameters; 15.35 G multiply-adds in the convolutions and 0.12 G in the inner products, which are
    sums over the published table of layers: outputs * inputs * kernel * area."""
    found = rows(state_of(tmp_path, vgg16()))
    assert sum(row.params for row in found) == 138_357_544
    side, inputs, expected = 224, 3, 0
    for outputs in VGG16:
        if outputs == "pool":
            side //= 2
        else:
            expected += side * side * 9 * inputs * outputs
            inputs = outputs
    expected += 25088 * 4096 + 4096 * 4096 + 4096 * 1000
    assert sum(row.multiply_adds for row in found) == expected == 15_470_264_320
    assert found[1].bytes == 64 * 224 * 224 * 4


MIXED = INPUT + """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_h: 3 kernel_w: 2 stride: 2 pad: 1 group: 2 dilation: 2 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "up" type: "Deconvolution" bottom: "conv" top: "up"
        convolution_param { num_output: 2 kernel_size: 4 stride: 2 bias_term: false } }
layer { name: "ip" type: "InnerProduct" bottom: "up" top: "ip" inner_product_param { num_output: 5 transpose: true } }
layer { name: "seq" type: "Reshape" bottom: "data" top: "seq" reshape_param { shape { dim: 3 dim: 4 dim: -1 } } }
layer { name: "cont" type: "DummyData" top: "cont" dummy_data_param { shape { dim: 3 dim: 4 } } }
layer { name: "static" type: "DummyData" top: "static" dummy_data_param { shape { dim: 4 dim: 7 } } }
layer { name: "lstm" type: "LSTM" bottom: "seq" bottom: "cont" bottom: "static" top: "lstm"
        recurrent_param { num_output: 3 } }
layer { name: "rnn" type: "RNN" bottom: "seq" bottom: "cont" top: "rnn" recurrent_param { num_output: 3 } }
"""


def test_counts_by_hand(tmp_path):
    found = {row.name: row for row in rows(state_of(tmp_path, MIXED))}
    # (9 + 2 - 5) / 2 + 1 = 4 rows, (7 + 2 - 3) / 2 + 1 = 4 columns
    assert found["conv"].tops == (("conv", (2, 4, 4, 4)),)
    assert (found["conv"].params, found["conv"].multiply_adds) == (4 * 3 * 6 + 4, 2 * 4 * 16 * 3 * 6)
    assert (found["relu"].params, found["relu"].multiply_adds, found["relu"].bytes) == (0, 0, 0)
    assert found["up"].tops == (("up", (2, 2, 10, 10)),)
    assert (found["up"].params, found["up"].multiply_adds) == (4 * 2 * 16, 2 * 4 * 16 * 2 * 16)
    assert (found["ip"].params, found["ip"].multiply_adds) == (200 * 5 + 5, 2 * 200 * 5)
    assert found["up"].bytes == 2 * 2 * 100 * 4


def test_counts_are_those_of_torch(tmp_path):
    """FlopCounterMode counts two operations a multiply-add of what really runs."""
    net = caffe.Net(str(write(tmp_path, MIXED)), caffe.TEST)
    with FlopCounterMode(display=False) as counter:
        net.forward()
    assert sum(row.multiply_adds for row in rows(state_of(tmp_path, MIXED))) == counter.get_total_flops() / 2
    assert (sum(row.params for row in rows(state_of(tmp_path, MIXED)))
            == sum(blob.count for blobs in net.params.values() for blob in blobs))


def test_shared_parameters_count_once(tmp_path):
    text = INPUT + "".join(f"""layer {{ name: "{n}" type: "InnerProduct" bottom: "data" top: "{n}" param {{ name: "w" }}
        inner_product_param {{ num_output: 2 bias_term: false }} }}""" for n in "ab")
    assert [row.params for row in rows(state_of(tmp_path, text))] == [0, 2 * 378, 0]


def test_table(tmp_path, capsys):
    path = write(tmp_path, INPUT + 'layer { name: "conv" type: "Convolution" bottom: "data" top: "out"\n'
                 'convolution_param { num_output: 4 kernel_size: 1 } }\n')
    assert inspect(path, "--input", "data=1,6,10,20") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:5] for line in lines[2:4]] == [["1", "in", "Input", "data", "1x6x10x20"],
                                                         ["2", "conv", "Convolution", "out", "1x4x10x20"]]
    assert lines[3].split()[-5:] == ["28", "4.80", "K", "3.12", "KiB"]  # 24 + 4; 4 * 6 * 200; 800 float32
    assert lines[-2] == "parameters 28 (112 B), multiply-adds of a forward 4,800"
    assert lines[-1].startswith("float32 blobs and parameters: 7.92 KiB forward;")  # (1200 + 800 + 28) * 4


@pytest.mark.parametrize(("count", "unit", "text"), [(0, "", "0"), (999, "", "999"), (1234, "", "1.23 K"),
                                                     (15_470_264_320, "", "15.5 G"), (1536, "B", "1.50 KiB"),
                                                     (5, "B", "5 B"), (2 * 10**15, "", "2000 T")])
def test_readable(count, unit, text):
    assert readable(count, unit) == text


# ---- mistakes -----------------------------------------------------------------------------------------------

ONE = "  convolution_param { num_output: 4 kernel_size: 1 }\n}\n"
CONV = '\nlayer {\n  name: "conv"\n  type: "Convolution"\n  bottom: "data"\n  top: "conv"\n%s\n}\n'


@pytest.mark.parametrize(("text", "line", "severity", "words"), [
    (CONV % "  convolution_param { num_output: 4 kernel_sise: 3 kernel_size: 1 }", 8, "error",
     "did you mean 'kernel_size'"),
    (CONV % "  convolution_param { num_output: 4 kernel_size: 30 }", 3, "error", "does not fit"),
    (CONV % (ONE + 'layer {\n  name: "relu" type: "ReLU"\n'
     '  bottom: "cnov"\n  top: "r"'), 12, "error", "did you mean 'conv'"),
    (CONV % (ONE + 'layer { name: "x" type: "ReLU" bottom: "y" top: "z" }'
     '\nlayer { name: "y" type: "ReLU" bottom: "conv" top: "y" '), 10, "error", "layer 'y' makes it, further down"),
    (CONV % (ONE + 'layer {\n  name: "odd" type: "Convolve" bottom: "conv"'
     '\n  top: "odd"'), 10, "error", "unknown layer type 'Convolve'"),
    (CONV % '  top: "more"\n  convolution_param { num_output: 4 kernel_size: 1 }', 3, "error", "1 bottoms but 2 tops"),
    (CONV % '  include { phase: TRAIN }\n  exclude { phase: TEST }', 3, "error", "both include and exclude"),
    (CONV % "  convolution_param { num_output: 4 kernel_size: 1\n  }\n  param { lr_mult: 1 }\n  param { lr_mult: 1 }\n"
     "  param { lr_mult: 1 }", 3, "error", "3 param {...} entries"),
    (CONV % "  convolution_param { num_output: four }", 8, "error", "four"),
    (CONV % "  convolution_param { num_output: 4 kernel_size: 1 ", 9, "error", "expected"),
    (CONV % (ONE + 'layer { name: "l" type: "EuclideanLoss"\n'
     'bottom: "conv" bottom: "conv" top: "l" }\nlayer { name: "r" type: "ReLU" bottom: "data"\n  top: "idle"'), 13,
     "warning", "no layer reads its top 'idle'"),
    (CONV % (ONE + 'layer { name: "conv" type: "ReLU" bottom: "conv" '
     'top: "r"'), 10, "warning", "2 layers have this name"),
    (CONV % (ONE + 'layer { name: "again" type: "ReLU" bottom: "data" '
     'top: "conv"'), 10, "error", "already made by another layer"),
    ('layer { name: "h" type: "HDF5Data" top: "x" hdf5_data_param { source: "f" batch_size: 2 } }\n'
     'layer { name: "r" type: "ReLU" bottom: "data" top: "data" }', 2, "note", "--input x="),
])
def test_mistake_is_said_with_its_line(tmp_path, capsys, text, line, severity, words):
    path = write(tmp_path, INPUT + text)
    status = inspect(path)
    found = said(capsys, path)
    assert [(n, s) for n, s, t in found if words in t] == [(line, severity)], found
    assert status == (1 if severity == "error" else 0)
    assert inspect(path, "--strict") == (0 if severity == "note" else 1)


def test_every_mistake_at_once(tmp_path, capsys):
    """Unknown fields, a message and a list among them, do not hide one another, nor the shapes and wiring behind."""
    path = write(tmp_path, INPUT + '''layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" # not { this
  convolution_param { num_output: 4 kernel_size: 1 hole: 2 hole_h: [1, 2] }
  blob_prm { a: "x" b { c: 1 } }
  tpo: "a" 'b' }
layer { name: "ip" type: "InnerProduct" bottom: "cnov" top: "ip" inner_product_param { num_output: 0 } }
layer { name: "big" type: "Convolution" bottom: "conv" top: "big" convolution_param { num_output: 1 kernel_size: 99 } }
''')
    assert inspect(path) == 1
    found = said(capsys, path)
    assert [line for line, _, _ in found] == [3, 3, 4, 5, 6, 7]
    for (_, severity, text), words in zip(found, ("'hole'", "'hole_h'", "'blob_prm'", "'tpo'", "'cnov'", "(99, 99)"),
                                          strict=True):
        assert severity == "error" and words in text


@pytest.mark.parametrize(("text", "left"), [
    ("a: 1 b: 2", "     b: 2"), ("a: 'x' \"y\" b: 2", "           b: 2"),
    ("a { c { d: 1 } } b: 2", "                 b: 2"),
    ("a: [1, 2] b: 2", "          b: 2"), ("a: -1.5e3, b: 2", "         , b: 2"), ("a: X }", "     }"),
    ("a:\n  1 # a\nb: 2", "  \n    # a\nb: 2"),
])
def test_without_field(text, left):
    assert without_field(text, 1, 1) == left


def test_both_phases_are_checked(tmp_path, capsys):
    path = write(tmp_path, INPUT + '''layer { name: "r" type: "ReLU" bottom: "data" top: "r" }
layer { name: "x" type: "ReLU" bottom: "gone" top: "x" include { phase: TRAIN } }
layer { name: "y" type: "ReLU" bottom: "lost" top: "y" include { phase: TEST } }\n''')
    assert inspect(path) == 1
    assert [(line, re.search("bottom '(.*?)'", text)[1]) for line, _, text in said(capsys, path)] == [(3, "gone"),
                                                                                                      (4, "lost")]


@pytest.mark.parametrize("name", NETS)
def test_experiments_are_clean(name, capsys):
    """From any folder, without data, lists, cues or weights."""
    path = ROOT / "prototxts" / name
    assert inspect(path, "--strict") == 0
    assert said(capsys, path) == []


def test_wrong_size_of_cues_is_found_from_param_str(tmp_path, capsys):
    text = (ROOT / "prototxts/voc12-vgg16/train-s.prototxt").read_text().replace("'mirror': True}", "'size': 40}")
    path = write(tmp_path, text)
    assert inspect(path) == 1
    found = said(capsys, path)
    lines = text.splitlines()
    assert {lines[line].strip() for line, _, _ in found} == {'name: "update-seed"'}
    assert "(20, 21, 40, 40)" in found[0][2] and "(20, 21, 41, 41)" in found[0][2]


@pytest.mark.parametrize(("name", "text", "words"), [
    ("none", None, "Could not open"),
    ("s.prototxt", 'net: "n.prototxt" base_lr: 1', "is a solver; give its net, n.prototxt"),
    ("b.prototxt", "\0binary", "binary file"),
])
def test_no_net(tmp_path, name, text, words):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=words):
        inspect(tmp_path / name)


def test_an_input_that_is_given_twice_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        inspect(write(tmp_path, INPUT), "--input", "data=1,6,10,20", "--input", "data=1,6,10,10")
    assert "--input: data is given twice; keep one of them" in capsys.readouterr().err


def test_input_nobody_makes_is_refused(tmp_path):
    with pytest.raises(UserError, match="--input dota: .* it can be given for data"):
        inspect(write(tmp_path, INPUT), "--input", "dota=1,2")


# ---- weights ------------------------------------------------------------------------------------------------


def test_names_in_strangers_files_are_shown_harmless_and_of_bounded_length(tmp_path, capsys):
    """In the table, in findings, in differences and in JSON; a name of U+009B begins an escape sequence, too."""
    text = INPUT + ('layer { name: "\\033[2J\\302\\2332J" type: "InnerProduct" bottom: "data" top: "y\\033" '
                    'inner_product_param { num_output: 4 } }\n')
    path, weights = write(tmp_path, text), tmp_path / "w.caffemodel"
    net = caffe.proto.caffe_pb2.NetParameter()
    for name in ("\x1b[31mred", "a" * 500_000):
        net.layer.add(name=name).blobs.add(data=[1])
    weights.write_bytes(net.SerializeToString())
    inspect(path, "--weights", weights)
    inspect(path, "--diff", write(tmp_path, INPUT, "other.prototxt"))
    lines = "".join(capsys.readouterr())
    inspect(path, "--weights", weights, "--json")
    shown = lines + "".join(capsys.readouterr())
    assert "\\x1b[31mred" in shown and "\\u009b2J" in shown and not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)
    assert max(map(len, lines.splitlines())) < 2000 + 200       # and the file's name, and what it is a finding of


def test_layers_of_unknown_shape_are_not_said_to_be_missing(tmp_path, capsys):
    """A training net's shapes hang on its photos."""
    conv = ('layer { name: "conv" type: "InnerProduct" bottom: "data" top: "y" inner_product_param { num_output: 4 } }')
    caffe.Net(str(write(tmp_path, INPUT + conv)), caffe.TEST).save(tmp_path / "w.caffemodel")
    data = 'layer { name: "in" type: "ImageData" top: "data" top: "l" image_data_param { source: "x" } }'
    path = write(tmp_path, f"{data}\n{conv}\n", "train.prototxt")
    assert inspect(path, "--weights", tmp_path / "w.caffemodel") == 0
    assert any("not compared with" in text and "conv" in text for _, severity, text in said(capsys, path)
               if severity == "note")


def test_weights_are_held_against_the_net(tmp_path, capsys):
    text = INPUT + (CONV % "  convolution_param { num_output: 4 kernel_size: 1 }")
    path, weights = write(tmp_path, text), str(tmp_path / "w.caffemodel")
    caffe.Net(str(path), caffe.TEST).save(weights)
    assert inspect(path, "--weights", weights, "--strict") == 0
    assert said(capsys, path) == []
    path = write(tmp_path, text.replace("num_output: 4", "num_output: 5") +
                 'layer { name: "new" type: "InnerProduct" bottom: "conv" top: "new"\n'
                 'inner_product_param { num_output: 1 } }')
    assert inspect(path, "--weights", weights) == 1
    found = said(capsys, path)
    assert [(line, severity) for line, severity, _ in found] == [(3, "error"), (10, "note")]
    assert "(5, 6, 1, 1), (5,), those of" in found[0][2] and "(4, 6, 1, 1), (4,)" in found[0][2]
    assert found[1][2].endswith("left at their filler: new")
    path = write(tmp_path, text.replace('name: "conv"', 'name: "other"'))
    assert inspect(path, "--weights", weights) == 1
    assert "none of the layers" in said(capsys, path)[0][2]
    with pytest.raises(UserError, match="missing.caffemodel"):
        inspect(path, "--weights", tmp_path / "missing.caffemodel")


# ---- drawing and differences --------------------------------------------------------------------------------


def test_layout_keeps_boxes_apart_and_has_no_needless_crossing():
    # a diamond with a long edge past it: 0 -> 1, 2 -> 3 and 0 -> 3
    layout = Layout(4, [(0, 1), (0, 2), (1, 3), (2, 3), (0, 3)], width=2)
    assert layout.rank == [0, 1, 1, 2]
    (start, passing, end) = layout.ways[0, 3]
    assert start == (layout.x[0], 0) and end == (layout.x[3], 2) and passing[1] == 1
    row = sorted([layout.x[1], layout.x[2], passing[0]])
    assert row[0] >= 1 and all(b - a >= 2 - 1e-9 for a, b in zip(row, row[1:], strict=False))
    crossed = Layout(6, [(0, 4), (1, 5), (2, 3), (0, 3)])  # one order of 3, 4, 5 avoids every crossing
    assert (crossed.x[4] - crossed.x[5]) * (crossed.x[0] - crossed.x[1]) > 0
    with pytest.raises(ValueError, match="edge 2 -> 1"):
        Layout(3, [(2, 1)])


def test_pictures(tmp_path):
    path = ROOT / "prototxts/demo/train-s.prototxt"
    assert inspect(path, "--draw", tmp_path / "net.svg") == 0
    svg = (tmp_path / "net.svg").read_text()
    for words in ("update-seed", "DSRGLayer", "AnnotationLayer", "33x33", "ReLU"):
        assert words in svg
    net = parse_net(path.read_text())
    drawn = [layer for layer in net.layer if list(layer.bottom) != list(layer.top)]
    assert svg.count('fill: #') + svg.count("fill:#") > len(drawn)
    inspect(path, "--draw", tmp_path / "net.png")
    picture = cv2.imread(str(tmp_path / "net.png"))
    assert picture.shape[0] > picture.shape[1] > 300
    colours = {tuple(c) for c in picture.reshape(-1, 3)[::7]}
    assert {(0xB8, 0xC7, 0xF4), (0xD0, 0xE0, 0xBF), (0xA0, 0xA9, 0xF1)} <= colours  # convolution, Python, loss
    inspect(path, "--draw", tmp_path / "net.dot")
    assert (tmp_path / "net.dot").read_text().startswith("digraph")
    with pytest.raises(UserError, match=".svg, .png, .pdf or .dot"):
        inspect(path, "--draw", tmp_path / "net.bmp")


def test_differences():
    old = parse_net("""layer { name: "a" type: "ReLU" bottom: "x" top: "a" }
        layer { name: "b" type: "Convolution" bottom: "a" top: "b" param { lr_mult: 1 }
                convolution_param { num_output: 4 kernel_size: 3 kernel_size: 5 weight_filler { type: "xavier" } } }
        layer { name: "c" type: "Python" bottom: "b" top: "c"
                python_param { module: "m" layer: "L" param_str: "{'th1': 0.99, 'th2': 0.85}" } }""")
    new = parse_net("""layer { name: "b" type: "Convolution" bottom: "x" top: "b" param { lr_mult: 10 }
                convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "msra" } bias_term: false } }
        layer { name: "c" type: "Python" bottom: "b" top: "c"
                python_param { module: "m" layer: "L" param_str: "{'th1': 0.99, 'th2': 0.9, 'grow': False}" } }
        layer { name: "d" type: "PReLU" bottom: "c" top: "d" }""")
    assert differences(old, new) == [
        "- a (ReLU)",
        "~ b (Convolution)",
        "    bottom: a → x",
        "    param[0].lr_mult: 1 → 10",
        "    convolution_param.kernel_size: 3, 5 → 3",
        "    convolution_param.weight_filler.type: xavier → msra",
        "    convolution_param.bias_term: not set → False",
        "~ c (Python)",
        "    python_param.param_str.th2: 0.85 → 0.9",
        "    python_param.param_str.grow: not set → False",
        "+ d (PReLU)",
    ]
    assert differences(old, old) == []


def test_diff_command(tmp_path, capsys):
    a = write(tmp_path, INPUT + (CONV % "  convolution_param { num_output: 4 kernel_size: 1 }"), "a.prototxt")
    b = write(tmp_path, a.read_text().replace("kernel_size: 1", "kernel_size: 3"), "b.prototxt")
    assert inspect(a, "--diff", b) == 0
    assert capsys.readouterr().out == "~ conv (Convolution)\n    convolution_param.kernel_size: 1 → 3\n"
    inspect(a, "--diff", a)
    assert "hold the same layers" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"c.prototxt:1: .*no field 'lair'"):
        inspect(a, "--diff", write(tmp_path, "lair {}", "c.prototxt"))


def test_moved_layers_are_told():
    text = ['layer { name: "%s" type: "ReLU" bottom: "x" top: "%s" }' % (n, n) for n in "ab"]  # noqa: UP031
    found = differences(parse_net("".join(text)), parse_net("".join(reversed(text))))
    assert found == ["~ the layers stand in another order, from 'a' on"]
