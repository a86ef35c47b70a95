"""Rules of phase, level and stage, and automatic splits."""

import pytest
from caffe.proto import caffe_pb2
from caffe.prototxt import TEST, TRAIN, PrototxtError, filter_net, insert_splits, parse_net


def names(net):
    return [layer.name for layer in net.layer]


# ---- phase, level, stage --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "phase", "level", "stages", "kept"),
    [
        ("", TRAIN, 0, (), True),
        ("include { phase: TRAIN }", TRAIN, 0, (), True),
        ("include { phase: TRAIN }", TEST, 0, (), False),
        ("exclude { phase: TRAIN }", TRAIN, 0, (), False),
        ("exclude { phase: TRAIN }", TEST, 0, (), True),
        ("include { min_level: 2 }", TEST, 1, (), False),
        ("include { min_level: 2 }", TEST, 2, (), True),
        ("include { max_level: 2 }", TEST, 3, (), False),
        ('include { stage: "a" stage: "b" }', TEST, 0, ("a",), False),
        ('include { stage: "a" stage: "b" }', TEST, 0, ("b", "a"), True),
        ('include { stage: "a" } include { stage: "b" }', TEST, 0, ("b",), True),
        ('include { not_stage: "a" }', TEST, 0, ("a",), False),
        ('include { not_stage: "a" }', TEST, 0, (), True),
        ('exclude { stage: "a" phase: TEST }', TRAIN, 0, ("a",), True),
        ("include { }", TEST, 0, (), True),
    ],
)
def test_include_and_exclude_rules(rule, phase, level, stages, kept):
    net = parse_net(f'layer {{ name: "x" type: "Silence" {rule} }}')
    assert names(filter_net(net, phase, level, stages)) == (["x"] if kept else [])
    assert names(net) == ["x"]  # the given net stays as it is


def test_filter_uses_and_extends_the_nets_own_state():
    net = parse_net(
        'state { phase: TRAIN stage: "a" } layer { name: "x" include { phase: TRAIN stage: "a" } }'
    )
    assert names(filter_net(net)) == ["x"]
    assert names(filter_net(net, TEST)) == []
    state = filter_net(net, TRAIN, 3, ["b"]).state
    assert (state.phase, state.level, list(state.stage)) == (TRAIN, 3, ["a", "b"])


def test_both_kinds_of_rules_are_refused():
    net = parse_net('layer { name: "x" include { phase: TRAIN } exclude { phase: TEST } }')
    with pytest.raises(PrototxtError, match="layer 'x': has both include and exclude rules") as error:
        filter_net(net, TRAIN)
    assert error.value.layer == "x"


# ---- splits ---------------------------------------------------------------------------------------------

TWO_READERS = """
layer { name: "in" type: "Input" top: "data" top: "label" }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "a" type: "Power" bottom: "conv" top: "a" }
layer { name: "b" type: "Power" bottom: "conv" top: "b" }
layer { name: "loss" type: "EuclideanLoss" bottom: "a" bottom: "label" top: "loss" loss_weight: 2 }
layer { name: "acc" type: "Accuracy" bottom: "a" bottom: "label" bottom: "loss" top: "acc" }
"""


def test_splits_are_named_and_wired_as_in_caffe():
    net = insert_splits(parse_net(TWO_READERS))
    wiring = {layer.name: (list(layer.bottom), list(layer.top)) for layer in net.layer}
    assert list(wiring) == [
        "in", "label_in_1_split", "conv", "relu", "conv_relu_0_split", "a", "a_a_0_split", "b", "loss",
        "loss_loss_0_split", "acc",
    ]  # fmt: skip
    assert wiring["relu"] == (["conv"], ["conv"])
    assert wiring["conv_relu_0_split"] == (["conv"], ["conv_relu_0_split_0", "conv_relu_0_split_1"])
    assert wiring["b"] == (["conv_relu_0_split_1"], ["b"])
    assert wiring["loss"] == (["a_a_0_split_0", "label_in_1_split_0"], ["loss"])
    assert wiring["acc"][0] == ["a_a_0_split_1", "label_in_1_split_1", "loss_loss_0_split_1"]


def test_loss_weight_moves_to_the_first_top_of_the_split():
    net = insert_splits(parse_net(TWO_READERS))
    layers = {layer.name: layer for layer in net.layer}
    assert list(layers["loss"].loss_weight) == []
    assert list(layers["loss_loss_0_split"].loss_weight) == [2, 0]


def test_a_loss_nobody_reads_keeps_its_weight():
    net = insert_splits(parse_net(TWO_READERS.replace(' bottom: "loss"', "")))
    assert {layer.name: list(layer.loss_weight) for layer in net.layer}["loss"] == [2]
    assert "loss_loss_0_split" not in names(net)


def test_split_names_equal_those_of_a_model_saved_by_caffe(data_files):
    saved = caffe_pb2.NetParameter.FromString((data_files / "a.caffemodel").read_bytes())
    unsplit = caffe_pb2.NetParameter()
    unsplit.CopyFrom(saved)
    del unsplit.layer[:]
    for layer in saved.layer:
        if layer.type != "Split":
            unsplit.layer.add().CopyFrom(layer)
            for i, bottom in enumerate(layer.bottom):
                unsplit.layer[-1].bottom[i] = bottom.split("_")[0]
    for ours, theirs in zip(insert_splits(unsplit).layer, saved.layer, strict=True):
        assert (ours.name, ours.bottom, ours.top) == (theirs.name, theirs.bottom, theirs.top)


def test_unknown_bottom_is_refused_with_a_near_name():
    net = parse_net(
        'layer { name: "in" top: "data" } layer { name: "c" type: "ReLU" bottom: "dta" top: "c" }'
    )
    with pytest.raises(PrototxtError) as error:
        insert_splits(net)
    assert str(error.value) == (
        "layer 'c' (ReLU): unknown bottom blob 'dta' (bottom 0), no earlier layer produces it; did you mean 'data'?"
    )
    assert error.value.layer == "c"
