"""A training step on a GPU waits for the device where the CRF needs its values, and nowhere else.

Everything else that the host reads (losses, faults, labels and cues that it knows) is copied before the backward pass
begins, so that the device never runs dry while Python prepares the next thing. On a machine without a GPU:

    python -m tests.stand_in_gpu python -m pytest -m gpu tests/training/test_host_waits.py
"""

import shutil

import caffe
import numpy as np
import pytest

from benchmarks.gpu.narrow_nets import make_narrow
from benchmarks.gpu.training_step import make_masks
from benchmarks.vgg16_step import make_run, random_weights
from tests.stand_in_gpu import device
from training.loss_watch import LossWatch

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(
    not device.is_loaded(), reason="counted by the stand-in: python -m tests.stand_in_gpu python -m pytest -m gpu")]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of voc12-vgg16 with a sixteenth of its channels."""
    work = tmp_path_factory.mktemp("run")
    make_run(work, batch=2, photos=6)
    make_masks(work)
    for net in work.glob("*.prototxt"):
        make_narrow(net)
    yield work
    shutil.rmtree(work)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("stage", "expected"), [
    ("s", ["copy to the host"] * 2),        # the probabilities, the photos at their size
    ("f", []), ("cam", [])])
def test_only_the_crf_is_waited_for(stage, expected, precision, run, monkeypatch):
    monkeypatch.chdir(run)
    caffe.set_device(0)
    caffe.set_mode_gpu()
    caffe.set_precision(precision)
    try:
        np.random.seed(0)  # noqa: NPY002 (layers draw from it in setup)
        solver = caffe.SGDSolver(f"solver-{stage}.prototxt")
        solver.net.keep_blobs = False       # as training.train trains
        random_weights(solver.net)
        watch = LossWatch(solver)
        for _ in range(2):                  # from the first look on the losses are brought to the host
            watch.step()
        with device.waits() as found:
            watch.step()
    finally:
        caffe.set_precision("fp32")
        caffe.set_mode_cpu()
    assert found == expected and all(np.isfinite(list(watch.losses.values())))
