"""upgrade.py: V0 and V1 nets, old data transformations, BatchNorm, solver_type, and the upgrade tools."""

import numpy as np
import pytest
from caffe import prototxt, serialization, upgrade, upgrade_tools, upgrade_v0
from caffe.proto import caffe_pb2
from caffe.prototxt import PrototxtError, parse_net, parse_solver, to_text


def equal_text(net, text):
    expected = caffe_pb2.NetParameter()
    prototxt.text_format.Parse(text, expected)
    assert to_text(net) == to_text(expected)


# ---- V1 -------------------------------------------------------------------------------------------------


def test_v1_layers_become_layer():
    net = parse_net("""
        layers {
          name: "c" type: CONVOLUTION bottom: "x" top: "c" include { phase: TRAIN } loss_weight: 0.5
          blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0 param: "w" blob_share_mode: PERMISSIVE
          convolution_param { num_output: 3 kernel_size: 5 weight_filler { type: "msra" } }
        }
        layers { name: "p" type: SOFTMAX_LOSS bottom: "c" top: "p" loss_param { ignore_label: 255 } }
    """)
    equal_text(
        net,
        """
        layer {
          name: "c" type: "Convolution" bottom: "x" top: "c" include { phase: TRAIN } loss_weight: 0.5
          param { name: "w" share_mode: PERMISSIVE lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
          convolution_param { num_output: 3 kernel_size: 5 weight_filler { type: "msra" } }
        }
        layer { name: "p" type: "SoftmaxWithLoss" bottom: "c" top: "p" loss_param { ignore_label: 255 } }
        """,
    )


def test_every_v1_type_and_parameter_has_a_place_today():
    v1 = caffe_pb2.V1LayerParameter
    assert set(upgrade.V1_TYPES) == set(v1.LayerType.keys())
    today = caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name
    for field in v1.DESCRIPTOR.fields:
        if field.name not in upgrade._V1_SPECIAL:
            assert today[field.name].message_type == field.message_type, field.name


def test_v1_caffemodel_has_the_weights_caffe_read_from_it(data_files):
    weights = serialization.load_weights(data_files / "v1_net.caffemodel")
    resaved = serialization.load_weights(data_files / "v1_net_resaved.caffemodel")
    golden = np.load(data_files / "v1_net.npz")
    assert list(weights) == ["conv1", "relu1", "pool1", "ip", "prob"]
    for name in ("conv1", "ip"):
        for k, array in enumerate(weights[name]):
            expected = golden[f"param/{name}/{k}"]
            assert np.array_equal(array.reshape(expected.shape), expected)
            assert np.array_equal(resaved[name][k], expected)
    assert weights["ip"][0].shape == (1, 1, 5, 80)  # old files know four axes only


def test_old_transformation_fields_move_to_transform_param():
    net = parse_net("""
        layers { name: "d" type: IMAGE_DATA top: "d"
                 image_data_param { source: "l" scale: 0.5 mean_file: "m" crop_size: 9 mirror: true batch_size: 2 } }
    """)
    equal_text(
        net,
        """
        layer { name: "d" type: "ImageData" top: "d" image_data_param { source: "l" batch_size: 2 }
                transform_param { scale: 0.5 mean_file: "m" crop_size: 9 mirror: true } }
        """,
    )


def test_a_net_of_both_forms_is_refused():
    with pytest.raises(PrototxtError, match="n: has both `layer` and the old `layers`"):
        parse_net('layers { name: "a" type: RELU } layer { name: "b" type: "ReLU" }', "n")


# ---- V0 -------------------------------------------------------------------------------------------------

V0_NET = """
name: "v0" input: "x" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layers { layer { name: "pad" type: "padding" pad: 2 } bottom: "x" top: "pad" }
layers { layer { name: "c" type: "conv" num_output: 4 kernelsize: 5 stride: 2 group: 1 biasterm: false
                 weight_filler { type: "xavier" } blobs_lr: 1 weight_decay: 3 } bottom: "pad" top: "c" }
layers { layer { name: "r" type: "relu" } bottom: "c" top: "c" }
layers { layer { name: "n" type: "lrn" local_size: 3 alpha: 0.1 beta: 0.5 k: 2 } bottom: "c" top: "n" }
layers { layer { name: "p" type: "pool" pool: AVE kernelsize: 3 stride: 2 pad: 1 } bottom: "n" top: "p" }
layers { layer { name: "d" type: "dropout" dropout_ratio: 0.2 } bottom: "p" top: "d" }
layers { layer { name: "i" type: "innerproduct" num_output: 7 biasterm: true } bottom: "d" top: "i" }
layers { layer { name: "s" type: "softmax" } bottom: "i" top: "s" }
"""


def test_v0_layers_become_layer_and_padding_folds_into_its_reader():
    equal_text(
        parse_net(V0_NET),
        """
        name: "v0"
        layer { name: "input" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
        layer { name: "c" type: "Convolution" bottom: "x" top: "c" param { lr_mult: 1 decay_mult: 3 }
                convolution_param { num_output: 4 bias_term: false pad: 2 kernel_size: 5 group: 1 stride: 2
                                    weight_filler { type: "xavier" } } }
        layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
        layer { name: "n" type: "LRN" bottom: "c" top: "n" lrn_param { local_size: 3 alpha: 0.1 beta: 0.5 k: 2 } }
        layer { name: "p" type: "Pooling" bottom: "n" top: "p"
                pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
        layer { name: "d" type: "Dropout" bottom: "p" top: "d" dropout_param { dropout_ratio: 0.2 } }
        layer { name: "i" type: "InnerProduct" bottom: "d" top: "i"
                inner_product_param { num_output: 7 bias_term: true } }
        layer { name: "s" type: "Softmax" bottom: "i" top: "s" }
        """,
    )


def test_v0_data_layers():
    net = parse_net("""
        layers { layer { name: "d" type: "images" source: "l" batchsize: 3 scale: 0.5 meanfile: "m" cropsize: 4
                         mirror: true shuffle_images: true new_height: 9 new_width: 8 rand_skip: 2 } top: "d" top: "y" }
        layers { layer { name: "w" type: "window_data" source: "v" batchsize: 1 det_fg_threshold: 0.6
                         det_bg_threshold: 0.4 det_fg_fraction: 0.3 det_context_pad: 5 det_crop_mode: "square" }
                 top: "w" }
    """)
    equal_text(
        net,
        """
        layer { name: "d" type: "ImageData" top: "d" top: "y"
                image_data_param { source: "l" batch_size: 3 shuffle: true new_height: 9 new_width: 8 rand_skip: 2 }
                transform_param { scale: 0.5 mean_file: "m" crop_size: 4 mirror: true } }
        layer { name: "w" type: "WindowData" top: "w"
                window_data_param { source: "v" batch_size: 1 fg_threshold: 0.6 bg_threshold: 0.4 fg_fraction: 0.3
                                    context_pad: 5 crop_mode: "square" } }
        """,
    )


def test_every_v0_field_has_a_target_of_its_kind():
    v1 = caffe_pb2.V1LayerParameter.DESCRIPTOR
    kept = {"name", "type", "blobs", "blobs_lr", "weight_decay"}
    obsolete = {"new_num", "new_channels"}  # of a layer type that V1 dropped
    for field in caffe_pb2.V0LayerParameter.DESCRIPTOR.fields:
        if field.name in kept | obsolete:
            continue
        for target in upgrade_v0.V0_FIELDS[field.name].values():
            message = v1
            for part in target.split("."):
                goal = message.fields_by_name[part]
                message = goal.message_type
            integers = {goal.CPPTYPE_INT32, goal.CPPTYPE_UINT32}
            same = {goal.cpp_type, field.cpp_type} <= integers or goal.cpp_type == field.cpp_type
            assert same, (field.name, target)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '\nlayers { layer { name: "a" type: "relu" kernelsize: 3 } }',
            "n:2: layer 'a' (relu): field 'kernelsize' is not read by this layer; remove it",
        ),
        (
            'layers { layer { name: "a" type: "wobble" } }',
            "n:1: layer 'a': unknown V0 layer type 'wobble', known are",
        ),
        (
            'input: "x" input_dim: 1 input_dim: 1 input_dim: 1 input_dim: 1 '
            'layers { layer { name: "p" type: "padding" pad: 1 } bottom: "x" top: "p" }\n'
            'layers { layer { name: "r" type: "relu" } bottom: "p" top: "r" }',
            "n:2: layer 'r': reads the padding layer 'p', expected a conv or pool layer",
        ),
    ],
)
def test_v0_that_means_nothing_is_refused(text, message):
    with pytest.raises(PrototxtError) as error:
        parse_net(text, "n")
    assert str(error.value).startswith(message)


def test_v0_weights_are_read_although_a_field_means_nothing(tmp_path):
    net = caffe_pb2.NetParameter(input=["x"])
    layer = net.layers.add(top=["a"]).layer
    layer.name, layer.type, layer.kernelsize = "a", "innerproduct", 3
    layer.blobs.add(num=1, channels=1, height=1, width=2, data=[3, 4])
    path = tmp_path / "v0.caffemodel"
    path.write_bytes(net.SerializeToString())
    weights = serialization.load_weights(path)
    assert weights["a"][0].tolist() == [[[[3, 4]]]]


# ---- BatchNorm and solvers --------------------------------------------------------------------------------


def test_batch_norm_with_three_params_learns_none_of_them():
    net = parse_net(
        'layer { name: "b" type: "BatchNorm" param { name: "s" } param { lr_mult: 2 } param { } }'
    )
    assert [(p.name, p.lr_mult, p.decay_mult) for p in net.layer[0].param] == [
        ("s", 0, 0),
        ("", 0, 0),
        ("", 0, 0),
    ]
    two = parse_net('layer { name: "b" type: "BatchNorm" param { lr_mult: 2 } param { } }')
    assert two.layer[0].param[0].lr_mult == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SGD", "SGD"),
        ("NESTEROV", "Nesterov"),
        ("ADAGRAD", "AdaGrad"),
        ("RMSPROP", "RMSProp"),
        ("ADADELTA", "AdaDelta"),
        ("ADAM", "Adam"),
    ],
)
def test_solver_type_becomes_type(old, new):
    solver = parse_solver(f"solver_type: {old}")
    assert solver.type == new
    assert not solver.HasField("solver_type")


def test_solver_with_both_types_is_refused():
    with pytest.raises(PrototxtError, match="s: has both `type` and the old `solver_type`; keep `type`"):
        parse_solver('type: "Adam" solver_type: SGD', "s")


def test_nets_inside_a_solver_are_upgraded():
    solver = parse_solver(
        'net_param { layers { name: "r" type: RELU } } test_net_param { layers { type: TANH } }'
    )
    assert solver.net_param.layer[0].type == "ReLU"
    assert solver.test_net_param[0].layer[0].type == "TanH"


# ---- tools ------------------------------------------------------------------------------------------------


def test_upgrade_tools_write_todays_form(tmp_path, data_files):
    old, new = tmp_path / "old.prototxt", tmp_path / "new.prototxt"
    old.write_text(V0_NET)
    upgrade_tools.net_text(old, new)
    assert new.read_text() == to_text(parse_net(V0_NET))
    old.write_text("solver_type: ADAM")
    upgrade_tools.solver_text(old, new)
    assert new.read_text() == 'type: "Adam"\n'
    model = tmp_path / "new.caffemodel"
    upgrade_tools.net_binary(data_files / "v1_net.caffemodel", model)
    net = caffe_pb2.NetParameter.FromString(model.read_bytes())
    assert not upgrade.needs_v1_upgrade(net)
    assert [layer.type for layer in net.layer] == [
        "Convolution",
        "ReLU",
        "Pooling",
        "InnerProduct",
        "Softmax",
    ]
    before = serialization.load_weights(data_files / "v1_net.caffemodel")
    for name, arrays in serialization.load_weights(model).items():
        for a, b in zip(arrays, before[name], strict=True):
            assert np.array_equal(a, b)


def test_upgrade_tool_keeps_the_target_when_the_source_is_bad(tmp_path):
    source, target = tmp_path / "bad.prototxt", tmp_path / "target.prototxt"
    source.write_text("layer {")
    target.write_text("kept")
    with pytest.raises(PrototxtError):
        upgrade_tools.net_text(source, target)
    assert target.read_text() == "kept"
