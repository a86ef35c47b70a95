"""Every layer against values measured on real Caffe: outputs, gradients, statistics, and diffs Caffe leaves alone."""

import caffe
import numpy as np
import pytest
import torch

from tests.engine.layers.cases import FOLDER, packed, read_golden
from tests.engine.layers.nets import make_net

MARK = 7.25  # what a diff holds that nobody writes


def assert_close(ours, golden, what):
    assert ours.size == golden.size, f"{what}: {ours.shape} instead of {golden.shape}"
    np.testing.assert_allclose(ours.reshape(golden.shape), golden, rtol=2e-4, atol=2e-5, err_msg=what)


def params_of(net, group):
    for key, values in group.items():
        layer, index = key.rsplit("/", 1)
        yield key, net.params[layer][int(index)], values


def check(case, folder):
    net = make_net(folder, case.prototxt, case.meta["phase"])
    for _, blob, values in params_of(net, case.group("param")):
        blob.data[...] = values
    sequences = case.group("in_seq")
    for step in range(case.meta.get("n_forward", 1)):
        for name, values in case.group("in").items():
            net.blobs[name].data[...] = sequences.get(f"{name}/{step}", values)
        net.forward()
    for name, values in case.group("out").items():
        assert_close(net.blobs[name].data, values, f"out {name}")
    for key, blob, values in params_of(net, case.group("param_after")):
        assert_close(blob.data, values, f"parameter {key} after forward")
    if case.meta.get("backward", True):
        check_backward(net, case)


def check_backward(net, case):
    untouched = case.meta.get("diff_untouched", [])
    for name in untouched:
        net.blobs[name].diff[...] = MARK
    net.clear_param_diffs()
    for name, values in case.group("topdiff").items():
        net.blobs[name].diff[...] = values
    net.backward()
    for kind in ("botdiff", "blobdiff"):
        for name, values in case.group(kind).items():
            if name not in untouched:
                assert_close(net.blobs[name].diff, values, f"{kind} {name}")
    for key, blob, values in params_of(net, case.group("pdiff")):
        assert_close(blob.diff, values, f"gradient of parameter {key}")
    for name in untouched:
        assert (net.blobs[name].diff == MARK).all(), f"the diff of {name} was written"


CASES = sorted(set(packed()) - {"dropout_train"})  # its mask is random: see test_dropout.py


@pytest.mark.parametrize("name", CASES)
def test_equals_caffe(name, tmp_path, monkeypatch):
    monkeypatch.chdir(FOLDER)  # infogain_source reads its matrix from there
    check(packed()[name], tmp_path)


def test_every_measured_case_of_the_shared_material(shared, tmp_path, monkeypatch):
    folder = shared / "goldens" / "caffe" / "layers"
    monkeypatch.chdir(folder)
    left = [p for p in sorted(folder.glob("*.npz")) if p.stem not in CASES and p.stem != "dropout_train"]
    assert left, "the packed cases are all there are"
    for path in left:
        check(read_golden(path), tmp_path)


@pytest.mark.gpu
def test_equals_caffe_on_a_gpu(tmp_path, monkeypatch):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device; run with pytest -m gpu on a machine that has one")
    monkeypatch.chdir(FOLDER)
    caffe.set_device(0)
    caffe.set_mode_gpu()
    try:
        for name in CASES:
            check(packed()[name], tmp_path)
    finally:
        caffe.set_mode_cpu()
