"""Reading a pickle of arrays costs no more memory than the arrays and the largest of them once more."""

import io
import tracemalloc

import numpy as np

from dsrg.cuefile.array_pickle import dump_arrays, load_arrays


def test_arrays_are_made_one_by_one():
    """The bytes of an array that is made are gone before the next one is: both would be twice the file."""
    arrays = {f"{k}_cues": np.full((3, 20_000), k) for k in range(40)}     # 0.48 MB each
    file = io.BytesIO(dump_arrays(arrays))
    size = file.getbuffer().nbytes
    tracemalloc.start()
    found = load_arrays(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert all(np.array_equal(found[key], value) for key, value in arrays.items())
    assert peak < 1.15 * size
