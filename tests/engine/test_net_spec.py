"""caffe.NetSpec against the text pycaffe wrote for the same net, and its errors."""

import numpy as np
import pytest
from caffe import net_spec, prototxt
from caffe.net_spec import NetSpec, to_proto
from caffe.net_spec import layers as L
from caffe.net_spec import params as P


def sample():
    """The net of the golden text."""
    n = NetSpec()
    n.data, n.label = L.Input(shape=[dict(dim=[2, 3, 8, 8]), dict(dim=[2])], ntop=2)
    n.conv1 = L.Convolution(
        n.data,
        num_output=4,
        kernel_size=3,
        pad=1,
        weight_filler=dict(type="xavier"),
        param=[dict(lr_mult=1), dict(lr_mult=2)],
    )
    n.relu1 = L.ReLU(n.conv1, in_place=True)
    n.pool = L.Pooling(n.relu1, pool=P.Pooling.MAX, kernel_size=2, stride=2)
    n.ip = L.InnerProduct(L.Dropout(n.pool, dropout_ratio=0.3), num_output=5)
    n.loss = L.SoftmaxWithLoss(n.ip, n.label, loss_weight=2)
    n.py = L.Python(n.data, module="m", layer="X", param_str="{}")
    return n


def test_text_equals_pycaffes_to_the_character(data_files):
    golden = (data_files / "netspec.prototxt").read_text()
    assert prototxt.to_text(sample().to_proto(), full_floats=True) == golden
    assert prototxt.parse_net(str(sample().to_proto())) == sample().to_proto()  # str() reads back, too


def test_tops_without_a_name_are_numbered_by_type():
    top = L.ReLU(L.Power(L.Power(L.DummyData())))
    net = to_proto(top)
    assert [layer.name for layer in net.layer] == ["DummyData1", "Power1", "Power2", "ReLU1"]
    assert net == top.to_proto()
    two = to_proto(*L.Split(L.DummyData(), ntop=2))
    assert list(two.layer[1].top) == ["Split1", "Split2"]


def test_layers_without_tops_and_generic_parameters():
    n = NetSpec()
    n.data = L.DummyData(dummy_data_param=dict(shape=dict(dim=[1])), name="first", phase=1)
    n.silence = L.Silence(n.data, ntop=0)
    n.up = L.Deconvolution(
        n.data, convolution_param=dict(num_output=1, kernel_size=[3, 4]), include=dict(phase=0)
    )
    net = n.to_proto()
    assert [(layer.name, list(layer.top)) for layer in net.layer] == [
        ("first", ["data"]),
        ("silence", []),
        ("up", ["up"]),
    ]
    assert net.layer[0].phase == 1
    assert list(net.layer[2].convolution_param.kernel_size) == [3, 4]
    assert net.layer[2].include[0].phase == 0


def test_spec_is_a_namespace():
    n = NetSpec()
    n["a"] = L.DummyData()
    n.b = L.ReLU(n.a)
    assert (n.keys(), n.vals(), n["b"]) == (["a", "b"], [n.a, n.b], n.b)
    n.update("b", dict(negative_slope=0.5))
    assert n.to_proto().layer[1].relu_param.negative_slope == 0.5
    del n.b
    del n["a"]
    with pytest.raises(AttributeError, match="the net has no top 'a'; it has none"):
        _ = n.a


def test_numpy_scalars_are_taken():
    net = to_proto(L.Convolution(L.DummyData(), num_output=int(np.int64(3)), kernel_size=[np.int64(2)]))
    assert net.layer[1].convolution_param.num_output == 3


def test_enums_are_found_by_type():
    assert (P.Pooling.AVE, P.Eltwise.PROD, P.Loss.VALID) == (1, 0, 1)
    with pytest.raises(AttributeError, match="no message NopeParameter"):
        _ = P.Nope
    assert net_spec.param_name_dict()["Interp"] == "interp"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: to_proto(L.Convolution(L.DummyData(), num_outputs=3)),
            AttributeError,
            r"layer 'Convolution1' \(Convolution\): no parameter 'num_outputs'; did you mean 'num_output'\?",
        ),
        (
            lambda: to_proto(L.Convolution(L.DummyData(), num_output="three")),
            TypeError,
            r"layer 'Convolution1' \(Convolution\): num_output: ",
        ),
        (
            lambda: to_proto(L.Pooling(L.DummyData(), kernel_size=-1)),
            ValueError,
            r"layer 'Pooling1' \(Pooling\): kernel_size: ",
        ),
        (
            lambda: to_proto(L.ReLU(L.DummyData(), relu_param=dict(slope=1))),
            AttributeError,
            r"layer 'ReLU1' \(ReLU\): relu_param: ReLUParameter has no field 'slope'; ",
        ),
        (lambda: L.ReLU("data"), TypeError, r"ReLU input 0 is not a Top \(type is <class 'str'>\)"),
    ],
)
def test_errors_name_the_layer(make, error, message):
    with pytest.raises(error, match=message):
        make()
