"""Blobs: shapes, views that last, memory that is not copied until somebody looks."""

import numpy as np
import pytest
import torch
from caffe.blob import Blob, BlobVec, LayerVec
from caffe.blob_memory import Memory
from caffe.shared_memory import Reshaped

CPU = torch.device("cpu")


def test_shape_is_an_intvec_that_equals_no_list():
    shape = Blob(2, 3, 6, 5).shape
    assert tuple(shape) == (2, 3, 6, 5) and list(shape) == [2, 3, 6, 5] and len(shape) == 4
    assert shape[1] == 3 and shape[-1] == 5
    assert (shape == [2, 3, 6, 5]) is False


@pytest.mark.parametrize(("dims", "expected"), [((2, 5), (2, 5, 1, 1)), ((2, 3, 6, 5), (2, 3, 6, 5)), ((), (1,) * 4)])
def test_legacy_extents_are_one_where_axes_are_missing(dims, expected):
    blob = Blob(*dims)
    assert (blob.num, blob.channels, blob.height, blob.width) == expected
    assert blob.count == np.prod(expected)


def test_legacy_extents_of_five_axes_are_refused():
    with pytest.raises(ValueError, match=r"at most 4 axes, this blob is \(1, 2, 3, 4, 5\)"):
        _ = Blob(1, 2, 3, 4, 5).num


def test_data_is_a_writable_float32_view_without_a_setter():
    blob = Blob(2, 3)
    view = blob.data
    view[0, 1] = 7
    assert view.dtype == np.float32 and not view.flags.owndata and view.flags.c_contiguous
    assert blob.data[0, 1] == 7 and blob.diff.sum() == 0
    with pytest.raises(AttributeError):
        blob.data = np.zeros((2, 3))


def test_a_scalar_blob_has_an_array_without_axes():
    assert Blob().data.shape == ()


def test_reshape_takes_separate_integers():
    blob = Blob(2, 3)
    blob.reshape(1, 2, 3)
    assert blob.data.shape == blob.diff.shape == (1, 2, 3)
    with pytest.raises(TypeError, match=r"separate integers, got \(\[1, 6\],\)"):
        blob.reshape([1, 6])
    with pytest.raises(ValueError, match=r"shape \(-1,\): extents must not be negative"):
        blob.reshape(-1)
    assert tuple(blob.shape) == (1, 2, 3)


@pytest.mark.parametrize("look_first", [True, False])
def test_reshape_keeps_values_of_the_same_count(look_first):
    blob = Blob(2, 3)
    blob.data_memory.write(torch.arange(6.0).reshape(2, 3))
    if look_first:
        assert blob.data[1, 0] == 3
    blob.reshape(3, 2)
    assert np.array_equal(blob.data, np.arange(6).reshape(3, 2))


def test_reshape_to_more_values_and_back():
    blob = Blob(2)
    blob.data[...] = 1
    blob.reshape(5)
    assert blob.data.shape == (5,)
    blob.data[...] = np.arange(5)
    blob.reshape(2)
    assert blob.data.tolist() == [0, 1]


# -- memory ---------------------------------------------------------------------------------------------------


def test_memory_nobody_looked_at_is_not_copied():
    memory, tensor = Memory((1, 4, 3, 3)), torch.rand(1, 4, 3, 3).contiguous(memory_format=torch.channels_last)
    memory.write(tensor)
    assert memory.read(CPU).data_ptr() == tensor.data_ptr()
    assert np.array_equal(memory.array(), tensor.numpy()) and not memory.exposed


def test_a_view_follows_later_results():
    memory = Memory((2, 2))
    view = memory.view()
    for k in range(3):
        memory.write(torch.full((2, 2), float(k), dtype=torch.bfloat16))
        assert (view == k).all()
    view[...] = 9
    assert (memory.read(CPU) == 9).all()


def test_looking_does_not_touch_the_tensor_it_came_from():
    memory, tensor = Memory((3,)), torch.ones(3)
    memory.write(tensor)
    memory.view()[...] = 5
    assert tensor.tolist() == [1, 1, 1]


def test_gradients_add_up_until_cleared():
    for look in (False, True):
        memory = Memory((2,))
        if look:
            memory.view()
        memory.accumulate(torch.ones(2))
        memory.accumulate(torch.ones(2))
        assert memory.array().tolist() == [2, 2]
        memory.clear()
        assert memory.array().tolist() == [0, 0]


def test_adding_leaves_the_first_gradient_as_it_was():
    memory, first = Memory((2,)), torch.ones(2)
    memory.accumulate(first)
    memory.accumulate(first)
    assert first.tolist() == [1, 1]


def test_shared_data_leaves_diffs_apart():
    a, b = Blob(2, 3), Blob(2, 3)
    b.share_data(a)
    a.data[0, 0] = 7
    a.diff[...] = 1
    assert b.data[0, 0] == 7 and b.diff.sum() == 0


def test_shared_memory_under_another_shape():
    owner, blob = Blob(2, 3), Blob(6, 1)
    blob.share_data(owner)
    assert isinstance(blob.data_memory, Reshaped)
    owner.data_memory.write(torch.arange(6.0).reshape(2, 3).t().contiguous().t())  # not contiguous
    blob.data_memory.mutable(CPU).add_(1)
    assert blob.data.ravel().tolist() == owner.data.ravel().tolist() == [1, 2, 3, 4, 5, 6]
    blob.data[0] = 9
    blob.data_memory.accumulate(torch.ones(6, 1))
    assert owner.data[0, 0] == 10
    blob.data_memory.write(torch.zeros(6, 1))
    assert owner.data.sum() == 0
    blob.data_memory.clear()
    with pytest.raises(ValueError, match=r"\(6, 1\) that is shared cannot become \(3, 2\)"):
        blob.data_memory.reshape((3, 2))


def test_slices_of_vectors_keep_their_type():
    blobs = BlobVec()
    blobs.add_blob(2, 3)
    blobs.add_blob(4)
    assert type(blobs[:1]) is BlobVec and blobs[-1].count == 4 and repr(blobs[0]) == "Blob(2, 3)"
    assert type(LayerVec([1, 2])[1:]) is LayerVec
