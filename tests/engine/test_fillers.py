"""fillers.py against statistics of blobs that Caffe filled, and against its formulas."""

import json

import numpy as np
import pytest
from caffe.fillers import fan, fill
from caffe.proto import caffe_pb2
from google.protobuf import text_format


def filler(text):
    return text_format.Parse(text, caffe_pb2.FillerParameter())


def filled(text, shape, rng):
    array = np.full(shape, np.nan, np.float32)
    fill(array, filler(text), rng)
    return array


CASES = [
    "constant", "uniform", "gaussian", "gaussian_sparse", "positive_unitball", "xavier", "xavier_fan_out",
    "xavier_average", "msra", "msra_fan_out", "msra_average",
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_statistics_equal_caffes(case, data_files, rng):
    golden = json.loads((data_files / "filler_stats.json").read_text())
    assert sorted(golden) == sorted(CASES)
    golden = golden[case]
    array = filled(golden["filler"], golden["shape"], rng)
    # Both sides are samples of 18432 weights: 5 standard errors of the mean and of the deviation (0.5 % for a
    # normal sample, 1.8 % where seven of eight weights are zero), and the same support.
    deviation = 5 * 2**0.5 * (0.018 if case == "gaussian_sparse" else 0.0055)
    assert array.mean() == pytest.approx(
        golden["mean"], abs=5 * 2**0.5 * golden["std"] / array.size**0.5 + 1e-7
    )
    assert array.std() == pytest.approx(golden["std"], rel=deviation, abs=1e-7)
    assert np.mean(array == 0) == pytest.approx(golden["frac_zero"], abs=0.01)
    if case.startswith(("constant", "uniform", "xavier")):
        spread = max(golden["max"] - golden["min"], 1e-6)
        assert array.min() == pytest.approx(golden["min"], abs=0.002 * spread)
        assert array.max() == pytest.approx(golden["max"], abs=0.002 * spread)
    if case in ("constant", "positive_unitball"):
        assert array[0].sum() == pytest.approx(golden["row0_sum"], rel=1e-4)


@pytest.mark.parametrize(
    ("shape", "norm", "expected"),
    [
        ((64, 32, 3, 3), 0, 288),
        ((64, 32, 3, 3), 1, 576),
        ((64, 32, 3, 3), 2, 432),
        ((10, 20), 0, 20),
        ((10, 20), 1, 10),
        ((7,), 0, 1),
        ((7,), 1, 7),
        ((), 1, 1),
    ],
)
def test_fan(shape, norm, expected):
    assert fan(shape, norm) == expected


def test_bilinear_is_the_interpolation_kernel(rng):
    array = filled('type: "bilinear"', (2, 3, 4, 4), rng)
    taps = np.array([0.25, 0.75, 0.75, 0.25])
    assert np.allclose(array, np.outer(taps, taps))
    odd = filled('type: "bilinear"', (1, 1, 3, 3), rng)
    assert np.allclose(odd[0, 0], np.outer([0.5, 1, 0.5], [0.5, 1, 0.5]))


@pytest.mark.parametrize("text", ["", 'type: "uniform"', 'type: "xavier"', 'type: "positive_unitball"'])
@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3)])
def test_any_shape_is_filled_and_the_same_seed_fills_the_same(text, shape):
    first, second = (filled(text, shape, np.random.default_rng(7)) for _ in range(2))
    assert first.shape == shape
    assert np.isfinite(first).all()
    assert np.array_equal(first, second)


@pytest.mark.parametrize(
    ("text", "shape", "message"),
    [
        ('type: "gausian"', (2,), "unknown filler type 'gausian', known are bilinear, constant, gaussian"),
        ('type: "bilinear"', (2, 3), r"filler 'bilinear': the blob is \(2, 3\), expected four axes"),
        ('type: "bilinear"', (1, 1, 2, 3), "square kernel"),
        ('type: "uniform" min: 2 max: 1', (2,), "filler 'uniform': min 2 is above max 1"),
        ('type: "xavier" sparse: 3', (2,), "filler 'xavier': sparse is for the gaussian filler only"),
        (
            'type: "gaussian" sparse: 3',
            (2, 5),
            "filler 'gaussian': sparse 3 is above the number of outputs 2",
        ),
    ],
)
def test_bad_fillers_are_refused(text, shape, message, rng):
    with pytest.raises(ValueError, match=message):
        filled(text, shape, rng)
