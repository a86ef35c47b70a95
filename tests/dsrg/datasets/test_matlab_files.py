"""dsrg.datasets.matlab_files, on files that scipy writes."""

import io

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_matrix

from dsrg.datasets.matlab_files import read_field

HEAD = 128  # bytes of the file in front of its variables


def saved(compressed=False, **values):
    out = io.BytesIO()
    savemat(out, values, do_compression=compressed)
    return out.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8", "i8"])
def test_reads_what_scipy_wrote(compressed, dtype):
    mask = np.random.default_rng(1).integers(0, 21, (37, 23)).astype(dtype)
    edges = np.empty((2, 1), object)
    edges[:, 0] = [csc_matrix(np.eye(5)), csc_matrix(np.eye(4))]
    content = {"Boundaries": edges, "Segmentation": mask, "CategoriesPresent": [1, 2]}
    found = read_field(saved(compressed, other=np.eye(3), GTcls=content), "GTcls", "Segmentation")
    np.testing.assert_array_equal(found, mask)
    assert found.dtype == mask.dtype


def test_a_matrix_of_one_short_element():
    np.testing.assert_array_equal(read_field(saved(a={"b": np.array([[1, 2]], np.uint8)}), "a", "b"), [[1, 2]])


@pytest.mark.parametrize(("data", "message"), [
    (b"", "no MATLAB 5 file"), (saved(x=1), "no variable 'GTcls'"), (saved(GTcls={"a": 1}), "no field 'Segmentation'"),
    (saved(GTcls=np.eye(2)), "no structure of one element"),
    (saved(GTcls={"Segmentation": "text"}), "no matrix of numbers"),
    (saved(GTcls={"Segmentation": np.zeros((2, 2, 2))}), "no matrix of numbers"),
    (saved(GTcls={"Segmentation": np.ones((9, 9))})[:300], "reaches beyond its end"),
    (saved(True, GTcls={"Segmentation": np.ones((99, 99))})[:-20], "reaches beyond its end"),
    (saved(True, GTcls={"Segmentation": np.zeros((11000, 11000), np.uint8)}), "unpacks to far more than its size")])
def test_other_files_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        read_field(data, "GTcls", "Segmentation")


def test_a_type_of_numbers_that_does_not_exist_is_refused():
    data = saved(GTcls={"Segmentation": np.ones((9, 7), np.uint8)})
    place = data.index(b"\x02\0\0\0\x3f\0\0\0")
    with pytest.raises(ValueError, match="of type 10, which there is not"):
        read_field(data[:place] + b"\x0a" + data[place + 1:], "GTcls", "Segmentation")


def test_damage_anywhere_is_refused_or_read():
    data, rng = saved(GTcls={"Segmentation": np.ones((9, 7), np.uint8)}), np.random.default_rng(0)
    for _ in range(3000):
        damaged = bytearray(data[:rng.integers(HEAD, len(data) + 1)])
        damaged[rng.integers(HEAD, len(damaged)) if len(damaged) > HEAD else 0] = rng.integers(256)
        try:
            read_field(bytes(damaged), "GTcls", "Segmentation")
        except ValueError:
            continue



