"""Binary nets of DeepLab-v2's authors, of the forks merged with BVLC Caffe, and of BVLC Caffe, made byte by byte."""

import struct

import caffe
import numpy as np
import pytest
from caffe import binary_families, prototxt, serialization
from caffe import protobuf_wire as wire
from caffe.__main__ import main
from caffe.proto import caffe_pb2

from tests.engine.nets import build


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])


def field(number, value):
    """A protobuf field: an int as varint, a float as 32 bits, text and bytes with their length before them."""
    if isinstance(value, int):
        return varint(8 * number) + varint(value % 2**64)
    if isinstance(value, float):
        return varint(8 * number + 5) + struct.pack("<f", value)
    value = value.encode() if isinstance(value, str) else value
    return varint(8 * number + 2) + varint(len(value)) + value


def layer(name, kind, *fields, bottom="", top=""):
    head = field(1, name) + field(2, kind) + (field(3, bottom) if bottom else b"") + field(4, top or name)
    return field(100, head + b"".join(fields))


def blob(*values):
    return field(7, field(5, struct.pack(f"<{len(values)}f", *values)) + field(7, field(1, bytes([len(values)]))))


INTERP = field(3, 3) + field(4, 4) + field(5, -1)  # zoom_factor 3, shrink_factor 4, pad_beg -1
SEG_ACCURACY = field(1, 2) + field(2, 255) + field(2, 0) + field(3, 0)  # metric PixelIOU, ignore_label 255, 0, reset
BIAS = field(141, field(2, 0)) + field(7, field(5, struct.pack("<f", 2.5)))  # num_axes 0: a scalar, without a shape
SHAPE = field(1, field(1, bytes([1, 1, 14, 14])))  # dim 1 1 14 14
NAME, INPUT = field(1, "net"), field(3, "data") + field(8, field(1, bytes([1, 1, 14, 14])))


def deeplab(interp, seg_accuracy):
    return (NAME + INPUT + layer("b", "Bias", BIAS, bottom="data")
            + layer("i", "Interp", field(interp, INTERP), bottom="b")
            + layer("s", "SegAccuracy", field(seg_accuracy, SEG_ACCURACY), field(3, "label"), bottom="i"))


AUTHORS, MERGED = deeplab(143, 144), deeplab(153, 154)
BVLC = (NAME + layer("data", "Input", field(143, SHAPE)) + layer("like", "Input", field(143, SHAPE))
        + layer("p", "Parameter", field(145, field(1, field(1, bytes([2])))), blob(1.0, 2.0))
        + layer("c", "Crop", field(144, field(1, 1) + field(2, 3)), field(3, "like"), bottom="data")
        + layer("k", "Clip", field(148, field(1, -1.0) + field(2, 1.0)), bottom="c")
        + layer("w", "Swish", field(147, field(1, 2.0)), bottom="k"))
# what the engine does not run; 148 would be a Clip without its two required numbers
REST = (NAME + layer("m", "MatWrite", field(145, field(1, "\x7fa/")), bottom="data")
        + layer("d", "DenseCRF", field(146, field(1, 10) + field(2, 3.0)), bottom="data")
        + layer("t", "DomainTransform", field(147, field(1, 5)), bottom="data")
        + layer("a", "AdaptiveBiasChannel", field(148, field(1, 2)), blob(7.0), bottom="data"))


def settings(net):
    """Interp's and SegAccuracy's settings; nothing of BVLC's may have come up beside them."""
    _, _, i, s = net.layer
    for message in (i, s):
        assert not (message.HasField("input_param") or message.HasField("crop_param"))
    p, q = i.interp_param, s.seg_accuracy_param
    return (p.zoom_factor, p.shrink_factor, p.pad_beg, p.pad_end), (q.metric, list(q.ignore_label), q.reset)


RIGHT = (3, 4, -1, 0), (2, [255, 0], False)


@pytest.mark.parametrize("data", [AUTHORS, MERGED], ids=["authors", "merged"])
def test_both_families_of_deeplab_are_read(data, tmp_path):
    (tmp_path / "m").write_bytes(data)
    net, weights = serialization.load_caffemodel(tmp_path / "m")
    assert settings(net) == RIGHT == settings(serialization.read_net_binary(tmp_path / "m"))
    assert weights["b"][0] == 2.5
    assert settings(prototxt.read_net(tmp_path / "m")) == RIGHT


def test_a_net_of_the_authors_runs_from_its_binary_file(tmp_path):
    """(14 - 1 - 1) / 4 + 1 = 4, then 4 + 3 x 2 = 10; the weights come from the same file."""
    (tmp_path / "m").write_bytes(NAME + INPUT + layer("b", "Bias", field(141, field(2, 0)), bottom="data")
                                 + layer("i", "Interp", field(143, INTERP), bottom="b"))
    net = caffe.Net(str(tmp_path / "m"), caffe.TEST)
    (tmp_path / "w").write_bytes(AUTHORS)
    net.copy_from(str(tmp_path / "w"))
    out = net.forward()["i"]
    assert out.shape == (1, 1, 10, 10) and (out == 2.5).all()


def test_a_file_of_bvlc_keeps_its_meaning(tmp_path):
    (tmp_path / "m").write_bytes(BVLC)
    assert binary_families.to_engine(BVLC) is BVLC
    net = serialization.read_net_binary(tmp_path / "m")
    data, _, p, c, k, w = net.layer
    assert list(data.input_param.shape[0].dim) == [1, 1, 14, 14] and list(p.parameter_param.shape.dim) == [2]
    assert (c.crop_param.axis, list(c.crop_param.offset)) == (1, [3])
    assert (k.clip_param.min, k.clip_param.max, w.swish_param.beta) == (-1, 1, 2)
    for family in binary_families.FAMILIES:
        serialization.save_caffemodel(tmp_path / "again", net, family=family)
        assert caffe_pb2.NetParameter.FromString((tmp_path / "again").read_bytes()) == net


def test_layers_that_the_engine_does_not_run_are_kept_and_renumbered(tmp_path):
    (tmp_path / "m").write_bytes(REST)
    net, weights = serialization.load_caffemodel(tmp_path / "m")
    assert weights["a"][0].tolist() == [7]
    names = {f.name for message in net.layer for f, _ in message.ListFields()}
    assert names == {"name", "type", "bottom", "top", "blobs"}
    net = serialization.read_net_binary(tmp_path / "m")
    serialization.save_caffemodel(tmp_path / "authors", net, family="deeplab-v2")
    assert fields_of((tmp_path / "authors").read_bytes()) == fields_of(REST)
    serialization.save_caffemodel(tmp_path / "merged", net)
    merged = REST.replace(field(145, field(1, "\x7fa/")), field(155, field(1, "\x7fa/")))
    merged = merged.replace(field(146, field(1, 10) + field(2, 3.0)), field(152, field(1, 10) + field(2, 3.0)))
    assert fields_of((tmp_path / "merged").read_bytes()) == fields_of(merged)


def fields_of(data):
    """The fields of each layer of a net, sorted: (number, wire type, content)."""
    view = memoryview(data)
    layers = [(s, e) for number, _, _, s, e in wire.fields(view, 0, len(view)) if number == 100]
    return [sorted((n, t, bytes(view[s:e])) for n, t, _, s, e in wire.fields(view, *span)) for span in layers]


@pytest.mark.parametrize("data", [AUTHORS, MERGED], ids=["authors", "merged"])
@pytest.mark.parametrize(("words", "expected"), [([], MERGED), (["--family", "merged"], MERGED),
                                                 (["--family", "deeplab-v2"], AUTHORS)])
def test_upgrade_net_proto_binary_invents_nothing_and_writes_the_family_asked_for(data, words, expected, tmp_path):
    (tmp_path / "m").write_bytes(data)
    main(["upgrade_net_proto_binary", str(tmp_path / "m"), str(tmp_path / "out"), *words])
    written = (tmp_path / "out").read_bytes()
    raw = caffe_pb2.NetParameter.FromString(bytes(binary_families.to_engine(written)))
    assert settings(raw) == RIGHT
    assert fields_of(written)[1:] == fields_of(expected), "an Input layer took the place of the legacy input"


def test_a_saved_net_has_the_numbers_of_its_family(tmp_path):
    net = build(tmp_path, """
        layer { name: "x" type: "Input" top: "x" top: "y" input_param { shape { dim: 1 dim: 2 dim: 5 dim: 5 } shape {
                dim: 1 dim: 1 dim: 9 dim: 9 } } }
        layer { name: "b" type: "Bias" bottom: "x" top: "b" }
        layer { name: "i" type: "Interp" bottom: "b" top: "i" interp_param { zoom_factor: 2 } }
        layer { name: "s" type: "SegAccuracy" bottom: "i" bottom: "y" top: "s"
                seg_accuracy_param { ignore_label: 9 } }""")
    net.params["b"][0].data[...] = 3
    interp, seg = field(3, 2), field(2, 9)
    for words, numbers in (({}, (153, 154)), ({"family": "merged"}, (153, 154)),
                           ({"family": "deeplab-v2"}, (143, 144))):
        net.save(tmp_path / "m", **words)
        data = (tmp_path / "m").read_bytes()
        for content, number in zip((interp, seg), numbers, strict=True):
            assert field(number, content) in data
        other = (143, 144) if numbers == (153, 154) else (153, 154)
        assert not any(field(n, c) in data for n, c in zip(other, (interp, seg), strict=True))
        net.params["b"][0].data[...] = 0
        net.copy_from(tmp_path / "m")
        assert (net.params["b"][0].data == 3).all()
    with pytest.raises(ValueError, match="family 'v2': expected one of merged, deeplab-v2"):
        net.save(tmp_path / "m", family="v2")
    assert (tmp_path / "m").read_bytes() == data, "the file of before stays"


@pytest.mark.parametrize(("kind", "remedy"), [
    ("MatWrite", "use HDF5Output"), ("MatRead", "use HDF5Data"), ("DenseCRF", "use the Python layer CRFLayer"),
])
def test_layers_of_deeplab_that_are_not_run_say_what_to_use(kind, remedy, tmp_path):
    """In a binary file no field's name is there to be refused: the type says it."""
    (tmp_path / "m").write_bytes(NAME + INPUT + layer("l", kind, field(145, b""), bottom="data"))
    with pytest.raises(caffe.LayerError, match=f"layer 'l': type '{kind}' of DeepLab-v2 is not supported: .*{remedy}"):
        caffe.Net(str(tmp_path / "m"), caffe.TEST)


@pytest.mark.parametrize(("more", "bn", "warned"), [
    ("Interp", "", True), ("", "", False), ("Interp", "update_global_stats: false", False),
    ("Interp", "use_global_stats: true", False),
])
def test_batch_norm_beside_layers_of_deeplab_says_which_statistics_it_has(more, bn, warned, tmp_path, recwarn):
    net = f"""layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 2 dim: 2 dim: 3 dim: 3 }} }} }}
        layer {{ name: "bn" type: "BatchNorm" bottom: "x" top: "bn" batch_norm_param {{ {bn} }} }}"""
    if more:
        net += 'layer { name: "i" type: "Interp" bottom: "bn" top: "i" interp_param { zoom_factor: 2 } }'
    if warned:
        with pytest.warns(UserWarning, match=r"net.prototxt:2: layer 'bn' \(BatchNorm\): its statistics are learned, "
                                             "as in BVLC Caffe; .*Write update_global_stats: true or false"):
            built = build(tmp_path, net, caffe.TRAIN)
    else:
        built = build(tmp_path, net, caffe.TRAIN)
    built.blobs["x"].data[...] = np.arange(36).reshape(2, 2, 3, 3)
    built.forward()
    assert built.params["bn"][0].data.any() == (not bn)


def test_many_such_layers_are_one_warning(tmp_path):
    net = 'input: "x" input_shape { dim: 2 dim: 2 dim: 3 dim: 3 }\n' + "".join(
        f'layer {{ name: "bn{k}" type: "BatchNorm" bottom: "x" top: "bn{k}" }}\n' for k in range(7)
    ) + 'layer { name: "i" type: "Interp" bottom: "x" top: "i" interp_param { zoom_factor: 2 } }'
    with pytest.warns(UserWarning) as found:
        build(tmp_path, net, caffe.TRAIN)
    assert [str(one.message).split(": its")[0].partition(".prototxt:")[2] for one in found] == [
        "2: layer 'bn0' (BatchNorm), one of 7"]
