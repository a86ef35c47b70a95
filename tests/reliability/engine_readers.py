"""Readers of the engine: models, states, nets, databases, pictures, and param_str."""

import contextlib
import os
import tempfile
from pathlib import Path

import caffe
import cv2
import h5py
import lmdb
import numpy as np
from caffe import datum_database, prototxt, serialization
from caffe.layers import pictures
from caffe.layers.datum import read_datum
from caffe.proto import caffe_pb2

from dsrg.io.errors import UserError
from dsrg.io.param_str import parse_param_str
from tests.reliability.readers import DATA, reader

FILES = DATA / "caffe" / "files"
PICTURES = DATA / "layers" / "pictures"
MOST = 1_000_000  # values of a net that is run and not only built

os.environ.setdefault("GLOG_minloglevel", "3")


def contents(folder, *patterns):
    """A function that returns the contents of files."""
    return lambda: [path.read_bytes() for pattern in patterns for path in sorted(folder.glob(pattern))]


@reader(contents(FILES, "*.caffemodel"), caffe.CaffeError)
def caffemodel(path):
    serialization.load_weights(path)


@reader(contents(FILES, "*.caffemodel"), caffe.CaffeError)
def binary_net(path):
    prototxt.read_net(path)
    serialization.read_net_binary(path)


@reader(contents(FILES, "a.h5", "*.caffemodel.h5"), caffe.CaffeError)
def weights_hdf5(path):
    serialization.load_weights(path)


@reader(contents(FILES, "*.solverstate"), caffe.CaffeError)
def solverstate(path):
    serialization.load_solverstate(path)


@reader(contents(FILES, "*.solverstate.h5"), caffe.CaffeError)
def solverstate_hdf5(path):
    serialization.load_solverstate(path)


@reader(contents(DATA, "caffe/files/*.binaryproto", "layers/*.binaryproto"), caffe.CaffeError)
def binaryproto(path):
    serialization.load_binaryproto(path)


# ---- nets ---------------------------------------------------------------------------------------------

NET = """name: "net"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 9 dim: 9 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 dilation: 1 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "lrn" type: "LRN" bottom: "pool" top: "lrn" lrn_param { local_size: 3 } }
layer { name: "slice" type: "Slice" bottom: "lrn" top: "a" top: "b" slice_param { axis: 1 slice_point: 2 } }
layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum"
  eltwise_param { operation: SUM coeff: 1 coeff: -1 } }
layer { name: "up" type: "Deconvolution" bottom: "sum" top: "up"
  convolution_param { num_output: 2 group: 2 kernel_size: 4 stride: 2 weight_filler { type: "bilinear" } } }
layer { name: "crop" type: "Crop" bottom: "up" bottom: "data" top: "crop" crop_param { axis: 2 offset: 0 } }
layer { name: "flat" type: "Reshape" bottom: "crop" top: "flat" reshape_param { shape { dim: 0 dim: -1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "flat" top: "ip" inner_product_param { num_output: 5 } }
layer { name: "tile" type: "Tile" bottom: "ip" top: "tile" tile_param { axis: 1 tiles: 2 } }
layer { name: "top" type: "ArgMax" bottom: "tile" top: "top" argmax_param { top_k: 2 } include { phase: TEST } }
"""

V1_NET = """input: "data" input_dim: 1 input_dim: 2 input_dim: 5 input_dim: 5
layers { name: "c" type: CONVOLUTION bottom: "data" top: "c" blobs_lr: 1 blobs_lr: 2
  convolution_param { num_output: 2 kernel_size: 3 } }
layers { name: "s" type: SOFTMAX bottom: "c" top: "s" }
"""

SOLVER = """net: "net.prototxt" base_lr: 0.01 lr_policy: "multistep" gamma: 0.1 stepvalue: 10 stepvalue: 20
momentum: 0.9
max_iter: 100 display: 10 snapshot: 50 snapshot_prefix: "snap" solver_mode: CPU type: "SGD"
train_state { stage: "a" }
test_iter: 1 test_interval: 5 weight_decay: 0.0005 random_seed: 1
"""


@reader(lambda: [NET.encode(), V1_NET.encode(), *contents(FILES, "*.prototxt")()], caffe.CaffeError, ".prototxt")
def net(path):
    """Built, and run where that is cheap; no file that it names is there, and no module allowed."""
    caffe.allow_python_modules()
    caffe.allow_output_folders()
    with contextlib.chdir(path.parent):
        made = caffe.Net(path.name, caffe.TEST)
        if sum(blob.count for blob in [*made.blobs.values(), *(b for p in made.params.values() for b in p)]) < MOST:
            made._forward()


@reader(lambda: [NET.encode(), V1_NET.encode()], UserError, ".prototxt")
def inspected_net(path):
    from dsrg.netinspect.checks import State
    from dsrg.netinspect.cost import rows, table
    from dsrg.netinspect.prototxt_source import Source

    caffe.allow_python_modules()
    source = Source(path)
    if source.net is not None:
        for phase in ("train", "test"):
            state = State(source, phase)
            if state.shapes is not None:
                table(rows(state))


@reader(lambda: [SOLVER.encode()], caffe.CaffeError, ".prototxt")
def solver(path):
    """A whole solver: settings and a small net."""
    with contextlib.chdir(path.parent):
        Path("net.prototxt").write_text(V1_NET)
        caffe.get_solver(path.name)


@reader(lambda: [b"{'mean': (104.0, 117.0, 123.0), 'mirror': True, 'root': \"a/b\"}", b"th1: 0.99\nth2: 0.85\n",
                 b"- [1, 2.5e3, ~]\n- {a: !!float '3', b: 0x1f}\n- 2001-12-14", b"[1, [2, [3, {'a': b'c'}]]]"],
        ValueError)
def param_str(path):
    parse_param_str(path.read_bytes().decode(errors="replace"))


# ---- data ---------------------------------------------------------------------------------------------


def _datums():
    plain = caffe_pb2.Datum(channels=2, height=3, width=4, data=bytes(range(24)), label=7)
    floats = caffe_pb2.Datum(channels=1, height=2, width=2, float_data=[0.5, -1, 2, 3], label=-1)
    pictures = [caffe_pb2.Datum(encoded=True, data=data) for data in contents(PICTURES, "*.jpg", "gr*.png")()]
    return [datum.SerializeToString() for datum in (plain, floats, *pictures)]


@reader(_datums, ValueError)
def datum(path):
    read_datum(path.read_bytes(), cv2.IMREAD_UNCHANGED)


def _databases():
    """Databases of a leaf, of branches, and of values with pages of their own."""
    for count, size in ((3, 20), (400, 60), (6, 5000)):
        with tempfile.TemporaryDirectory() as folder:
            with lmdb.open(folder, map_size=1 << 22) as env, env.begin(write=True) as transaction:
                for k in range(count):
                    record = caffe_pb2.Datum(channels=1, height=1, width=size, data=bytes(size), label=k)
                    transaction.put(f"{k:08d}".encode(), record.SerializeToString())
            yield Path(folder, "data.mdb").read_bytes()


@reader(_databases, caffe.CaffeError, ".mdb")
def lmdb_database(path):
    for what, record in datum_database.records(str(path)):
        datum_database.values_of(what, record)


def _data_hdf5():
    for options in ({}, {"compression": "gzip", "chunks": (2, 3)}, {"dtype": "f8"}, {"dtype": "i4"}):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "a.h5")
            with h5py.File(path, "w") as file:
                file.create_dataset("x", data=np.arange(12).reshape(4, 3), **options)
                file.create_dataset("y", data=np.arange(4.0))
            yield path.read_bytes()


@reader(_data_hdf5, caffe.CaffeError, ".h5")
def hdf5_data(path):
    source = path.with_suffix(".txt")
    source.write_text(f"{path}\n")
    layer = caffe.proto.caffe_pb2.NetParameter()
    layer.layer.add(name="d", type="HDF5Data", top=["x", "y"], hdf5_data_param={"source": str(source), "batch_size": 3})
    made = caffe.Net.from_param(layer, caffe.TRAIN)
    if made.blobs["x"].count < MOST:
        made._forward()


class _Caller:
    """What the readers of pictures ask of a layer."""

    @staticmethod
    def error(message):
        return caffe.LayerError(message)


@reader(contents(DATA, "layers/pictures/*.jpg", "layers/pictures/*.png", "caffe/files/*.png"), caffe.CaffeError)
def picture(path):
    pictures.read_picture(_Caller, str(path), "list.txt:1")


@reader(contents(DATA, "layers/pictures/gray.png", "caffe/files/*.png"), caffe.CaffeError, ".png")
def label_picture(path):
    pictures.read_labels(_Caller, str(path), "list.txt:1")


WINDOWS = """# 0
a.png
3
9
9
2
1 0.9 0 0 8 8
0 0.1 2 2 5 5
"""


@reader(lambda: [WINDOWS.encode()], caffe.CaffeError, ".txt")
def window_file(path):
    layer = caffe_pb2.NetParameter()
    layer.layer.add(name="d", type="WindowData", top=["x", "y"], transform_param={"crop_size": 4},
                    window_data_param={"source": str(path), "batch_size": 2, "fg_fraction": 0.5,
                                       "root_folder": f"{path.parent}/"})
    cv2.imwrite(str(path.parent / "a.png"), np.zeros((9, 9, 3), np.uint8))
    caffe.Net.from_param(layer, caffe.TRAIN)._forward()
