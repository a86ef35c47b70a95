"""Layers between bf16 blobs, as convolutions leave them: the same results to the precision of bf16."""

import caffe
import numpy as np
import pytest
import torch

from tests.engine.layers.nets import Single
from tests.engine.layers.test_gradients import CASES, values

WIDENING = {  # what is float32 behind a bf16 bottom
    "ContrastiveLoss", "EuclideanLoss", "HingeLoss", "InfogainLoss", "LRN", "LSTM", "LSTMUnit", "MVN",
    "MultinomialLogisticLoss", "RNN", "Reduction", "SigmoidCrossEntropyLoss", "Softmax", "SoftmaxWithLoss",
}  # fmt: skip
UNEVEN = {"Log"}  # the derivative near 0 is too steep for bf16 to be compared


@pytest.fixture
def bf16():
    caffe.set_precision("bf16")
    yield
    caffe.set_precision("fp32")


def run(name, arrays, labels, dtype):
    """Tops and gradients as float64, and the first top's dtype."""
    text, bottoms, options = CASES[name]
    options = {k: v for k, v in options.items() if k not in ("rtol", "unread")}
    single = Single(text, *(a.shape for a in arrays), **options)
    single.layer.fp32 = dtype != torch.float64 and getattr(type(single.layer), "fp32", False)
    for blob in single.layer.blobs if dtype != torch.float64 else ():
        blob.data_memory.write(torch.from_numpy(blob.data_memory.array()))
    for blob, array, label in zip(single.bottom, arrays, labels, strict=True):
        kind = torch.float64 if dtype == torch.float64 else torch.float32 if label else dtype
        blob.data_memory.write(torch.from_numpy(np.array(array, np.float64)).to(kind))
    single.layer.forward(single.bottom, single.top)
    tops = [b.data_memory.read(torch.device("cpu")) for b in single.top]
    rng = np.random.default_rng(1)
    bottom_grads, param_grads = single.backward(*(rng.normal(size=t.shape) for t in tops))
    grads = [g for g in (*bottom_grads, *param_grads) if g is not None]
    return [t.double().numpy() for t in tops], grads, tops[0].dtype


@pytest.mark.parametrize("name", [n for n in CASES if n.split()[0] not in UNEVEN])
def test_bf16_blobs(name, bf16, rng):
    bottoms = CASES[name][1]
    arrays = [values(b, rng) for b in bottoms]
    arrays = [torch.from_numpy(np.array(a, np.float64)).bfloat16().double().numpy() for a in arrays]
    labels = [isinstance(b[-1], str) and b[-1] not in ("positive",) for b in bottoms]
    exact, exact_grads, _ = run(name, arrays, labels, torch.float64)
    found, found_grads, dtype = run(name, arrays, labels, torch.bfloat16)
    kind = name.split()[0]
    if bottoms and not all(labels):
        assert dtype == (torch.float32 if kind in WIDENING else torch.bfloat16)
    for ours, true in zip((*found, *found_grads), (*exact, *exact_grads), strict=True):
        scale = np.abs(true).max() if true.size else 1
        assert np.abs(ours - true).max() <= 0.04 * scale + 1e-6
