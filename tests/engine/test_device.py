"""Where and how nets compute: mode, device and precision of the run."""

import caffe
import numpy as np
import pytest
import torch
from caffe import device
from caffe.proto import caffe_pb2

from tests.engine.nets import build, input_layer

NET = input_layer(2, 3, 12, 12) + """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
        inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" loss_weight: 1 }
layer { name: "sq" type: "Power" bottom: "ip" top: "sq" power_param { power: 2 } loss_weight: 1 }
"""


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    monkeypatch.setattr(device, "_state", dict(device._state))


def gradients(folder, x, seed=3):
    caffe.set_random_seed(seed)
    net = build(folder, NET, caffe.TRAIN)
    net.blobs["data"].data[...] = x
    loss = net._forward()
    net._backward()
    return loss, {name: blobs[0].diff.copy() for name, blobs in net.params.items()}, net


def test_bf16_changes_arithmetic_and_not_what_is_stored(tmp_path, rng):
    x = rng.standard_normal((2, 3, 12, 12))
    loss, exact, _ = gradients(tmp_path, x)
    caffe.set_precision("bf16")
    rough_loss, rough, net = gradients(tmp_path, x)
    assert caffe.precision() == "bf16" and rough_loss != loss
    assert rough_loss == pytest.approx(loss, rel=0.03)
    for name, values in exact.items():
        # bf16 keeps 8 bits; sums of some hundred products stay well within 5 % of the largest gradient
        assert np.abs(rough[name] - values).max() < 0.05 * np.abs(values).max()
    cpu = torch.device("cpu")
    assert net.blobs["ip"].data_memory.read(cpu).dtype == torch.bfloat16
    assert net.params["conv"][0].data_memory.read(cpu).dtype == torch.float32
    assert net.blobs["prob"].data_memory.read(cpu).dtype == torch.float32 == net.run_forward().dtype


def test_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="precision 'fp16': expected one of fp32, tf32, bf16"):
        caffe.set_precision("fp16")
    assert isinstance(caffe.native_bf16(), bool)


@pytest.mark.parametrize(("chosen", "mode", "rank", "expected"), [
    (False, "GPU", None, ("gpu", 3)), (False, "GPU", "1", ("gpu", 1)), (False, "CPU", None, ("cpu", 0)),
    (True, "GPU", None, ("cpu", 0)), (False, None, None, ("cpu", 0))])
def test_a_solver_chooses_the_device_unless_the_program_did(monkeypatch, chosen, mode, rank, expected):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 8)
    monkeypatch.setattr("torch.cuda.set_device", lambda number: None)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if rank:
        monkeypatch.setenv("LOCAL_RANK", rank)
    device._state.update(mode_chosen=chosen, gpu=False, device_id=0)
    param = caffe_pb2.SolverParameter(device_id=3)
    if mode:
        param.solver_mode = getattr(param, mode)
    device.follow_solver_mode(param)
    assert ("gpu" if device._state["gpu"] else "cpu", device._state["device_id"]) == expected


def test_a_device_that_is_not_there(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(RuntimeError, match=r"set_device\(2\): this machine has 2 CUDA device\(s\), numbered from 0"):
        caffe.set_device(2)


@pytest.mark.parametrize(("name", "rounded"), [("fp32", False), ("tf32", True), ("bf16", True)])
def test_gpu_mode_tells_cuda_the_precision_in_force(monkeypatch, name, rounded):
    """torch's own start is TF32 for convolutions, whatever `precision` says."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setitem(device._state, "precision", name)
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32 = matmul.allow_tf32 = not rounded
    try:
        caffe.set_mode_gpu()
        assert cudnn.allow_tf32 is matmul.allow_tf32 is rounded
    finally:
        caffe.set_mode_cpu()
        cudnn.allow_tf32, matmul.allow_tf32 = before


def test_a_gpu_that_emulates_bf16_does_not_have_it(monkeypatch):
    """Volta and Turing: torch says that bf16 is supported, and computes it many times slower than fp32."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation=True: including_emulation)
    monkeypatch.setitem(device._state, "gpu", True)
    assert not caffe.native_bf16()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(),
                    reason="no CUDA device; run with pytest -m gpu on a machine that has one")
def test_the_gpu_computes_the_same(tmp_path, rng):
    x = rng.standard_normal((2, 3, 12, 12))
    loss, exact, _ = gradients(tmp_path, x)
    caffe.set_mode_gpu()
    gpu_loss, ours, net = gradients(tmp_path, x)
    assert gpu_loss == pytest.approx(loss, rel=1e-4)
    for name, values in exact.items():
        assert np.abs(ours[name] - values).max() < 1e-3 * np.abs(values).max()
    net.blobs["ip"].data[...] = 0  # what is written on the host is what the GPU reads next
    net.forward(start="ip_ip_0_split")
    assert np.allclose(net.blobs["prob"].data, 0.25)
