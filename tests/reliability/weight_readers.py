"""Readers of trained weights: PyTorch's files, safetensors, HDF5 of every kind."""

import io
import warnings
from pathlib import Path

import caffe
import h5py
import numpy as np
import torch
from caffe import serialization
from caffe.proto import caffe_pb2
from safetensors.torch import save

from dsrg.initweights.architectures import recognise
from dsrg.initweights.parameter_shapes import parameter_shapes
from dsrg.initweights.weight_files import read_store
from dsrg.io.errors import UserError
from tests.reliability.damaged_archives import safetensors_header, zip_bomb, zip_members
from tests.reliability.damaged_pickles import pickle_steps
from tests.reliability.engine_readers import FILES, contents
from tests.reliability.readers import made_in_folder, reader

STATE = {
    "features.0.weight": torch.ones(4, 3, 3, 3),
    "features.0.bias": torch.zeros(4),
    "classifier.6.weight": torch.ones(2, 4),
    "steps": torch.tensor(3),
    "half": torch.ones(2, dtype=torch.float16),
    "flags": torch.tensor([True, False]),
    "brain": torch.ones(2, dtype=torch.bfloat16),
}


def _torch_files():
    odd = {
        "sparse": torch.eye(3).to_sparse(),
        "meta": torch.empty(3, device="meta"),
        "complex": torch.ones(2, dtype=torch.complex64),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        odd["quantised"] = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)
        for content, options in (
            (STATE, {}),
            ({"state_dict": STATE, "epoch": 3}, {}),
            (STATE, {"_use_new_zipfile_serialization": False}),
            *(({**STATE, name: value}, {}) for name, value in odd.items()),
            ({("a", 1): torch.ones(2), 7: torch.ones(1)}, {}),
            ({"module.a": torch.nn.Parameter(torch.ones(2))}, {}),
        ):
            out = io.BytesIO()
            torch.save(content, out, **options)
            yield out.getvalue()


def _shown(store):
    """Names and shapes, and the architecture they are of where it is known."""
    for name, value in store.arrays.items():
        assert isinstance(name, str) and all(
            array.dtype == np.float32 for array in (value if isinstance(value, list) else [value])
        )
    recognise(store)


@reader(
    lambda: list(_torch_files()),
    UserError,
    ".pth",
    [zip_members([pickle_steps]), zip_members([pickle_steps]), zip_bomb("archive/data/9", lambda count: b"")],
)
def torch_weights(path):
    _shown(read_store(path))


@reader(
    lambda: [save(STATE), save({"a": torch.ones(2, 3)}, {"format": "pt"})],
    UserError,
    ".safetensors",
    [safetensors_header],
)
def safetensors_weights(path):
    _shown(read_store(path))


@reader(contents(FILES, "*.caffemodel"), UserError, ".caffemodel")
def stored_caffemodel(path):
    assert all(array.dtype == np.float32 for arrays in read_store(path).arrays.values() for array in arrays)


# ---- HDF5 -------------------------------------------------------------------------------------------------------


def odd_hdf5(folder):
    """Files of HDF5's less known kinds, under the names that weights have."""
    makers = {
        "external": lambda g: g.create_dataset("0", (12,), "f4", external=[("/etc/hostname", 0, 48)]),
        "soft": lambda g: g.__setitem__("0", h5py.SoftLink("/data/conv/0")),
        "link": lambda g: g.__setitem__("0", h5py.ExternalLink("/etc/hostname", "/")),
        "virtual": lambda g: g.create_virtual_dataset("0", _layout()),
        "unwritten": lambda g: g.create_dataset("0", (10**7, 10**7), "f4", chunks=(1, 1000)),
        "compressed": lambda g: g.create_dataset(
            "0", data=np.zeros((1000, 1000), "f4"), compression="gzip", shuffle=True, fletcher32=True
        ),
        "scaled": lambda g: g.create_dataset("0", data=np.arange(12), scaleoffset=4),
        "lzf": lambda g: g.create_dataset("0", data=np.zeros(1000), compression="lzf"),
        "compound": lambda g: g.create_dataset("0", data=np.zeros(3, [("a", "f4"), ("b", "i4")])),
        "text": lambda g: g.create_dataset("0", data=["a", "\u0001"], dtype=h5py.string_dtype()),
        "ragged": lambda g: g.create_dataset("0", (3,), h5py.vlen_dtype(np.float32)),
        "opaque": lambda g: g.create_dataset("0", data=np.zeros(3, "V5")),
        "reference": lambda g: g.create_dataset("0", data=g.ref, dtype=h5py.ref_dtype),
        "enum": lambda g: g.create_dataset("0", data=[0, 1], dtype=h5py.enum_dtype({"a": 0, "b": 1})),
        "empty": lambda g: g.create_dataset("0", data=h5py.Empty("f4")),
        "scalar": lambda g: g.create_dataset("0", data=3.0),
        "axes": lambda g: g.create_dataset("0", data=np.zeros((1,) * 32, "f4")),
        "growing": lambda g: g.create_dataset("0", data=np.ones((2, 3)), maxshape=(None, None), chunks=(2, 2)),
        "named": lambda g: g.__setitem__("0", np.dtype("f4")),
        "circle": lambda g: g.__setitem__("conv", g),
        "number": lambda g: g.create_dataset("999999999", data=np.zeros(1)),
        "double": lambda g: g.create_dataset("0", data=np.array([np.nan, np.inf, 1e300])),
        "big endian": lambda g: g.create_dataset("0", data=np.arange(3, dtype=">f8")),
        "half": lambda g: g.create_dataset("0", data=np.arange(3, dtype="f2")),
        "control": lambda g: g.create_dataset("\x1b[2J", data=np.zeros(1)),
        "attributes": lambda g: g.attrs.update({"a": np.zeros(100), "\x1b": "x" * 5000}),
    }
    for name, make in makers.items():
        for group in ("data/conv",) if name != "scalar" else ("data/conv", "history", ""):
            with h5py.File(folder / "f.h5", "w") as file:
                make(file.require_group(group) if group else file)
            yield (folder / "f.h5").read_bytes()


def _layout():
    layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", shape=(4,))
    return layout


@reader(made_in_folder(odd_hdf5), (caffe.CaffeError, UserError), ".h5")
def odd_hdf5_files(path):
    """Whatever is taken as weights, state or data of HDF5, in turn; the last refusal is told."""
    refused, read = None, False
    for way in (
        serialization.load_weights,
        serialization.load_solverstate,
        lambda p: parameter_shapes(p, caffe_pb2),
        read_store,
        _as_data,
    ):
        try:
            way(path)
            read = True
        except (caffe.CaffeError, UserError) as error:
            refused = error
            assert len(str(error)) < 2100 and str(error).isprintable(), str(error)[:300]
    if refused is not None and not read:
        raise refused


def _as_data(path):
    source = Path(f"{path}.txt")
    source.write_text(f"{path}\n")
    net = caffe_pb2.NetParameter()
    net.layer.add(name="d", type="HDF5Data", top=["0"], hdf5_data_param={"source": str(source), "batch_size": 3})
    caffe.Net.from_param(net, caffe.TRAIN)


@reader(
    lambda: [*contents(FILES, "*.caffemodel")(), *contents(FILES, "*.caffemodel.h5")(), *made_in_folder(odd_hdf5)()],
    UserError,
    ".h5",
)
def shapes_in_weights(path):
    parameter_shapes(path, caffe_pb2)
