"""Data (LMDB), HDF5Data, HDF5Output, MemoryData and DummyData."""

import caffe
import cv2
import h5py
import lmdb
import numpy as np
import pytest
from caffe.proto import caffe_pb2

from tests.engine.layers.nets import make_net


# -- LMDB --------------------------------------------------------------------------------------------------------------
def write_lmdb(path, datums):
    with lmdb.open(str(path), map_size=1 << 22) as env, env.begin(write=True) as txn:
        for i, datum in enumerate(datums):
            value = datum if isinstance(datum, bytes) else datum.SerializeToString()
            txn.put(f"{i:08d}".encode(), value)


def raw(values, label):
    return caffe_pb2.Datum(
        channels=values.shape[0],
        height=values.shape[1],
        width=values.shape[2],
        label=label,
        data=values.astype(np.uint8).tobytes(),
    )


def data_net(folder, param="", transform="", phase="TEST", source=None):
    return make_net(
        folder,
        f"""layer {{ name: "d" type: "Data" top: "data" top: "label"
        transform_param {{ {transform} }}
        data_param {{ source: "{source or folder / "db"}" backend: LMDB {param} }} }}""",
        phase,
    )


@pytest.fixture
def database(tmp_path, rng):
    values = rng.integers(0, 256, (5, 3, 4, 6))
    write_lmdb(tmp_path / "db", [raw(v, i) for i, v in enumerate(values)])
    return tmp_path, values


def test_records_come_in_order_and_round_after_round(database):
    folder, values = database
    net = data_net(folder, "batch_size: 3", "scale: 0.5 mean_value: 10")
    for step in range(4):
        net.forward()
        items = [(3 * step + i) % 5 for i in range(3)]
        assert net.blobs["label"].data.tolist() == items
        np.testing.assert_allclose(net.blobs["data"].data, (values[items] - 10) * 0.5)


def test_seek_in_a_database(database):
    folder, values = database
    net = data_net(folder, "batch_size: 2")
    net.forward()
    for forwards in (7, 2):  # onward and back
        net.layers[0].seek(forwards)
        net.forward()
        assert net.blobs["label"].data.tolist() == [(2 * forwards + i) % 5 for i in range(2)]


def test_two_nets_read_one_database(database):
    folder, _ = database
    nets = [data_net(folder, "batch_size: 1", phase=p) for p in ("TRAIN", "TEST")]
    for step in range(3):
        for net in nets:
            net.forward()
            assert net.blobs["label"].data.tolist() == [step]


@pytest.mark.parametrize("setting, channels", [("", 3), ("force_gray: true", 1), ("force_color: true", 3)])
def test_encoded_records(setting, channels, tmp_path, rng):
    picture = rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)
    code = cv2.imencode(".png", picture)[1].tobytes()
    write_lmdb(tmp_path / "db", [caffe_pb2.Datum(data=code, encoded=True, label=3)])
    net = data_net(tmp_path, "batch_size: 1", setting)
    net.forward()
    gray = cv2.imdecode(np.frombuffer(code, np.uint8), cv2.IMREAD_GRAYSCALE)[:, :, None]
    expected = picture if channels == 3 else gray
    assert np.array_equal(net.blobs["data"].data[0], expected.transpose(2, 0, 1))


def test_float_records(tmp_path, rng):
    values = rng.normal(size=(2, 3, 4)).astype(np.float32)
    write_lmdb(tmp_path / "db", [caffe_pb2.Datum(channels=2, height=3, width=4, float_data=values.ravel().tolist())])
    net = data_net(tmp_path, "batch_size: 2")
    net.forward()
    assert np.array_equal(net.blobs["data"].data, np.stack([values, values]))


def test_leveldb_is_refused_with_the_alternative(tmp_path):
    with pytest.raises(caffe.LayerError, match="LevelDB is not supported .*convert the data to LMDB"):
        make_net(tmp_path, 'layer { name: "d" type: "Data" top: "x" data_param { source: "db" batch_size: 1 } }')


@pytest.mark.parametrize(
    "datums, why",
    [
        ([], "is empty"),
        ([b"\xff\xff\xff"], "record '00000000' of '.*' is not a Datum"),
        ([caffe_pb2.Datum(channels=3, height=2, width=2, data=b"123")], r"holds 3 values for the shape \(3, 2, 2\)"),
        ([caffe_pb2.Datum(data=b"123", encoded=True)], "truncated or cannot be decoded"),
    ],
)
def test_bad_databases(datums, why, tmp_path):
    write_lmdb(tmp_path / "db", datums)
    with pytest.raises(caffe.LayerError, match=why):
        data_net(tmp_path, "batch_size: 1")


def test_fields_that_only_old_data_layers_read_are_refused(tmp_path):
    write_lmdb(tmp_path / "db", [caffe_pb2.Datum(channels=1, height=1, width=1, data=b"1")])
    with pytest.raises(caffe.LayerError, match="scale, mirror in DataParameter is read in the old `layers` only; move"):
        data_net(tmp_path, "batch_size: 1 mirror: true scale: 2")


def test_a_damaged_database_names_the_record(database):
    """lmdb may also end the process over a damaged page, so that the damage is played by the cursor."""
    folder, _ = database
    net = data_net(folder, "batch_size: 1")

    class Damaged:
        item = net.layers[0].cursor.item

        def next(self):
            raise lmdb.CorruptedError("MDB_CORRUPTED: Located page was wrong type")

    net.layers[0].cursor = Damaged()
    with pytest.raises(caffe.LayerError, match=r"record 1 of '.*db', counted from 0, cannot be read: .*CORRUPTED"):
        net.forward()


def test_missing_database(tmp_path):
    with pytest.raises(caffe.LayerError, match="cannot open the LMDB '.*none'"):
        data_net(tmp_path, "batch_size: 1", source=tmp_path / "none")


# -- HDF5 --------------------------------------------------------------------------------------------------------------
@pytest.fixture
def hdf5(tmp_path):
    """Two files of 3 and 4 rows; row r of the seven holds r."""
    for name, rows in (("a.h5", range(3)), ("b.h5", range(3, 7))):
        with h5py.File(tmp_path / name, "w") as f:
            f["x"] = np.array([np.full((2, 2), r) for r in rows], np.float64)
            f["y"] = np.array(list(rows))
    (tmp_path / "list.txt").write_text(f"{tmp_path}/a.h5\n{tmp_path}/b.h5\n")
    return tmp_path


def hdf5_net(folder, param="batch_size: 5", tops='top: "x" top: "y"', more=""):
    return make_net(
        folder,
        f"""layer {{ name: "h" type: "HDF5Data" {tops} {more}
        hdf5_data_param {{ source: "{folder}/list.txt" {param} }} }}""",
    )


def hdf5_rows(net, count):
    rows = []
    for _ in range(count):
        net.forward()
        assert (net.blobs["x"].data == net.blobs["y"].data[:, None, None]).all()
        rows += net.blobs["y"].data.astype(int).tolist()
    return rows


def test_rows_run_on_over_files(hdf5):
    net = hdf5_net(hdf5)
    assert net.blobs["x"].data.shape == (5, 2, 2)
    assert hdf5_rows(net, 4) == [r % 7 for r in range(20)]


def test_shuffled_rows_are_all_there_and_resume(hdf5):
    caffe.set_random_seed(1)
    rows = hdf5_rows(hdf5_net(hdf5, "batch_size: 7 shuffle: true"), 4)
    epochs = [rows[i : i + 7] for i in range(0, 28, 7)]
    assert all(sorted(e) == list(range(7)) for e in epochs)
    assert all(set(e[:3]) == {0, 1, 2} or set(e[-3:]) == {0, 1, 2} for e in epochs), "one file after the other"
    assert epochs[0] != epochs[1]
    caffe.set_random_seed(1)
    net = hdf5_net(hdf5, "batch_size: 7 shuffle: true")
    net.layers[0].seek(2)
    assert hdf5_rows(net, 2) == rows[14:]


@pytest.mark.parametrize(
    "options, why",
    [
        ({"tops": 'top: "z"'}, r"a.h5' has no dataset 'z' \(a top's name\); it has: x, y"),
        ({"param": ""}, "batch_size is missing"),
        ({"more": "transform_param { scale: 2 }"}, "remove transform_param"),
    ],
)
def test_bad_hdf5_settings(options, why, hdf5):
    with pytest.raises(caffe.LayerError, match=why):
        hdf5_net(hdf5, **options)


def test_bad_hdf5_files_are_named_with_their_line(hdf5):
    def write_y(values):
        with h5py.File(hdf5 / "b.h5", "a") as f:
            del f["y"]
            f["y"] = values

    for values, why in ((np.zeros(2), "'.*b.h5': datasets .* differ in their number of rows"),
                        (np.zeros((4, 2)), r"dataset 'y' has rows of \(2,\) in '.*b.h5', \(\) in '.*a.h5'"),
                        (np.array([b"a"] * 4), r"dataset 'y' of '.*b.h5' holds \|S1; expected numbers")):
        write_y(values)
        with pytest.raises(caffe.LayerError, match=f"list.txt:2: {why}"):
            hdf5_net(hdf5)
    (hdf5 / "b.h5").write_text("hello")
    with pytest.raises(caffe.LayerError, match="list.txt:2: cannot read the HDF5 file '.*b.h5'"):
        hdf5_net(hdf5)
    with pytest.raises(caffe.LayerError, match="list.txt:1: '.*a.h5' has no dataset 'z'"):
        hdf5_net(hdf5, tops='top: "z"')


def test_an_hdf5_file_that_is_gone_when_its_rows_are_due(hdf5):
    net = hdf5_net(hdf5, "batch_size: 3")
    net.forward()
    (hdf5 / "b.h5").unlink()
    with pytest.raises(caffe.LayerError, match="list.txt:2: cannot read the HDF5 file '.*b.h5'"):
        net.forward()


def test_hdf5_names_hold_blanks(hdf5):
    (hdf5 / "a.h5").rename(hdf5 / "my  rows.h5")
    (hdf5 / "list.txt").write_bytes(b"\xef\xbb\xbf" + f"{hdf5}/my  rows.h5 \r\n\r\n{hdf5}/b.h5\r\n".encode())
    assert hdf5_rows(hdf5_net(hdf5, "batch_size: 7"), 1) == list(range(7))


def test_hdf5_output_adds_rows(tmp_path, rng):
    net = make_net(
        tmp_path,
        f"""
        layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 2 dim: 3 }} }} }}
        layer {{ name: "y" type: "Input" top: "y" input_param {{ shape {{ dim: 2 }} }} }}
        layer {{ name: "o" type: "HDF5Output" bottom: "x" bottom: "y"
                 hdf5_output_param {{ file_name: "{tmp_path}/out.h5" }} }}""",
    )
    x = rng.normal(size=(3, 2, 3)).astype(np.float32)
    for i in range(3):
        net.blobs["x"].data[...], net.blobs["y"].data[...] = x[i], i
        net.forward()
    with h5py.File(tmp_path / "out.h5") as f:
        assert np.array_equal(f["data"], x.reshape(6, 3, 1, 1)), "four axes, as Caffe writes them"
        assert np.array_equal(f["label"], np.reshape([0, 0, 1, 1, 2, 2], (6, 1, 1, 1)))


def test_hdf5_output_of_a_fifth_axis_is_refused(tmp_path):
    with pytest.raises(caffe.LayerError, match=r"bottom 0 is \(1, 2, 1, 1, 1\); expected at most 4 axes"):
        make_net(tmp_path, f"""
            layer {{ name: "x" type: "Input" top: "x" top: "y" input_param {{
                     shape {{ dim: 1 dim: 2 dim: 1 dim: 1 dim: 1 }} shape {{ dim: 1 }} }} }}
            layer {{ name: "o" type: "HDF5Output" bottom: "x" bottom: "y"
                     hdf5_output_param {{ file_name: "{tmp_path}/out.h5" }} }}""")


# -- MemoryData, DummyData -----------------------------------------------------------------------------------------
MEMORY = """layer { name: "m" type: "MemoryData" top: "x" top: "y"
    memory_data_param { batch_size: 2 channels: 1 height: 2 width: 3 } }"""


def test_memory_data_goes_round_and_round(tmp_path, rng):
    net = make_net(tmp_path, MEMORY)
    x, y = rng.normal(size=(4, 1, 2, 3)).astype(np.float32), np.arange(4, dtype=np.float32)
    net.set_input_arrays(x, y)
    assert net.blobs["y"].data.shape == (2, 1, 1, 1)
    for step in range(3):
        net.forward()
        part = slice(2 * step % 4, 2 * step % 4 + 2)
        assert np.array_equal(net.blobs["x"].data, x[part])
        assert np.array_equal(net.blobs["y"].data.ravel(), y[part])


def test_memory_data_says_that_arrays_are_not_transformed(tmp_path, rng):
    net = make_net(tmp_path, MEMORY.rstrip(" }") + " } transform_param { scale: 2 } }")
    x = rng.normal(size=(2, 1, 2, 3)).astype(np.float32)
    with pytest.warns(UserWarning, match="MemoryData.: transform_param does not apply to arrays"):
        net.set_input_arrays(x, np.zeros(2, np.float32))
    net.forward()
    assert np.array_equal(net.blobs["x"].data, x)


def test_dummy_data_with_extents_once_or_once_a_top(tmp_path):
    net = make_net(tmp_path, """layer { name: "d" type: "DummyData" top: "a" top: "b" dummy_data_param {
        num: 2 num: 3 channels: 1 height: 4 width: 5 width: 6 data_filler { value: 7 } } }""")
    assert net.blobs["a"].data.shape == (2, 1, 4, 5) and net.blobs["b"].data.shape == (3, 1, 4, 6)
    assert (net.blobs["b"].data == 7).all()


def test_two_random_tops_of_one_filler_and_shape_differ(tmp_path):
    net = make_net(tmp_path, """layer { name: "d" type: "DummyData" top: "a" top: "b" top: "c" dummy_data_param {
        shape { dim: 50 } data_filler { type: "gaussian" } } }""")
    assert not net.blobs["a"].data.any(), "random tops are filled by the first forward, as in Caffe"
    net.forward()
    a, b, c = (net.blobs[name].data for name in "abc")
    assert len({*a, *b, *c}) == 150


def test_a_filler_that_dummy_data_does_not_know(tmp_path):
    with pytest.raises(caffe.LayerError, match=r"layer 'd' \(DummyData\): data_filler: unknown filler type 'normal'"):
        make_net(tmp_path, """layer { name: "d" type: "DummyData" top: "a" dummy_data_param {
            shape { dim: 5 } data_filler { type: "normal" } } }""").forward()


def test_memory_data_without_arrays(tmp_path):
    with pytest.raises(caffe.LayerError, match=r"call net.set_input_arrays\(data, labels\)"):
        make_net(tmp_path, MEMORY).forward()


@pytest.mark.parametrize(
    "x, y, why",
    [
        (np.zeros((4, 1, 2, 3)), np.zeros(4, np.float32), "data must be a C-contiguous float32"),
        (np.zeros((4, 1, 3, 2), np.float32), np.zeros(4, np.float32), r"expects \(M, \*\(1, 2, 3\)\)"),
        (np.zeros((4, 1, 2, 3), np.float32), np.zeros(3, np.float32), "4 items of data, but 3 labels"),
        (np.zeros((3, 1, 2, 3), np.float32), np.zeros(3, np.float32), "3 items; expected a multiple of batch_size, 2"),
    ],
)
def test_bad_arrays(x, y, why, tmp_path):
    with pytest.raises(RuntimeError, match=why):
        make_net(tmp_path, MEMORY).set_input_arrays(x, y)


def test_random_dummy_data_changes_with_every_forward(tmp_path):
    net = make_net(
        tmp_path,
        """layer { name: "d" type: "DummyData" top: "a" top: "b" dummy_data_param {
        shape { dim: 1000 } data_filler { type: "gaussian" std: 2 } data_filler { type: "constant" value: 3 } } }""",
    )
    net.forward()
    first = net.blobs["a"].data.copy()
    net.forward()
    assert not np.array_equal(first, net.blobs["a"].data)
    assert abs(first.std() - 2) < 0.2
    assert (net.blobs["b"].data == 3).all()
