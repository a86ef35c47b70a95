"""prototxt.py and caffe.proto: reading, errors with file:line:col, phase rules, splits, the wire format."""

import subprocess
import sys
from pathlib import Path

import pytest
from caffe import prototxt
from caffe.proto import caffe_pb2, generate
from caffe.prototxt import TEST, PrototxtError, layer_lines, parse_net
from hypothesis import HealthCheck, given, settings

from tests.engine.messages import messages

ANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def names(net):
    return [layer.name for layer in net.layer]


# ---- the schema -----------------------------------------------------------------------------------------


def test_caffe_pb2_is_what_the_proto_file_says(tmp_path):
    pytest.importorskip("grpc_tools", reason="grpcio-tools (requirements-dev.txt) compiles caffe.proto")
    program = "from grpc_tools import protoc; import sys; sys.exit(protoc.main(sys.argv))"
    folder = generate.FOLDER
    arguments = [f"--proto_path={folder}", f"--python_out={tmp_path}", "caffe.proto"]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True)
    assert (tmp_path / "caffe_pb2.py").read_text() == (folder / "caffe_pb2.py").read_text()


def test_the_generator_tells_its_use_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generate, "generate", lambda out: pytest.fail(f"would write {out}"))
    for words, status, said in ((["--help"], 0, "--out FOLDER"), (["--out", str(tmp_path / "a")], 2, "no such folder")):
        with pytest.raises(SystemExit) as ended:
            generate.main(words)
        assert ended.value.code == status
        assert said in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("message", "field", "number"),
    [
        ("BlobProto", "data", 5),
        ("BlobProto", "shape", 7),
        ("NetParameter", "layers", 2),
        ("NetParameter", "layer", 100),
        ("SolverParameter", "type", 40),
        ("SolverParameter", "iter_size", 36),
        ("SolverParameter", "weights", 42),
        ("SolverState", "current_step", 4),
        ("LayerParameter", "blobs", 7),
        ("LayerParameter", "convolution_param", 106),
        ("LayerParameter", "python_param", 130),
        ("LayerParameter", "batch_norm_param", 139),
        ("LayerParameter", "recurrent_param", 146),
        ("LayerParameter", "swish_param", 147),
        ("LayerParameter", "clip_param", 148),
        ("LayerParameter", "interp_param", 153),
        ("LayerParameter", "seg_accuracy_param", 154),
        ("ConvolutionParameter", "dilation", 18),
        ("PoolingParameter", "round_mode", 13),
        ("ImageDataParameter", "label_type", 16),
        ("TransformationParameter", "crop_height", 10),
        ("BatchNormParameter", "update_global_stats", 4),
        ("InfogainLossParameter", "axis", 2),
        ("V1LayerParameter", "blobs", 6),
        ("V0LayerParameter", "blobs", 50),
    ],
)
def test_wire_number(message, field, number):
    assert caffe_pb2.DESCRIPTOR.message_types_by_name[message].fields_by_name[field].number == number


def test_defaults_that_matter():
    assert caffe_pb2.SolverParameter().type == "SGD"
    assert caffe_pb2.NetState().phase == TEST
    assert caffe_pb2.ParamSpec().lr_mult == 1
    assert caffe_pb2.LossParameter().normalization == caffe_pb2.LossParameter.VALID
    assert caffe_pb2.DataParameter().prefetch == 4
    assert caffe_pb2.FillerParameter().type == "constant"
    assert caffe_pb2.BatchNormParameter().moving_average_fraction == pytest.approx(0.999)


# ---- round trips ----------------------------------------------------------------------------------------


@ANY
@given(messages(caffe_pb2.NetParameter.DESCRIPTOR))
def test_binary_round_trip(net):
    assert caffe_pb2.NetParameter.FromString(net.SerializeToString()) == net


@ANY
@given(messages(caffe_pb2.NetParameter.DESCRIPTOR))
def test_text_round_trip(net):
    for full_floats in (False, True):
        again = prototxt._parse(prototxt.to_text(net, full_floats), caffe_pb2.NetParameter(), "net")
        assert again == net


# ---- errors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('layer { bottem: "a" }', "n:1:9: LayerParameter has no field 'bottem'; did you mean 'bottom'?"),
        (
            "layer {\n  convolution_param { hole: 2 }\n}",
            "n:2:23: ConvolutionParameter has no field 'hole': DeepLab-v1's `hole` is `dilation` today (same meaning: "
            "hole: 2 -> dilation: 2)",
        ),
        (
            "layer { clip_param { minimum: 2 } }",
            "n:1:22: ClipParameter has no field 'minimum'; it has max, min",
        ),
        (
            "layer { foo_layer_thing {} }",
            "n:1:9: LayerParameter has no field 'foo_layer_thing', neither in BVLC Caffe 1.0 nor in DeepLab-v2",
        ),
        (
            "layer { pooling_param { pool: AVG } }",
            "n:1:31: PoolMethod has no value 'AVG', it has MAX, AVE, STOCHASTIC; did you mean AVE?",
        ),
        (
            "layer { type: CONVOLUTION }",
            'n:1:15: expected a string in quotes, got CONVOLUTION; `layer` takes type: "Convolution" '
            "(CONVOLUTION belongs to the old `layers`)",
        ),
        (
            'layers { type: "Convolution" }',
            "n:1:16: LayerType has no value 'Convolution': the old `layers` takes type: CONVOLUTION; `layer` takes "
            'type: "Convolution"',
        ),
        (
            'layers { type: "Interp" }',
            "n:1:16: LayerType has no value 'Interp': write `layer` with type in quotes for layers newer than Caffe's "
            "V1 format",
        ),
        (
            'layer { name: "a" name: "b" }',
            "n:1:25: LayerParameter takes one 'name', it is given more than once; keep one of them",
        ),
        (
            "layer { convolution_param { pad: -1 } }",
            "n:1:34: value out of range: -1; counts and sizes are not negative, integers have 32 bits",
        ),
        ("layer { loss_weight: x }", "n:1:22: couldn't parse float: x"),
        ('layer { name: "a"', 'n:1:15: expected "}".'),
        (
            "\n\nlayer { clip_param { min: 0 } }",
            "n:3: required field missing: layer[0].clip_param.max",
        ),
        (
            'input: "a"',
            "n: input 'a' has no shape; add input_shape { dim: N dim: C dim: H dim: W } or write an Input layer",
        ),
        (
            'input: "a" input_dim: 1 input_dim: 2',
            "n: 1 input but 2 input_dim; give four for each input (N C H W)",
        ),
    ],
)
def test_error_names_file_line_and_column(text, message):
    with pytest.raises(PrototxtError) as error:
        parse_net(text, "n")
    assert str(error.value) == message


def test_missing_file_reads_like_pycaffe():
    with pytest.raises(RuntimeError, match="^Could not open file nope.prototxt$"):
        prototxt.read_net("nope.prototxt")
    with pytest.raises(RuntimeError, match="^Could not open file nope.prototxt$"):
        prototxt.read_solver("nope.prototxt")


def test_error_names_the_file_that_was_read(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text('name: "a"\nlayer { nam: "b" }\n')
    with pytest.raises(PrototxtError) as error:
        prototxt.read_net(path)
    assert str(error.value) == f"{path}:2:9: LayerParameter has no field 'nam'; did you mean 'name'?"


def test_latin_1_comments_and_byte_order_marks_are_read(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_bytes('# für\nname: "a"'.encode("latin-1"))
    assert prototxt.read_net(path).name == "a"
    path.write_bytes('name: "é"'.encode("utf-8-sig"))
    assert prototxt.read_net(path).name == "é"


def test_binary_net_is_read_where_a_prototxt_is_expected(data_files):
    net = prototxt.read_net(data_files / "v1_net.caffemodel")
    assert names(net) == ["conv1", "relu1", "pool1", "ip", "prob"]


def test_binary_rubbish_is_refused(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_bytes(b"\0\xff\xff\xff")
    with pytest.raises(PrototxtError, match="neither a prototxt nor a binary NetParameter"):
        prototxt.read_net(path)
    with pytest.raises(PrototxtError, match="a binary file, expected a prototxt"):
        prototxt.read_solver(path)


# ---- where layers stand ---------------------------------------------------------------------------------


def test_layer_lines_see_through_comments_strings_and_messages():
    text = """name: "layer {"
# layer { name: "no" }
layer { name: "data" include { phase: TRAIN } }
layer
{
  type: "Python" python_param { layer: "X" param_str: "layer { name: 'x' }" }
  name: 'py'
}
layer < name: "angle" > layers { layer { name: "v0" } }
layer { name: "data" include { phase: TEST } }
"""
    lines = layer_lines(text)
    assert {k: v for k, v in lines.items() if isinstance(k, str)} == {"data": 3, "py": 4, "angle": 9, "v0": 9}
    assert [lines[k] for k in range(5)] == [3, 4, 9, 9, 10]


def test_layer_lines_of_text_without_spaces():
    text = """layer{name:"a" input_param{shape{dim:2 dim:3}}}
layer{name:"b"lrn_param{alpha:1e-4}}layer{name:"c"}"""
    assert {k: v for k, v in layer_lines(text).items() if isinstance(k, str)} == {"a": 1, "b": 2, "c": 2}


# ---- legacy inputs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shapes",
    [
        "input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4 input_dim: 5 input_dim: 6 input_dim: 7 input_dim: 8",
        "input_shape { dim: 1 dim: 2 dim: 3 dim: 4 } input_shape { dim: 5 dim: 6 dim: 7 dim: 8 }",
    ],
)
def test_legacy_inputs_become_an_input_layer_in_front(shapes):
    net = parse_net(f'input: "a" input: "b" {shapes} layer {{ name: "r" type: "ReLU" bottom: "a" top: "r" }}')
    assert names(net) == ["input", "r"]
    layer = net.layer[0]
    assert (layer.type, list(layer.top)) == ("Input", ["a", "b"])
    assert [list(shape.dim) for shape in layer.input_param.shape] == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert not net.input and not net.input_dim and not net.input_shape


# ---- solvers --------------------------------------------------------------------------------------------


def test_solver_prefix_follows_caffe(tmp_path):
    path = tmp_path / "solver-s.prototxt"
    path.write_text('net: "train.prototxt"')
    assert prototxt.read_solver(path).snapshot_prefix == str(tmp_path / "solver-s")
    folder = tmp_path / "models"
    folder.mkdir()
    path.write_text(f'net: "train.prototxt" snapshot_prefix: "{folder}"')
    assert prototxt.read_solver(path).snapshot_prefix == str(folder / "solver-s")
    path.write_text('net: "train.prototxt" snapshot_prefix: "models/x"')
    assert prototxt.read_solver(path).snapshot_prefix == "models/x"


def test_solver_errors_name_the_line(tmp_path):
    path = tmp_path / "solver.prototxt"
    path.write_text('net: "a"\nbase_lrr: 1\n')
    with pytest.raises(PrototxtError) as error:
        prototxt.read_solver(Path(path))
    assert str(error.value) == f"{path}:2:1: SolverParameter has no field 'base_lrr'; did you mean 'base_lr'?"
