"""A layer's tape: gradients to the bit, nothing held that autograd does not save, no module imported for them."""

import os
import subprocess
import sys
import weakref

import caffe
import pytest
import torch
from caffe.gradients import Tape
from caffe.layer import REGISTRY

from tests.conftest import PATIENCE, ROOT
from tests.engine.nets import CLASSIFIER, TINY, write

#: every layer type forward and backward, then a solver's step; prints what must not be there
FIRST_BACKWARD = """
import sys
import numpy as np
from tests.engine.layers.nets import Single
from tests.engine.layers.test_gradients import CASES, values
for name in sorted(CASES):
    text, bottoms, options = CASES[name]
    arrays = [values(b, np.random.default_rng(0)) for b in bottoms]
    options = {k: v for k, v in options.items() if k not in ("rtol", "unread")}
    single = Single(text, *(a.shape for a in arrays), **options)
    tops = single.forward(*arrays)
    single.backward(*(np.ones_like(t) for t in tops))
import caffe
caffe.SGDSolver(sys.argv[1]).step(2)
print([name for name in ("sympy", "torch.fx.experimental.symbolic_shapes", "torch._dynamo") if name in sys.modules])
"""


def test_backward_imports_no_symbolic_shapes(tmp_path):
    """Given gradients, torch.autograd.grad imports sympy: seconds of every process that trains."""
    write(tmp_path, CLASSIFIER)
    solver = write(tmp_path, f'net: "{tmp_path}/net.prototxt" base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 '
                             "solver_mode: CPU", "solver.prototxt")
    done = subprocess.run([sys.executable, "-c", FIRST_BACKWARD, solver], capture_output=True, text=True,
                          timeout=PATIENCE, cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT / 'engine'}:{ROOT}"})
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_gradients_are_those_of_torch_to_the_bit(dtype):
    """Several outputs, one of constants, an input that none depends on, gradients that a product would round away."""
    values = [torch.randn(3, 4, 5, 5).to(dtype) for _ in range(3)]

    def compute(x, unused, w):
        convolved = torch.nn.functional.conv2d(x, w, padding=1)
        return convolved.relu(), x.exp(), convolved.sum(), torch.ones(2)

    leaves = [value.clone().requires_grad_() for value in values]
    outputs = compute(*leaves)[:3]
    grads = [torch.randn(o.shape).to(dtype) * scale for o, scale in zip(outputs, (1e-30, 1e3, 1), strict=True)]
    expected = torch.autograd.grad(outputs, leaves, grads, allow_unused=True)
    tape = Tape([(value, True) for value in values[:2]], [(values[2], True)])
    tape.close(compute(*tape.inputs))
    assert tape.outputs[3] is None and [o.shape for o in tape.outputs[:3]] == [o.shape for o in outputs]
    with torch.no_grad():
        for _ in range(2):
            ours = tape.gradients(grads)
            assert torch.equal(ours[0], expected[0]) and torch.equal(ours[2], expected[2])
            assert ours[1] is expected[1] is None and [g.dtype for g in ours[::2]] == [dtype] * 2
    same = Tape([(values[0], True)], [])
    same.close([same.inputs[0] * 1])
    assert torch.equal(same.gradients([grads[1]])[0], grads[1])


@pytest.mark.parametrize("compute", [lambda x: x.unfold(2, 3, 1), lambda x: x.expand(4, -1, -1), lambda x: x[:, :, ::2],
                                     lambda x: x.transpose(1, 2)], ids=["windows", "repeated", "gaps", "transposed"])
def test_gradients_of_views(compute):
    """Memory of the windows of a convolution holds each value several times: a gradient laid out likewise would too."""
    x = torch.randn(1, 3, 8)
    leaf = x.clone().requires_grad_()
    grad = torch.randn(compute(x).shape)
    (expected,) = torch.autograd.grad(compute(leaf), leaf, grad)
    tape = Tape([(x, True)], [])
    tape.close([compute(*tape.inputs)])
    assert torch.equal(tape.gradients([tape.outputs[0].fitted(grad)])[0], expected)


def test_what_autograd_does_not_save_goes(tmp_path, monkeypatch):
    """A convolution's result behind which a ReLU works in place: the ReLU saves its own result."""
    made = []
    compute = REGISTRY["Convolution"].compute

    def spied(self, *tensors):
        result = compute(self, *tensors)
        made.extend(map(weakref.ref, result))
        return result

    monkeypatch.setattr(REGISTRY["Convolution"], "compute", spied)
    net = caffe.Net(write(tmp_path, TINY.replace("START", "0")), caffe.TRAIN)
    net.forward()
    assert len(made) == 1 and made[0]() is None
