"""Files that are damaged, or made to cost or to lead elsewhere: one error that names the file, and soon."""

import os
import struct
import subprocess
import sys
import zlib

import caffe
import cv2
import h5py
import lmdb
import numpy as np
import pytest
from caffe import datum_database, limits, lmdb_files, picture_files, prototxt, serialization
from caffe.errors import DatabaseError, readable
from caffe.layers.datum import read_datum
from caffe.layers.pictures import decode_picture
from caffe.proto import caffe_pb2

from tests.conftest import ROOT
from tests.engine.nets import build, input_layer, write

RGB = cv2.IMREAD_COLOR


# ---- weights and states -------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "why"), [
    ([-1, -1], "must not be negative"), ([2**40, 2**40, 0], "needs 0 numbers|values"), ([1] * 65, "65 axes"),
    ([2**62, 4], "values; Caffe's have 2147483647"), ([3], "needs 3 numbers, the file has 1"),
])
def test_shapes_that_no_blob_has(tmp_path, shape, why):
    blob = caffe_pb2.BlobProto(data=[1.0], shape={"dim": shape})
    net = caffe_pb2.NetParameter(layer=[{"name": "a", "blobs": [blob]}])
    (tmp_path / "a.caffemodel").write_bytes(net.SerializeToString())
    with pytest.raises(caffe.ModelFileError, match=f"a.caffemodel: layer 'a', blob 0: .*({why})"):
        serialization.load_weights(tmp_path / "a.caffemodel")
    (tmp_path / "mean.binaryproto").write_bytes(blob.SerializeToString())
    with pytest.raises(caffe.ModelFileError, match=why):
        serialization.load_binaryproto(tmp_path / "mean.binaryproto")


def test_names_that_are_not_utf8(tmp_path):
    data = caffe_pb2.NetParameter(layer=[{"name": "abc", "type": "ReLU"}]).SerializeToString()
    (tmp_path / "a.caffemodel").write_bytes(data.replace(b"abc", b"a\xff\xfe"))
    for read in (serialization.load_weights, serialization.read_net_binary):
        with pytest.raises(caffe.ModelFileError, match="a.caffemodel: damaged, a name in it is not UTF-8"):
            read(tmp_path / "a.caffemodel")


@pytest.mark.parametrize("suffix", ["", ".h5"])
def test_a_state_of_a_negative_iteration(tmp_path, suffix):
    path = tmp_path / f"a.solverstate{suffix}"
    if suffix:
        serialization.save_solverstate(path, -5, "a.caffemodel", [])
    else:
        path.write_bytes(caffe_pb2.SolverState(iter=-5).SerializeToString())
    with pytest.raises(caffe.ModelFileError, match=r"solverstate(\.h5)?: iteration -5, step 0: expected 0 or more"):
        serialization.load_solverstate(path)


def test_pipes_and_folders_are_no_weights(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        for read in (serialization.load_weights, serialization.load_solverstate, serialization.load_binaryproto):
            with pytest.raises(RuntimeError, match=r"Could not open file .* \(it is not a regular file\)"):
                read(path)


# ---- HDF5 ---------------------------------------------------------------------------------------------


def _external(file, group, elsewhere):
    group.create_dataset("0", (96,), "f4", external=[(str(elsewhere), 0, 384)])


def _virtual(file, group, elsewhere):
    layout = h5py.VirtualLayout((96,), "f4")
    layout[:] = h5py.VirtualSource(str(elsewhere), "x", (96,))
    group.create_virtual_dataset("0", layout)


def _soft(file, group, elsewhere):
    file["else"] = np.ones(3)
    group["0"] = h5py.SoftLink("/else")


def _link(file, group, elsewhere):
    group["0"] = h5py.ExternalLink(str(elsewhere), "/x")


@pytest.mark.parametrize(("make", "why"), [
    (_external, "keeps its numbers in other files"), (_virtual, "keeps its numbers in other files"),
    (_soft, "SoftLink: links to other places are not followed"),
    (_link, "ExternalLink: links to other places are not followed"),
])
def test_numbers_that_lie_elsewhere_are_not_read(tmp_path, make, why):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.arange(96, dtype=np.float32)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        make(file, file.create_group("data/ip"), tmp_path / "secret.h5")
    with pytest.raises(caffe.ModelFileError, match=f"a.h5: '.*' .*{why}"):
        serialization.load_weights(tmp_path / "a.h5")
    with h5py.File(tmp_path / "s.solverstate.h5", "w") as file:
        file["iter"] = 1
        make(file, file.create_group("history"), tmp_path / "secret.h5")
    with pytest.raises(caffe.ModelFileError, match=why):
        serialization.load_solverstate(tmp_path / "s.solverstate.h5")


def test_external_numbers_are_no_data(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (3,), "u1", external=[("/etc/hostname", 0, 3)])
    (tmp_path / "list.txt").write_text(f"{tmp_path}/a.h5\n")
    with pytest.raises(caffe.LayerError, match="list.txt:1: .*'/x' keeps its numbers in other files"):
        build(tmp_path, f"""layer {{ name: "d" type: "HDF5Data" top: "x"
                            hdf5_data_param {{ source: "{tmp_path}/list.txt" batch_size: 1 }} }}""")


def test_hdf5_declares_more_than_it_holds(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data/ip/0", (10**6, 10**6), "f4", chunks=(1000, 1000))
    with pytest.raises(caffe.ModelFileError, match="'/data/ip/0' declares .* more than a file of this size can hold"):
        serialization.load_weights(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["data/ip/999999999999"] = np.zeros(1)
    with pytest.raises(caffe.ModelFileError, match="'data/ip/999999999999' is not a Caffe parameter"):
        serialization.load_weights(tmp_path / "b.h5")


def test_hdf5_groups_that_hold_themselves(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("data/a")
        group["b"] = group
    with pytest.raises(caffe.ModelFileError, match="is in more than one place"):
        serialization.load_weights(tmp_path / "a.h5")


def test_every_cut_and_flip_of_an_hdf5_file_is_read_or_refused(data_files, tmp_path, rng):
    whole = bytearray((data_files / "a.h5").read_bytes())
    for _ in range(300):
        data = whole.copy()
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        (tmp_path / "a.h5").write_bytes(data if rng.random() < 0.7 else data[: rng.integers(1, len(data))])
        try:
            serialization.load_weights(tmp_path / "a.h5")
        except caffe.CaffeError as error:
            assert "a.h5" in str(error)


# ---- databases ----------------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path):
    """A database of 400 records on several pages, and one with a large value; its file."""
    with lmdb.open(str(tmp_path / "db"), map_size=1 << 22) as env, env.begin(write=True) as transaction:
        for k in range(400):
            datum = caffe_pb2.Datum(channels=1, height=1, width=60, data=bytes(60), label=k)
            transaction.put(f"{k:08d}".encode(), datum.SerializeToString())
        large = caffe_pb2.Datum(channels=1, height=1, width=9000, data=bytes(9000))
        transaction.put(b"99999999", large.SerializeToString())
    return tmp_path / "db" / "data.mdb"


def test_a_whole_database_passes(database):
    assert lmdb_files.check(str(database.parent)) == 401 == len(list(datum_database.records(str(database.parent))))


def test_a_database_that_is_cut_short(database):
    """The library would end the process with SIGBUS at the first record behind the end."""
    data = database.read_bytes()
    for size in (0, 100, 5000, 4096 * 3, len(data) // 2, len(data) - 4096):
        database.write_bytes(data[:size])
        with pytest.raises(DatabaseError, match="cannot open the LMDB .* truncated, damaged or not an LMDB"):
            list(datum_database.records(str(database.parent)))


def _pages(data):
    return [(at, struct.unpack_from("<H", data, at + 10)[0]) for at in range(0, len(data), 4096)]


def test_a_database_whose_pages_lead_back(database):
    """Every child of the root is the root: a walk without end."""
    data = bytearray(database.read_bytes())
    root = next(at for at, flags in _pages(data) if flags == lmdb_files.BRANCH)
    for place in struct.unpack_from("<2H", data, root + 16):
        struct.pack_into("<HH", data, root + place, root // 4096, 0)
    database.write_bytes(data)
    with pytest.raises(DatabaseError, match="page .* (is reached twice|has flags)"):
        lmdb_files.check(str(database.parent))


@pytest.mark.parametrize(("offset", "value"), [(12, 0xFFFF), (14, 0xFFFF), (16, 0xFFFF), (16, 1), (10, 0x42)])
def test_a_database_with_a_damaged_page(database, offset, value):
    data = bytearray(database.read_bytes())
    leaf = next(at for at, flags in _pages(data) if flags == lmdb_files.LEAF)
    struct.pack_into("<H", data, leaf + offset, value)
    database.write_bytes(data)
    with pytest.raises(DatabaseError, match="page"):
        list(datum_database.records(str(database.parent)))
    with pytest.raises(caffe.LayerError, match=r"net.prototxt:1: layer 'd' \(Data\): cannot open the LMDB"):
        build(database.parent, f"""layer {{ name: "d" type: "Data" top: "x"
                                   data_param {{ source: "{database.parent}" backend: LMDB batch_size: 1 }} }}""")


# ---- pictures -----------------------------------------------------------------------------------------


def png(width, height):
    """A PNG of one colour: a kilobyte for a megabyte of pixels."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = zlib.compressobj(9)
    data = b"".join([rows.compress(bytes(1 + width)) for _ in range(height)] + [rows.flush()])
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def headers(width, height):
    """Beginnings of pictures of a size, by format; enough for a reader of headers."""
    yield "PNG", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + b"\x08\0\0\0\0IEND"
    if max(width, height) < 65536:
        yield "JPEG", (b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc2\0\x11\x08" + struct.pack(">HH", height, width)
                       + b"\x03" + bytes(9) + b"\xff\xda\0\x02\xff\xd9")
        yield "GIF", b"GIF89a" + struct.pack("<HH", width, height)
    yield "BMP", b"BM" + bytes(12) + struct.pack("<Iii", 40, width, -height)
    yield "TIFF", b"II*\0\x08\0\0\0\x02\0" + struct.pack("<HHIIHHII", 256, 4, 1, width, 257, 4, 1, height)
    yield "WebP", (b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + (width - 1).to_bytes(3, "little")
                   + (height - 1).to_bytes(3, "little"))
    yield "PNM", b"P6 # a comment\n%d %d\n255\n" % (width, height)


@pytest.mark.parametrize(("name", "data"), list(headers(60_000, 50_000)))
def test_pictures_of_gigapixels_are_refused_by_their_header(name, data):
    assert picture_files.picture_size(data) == (60_000, 50_000)
    with pytest.raises(limits.TooMuch, match="60000 x 50000 pixels, more than 100 megapixels; .* DSRG_MAX_MEGAPIXELS"):
        decode_picture(data, RGB)
    datum = caffe_pb2.Datum(encoded=True, data=data)
    with pytest.raises(ValueError, match="holds a picture that is refused: it has 60000 x 50000"):
        read_datum(datum.SerializeToString(), RGB)


def test_the_size_in_the_header_is_that_of_the_picture():
    picture = np.zeros((7, 11, 3), np.uint8)
    for suffix in (".png", ".jpg", ".bmp", ".tiff", ".webp", ".ppm"):
        assert picture_files.picture_size(cv2.imencode(suffix, picture)[1].tobytes()) == (11, 7), suffix


def test_the_limit_of_pictures_is_a_setting(tmp_path):
    assert decode_picture(png(1000, 1000), RGB).shape == (1000, 1000, 3)
    try:
        caffe.allow_megapixels(0.5)
        with pytest.raises(limits.TooMuch, match="more than 0.5 megapixels"):
            decode_picture(png(1000, 1000), RGB)
        for wrong in ("many", 0, -1, float("nan"), 1e6):
            with pytest.raises(ValueError, match=f"DSRG_MAX_MEGAPIXELS={wrong}: expected a number of megapixels above"):
                caffe.allow_megapixels(wrong)
        assert picture_files.most_pixels() == 500_000
    finally:
        caffe.allow_megapixels()
    assert picture_files.most_pixels() == 100_000_000


def test_scripts_and_commands_take_the_limit_from_the_environment_once(tmp_path):
    script = ("import os, caffe; from caffe import picture_files\n"
              "os.environ['DSRG_MAX_MEGAPIXELS'] = '7'; print(picture_files.most_pixels())")

    def printed(**environment):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False,
                              env={**os.environ, "PYTHONPATH": str(ROOT / "engine"), **environment})
        return done.stdout.strip() or done.stderr.splitlines()[-1]

    assert printed() == "100000000" and printed(DSRG_MAX_MEGAPIXELS="0.5") == "500000"
    assert printed(DSRG_MAX_MEGAPIXELS="many").endswith("DSRG_MAX_MEGAPIXELS=many: expected a number of megapixels "
                                                        "above 0")


def test_an_animation_is_refused(tmp_path):
    """skimage reads all its pictures: 150 of four megapixels, in half a megabyte, took 15 GB."""
    from PIL import Image

    frames = [Image.new("L", (50, 40), 60 * k) for k in range(4)]
    for name in ("a.gif", "a.tif", "a.png"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        with pytest.raises(caffe.PictureError, match="is several pictures, an animation or pages; save the one that"):
            caffe.io.load_image(tmp_path / name)
    frames[0].save(tmp_path / "one.gif")
    assert caffe.io.load_image(tmp_path / "one.gif").shape == (40, 50, 3)


def test_load_image_looks_at_the_header_first(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(dict(headers(60_000, 50_000))["PNG"])
    with pytest.raises(caffe.PictureError, match=r"bomb\.png' .* is refused: it has 60000 x 50000 pixels, more"):
        caffe.io.load_image(str(path))
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    (tmp_path / "whole.jpg").write_bytes(jpeg)
    (tmp_path / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    assert caffe.io.load_image(tmp_path / "whole.jpg").shape == (40, 60, 3)
    with pytest.raises(caffe.PictureError, match="is cut short; copy or download it again"):
        caffe.io.load_image(tmp_path / "cut.jpg")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(OSError, match="not a regular file"):
        caffe.io.load_image(tmp_path / "pipe.png")


def test_a_picture_bomb_in_a_list_names_its_line(tmp_path):
    (tmp_path / "a.png").write_bytes(dict(headers(60_000, 50_000))["PNG"])
    (tmp_path / "list.txt").write_text(f"{tmp_path}/a.png 0\n")
    with pytest.raises(caffe.LayerError, match=r"list.txt:1: the picture '.*a.png' .* is refused: it has 60000"):
        build(tmp_path, f"""layer {{ name: "d" type: "ImageData" top: "x" top: "y"
                            image_data_param {{ source: "{tmp_path}/list.txt" batch_size: 1 }} }}""")


@pytest.mark.parametrize("shape", [(-1, -1, 4), (0, 0, 0), (2**31 - 1, 2**31 - 1, 2**31 - 1), (1, 1, 5)])
def test_datums_whose_shape_is_not_that_of_their_values(shape):
    datum = caffe_pb2.Datum(channels=shape[0], height=shape[1], width=shape[2], data=b"abcd")
    with pytest.raises(ValueError, match="holds 4 values for the shape"):
        read_datum(datum.SerializeToString(), RGB)


# ---- nets ---------------------------------------------------------------------------------------------

CONV = 'layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { kernel_size: 1 %s } }'


@pytest.mark.parametrize(("text", "why"), [
    (input_layer(1, 3, 8, 8) + CONV % "num_output: 2000000000", "layer 'c' .*(memory|values)"),
    (input_layer(1, 3, 8, 8) + CONV % "num_output: 1 pad: 4000000", "layer 'c' .*(memory|values)"),
    (input_layer(2**31, 2**31), "layer 'data' .*values; Caffe's have 2147483647 at most"),
    (input_layer(*[1] * 33), "a blob of 33 axes; Caffe's have 32 at most"),
    ('layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 2000000000 } } }', "'d' "),
    (input_layer(1, 3) + """layer { name: "t" type: "Tile" bottom: "data" top: "t"
                                    tile_param { tiles: 2000000000 } }""", "'t' .*(memory|values)"),
])
def test_nets_that_no_machine_has_memory_for(tmp_path, monkeypatch, text, why):
    monkeypatch.setattr(limits, "available_memory", lambda: 1 << 30)
    with pytest.raises(caffe.LayerError, match=rf"net.prototxt:\d+: .*{why}"):
        build(tmp_path, text)


def test_a_blob_that_grows_beyond_memory_is_refused_before_it_is_made(tmp_path, monkeypatch):
    net = build(tmp_path, input_layer(1, 3, 8, 8) + CONV % "num_output: 64")
    monkeypatch.setattr(limits, "available_memory", lambda: 1 << 30)
    net.blobs["data"].reshape(1, 3, 5000, 5000)
    with pytest.raises(caffe.LayerError, match=r"layer 'c' \(Convolution\): the top 'c' of shape \(1, 64, 5000, 5000\) "
                                               "needs 6.4 GB of memory, only 1.07 GB are available"):
        net.reshape()


def test_what_torch_refuses_names_the_layer_and_its_line(tmp_path, monkeypatch):
    net = build(tmp_path, input_layer(1, 3) + 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }')
    for error in (MemoryError(), IndexError("7"), RuntimeError("shapes\ndiffer"), TypeError("t"), ZeroDivisionError()):
        def fail(*args, error=error):
            raise error
        monkeypatch.setattr(net.layers[1], "compute", fail)
        with pytest.raises(caffe.LayerError, match=r"net.prototxt:2: layer 'r' \(ReLU\): forward failed: "
                           + type(error).__name__):
            net.forward()


def test_nets_of_too_many_layers_are_refused_before_they_are_built(tmp_path):
    text = "layer{}" * (limits.MOST_LAYERS + 1)
    with pytest.raises(caffe.PrototxtError, match="net.prototxt: 10001 layers; expected 10000 at most"):
        prototxt.read_net(write(tmp_path, text))
    net = caffe_pb2.NetParameter(layer=[{}] * (limits.MOST_LAYERS + 1))
    (tmp_path / "a.caffemodel").write_bytes(net.SerializeToString())
    with pytest.raises(caffe.ModelFileError, match="a.caffemodel: 10001 layers"):
        serialization.load_weights(tmp_path / "a.caffemodel")


def test_a_line_that_is_no_item(tmp_path):
    """500,000 blanks would be as many ways to divide a line."""
    (tmp_path / "list.txt").write_text("a 0\n" + "a " * 500_000)
    with pytest.raises(caffe.LayerError, match="list.txt:2: a line of 1000000 characters; expected one item, 10000 at"):
        build(tmp_path, f"""layer {{ name: "d" type: "ImageSegData" top: "x" top: "y"
                            image_data_param {{ source: "{tmp_path}/list.txt" batch_size: 1 }} }}""")


def test_a_batch_that_no_machine_has_memory_for(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "available_memory", lambda: 1 << 30)
    (tmp_path / "list.txt").write_text("a 0\n")
    with pytest.raises(caffe.LayerError, match="layer 'd' .*batch_size 4294967295 needs 275 GB of memory"):
        build(tmp_path, f"""layer {{ name: "d" type: "ImageData" top: "x" top: "y"
                            image_data_param {{ source: "{tmp_path}/list.txt" batch_size: 4294967295 }} }}""")


def test_messages_are_short_and_plain():
    assert readable("layer 'a\x1b[2J\0'") == r"layer 'a\x1b[2J\x00'"
    assert readable(f"value '{'x' * 1000}' is") == f"value '{'x' * 200}...' is"
    assert len(readable("y " * 5000)) == 2000
    assert str(caffe.LayerError("a\rb")) == r"a\rb"
