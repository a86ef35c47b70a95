"""The layout of convolutions: chosen by rule, and without effect on results."""

import caffe
import numpy as np
import pytest
import torch
from caffe import device, layouts

from tests.engine.nets import input_layer, write

LAST, FIRST = torch.channels_last, torch.contiguous_format


@pytest.fixture(autouse=True)
def as_before():
    yield
    layouts.set_layout("auto")
    caffe.set_precision("fp32")


def window(kernel=3, dilation=1, channels=64, outputs=64, row=321, group=1):
    return layouts.Window((kernel,) * 2, (dilation,) * 2, channels, outputs, row, group)


@pytest.mark.parametrize(("processor", "precision", "given", "expected"), [
    ("AVX2", "fp32", window(), FIRST), ("AVX2", "fp32", window(dilation=2), FIRST),
    ("AVX2", "fp32", window(dilation=12), LAST), ("AVX2", "fp32", window(kernel=1), LAST),
    ("AVX2", "bf16", window(), LAST), ("DEFAULT", "fp32", window(), FIRST),
    ("AVX512", "fp32", window(), LAST), ("AVX512", "bf16", window(), LAST),
    # what is small, as benchmarks/layouts.py measures it: demo's nets whole, of VGG16 nothing
    ("AVX2", "fp32", window(channels=3, outputs=16, row=129), LAST),
    ("AVX2", "fp32", window(channels=3, outputs=64, row=321), FIRST),
    ("AVX2", "fp32", window(channels=32, outputs=32, row=65), LAST),
    ("AVX2", "fp32", window(channels=64, outputs=64, row=33), LAST),
    ("AVX2", "fp32", window(channels=64, outputs=64, row=65), FIRST),
    ("AVX2", "fp32", window(channels=512, outputs=512, row=41), FIRST),
    ("AVX2", "fp32", window(kernel=5, channels=20, outputs=50, row=12), FIRST),
    ("AVX2", "fp32", window(channels=64, outputs=64, row=33, group=64), FIRST)])
def test_the_rule_on_a_cpu(monkeypatch, processor, precision, given, expected):
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: processor)
    caffe.set_precision(precision)
    assert layouts.of_convolution(given) is expected


@pytest.mark.parametrize(("precision", "expected"), [("fp32", FIRST), ("tf32", LAST), ("bf16", LAST)])
def test_the_rule_on_a_gpu(monkeypatch, precision, expected):
    monkeypatch.setattr(device, "current", lambda: torch.device("cuda", 0))
    caffe.set_precision(precision)
    assert layouts.of_convolution(window()) is expected


def test_an_unknown_layout_is_refused():
    with pytest.raises(ValueError, match="layout 'nhwc': expected one of auto, channels_last, contiguous"):
        layouts.set_layout("nhwc")
    assert layouts.layout() == "auto"


NET = input_layer(2, 3, 17, 13) + """
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "wide" type: "Convolution" bottom: "pool1" top: "wide"
  convolution_param { num_output: 6 kernel_size: 3 pad: 6 dilation: 6 weight_filler { type: "msra" } } }
layer { name: "cell" type: "Convolution" bottom: "pool1" top: "cell"
  convolution_param { num_output: 6 kernel_size: 1 stride: 1 weight_filler { type: "msra" } } }
layer { name: "sum" type: "Eltwise" bottom: "wide" bottom: "cell" top: "sum" }
layer { name: "loss" type: "Reduction" bottom: "sum" top: "loss" loss_weight: 1 reduction_param { operation: SUMSQ } }
"""


def gradients(folder, name, x):
    layouts.set_layout(name)
    caffe.set_random_seed(5)
    net = caffe.Net(write(folder, NET), caffe.TRAIN)
    net.blobs["data"].data[...] = x
    loss = net.forward()["loss"].item()
    net.backward()
    return loss, {f"{layer}/{k}": blob.diff.copy()
                  for layer, blobs in net.params.items() for k, blob in enumerate(blobs)}


def test_results_do_not_depend_on_the_layout(tmp_path, rng):
    x = rng.standard_normal((2, 3, 17, 13))
    loss, expected = gradients(tmp_path, "channels_last", x)
    for name in ("contiguous", "auto"):
        other, found = gradients(tmp_path, name, x)
        assert other == pytest.approx(loss, rel=1e-5)
        for key, values in expected.items():
            np.testing.assert_allclose(found[key], values, rtol=1e-4, atol=1e-4 * np.abs(values).max(), err_msg=key)
