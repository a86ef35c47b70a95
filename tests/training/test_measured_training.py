"""Twenty iterations of a stage s with all the layers of DSRG, against the same run measured on real Caffe.

The run lies in the shared material (goldens/caffe/train_s); `--device 0` repeats it on a GPU.
"""

import shutil

import caffe
import numpy as np
import pytest

ITERATIONS = 20
LOSSES = {"loss-Seed": "loss_seed", "loss-Constrain": "loss_constrain"}


@pytest.fixture
def measured(shared, tmp_path, monkeypatch):
    """The run's folder, copied, as the current folder; the arrays that real Caffe gave."""
    folder = tmp_path / "run"
    shutil.copytree(shared / "goldens" / "caffe" / "train_s", folder)
    monkeypatch.chdir(folder)
    with np.load("run.npz") as archive:
        return dict(archive)


def weights(path):
    solver = caffe.SGDSolver("solver-s.prototxt")
    solver.net.copy_from(path)
    return flat(solver.net)


def flat(net):
    return np.concatenate([blob.data.ravel() for blobs in net.params.values() for blob in blobs])


@pytest.mark.filterwarnings("ignore")
def test_losses_maps_and_weights_are_those_of_caffe(measured):
    solver = caffe.SGDSolver("solver-s.prototxt")
    solver.net.copy_from("init.caffemodel")
    blobs = solver.net.blobs
    for iteration in range(ITERATIONS):
        solver.step(1)
        for name, key in LOSSES.items():
            assert float(blobs[name].data.ravel()[0]) == pytest.approx(measured[key][iteration], rel=5e-3, abs=2.5e-4)
        if iteration == 0:
            np.testing.assert_allclose(blobs["fc8-SEC"].data, measured["first/fc8-SEC"], atol=2e-4)
            np.testing.assert_allclose(blobs["fc8-SEC-CRF-log"].data, measured["first/crf_log"], atol=1e-2)
            assert np.array_equal(blobs["cues-new"].data, measured["first/cues_new"])
    start, end = weights("init.caffemodel"), weights("iter_20.caffemodel")
    assert np.linalg.norm(flat(solver.net) - end) < 0.02 * np.linalg.norm(end - start)
