"""Weights to safetensors and PyTorch's checkpoints and back: the same bits, and what is no caffemodel is said."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from dsrg.export import convert
from dsrg.find_caffe import the_caffe
from dsrg.initweights.weight_files import read_store
from dsrg.io.errors import UserError
from tests.conftest import DATA, ROOT
from tests.dsrg.export.deploy_nets import make_deploy


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENGINE", "embedded")
        return make_deploy(tmp_path_factory.mktemp("demo"), ROOT / "prototxts/demo/deploy.prototxt", thin=4)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_there_and_back_is_the_same_file(demo, tmp_path, suffix):
    net_file, weights = demo
    count = convert(weights, tmp_path / f"w{suffix}")
    assert count == 27
    assert convert(tmp_path / f"w{suffix}", tmp_path / "back.caffemodel") == count
    assert (tmp_path / "back.caffemodel").read_bytes() == weights.read_bytes()
    net = the_caffe().Net(str(net_file), str(tmp_path / "back.caffemodel"), the_caffe().TEST)
    tensors = read_store(tmp_path / f"w{suffix}").arrays        # the reader of tools.make_init, another one
    assert set(tensors) == {f"{name}.{k}" for name, blobs in net.params.items() for k in range(len(blobs))}
    for name, blobs in net.params.items():
        for k, blob in enumerate(blobs):
            np.testing.assert_array_equal(tensors[f"{name}.{k}"], blob.data)


@pytest.mark.parametrize("name", ["a.caffemodel", "v1_net.caffemodel", "sgd_restore_iter_10.caffemodel",
                                  "sgd_restore_iter_10.caffemodel.h5"])
def test_files_that_caffe_wrote(tmp_path, name):
    """Of 2014's format too, and HDF5: every number comes back as its bits."""
    from caffe.serialization import load_weights

    source = DATA / "caffe/files" / name
    convert(source, tmp_path / "w.safetensors")
    convert(tmp_path / "w.safetensors", tmp_path / "back.caffemodel")
    before = {layer: blobs for layer, blobs in load_weights(str(source)).items() if blobs}
    after = {layer: blobs for layer, blobs in load_weights(str(tmp_path / "back.caffemodel")).items() if blobs}
    assert before and before.keys() == after.keys()
    for layer, blobs in before.items():
        for one, other in zip(blobs, after[layer], strict=True):
            assert one.tobytes() == other.tobytes() and one.shape == other.shape


def test_metadata_names_layers_and_shapes(demo, tmp_path):
    convert(demo[1], tmp_path / "w.safetensors")
    with safe_open(tmp_path / "w.safetensors", "numpy") as file:
        record = json.loads(file.metadata()["dsrg"])
    first = record["layers"][0]
    assert first == {"name": "conv1_1", "type": "Convolution", "shapes": [[4, 3, 3, 3]]}
    assert len(record["layers"]) == 27


def test_tensors_of_other_origin_become_layers_by_name(tmp_path):
    """Without our metadata: enough for copying by name, which is what Caffe does with a caffemodel."""
    values = {"conv/a.0": np.arange(12, dtype=np.float32).reshape(2, 6, 1, 1), "conv/a.1": np.ones(2, np.float32)}
    save_file(values, str(tmp_path / "w.safetensors"))
    convert(tmp_path / "w.safetensors", tmp_path / "w.caffemodel")
    net = tmp_path / "net.prototxt"
    net.write_text('input: "x" input_shape { dim: 1 dim: 6 dim: 3 dim: 3 } layer { name: "conv/a" type: "Convolution" '
                   'bottom: "x" top: "y" convolution_param { num_output: 2 kernel_size: 1 } }')
    loaded = the_caffe().Net(str(net), str(tmp_path / "w.caffemodel"), the_caffe().TEST)
    for k in range(2):
        np.testing.assert_array_equal(loaded.params["conv/a"][k].data, values[f"conv/a.{k}"])


def test_what_does_not_fit_is_said(demo, tmp_path):
    one = np.ones(3, np.float32)
    for name, content, message in (
            ("names", {"features.conv.weight": one}, "'features.conv.weight' is no parameter of a layer of Caffe"),
            ("twice", {"a.0": one, "a.00": one}, "'a.00' is no parameter of a layer of Caffe"),
            ("digits", {"a." + "9" * 5000: one}, "'a.9{198}' is no parameter of a layer of Caffe"),
            ("holes", {"a.0": one, "a.2": one}, r"layer 'a' has parameters \[0, 2\]; expected 0 to 1"),
            ("halves", {"a.0": one.astype(np.float16)}, "'a.0' is F16 of 1 axes; Caffe's parameters are float32")):
        save_file(content, str(tmp_path / f"{name}.safetensors"))
        with pytest.raises(UserError, match=message):
            convert(tmp_path / f"{name}.safetensors", tmp_path / "w.caffemodel")
    convert(demo[1], tmp_path / "w.safetensors")
    with safe_open(tmp_path / "w.safetensors", "numpy") as file:
        metadata = file.metadata()
    tensors = load_file(tmp_path / "w.safetensors")
    tensors["conv1_1.0"] = tensors["conv1_1.0"][:2].copy()
    save_file(tensors, str(tmp_path / "cut.safetensors"), metadata)
    with pytest.raises(UserError, match="its metadata is of other tensors"):
        convert(tmp_path / "cut.safetensors", tmp_path / "w.caffemodel")
    for state, message in (({"a.0": torch.ones(3).bfloat16()}, "'a.0' is torch.bfloat16"),
                           ({"a.0": torch.ones(3).to_sparse()}, "'a.0' is torch.float32 torch.sparse_coo"),
                           ({"a.0": torch.ones(3, device="meta")}, "'a.0' is without values"),
                           ({("a", 0): torch.ones(3)}, "under a name of text"),
                           ([torch.ones(3)], "holds no state dict")):
        torch.save({"state_dict": state}, tmp_path / "odd.pth")
        with pytest.raises(UserError, match=message):
            convert(tmp_path / "odd.pth", tmp_path / "w.caffemodel")
    torch.save({"state_dict": {"a.0": torch.ones(3)}, "code": print}, tmp_path / "evil.pth")
    with pytest.raises(UserError, match="refused, not a file of tensors alone .*; nothing in it was run"):
        convert(tmp_path / "evil.pth", tmp_path / "w.caffemodel")
    with pytest.raises(UserError, match=r"w\.txt: expected a name that ends in \.safetensors, \.pth"):
        convert(demo[1], tmp_path / "w.txt")
    assert not (tmp_path / "w.caffemodel").exists()
