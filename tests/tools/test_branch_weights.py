"""tools.branch_weights: every branch starts from the one fc6 and fc7, in files of both generations."""

import caffe
import numpy as np
import pytest

from tools.branch_weights import main
from tools.common import UserError

INPUT = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 dim: 5 dim: 5 } } }\n'
LAYER = """layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}"
  convolution_param {{ num_output: 3 kernel_size: 1 weight_filler {{ type: "gaussian" }} }} }}\n"""


def net_of(tmp_path, layers, weights=None):
    path = tmp_path / "net.prototxt"
    path.write_text(INPUT + "".join(LAYER.format(name=name, bottom=bottom) for name, bottom in layers))
    return caffe.Net(str(path), *([str(weights)] if weights else []), caffe.TEST)


@pytest.fixture
def single(tmp_path):
    net = net_of(tmp_path, [("conv1", "x"), ("fc6", "conv1"), ("fc7", "fc6")])
    net.save(str(tmp_path / "single.caffemodel"))
    return net, tmp_path / "single.caffemodel"


@pytest.mark.parametrize("generation", [1, 2])
def test_branches_hold_the_weights_of_the_one(tmp_path, single, generation):
    net, path = single
    if generation == 1:  # V1LayerParameter, in the field `layers`
        new, old = caffe.proto.caffe_pb2.NetParameter(), caffe.proto.caffe_pb2.NetParameter()
        new.ParseFromString(path.read_bytes())
        for layer in new.layer:
            old.layers.add(name=layer.name, type=caffe.proto.caffe_pb2.V1LayerParameter.CONVOLUTION, blobs=layer.blobs)
        path.write_bytes(old.SerializeToString())
    main([str(path), str(tmp_path / "mc.caffemodel"), "--branches", "2"])
    layers = [("conv1", "x"), *((f"fc6_{k}", "conv1") for k in (1, 2)), *((f"fc7_{k}", f"fc6_{k}") for k in (1, 2))]
    copied = net_of(tmp_path, layers, tmp_path / "mc.caffemodel")
    for name, _ in layers:
        for blob, source in zip(copied.params[name], net.params[name.split("_")[0]], strict=True):
            np.testing.assert_array_equal(blob.data, source.data)


@pytest.mark.parametrize(("content", "message"), [
    (b"\x0a", "bad.caffemodel: no caffemodel, or cut off"),
    (b"", "bad.caffemodel: no layer 'fc6' with weights; the file has no weights at all"),
])
def test_other_files_are_refused(tmp_path, content, message):
    (tmp_path / "bad.caffemodel").write_bytes(content)
    with pytest.raises(UserError, match=message):
        main([str(tmp_path / "bad.caffemodel"), str(tmp_path / "mc.caffemodel")])
    assert not (tmp_path / "mc.caffemodel").exists()


def test_weights_that_have_branches_already_are_refused_by_name(tmp_path):
    net_of(tmp_path, [("conv1", "x"), ("fc6_1", "conv1")]).save(str(tmp_path / "mc.caffemodel"))
    with pytest.raises(UserError, match="no layer 'fc6' with weights; the file has conv1, fc6_1"):
        main([str(tmp_path / "mc.caffemodel"), str(tmp_path / "again.caffemodel")])
