"""Where Caffe computes what nobody wants and the engine does not: engine/README.md, "What differs from Caffe"."""

import math
import re

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.engine.layers.nets import make_net
from tests.engine.nets import input_layer

FORCE = "force_backward: true "
SUM = 'layer { name: "sum" type: "Reduction" bottom: "y" top: "sum" loss_weight: 1 }'
X, Z = np.array([[1.0, -2.0, 3.0]]), np.array([[4.0, 5.0, -6.0]])


def ran(folder, text, backwards=1):
    """The net after a forward on X (and Z) and some backwards, with views of everything taken before."""
    net = make_net(folder, FORCE + input_layer(1, 3, name="x") + text + SUM)
    for blob in net.blobs.values():
        assert blob.data.shape == blob.diff.shape
    for name, values in (("x", X), ("z", Z)):
        if name in net.blobs and name in net.inputs:
            net.blobs[name].data[...] = values
    net.forward()
    for _ in range(backwards):
        net.backward()
    return net


def test_the_gradient_of_a_scale_factor_adds_up(tmp_path):
    net = ran(tmp_path, 'layer { name: "n" type: "Scale" bottom: "x" top: "y" scale_param { bias_term: true } }', 2)
    assert net.params["n"][0].diff.tolist() == (2 * X[0]).tolist()
    assert net.params["n"][1].diff.tolist() == [2, 2, 2]


def test_the_gradient_of_a_parameter_adds_up_and_is_not_its_tops(tmp_path):
    net = ran(tmp_path, 'layer { name: "p" type: "Parameter" top: "y" '
                        'parameter_param { shape { dim: 3 } } }', 2)
    assert net.params["p"][0].diff.tolist() == [2, 2, 2] and net.blobs["y"].diff.tolist() == [1, 1, 1]


@pytest.mark.parametrize("shares", ['"Reshape" reshape_param { shape { dim: 3 dim: 1 } }', '"Concat"', '"Slice"'])
def test_reshape_and_flatten_hand_the_gradient_on(shares, tmp_path):
    """Caffe's Flatten has its bottom's diff point elsewhere, so what shared the diff below never hears of it."""
    net = ran(tmp_path, 'layer { name: "a" type: "Power" bottom: "x" top: "a" power_param { power: 2 } }'
                        f'layer {{ name: "r" bottom: "a" top: "r" type: {shares} }}'
                        'layer { name: "f" type: "Flatten" bottom: "r" top: "y" }')
    assert net.blobs["x"].diff.tolist() == (2 * X).tolist()


@pytest.mark.parametrize(("settings", "x", "z"), [("operation: PROD", Z, X), ("operation: MAX", X > Z, X < Z),
                                                  ("coeff: 2 coeff: -3", 2 + 0 * X, -3 + 0 * X)])
def test_eltwise_in_place_keeps_what_its_gradient_reads(settings, x, z, tmp_path):
    net = ran(tmp_path, input_layer(1, 3, name="z") +
              'layer { name: "a" type: "Power" bottom: "x" top: "y" }'
              f'layer {{ name: "n" type: "Eltwise" bottom: "y" bottom: "z" top: "y" eltwise_param {{ {settings} }} }}')
    np.testing.assert_allclose(net.blobs["x"].diff, x)
    np.testing.assert_allclose(net.blobs["z"].diff, z)


@pytest.mark.parametrize("layer", ['type: "Reshape" reshape_param { shape { dim: 0 dim: -1 } }', 'type: "Flatten"',
                                   'type: "Split" top: "other"', 'type: "Concat"', 'type: "Slice"'])
def test_a_layer_in_place_changes_its_own_blob_alone(layer, tmp_path):
    net = ran(tmp_path, f'layer {{ name: "s" bottom: "x" top: "y" {layer} }}'
                        'layer { name: "n" type: "ReLU" bottom: "y" top: "y" }')
    assert net.blobs["x"].data.tolist() == X.tolist() and net.blobs["y"].data.tolist() == [[1, 0, 3]]
    assert net.blobs["x"].diff.tolist() == [[1, 0, 1]]
    if "other" in net.blobs:
        assert net.blobs["other"].data.tolist() == X.tolist()


@pytest.mark.parametrize(("power", "gradient"), [(1, 1), (2, 0), (3, 0), (0.5, math.inf), (-1, -math.inf)])
def test_the_gradient_of_a_power_at_0_is_that_of_the_formula(power, gradient, tmp_path):
    """power x^(power - 1); Caffe computes power y / x."""
    net = make_net(tmp_path, FORCE + input_layer(1, 1, name="x") +
                   f'layer {{ name: "n" type: "Power" bottom: "x" top: "y" power_param {{ power: {power} }} }}' + SUM)
    assert net.blobs["x"].data.tolist() == [[0]]
    net.forward()
    net.backward()
    assert net.blobs["x"].diff.tolist() == [[gradient]]


def test_the_gradient_of_a_power_at_0_is_that_of_the_formula_without_a_forward(tmp_path):
    net = make_net(tmp_path, FORCE + input_layer(1, 2, name="x") +
                   'layer { name: "n" type: "Power" bottom: "x" top: "y" power_param { power: 3 } }' + SUM)
    net.blobs["x"].data[...] = [[0, 2]]
    net.blobs["y"].data[...] = [[0, 8]]
    net.backward()
    assert net.blobs["x"].diff.tolist() == [[0, 12]]


def test_nan_stays_in_max_pooling(tmp_path):
    net = make_net(tmp_path, FORCE + input_layer(1, 1, 2, 4, name="x") + """
        layer { name: "n" type: "Pooling" bottom: "x" top: "y" pooling_param { kernel_size: 2 stride: 2 } }""" + SUM)
    net.blobs["x"].data[...] = [[[[math.nan, 9, 1, 2], [8, 7, 3, 4]]]]
    net.forward()
    np.testing.assert_array_equal(net.blobs["y"].data, [[[[math.nan, 4]]]])
    net.backward()
    assert net.blobs["x"].diff.tolist() == [[[[1, 0, 0, 0], [0, 0, 0, 1]]]]


@pytest.mark.parametrize("choice", ["engine: CAFFE", "engine: CUDNN", "force_nd_im2col: true"])
def test_the_choice_of_a_program_has_no_effect(choice, tmp_path, rng):
    made = []
    for name, field in (("without", ""), ("with", choice)):
        (tmp_path / name).mkdir()
        net = make_net(tmp_path / name, input_layer(1, 2, 5, 5, name="x") + f"""
            layer {{ name: "n" type: "Convolution" bottom: "x" top: "y" convolution_param {{ num_output: 3
                    kernel_size: 3 weight_filler {{ type: "constant" value: 0.5 }} {field} }} }}""")
        net.blobs["x"].data[...] = np.arange(50).reshape(1, 2, 5, 5)
        made.append(net.forward()["y"])
    assert np.array_equal(*made) and made[0].any()


def test_every_row_of_the_table_has_its_test_and_stands_once():
    text = (ROOT / "engine/README.md").read_text().partition("## What differs from Caffe")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.splitlines() if "test_" in line]
    assert len(rows) > 30 and len({row[0] for row in rows}) == len(rows)
    for item, *_, test in rows:
        file, _, function = test.strip("`").partition("::")
        code = (ROOT / f"tests/engine/{file}.py").read_text()
        assert re.search(rf"^def {function}\(", code, re.MULTILINE), f"{item}: {test} is not there"
