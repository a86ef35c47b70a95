"""Damaged records, archives, settings and weights: each kind that the fuzzer found is one line, at little cost."""

import json
import os
import pickle
import warnings
import zipfile

import h5py
import numpy as np
import pytest

from dsrg.export.weights import convert
from dsrg.initweights.parameter_shapes import parameter_shapes
from dsrg.initweights.weight_files import read_store
from dsrg.io.errors import UserError
from dsrg.io.json_files import parse_json, read_mapping
from dsrg.io.lists import read_ids
from dsrg.io.npz_files import read_npz
from dsrg.io.param_str import parse_param_str
from dsrg.io.yaml_text import parse_yaml
from dsrg.pipeline.digests import Manifests
from dsrg.pipeline.prototxt_edits import ablated
from dsrg.pipeline.settings import read_experiment
from dsrg.report import run_state
from dsrg.report.run_records import read_result
from training import caffe_log


@pytest.mark.parametrize("text", [b"{", b"[" * 100_000, b"\xff", b"[1]", b'{"a": ' * 50_000, b"9" * 5000, b"",
                                  b'{"a": "\xed\xa0\x80"}', b'{"a": "\\ud800"}', '{"a": "\\ud800"}'.encode("utf-16-le"),
                                  b'{"a": 1, "\xed\xa0\x80": 2}'])
def test_a_json_record_that_is_damaged_counts_as_none(tmp_path, text):
    (tmp_path / "a.json").write_bytes(text)
    assert read_mapping(tmp_path / "a.json") == {}
    with pytest.raises(UserError, match=r"a\.json: not a result file \(.*\); delete it and evaluate again$"):
        read_result(tmp_path / "a.json")


def test_a_record_that_is_no_file_counts_as_none_at_once(tmp_path):
    """A FIFO would be waited for, a device be read for ever; the log and the manifests of a run likewise."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("fifo", "zero"):
        assert read_mapping(tmp_path / name) == {}
        assert Manifests(tmp_path).read(name) is None
        (tmp_path / f"{name}.txt").symlink_to(name)
        assert Manifests(tmp_path).read(name) is None
        assert run_state._tail(tmp_path / name) == []
        assert caffe_log._before(tmp_path / name, 3) == ""


@pytest.mark.parametrize("record", [
    {"miou": "0.5"}, {"miou": 10**400}, {"miou": 0.5, "classes": 3}, {"miou": 0.5, "commit": []}, {"miou": None},
    {"miou": 0.5, "classes": [{"name": "a", "iou": "x"}]},
    {"miou": 0.5, "classes": [{"name": "a"}], "confusion": [[1, "a"]]}])
def test_a_result_with_values_of_other_types_is_refused(tmp_path, record):
    (tmp_path / "a.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match=r"a\.json: not a result file"):
        read_result(tmp_path / "a.json")


def test_an_npz_that_unpacks_to_far_more_than_its_size_is_refused_before_it_does(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(150 << 20, np.int8))
    assert (tmp_path / "a.npz").stat().st_size < 1 << 20
    with pytest.raises(UserError, match=r"model .*a\.npz cannot be read \(its \d+ bytes unpack to \d+; no file of"):
        read_npz(tmp_path / "a.npz", "model")


def test_an_npz_whose_header_tells_more_than_there_is_is_refused_before_memory_is_taken(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as out:
        np.lib.format.write_array_header_1_0(out, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40,)})
    with pytest.raises(UserError, match=r"array a\.npy is float64 \(1099511627776,\) in 0 bytes"):
        read_npz(tmp_path / "a.npz", "model")


@pytest.mark.parametrize("text", [
    "a: &a [x]\nb: *a", "a: " + "[" * 500, "a: !!timestamp x", "a: !!int ''", "a: 2001-13-45", "a: " + "9" * 6000,
    "a: !!python/object/apply:os.system ['true']"])
def test_yaml_of_settings_is_read_without_aliases_depth_and_odd_tags(tmp_path, text):
    (tmp_path / "settings.yaml").write_text(text)
    with pytest.raises(UserError, match=r"settings\.yaml is not valid YAML: "):
        read_experiment(tmp_path)


@pytest.mark.parametrize("text", ["~: 1", "7: 1", "[a]: 1", "arguments: {cues: \"--a 'b\"}", "nets: {1: 2}"])
def test_settings_with_keys_and_words_that_cannot_be(tmp_path, text):
    (tmp_path / "settings.yaml").write_text(text)
    with pytest.raises(UserError, match=r"settings\.yaml"):
        read_experiment(tmp_path)


@pytest.mark.parametrize("odd", ["sparse", "meta", "quantised", "complex", "expanded"])
def test_tensors_of_other_kinds_are_refused_by_name(tmp_path, odd):
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tensor = {"sparse": lambda: torch.eye(3).to_sparse(), "meta": lambda: torch.empty(3, device="meta"),
                  "quantised": lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
                  "complex": lambda: torch.ones(2, dtype=torch.complex64),
                  "expanded": lambda: torch.ones(1).expand(1 << 40)}[odd]()
        torch.save({"a.weight": tensor, ("b", 1): torch.ones(1)}, tmp_path / "w.pth")
        with pytest.raises(UserError, match=r"w\.pth"):
            read_store(tmp_path / "w.pth")


@pytest.mark.parametrize(("dtype", "shape", "says"), [("F8_E5M2", [4], "F8_E5M2 of 1 axes"), ("BF16", [2], "BF16 of 1"),
                                                       ("F32", [1] * 70, "F32 of 70 axes")])
def test_safetensors_that_numpy_has_no_array_for_are_refused_by_name(tmp_path, dtype, shape, says):
    pytest.importorskip("safetensors")
    head = json.dumps({"a.0": {"dtype": dtype, "shape": shape, "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(head).to_bytes(8, "little") + head + bytes(4))
    with pytest.raises(UserError, match=f"w.safetensors: 'a.0' is {says}"):
        convert(path, tmp_path / "w.caffemodel")
    if len(shape) > 1:
        with pytest.raises(UserError, match="w.safetensors: 'a.0' is of 70 axes where Caffe's have 32 at most"):
            read_store(path)


def test_a_parameter_with_an_absurd_number_in_hdf5_is_refused_at_once(tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["data/conv/999999999"] = np.zeros(1)
    with pytest.raises(UserError, match=r"w\.h5 are damaged or not a \.caffemodel"):
        parameter_shapes(tmp_path / "w.h5", None)


def test_an_id_longer_than_a_file_name_is_refused_by_its_list(tmp_path):
    (tmp_path / "ids.txt").write_text("a" * 300)
    with pytest.raises(UserError, match="is longer than the name of a file can be"):
        read_ids(tmp_path / "ids.txt")


@pytest.mark.parametrize("change", ["{python: 47296}", "{7: 1}", "{add: text}", "{add: {7: 1}}", "{bottom: 2001-12-14}",
                                    "{param_str: [1]}", "{top: !!binary aGk=}", "{loss_weight: !!set {1}}"])
def test_an_ablation_with_values_of_other_types_is_refused_by_layer(tmp_path, change):
    name = "new" if "add" in change else "seeds"
    (tmp_path / "a.yaml").write_text(f"says: x\ntrain-s.prototxt:\n  {name}: {change}\n")
    net = 'layer { name: "seeds" type: "Python" top: "a" python_param { module: "pylayers" layer: "X" } }'
    with pytest.raises(UserError, match=f"ablation a: train-s.prototxt: layer '{name}': "):
        ablated(tmp_path / "a.yaml", {"train-s.prototxt": net}, tmp_path)


def test_half_a_character_is_no_text_in_json_yaml_and_param_str():
    for read, text in ((parse_json, '{"a": ["\\ud800"]}'), (parse_json, b'{"\\udc00": 1}'),
                       (parse_yaml, 'a: "\\ud800"'), (parse_param_str, "{'a': '\\ud800'}")):
        with pytest.raises(ValueError, match="half a character"):
            read(text)
    assert parse_json('"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize("in_zip", [True, False])
def test_torch_weights_whose_pickle_doubles_are_refused_at_once(tmp_path, in_zip):
    pytest.importorskip("torch")
    doubling = b"\x80\x02}K\x01q\x01" + b"q\x01h\x01\x86" * 60 + b"K\x01s."
    if in_zip:
        with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
            archive.writestr("archive/data.pkl", doubling)
            archive.writestr("archive/version", "3")
    else:
        head = b"".join(pickle.dumps(n, 2) for n in (0x1950A86A20F9469CFC6C, 1001, {}))
        (tmp_path / "w.pth").write_bytes(head + doubling)
    for read in (read_store, lambda path: convert(path, tmp_path / "w.caffemodel")):
        with pytest.raises(UserError, match="refused, not a file of tensors alone .it holds something of more than"):
            read(tmp_path / "w.pth")
