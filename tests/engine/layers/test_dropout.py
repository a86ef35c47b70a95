"""Dropout: the measured rule, the share kept, and a mask that depends on seed and forward alone."""

import caffe
import numpy as np
import pytest
import torch
from caffe import device

from tests.engine.layers.nets import Single, make_net, run_layer

TEXT = 'type: "Dropout" dropout_param { dropout_ratio: 0.3 }'
SHAPE = (4, 25, 10, 10)


def test_rule_is_the_measured_one(rng):
    """Real Caffe: kept values are scaled by 1 / (1 - ratio), and so are their gradients; 0.6994 were kept."""
    x = rng.normal(size=SHAPE)
    single = Single(TEXT, SHAPE)
    y = single.forward(x)[0]
    kept = y != 0
    assert abs(kept.mean() - 0.7) < 0.02
    np.testing.assert_allclose(y[kept], x[kept] * 1.4285714626312256, rtol=1e-6)
    grad = single.backward(np.ones(SHAPE))[0][0]
    np.testing.assert_allclose(grad, kept * 1.4285714626312256, rtol=1e-6)


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9, 0.99])
def test_share_kept(ratio):
    text = f'type: "Dropout" dropout_param {{ dropout_ratio: {ratio} }}'
    y = run_layer(text, np.ones((1, 1000000)), phase="TRAIN")[0]
    assert abs((y > 0).mean() - (1 - ratio)) < 0.003
    np.testing.assert_allclose(y[y > 0], 1 / (1 - ratio), rtol=1e-4)


def mask(seed=0, tick=0, layout=torch.contiguous_format):
    single = Single(TEXT, SHAPE, seed=seed)
    single.layer.seek(tick)
    single.bottom[0].data_memory.write(torch.ones(SHAPE).contiguous(memory_format=layout))
    single.layer.forward(single.bottom, single.top)
    return single.top[0].data_memory.array() > 0


def test_mask_is_a_function_of_seed_and_forward():
    assert np.array_equal(mask(tick=3), mask(tick=3))
    assert not np.array_equal(mask(tick=3), mask(tick=4))
    assert not np.array_equal(mask(tick=3), mask(seed=1, tick=3))


def test_mask_does_not_depend_on_the_layout_in_memory():
    assert np.array_equal(mask(), mask(layout=torch.channels_last))


def test_processes_draw_other_masks(monkeypatch):
    alone = mask()
    monkeypatch.setitem(device._state, "solver_count", 2)
    monkeypatch.setitem(device._state, "solver_rank", 1)
    assert not np.array_equal(alone, mask())


def test_phase_test_copies(rng):
    x = rng.normal(size=(3, 4)).astype(np.float32)
    assert np.array_equal(run_layer(TEXT, x)[0], x)


def test_top_does_not_follow_later_changes_of_the_bottom(tmp_path):
    net = make_net(tmp_path, """
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
        layer { name: "d" type: "Dropout" bottom: "x" top: "y" }
    """)
    net.blobs["x"].data[...] = 1
    net.forward()
    net.blobs["x"].data[...] = 5
    assert (net.blobs["y"].data == 1).all()


def test_two_nets_of_one_seed_train_alike(tmp_path):
    text = """
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 300 } } }
        layer { name: "d" type: "Dropout" bottom: "x" top: "x" }
        layer { name: "e" type: "Dropout" bottom: "x" top: "y" }
    """
    runs = []
    for _ in range(2):
        caffe.set_random_seed(5)
        net = make_net(tmp_path, text, "TRAIN")
        steps = []
        for _ in range(3):
            net.blobs["x"].data[...] = 1
            net.forward()
            steps.append(net.blobs["y"].data.copy())
        runs.append(steps)
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0][0], runs[0][1])
    assert {round(float(v), 4) for v in np.unique(runs[0])} == {0.0, 4.0}, "two layers draw two masks"
