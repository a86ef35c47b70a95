"""convert_imageset, compute_image_mean, extract_features: what they write, by lmdb, OpenCV and the Data layer."""

from pathlib import Path

import caffe
import cv2
import lmdb
import numpy as np
import pytest
from caffe import datum_database
from caffe.__main__ import main
from caffe.compute_image_mean import compute_image_mean
from caffe.errors import DatabaseError
from caffe.proto import caffe_pb2

from tests.engine.nets import write
from tests.test_failing_writes import quota

NET = """
layer { name: "d" type: "Data" top: "data" top: "label" data_param { source: "db" backend: LMDB batch_size: 2 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 3 kernel_size: 2 weight_filler { type: "gaussian" } } }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
        inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
"""


@pytest.fixture
def pictures(tmp_path, monkeypatch, rng):
    """Pictures of one size, the first with a blank in its name, and their list; the folder is the working one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GLOG_minloglevel", raising=False)
    (tmp_path / "photos").mkdir()
    names = ["a b.png", "c.png", "d.jpg"]
    arrays = [rng.integers(0, 256, (6, 5, 3), np.uint8) for _ in names]
    for name, array in zip(names, arrays, strict=True):
        cv2.imwrite(f"photos/{name}", array)
    write(tmp_path, "".join(f"{name} {7 + k}\n" for k, name in enumerate(names)), "list.txt")
    return {name: cv2.imread(f"photos/{name}") for name in names}


def stored(path="db"):
    with lmdb.open(path, readonly=True, lock=False) as env, env.begin() as transaction:
        return [(key.decode(), caffe_pb2.Datum.FromString(value)) for key, value in transaction.cursor()]


def convert(*flags, folder="photos/", source="list.txt", path="db"):
    main(["convert_imageset", *flags, folder, source, path])


def test_convert_imageset_stores_planes_and_labels_in_the_lists_order(pictures, capsys):
    convert()
    found = stored()
    assert [key for key, _ in found] == ["00000000_a b.png", "00000001_c.png", "00000002_d.jpg"]
    for k, ((_, datum), picture) in enumerate(zip(found, pictures.values(), strict=True)):
        assert (datum.label, datum.channels, datum.height, datum.width, datum.encoded) == (7 + k, 3, 6, 5, False)
        assert np.array_equal(caffe.io.datum_to_array(datum), picture.transpose(2, 0, 1))  # B, G, R
    err = capsys.readouterr().err
    assert "A total of 3 images." in err and "Processed 3 files." in err


def test_convert_imageset_in_gray_resized_and_shuffled(pictures):
    convert("-gray", "-resize_height=4", "--resize_width", "7", "--shuffle=true", "-backend", "LMDB")
    found = stored()
    assert [key[:9] for key, _ in found] == ["00000000_", "00000001_", "00000002_"]
    assert sorted(key[9:] for key, _ in found) == sorted(pictures)
    for key, datum in found:
        gray = cv2.imread(f"photos/{key[9:]}", cv2.IMREAD_GRAYSCALE)
        expected = cv2.resize(gray, (7, 4), interpolation=cv2.INTER_LINEAR)
        assert np.array_equal(caffe.io.datum_to_array(datum), expected[None])
    convert("-shuffle", path="again")
    convert("-shuffle", path="more")
    assert [key for key, _ in stored("again")] == [key for key, _ in stored("more")]


def test_convert_imageset_keeps_files_as_they_are_when_encoded(pictures, tmp_path):
    convert("-encoded", "-check_size")
    for key, datum in stored():
        assert datum.encoded and datum.data == (tmp_path / "photos" / key[9:]).read_bytes()
    convert("-encoded", "-encode_type", "png", path="png")
    for (_, datum), picture in zip(stored("png"), pictures.values(), strict=True):
        assert datum.data[1:4] == b"PNG"
        assert np.array_equal(cv2.imdecode(np.frombuffer(datum.data, np.uint8), cv2.IMREAD_UNCHANGED), picture)
    convert("-encode_type", "png", path="alone")        # asks for encoding by itself, as in Caffe
    assert [datum.data for _, datum in stored("alone")] == [datum.data for _, datum in stored("png")]
    convert("-encoded", "-gray", path="gray")
    for _, datum in stored("gray"):
        assert cv2.imdecode(np.frombuffer(datum.data, np.uint8), cv2.IMREAD_UNCHANGED).ndim == 2


def test_the_mean_is_not_written_into_the_database_that_it_is_of(pictures):
    convert("-resize_height=4", "-resize_width=7")
    before = stored()
    Path("link").symlink_to("db")
    for target in ("db/data.mdb", "db/mean.binaryproto", "link/../db/lock.mdb", "link/x", "db"):
        with pytest.raises(DatabaseError, match="would be written into the database 'db', which is read"):
            compute_image_mean("db", target)
    assert [key for key, _ in stored()] == [key for key, _ in before]


def test_the_data_layer_reads_what_convert_imageset_writes(pictures, tmp_path):
    for flags, path in ((), "db"), (("-encoded", "-encode_type=png"), "encoded"):
        convert(*flags, path=path)
        net = caffe.Net(write(tmp_path, NET.replace('"db"', f'"{path}"')), caffe.TEST)
        net.forward()
        assert np.array_equal(net.blobs["data"].data, np.stack(list(pictures.values())[:2]).transpose(0, 3, 1, 2))
        assert net.blobs["label"].data.tolist() == [7, 8]


@pytest.mark.parametrize("lines, flags, message", [
    ("a b.png 0\nnosuch.png 1\n", (), r"list.txt:2: cannot read the picture 'photos/nosuch.png': No such file"),
    ("a b.png 0\nbad.png 1\n", (), r"list.txt:2: 'photos/bad.png' \(4 bytes\) is truncated"),
    ("a b.png\n", (), r"list.txt:1: 'a b.png': expected a name and a whole number"),
    ("", (), "the source list 'list.txt' is empty"),
    ("a b.png 0\nsmall.png 1\n", ("-check_size",),
     r"list.txt:2: 'photos/small.png' is 2 x 3 with 3 channels, the picture of list.txt:1 6 x 5 with 3"),
    ("a b.png 0\n", ("-encoded", "-encode_type=nosuch"), "list.txt:1: 'photos/a b.png' cannot be stored as 'nosuch'"),
    ("a b.png 0\n", ("-resize_width=4",), "give --resize_height and --resize_width, or neither"),
])
def test_convert_imageset_refuses_by_line_and_leaves_nothing(pictures, tmp_path, lines, flags, message):
    cv2.imwrite("photos/small.png", np.zeros((2, 3, 3), np.uint8))
    (tmp_path / "photos/bad.png").write_bytes(b"none")
    write(tmp_path, lines, "list.txt")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(SystemExit, match=f"error: .*{message}"):
        convert(*flags)
    assert sorted(tmp_path.iterdir()) == before


def test_a_database_that_exists_is_left_alone(pictures):
    convert()
    with pytest.raises(SystemExit, match="error: 'db' exists; remove it, or give the database another name"):
        convert()
    assert len(stored()) == 3
    with pytest.raises(SystemExit) as stop:
        convert("-backend=leveldb", path="other")
    assert stop.value.code == 2


def test_a_database_for_which_there_is_no_room_is_one_line_and_leaves_nothing(pictures, tmp_path):
    """The file of locks is mapped, and touching it on a full disk ends the process: there is none."""
    datum = caffe_pb2.Datum(data=bytes(3000), channels=1, height=60, width=50)
    with pytest.raises(DatabaseError, match="cannot write the database 'db': .*; free space or choose another"), \
            quota(), datum_database.Writer("db") as database:
        database.put("a", datum)
    assert not [path.name for path in tmp_path.iterdir() if "db" in path.name]
    with datum_database.Writer("db") as database:
        database.put("a", datum)
    assert [path.name for path in (tmp_path / "db").iterdir()] == ["data.mdb"]


def test_more_records_than_a_new_map_holds(pictures, tmp_path):
    big = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)
    cv2.imwrite("photos/big.bmp", big)
    write(tmp_path, "big.bmp 1\n" * 9, "list.txt")  # 27 MB; the map begins with 16
    convert()
    assert len(stored()) == 9 and stored()[8][1].data == big.transpose(2, 0, 1).tobytes()


@pytest.mark.parametrize("flags", [(), ("-encoded", "-encode_type=png")])
def test_compute_image_mean(pictures, tmp_path, capsys, flags):
    convert(*flags)
    main(["compute_image_mean", "-backend=lmdb", "db", "mean.binaryproto"])
    expected = np.mean([p.transpose(2, 0, 1) for p in pictures.values()], 0)
    blob = caffe_pb2.BlobProto.FromString((tmp_path / "mean.binaryproto").read_bytes())
    assert (blob.num, blob.channels, blob.height, blob.width) == (1, 3, 6, 5)
    np.testing.assert_allclose(caffe.io.blobproto_to_array(blob)[0], expected, rtol=1e-6)
    err = capsys.readouterr().err
    for channel in range(3):
        assert f"mean_value channel [{channel}]: {expected[channel].mean():g}\n" in err
    net = caffe.Net(write(tmp_path, NET.replace("data_param", 'transform_param { mean_file: "mean.binaryproto" } '
                                                              "data_param")), caffe.TEST)
    net.forward()
    np.testing.assert_allclose(net.blobs["data"].data[0], pictures["a b.png"].transpose(2, 0, 1) - expected, atol=1e-4)


def test_a_mean_of_pictures_of_several_sizes_is_refused(pictures, tmp_path):
    cv2.imwrite("photos/small.png", np.zeros((2, 3, 3), np.uint8))
    write(tmp_path, "a b.png 0\nsmall.png 1\n", "list.txt")
    convert()
    with pytest.raises(SystemExit, match=r"record '00000001_small.png' of 'db' is \(3, 2, 3\), those before it "
                                         r"\(3, 6, 5\): a mean needs pictures of one size"):
        main(["compute_image_mean", "db", "mean.binaryproto"])
    assert not (tmp_path / "mean.binaryproto").exists()
    with pytest.raises(SystemExit, match="error: cannot open the LMDB 'nosuch'"):
        main(["compute_image_mean", "nosuch"])
    assert not (tmp_path / "nosuch").exists()


def test_extract_features(pictures, tmp_path, capsys):
    convert()
    net = caffe.Net(write(tmp_path, NET), caffe.TEST)
    net.save("w.caffemodel")
    expected = {"ip": [], "conv": []}
    for _ in range(3):
        net.forward()
        for name, arrays in expected.items():
            arrays += list(net.blobs[name].data.copy())
    main(["extract_features", "w.caffemodel", "net.prototxt", "ip,conv", "f1,f2", "3", "lmdb", "CPU"])
    for name, path in (("ip", "f1"), ("conv", "f2")):
        found = stored(path)
        assert [key for key, _ in found] == [f"{k:010d}" for k in range(6)]
        for (_, datum), array in zip(found, expected[name], strict=True):
            values = caffe.io.datum_to_array(datum)
            assert values.shape == ((4, 1, 1) if name == "ip" else (3, 5, 4))
            np.testing.assert_allclose(values.reshape(array.shape), array, rtol=1e-6)
    assert "Extracted features of 6 query images for feature blob conv" in capsys.readouterr().err


def test_extract_features_refuses(pictures, tmp_path):
    convert()
    caffe.Net(write(tmp_path, NET), caffe.TEST).save("w.caffemodel")
    for blobs, paths, message in (("nosuch", "f", "has no blob 'nosuch'; it has data, label, conv, ip"),
                                  ("ip,conv", "f", r"2 blob\(s\), but 1 database\(s\); give one for each"),
                                  ("ip,conv", "f,f", r"2 blob\(s\), but 1 database\(s\); give one for each"),
                                  ("ip", "db", "'db' exists; remove it")):
        with pytest.raises(SystemExit, match=f"error: .*{message}"):
            main(["extract_features", "w.caffemodel", "net.prototxt", blobs, paths, "1", "lmdb"])
    assert not (tmp_path / "f").exists()
