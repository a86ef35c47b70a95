"""Convolutions do not write outside their memory: run with a guard page behind every block (guard_pages.c)."""

import itertools
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.conftest import PATIENCE, ROOT
from tests.engine.layers.nets import Single, make_net
from tests.engine.nets import input_layer

GUARD = ROOT / "tests" / "engine" / "guard_pages.c"

#: forward and backward of one layer for each line of its settings; two threads, which share the weight gradient's work
LAYERS = """
import sys, torch
from tests.engine.layers.test_memory import run_guarded
torch.set_num_threads(2)
for line in sys.stdin:
    run_guarded(line)
"""

#: the same convolution by torch alone
TORCH = """
import torch
torch.set_num_threads(2)
x = torch.randn(3, 3, 14, 8).contiguous(memory_format=torch.channels_last)
w = torch.randn(3, 3, 1, 1).contiguous(memory_format=torch.channels_last).requires_grad_()
y = torch.nn.functional.conv2d(x, w, None, 2)
torch.autograd.grad(y, w, torch.ones_like(y))
"""


def run_guarded(line):
    """Forward and backward of a layer; `line` is "N C H W prototxt"."""
    *shape, text = line.strip().split(" ", 4)
    shape = tuple(map(int, shape))
    single = Single(text, shape)
    for blob in (single.bottom[0], *single.layer.blobs):
        value = torch.randn(blob.dims)
        blob.data_memory.write(value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value)
    single.layer.forward(single.bottom, single.top)
    single.top[0].diff_memory.write(torch.ones(single.top[0].dims))
    single.layer.backward(single.top, [True], single.bottom)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A function that runs Python code with guard pages and returns the finished process."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not (compiler and sys.platform == "linux"):
        pytest.skip("guard pages need a C compiler on Linux")
    library = tmp_path_factory.mktemp("guard") / "guard_pages.so"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, GUARD], check=True)
    path = os.pathsep.join([str(ROOT / "engine"), str(ROOT)])
    env = dict(os.environ, LD_PRELOAD=str(library), PYTHONPATH=path, OMP_WAIT_POLICY="passive")

    def run(code, lines=()):
        return subprocess.run([sys.executable, "-c", code], input="\n".join(lines), env=env, text=True,
                              capture_output=True, timeout=PATIENCE)

    return run


def settings(kind, kernel, stride, pad=0, outputs=3, **more):
    fields = "".join(f" {k}: {v}" for k, v in more.items())
    return (f'type: "{kind}" convolution_param {{ num_output: {outputs} kernel_h: {kernel} kernel_w: {kernel} '
            f'stride_h: {stride[0]} stride_w: {stride[1]} pad: {pad}{fields} weight_filler {{ type: "xavier" }} }}')


def test_guard_pages_end_a_write_behind_a_block(guarded):
    code = "import torch, ctypes; x = torch.zeros(1000); ctypes.memset(x.data_ptr(), 0, {})"
    assert guarded(code.format(4000)).returncode == 0
    assert guarded(code.format(4004)).returncode == -signal.SIGSEGV


def test_strided_1x1_convolutions_stay_within_their_memory(guarded):
    """Channels 1 to 17, planes of 5 to 41: ResNet's projection shortcuts are such layers."""
    sizes = itertools.cycle([(5, 5), (7, 10), (14, 8), (15, 9), (28, 28), (41, 41), (14, 8)])
    lines = []
    for channels, stride in itertools.product(range(1, 18), [(2, 2), (2, 1), (1, 2), (3, 3)]):
        height, width = next(sizes)
        lines.append(f"{2 + channels % 2} {channels} {height} {width} " + settings("Convolution", 1, stride))
    done = guarded(LAYERS, lines)
    assert done.returncode == 0, done.stderr[-2000:]


def test_other_windows_stay_within_their_memory(guarded):
    bottoms = itertools.cycle(["3 3 14 8", "1 1 6 7", "3 17 6 7", "3 6 14 8", "2 3 9 5"])
    lines = [f"{next(bottoms)} " + settings(kind, kernel, (stride, stride), pad, outputs=4)
             for kernel, stride, pad in [(1, 1, 0), (1, 2, 0), (2, 2, 0), (3, 1, 1), (3, 2, 1), (4, 2, 1), (5, 3, 2)]
             for kind in ("Convolution", "Deconvolution") for _ in range(3)]
    done = guarded(LAYERS, lines)
    assert done.returncode == 0, done.stderr[-2000:]


def test_torch_still_writes_behind_its_memory(guarded):
    """When this fails, torch has mended its strided 1 x 1 convolution, and Convolution's detour can go."""
    version = tuple(map(int, torch.__version__.split("+")[0].split(".")[:2]))
    if version < (2, 13) or torch.backends.cpu.get_cpu_capability() != "AVX512" or (os.cpu_count() or 1) < 2:
        pytest.skip(f"known of torch 2.13 with AVX-512 and two threads; this is {torch.__version__}")
    assert guarded(TORCH).returncode == -signal.SIGSEGV


@pytest.mark.parametrize("shape", [(3, 3, 14, 8), (1, 5, 7, 5), (2, 4, 9, 1)])
@pytest.mark.parametrize(("stride", "pad", "group"), [((2, 2), 0, 1), ((2, 1), 0, 1), ((3, 2), 1, 1)])
def test_strided_1x1_convolution_is_that_of_nested_loops(shape, stride, pad, group, rng):
    single = Single(settings("Convolution", 1, stride, pad, outputs=2, group=group), shape)
    x, weight = rng.normal(size=shape), rng.normal(size=(2, shape[1], 1, 1))
    single.set(single.layer.blobs[0], weight)
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    cells = padded[:, :, :: stride[0], :: stride[1]]
    y = single.forward(x)[0]
    np.testing.assert_allclose(y, np.einsum("nchw,oc->nohw", cells, weight[:, :, 0, 0]), rtol=1e-9)
    diff = rng.normal(size=y.shape)
    (bottom_diff,), (weight_diff, bias_diff) = single.backward(diff)
    np.testing.assert_allclose(weight_diff[:, :, 0, 0], np.einsum("nohw,nchw->oc", diff, cells), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(bias_diff, diff.sum((0, 2, 3)), rtol=1e-5, atol=1e-6)
    spread = np.zeros_like(padded)
    spread[:, :, :: stride[0], :: stride[1]] = np.einsum("nohw,oc->nchw", diff, weight[:, :, 0, 0])
    end = (None if pad == 0 else -pad)
    np.testing.assert_allclose(bottom_diff, spread[:, :, pad:end, pad:end], rtol=1e-9)


def test_the_edge_of_a_projection_shortcut_in_a_net(tmp_path):
    """A stride that leaves cells over: they get no gradient."""
    net = make_net(tmp_path, "force_backward: true " + input_layer(1, 2, 4, 4, name="x") +
                   'layer { name: "c" type: "Convolution" bottom: "x" top: "y" convolution_param { num_output: 1 '
                   'kernel_size: 1 stride: 2 weight_filler { value: 3 } } }')
    net.forward()
    net.blobs["y"].diff[...] = 1
    net.backward()
    expected = np.zeros((4, 4))
    expected[::2, ::2] = 3
    assert np.array_equal(net.blobs["x"].diff[0, 1], expected)
