"""serialization.py and protobuf_wire.py against files that Caffe wrote, against protobuf, and against damage."""

import errno
import os
import shutil

import h5py
import numpy as np
import pytest
from caffe import protobuf_wire as wire
from caffe import serialization
from caffe.proto import caffe_pb2
from caffe.serialization import ModelFileError, load_solverstate, load_weights
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)


def equal(weights, others):
    assert list(weights) == list(others)
    for name, arrays in weights.items():
        assert len(arrays) == len(others[name])
        for a, b in zip(arrays, others[name], strict=True):
            assert a.dtype == b.dtype == np.float32
            assert a.shape == b.shape
            assert np.array_equal(a, b)


def small_net():
    """A net of two learning layers, and its numbers."""
    net = caffe_pb2.NetParameter(name="small")
    net.layer.add(name="ip", type="InnerProduct", phase=1).inner_product_param.num_output = 2
    net.layer.add(name="relu", type="ReLU")
    net.layer.add(name="scale", type="Scale")
    arrays = [
        [np.arange(6, dtype=np.float32).reshape(2, 3), np.float32([1, 2])],
        [],
        [np.float32(5).reshape(())],
    ]
    return net, arrays


# ---- what Caffe wrote -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.caffemodel", "v1_net.caffemodel", "sgd_restore_iter_10.caffemodel"])
def test_weights_equal_those_protobuf_reads(name, data_files):
    net = caffe_pb2.NetParameter.FromString((data_files / name).read_bytes())
    expected = {
        layer.name: [serialization.blob_to_array(blob) for blob in layer.blobs]
        for layer in list(net.layer) + list(net.layers)
    }
    equal(load_weights(data_files / name), expected)


def test_hdf5_weights_equal_the_binary_ones(data_files):
    binary = load_weights(data_files / "sgd_restore_iter_10.caffemodel")
    hdf5 = load_weights(data_files / "sgd_restore_iter_10.caffemodel.h5")
    assert list(hdf5) == sorted(binary)
    equal({name: binary[name] for name in sorted(binary)}, hdf5)


def test_rewritten_caffemodel_is_the_same_file(data_files, tmp_path):
    net, weights = serialization.load_caffemodel(data_files / "a.caffemodel")
    for layer in net.layer:
        layer.ClearField("blobs")
    path = tmp_path / "again.caffemodel"
    serialization.save_caffemodel(path, net, list(weights.values()))
    assert path.read_bytes() == (data_files / "a.caffemodel").read_bytes()


def test_a_scalar_parameter_has_no_shape_in_the_file(tmp_path):
    """Caffe's ToProto sets the shape's axes one by one, and so does not set it for none."""
    net, arrays = small_net()
    serialization.save_caffemodel(tmp_path / "m", net, arrays)
    layers = {layer.name: layer for layer in caffe_pb2.NetParameter.FromString((tmp_path / "m").read_bytes()).layer}
    assert not layers["scale"].blobs[0].HasField("shape") and layers["ip"].blobs[1].shape.dim == [2]
    assert wire.blob_chunks(np.float32(5))[2] == b""
    assert load_weights(tmp_path / "m")["scale"][0].shape == ()
    serialization.save_solverstate(tmp_path / "s", 1, "m", [np.float32(2)])
    assert not caffe_pb2.SolverState.FromString((tmp_path / "s").read_bytes()).history[0].HasField("shape")


def describe(path):
    """Everything h5py says about a file: names, shapes, types, string padding, values."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            kind = item.id.get_type()
            padding = kind.get_strpad() if isinstance(kind, h5py.h5t.TypeStringID) else None
            found[name] = (item.shape, str(item.dtype), padding, np.array(item[()]).tobytes())
        else:
            found[name] = None

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def test_hdf5_weights_have_caffes_layout(data_files, tmp_path):
    path = tmp_path / "weights.caffemodel.h5"
    serialization.save_hdf5(path, load_weights(data_files / "sgd_restore_iter_10.caffemodel"))
    assert describe(path) == describe(data_files / "sgd_restore_iter_10.caffemodel.h5")


@pytest.mark.parametrize("name", ["sgd_restore_iter_10.solverstate", "state_Adam_iter_10.solverstate"])
def test_rewritten_solverstate_is_the_same_file(name, data_files, tmp_path):
    state = load_solverstate(data_files / name)
    assert state.iter == 10
    assert state.learned_net == name.replace("solverstate", "caffemodel")
    path = tmp_path / "again.solverstate"
    serialization.save_solverstate(path, state.iter, state.learned_net, state.history, state.current_step)
    assert path.read_bytes() == (data_files / name).read_bytes()


def test_hdf5_solverstate_has_caffes_layout_and_content(data_files, tmp_path):
    golden = data_files / "sgd_restore_iter_10.solverstate.h5"
    state, binary = load_solverstate(golden), load_solverstate(data_files / "sgd_restore_iter_10.solverstate")
    assert (state.iter, state.current_step) == (10, 1)
    assert (state.iter, state.current_step) == (binary.iter, binary.current_step)
    equal({"history": state.history}, {"history": binary.history})
    path = tmp_path / "again.solverstate.h5"
    serialization.save_solverstate(path, state.iter, state.learned_net, state.history, state.current_step)
    assert describe(path) == describe(golden)


def test_mean_file(data_files):
    mean = serialization.load_binaryproto(data_files / "mean.binaryproto")
    golden = np.load(data_files / "mean.npy")
    assert mean.shape == (1, *golden.shape[-3:])
    assert np.array_equal(mean.reshape(golden.shape), golden)


# ---- round trips ----------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(SHAPES, max_size=3), max_size=4), st.integers(0, 2**32))
def test_weights_round_trip_and_protobuf_agrees(shapes, seed):
    rng = np.random.default_rng(seed)
    net = caffe_pb2.NetParameter(name="n")
    arrays = []
    for index, layer_shapes in enumerate(shapes):
        net.layer.add(name=f"l{index}", type="Scale", top=["x"], phase=1).scale_param.axis = 0
        arrays.append([rng.standard_normal(shape).astype(np.float32) for shape in layer_shapes])
    chunks = [
        wire.layer_chunks(layer.SerializeToString(), a)
        for layer, a in zip(net.layer, arrays, strict=True)
    ]
    data = b"".join([b"\x0a\x01n"] + [bytes(piece) for chunk in chunks for piece in chunk])
    read = caffe_pb2.NetParameter.FromString(data)
    for layer, expected in zip(read.layer, arrays, strict=True):
        assert layer.scale_param.axis == 0
        for blob, array in zip(layer.blobs, expected, strict=True):
            assert np.array_equal(serialization.blob_to_array(blob), array)
    skeleton, numbers = wire.strip(memoryview(read.SerializeToString()), "NetParameter")
    for number, array in zip(numbers, [a for layer in arrays for a in layer], strict=True):
        assert np.array_equal(number, array.ravel())
    assert len(caffe_pb2.NetParameter.FromString(skeleton).layer) == len(arrays)


def test_blobs_in_messages_and_blobs_beside_them_make_the_same_file(tmp_path):
    net, arrays = small_net()
    serialization.save_caffemodel(tmp_path / "beside", net, arrays)
    for layer, blobs in zip(net.layer, arrays, strict=True):
        for array in blobs:
            serialization.array_to_blob(array, layer.blobs.add())
    serialization.save_caffemodel(tmp_path / "inside", net)
    assert (tmp_path / "beside").read_bytes() == (tmp_path / "inside").read_bytes()
    with pytest.raises(ValueError, match="layer 'ip' holds blobs itself"):
        serialization.save_caffemodel(tmp_path / "both", net, arrays)


def test_old_double_and_unpacked_numbers_are_read(tmp_path):
    net = caffe_pb2.NetParameter()
    net.layer.add(name="d").blobs.add(shape={"dim": [2]}, double_data=[0.1, 2], data=[7, 7])
    net.layer.add(name="old").blobs.add(num=1, channels=1, height=2, width=1, data=[3, 4], diff=[5, 6])
    unpacked = b"".join(wire.tag(5, wire.FIXED32) + np.float32(x).tobytes() for x in (8, 9))
    blob = unpacked + wire.tag(7, wire.BYTES) + b"\x03\x0a\x01\x02"
    layer = b"\x0a\x01u" + wire.tag(7, wire.BYTES) + wire.varint(len(blob)) + blob
    path = tmp_path / "w.caffemodel"
    path.write_bytes(net.SerializeToString() + wire.tag(100, wire.BYTES) + wire.varint(len(layer)) + layer)
    weights = load_weights(path)
    assert weights["d"][0].dtype == np.float32
    assert weights["d"][0].tolist() == [np.float32(0.1), 2]
    assert weights["old"][0].tolist() == [[[[3], [4]]]]
    assert weights["u"][0].tolist() == [8, 9]


def test_a_shared_parameter_that_hdf5_leaves_out_is_none(tmp_path):
    path = tmp_path / "w.h5"
    serialization.save_hdf5(path, {"a": [None, np.float32([1])], "b": []})
    weights = load_weights(path)
    assert weights["a"][0] is None
    assert weights["a"][1].tolist() == [1]
    assert weights["b"] == []


# ---- damage and wrong files -----------------------------------------------------------------------------


def test_truncated_anywhere_is_an_error_or_a_shorter_net(data_files, tmp_path):
    data = (data_files / "sgd_restore_iter_10.caffemodel").read_bytes()
    whole = list(load_weights(data_files / "sgd_restore_iter_10.caffemodel"))
    path = tmp_path / "cut.caffemodel"
    for cut in range(0, len(data), 37):
        path.write_bytes(data[:cut])
        try:
            names = list(load_weights(path))
        except ModelFileError as error:
            assert str(path) in str(error)
        else:
            assert names == whole[: len(names)] and len(names) < len(whole)


def test_truncated_says_what_is_missing(data_files, tmp_path):
    path = tmp_path / "cut.caffemodel"
    path.write_bytes((data_files / "a.caffemodel").read_bytes()[:700])
    with pytest.raises(ModelFileError) as error:
        load_weights(path)
    assert "truncated or not a caffemodel: a field at byte" in str(error.value)
    assert "(the file has 700 bytes); get it again and compare its size or checksum" in str(error.value)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_corrupt_bytes_never_raise_anything_else(data_files, tmp_path, data):
    content = bytearray((data_files / "a.caffemodel").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "corrupt.caffemodel"
    path.write_bytes(content)
    try:
        load_weights(path)
    except ModelFileError as error:
        assert str(path) in str(error)


WRONG = {
    "empty": (b"", "is empty; get or write it again"),
    "prototxt": (b'name: "a"\nlayer { }\n', "it is text: is it a prototxt given in place of weights?"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\n", "it is a Git LFS pointer; run `git lfs pull`"),
    "html": (b"<!DOCTYPE html><html>", "it is a web page, the download failed; get it again"),
    "torch": (b"PK\x03\x04\x00\x00\x08\x08", "it is a zip archive or a PyTorch file; a caffemodel is needed"),
    "pickle": (b"\x80\x02}q\x00.", "it is a pickle; a caffemodel is needed"),
    "gzip": (b"\x1f\x8b\x08\x00\x00\x00\x00", "it is gzip-compressed; unpack it first"),
    "no layers": (caffe_pb2.NetParameter(name="a" * 9 + "\x01").SerializeToString(), "holds no layers"),
    "wrong count": (
        caffe_pb2.NetParameter(
            layer=[{"name": "ip", "blobs": [{"shape": {"dim": [2, 3]}, "data": [1, 2]}]}]
        ).SerializeToString(),
        "layer 'ip', blob 0: shape (2, 3) needs 6 numbers, the file has 2",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_files_are_named(kind, tmp_path):
    content, message = WRONG[kind]
    path = tmp_path / "w.caffemodel"
    path.write_bytes(content)
    with pytest.raises(ModelFileError) as error:
        load_weights(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


def test_weights_and_states_in_each_others_place(data_files):
    for suffix in ("", ".h5"):
        state = data_files / f"sgd_restore_iter_10.solverstate{suffix}"
        model = data_files / f"sgd_restore_iter_10.caffemodel{suffix}"
        with pytest.raises(ModelFileError, match="it is a solver state"):
            load_weights(state)
        with pytest.raises(ModelFileError, match=r"it is a caffemodel|these are weights"):
            load_solverstate(model)
    with pytest.raises(ModelFileError, match="its weights are in 'sgd_restore_iter_10.caffemodel'"):
        load_weights(data_files / "sgd_restore_iter_10.solverstate")
    with pytest.raises(ModelFileError, match="holds no numbers; it is a caffemodel"):
        serialization.load_binaryproto(data_files / "v1_net_resaved.caffemodel")


def test_missing_files_read_like_pycaffe():
    for reader in (load_weights, load_solverstate, serialization.load_binaryproto, serialization.read_net_binary):
        with pytest.raises(RuntimeError, match="^Could not open file nope$"):
            reader("nope")


@pytest.mark.parametrize("name", ["sgd_restore_iter_10.caffemodel.h5", "sgd_restore_iter_10.solverstate.h5"])
def test_truncated_hdf5(name, data_files, tmp_path):
    path = tmp_path / name
    path.write_bytes((data_files / name).read_bytes()[:3000])
    reader = load_weights if "caffemodel" in name else load_solverstate
    with pytest.raises(ModelFileError, match="truncated or damaged HDF5"):
        reader(path)


def test_hdf5_state_with_a_gap_is_refused(data_files, tmp_path):
    path = tmp_path / "gap.solverstate.h5"
    shutil.copy(data_files / "sgd_restore_iter_10.solverstate.h5", path)
    with h5py.File(path, "r+") as file:
        del file["history/1"]
    with pytest.raises(ModelFileError, match="history blob 1 of 3 is missing"):
        load_solverstate(path)


# ---- writing --------------------------------------------------------------------------------------------


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    net, arrays = small_net()
    path = tmp_path / "w.caffemodel"
    serialization.save_caffemodel(path, net, arrays)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for write in (
        lambda: serialization.save_caffemodel(path, net),
        lambda: serialization.save_hdf5(path, {"a": [np.zeros(3)]}),
        lambda: serialization.save_solverstate(path, 1, "x", []),
    ):
        with pytest.raises(ModelFileError) as error:
            write()
        assert str(error.value) == (
            f"cannot write {path}: No space left on device; free space, nothing that was there before is lost"
        )
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["w.caffemodel"]


def test_an_interrupted_hdf5_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "w.h5"
    serialization.save_hdf5(path, {"a": [np.zeros(3)]})
    with pytest.raises(ValueError, match="could not convert"):
        serialization.save_hdf5(path, {"a": [np.ones(3)], "b": ["no number"]})
    assert load_weights(path)["a"][0].tolist() == [0, 0, 0]
    assert os.listdir(tmp_path) == ["w.h5"]


def test_writing_where_there_is_no_folder(tmp_path):
    with pytest.raises(ModelFileError, match="No such file or directory; make its folder first"):
        serialization.write_atomic(tmp_path / "no" / "w", b"")
    with pytest.raises(ModelFileError, match="cannot write .*w.h5: "):
        serialization.save_hdf5(tmp_path / "no" / "w.h5", {})
