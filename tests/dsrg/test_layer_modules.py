"""Commands let nets name this project's layers only."""

import argparse
import os

import caffe
import pytest
from caffe.proto import caffe_pb2

from dsrg import layer_modules
from dsrg.io.errors import UserError
from tests.engine.nets import build, input_layer
from tools.inspect_net import main as inspect_net

NET = input_layer(2, 3) + """layer { name: "p" type: "Python" bottom: "data" top: "y"
                             python_param { module: "stranger" layer: "L" } }"""


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """A net whose layer lies in a module beside it, which leaves a file when it is imported."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("ALLOW_MODULES", "")
    (tmp_path / "stranger.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w').close()\nL = 1\n")
    (tmp_path / "net.prototxt").write_text(NET)
    return tmp_path


def test_inspect_net_never_imports_what_is_not_allowed(stranger, capsys):
    assert inspect_net([str(stranger / "net.prototxt")]) == 1
    assert "module 'stranger' is not allowed" in capsys.readouterr().err and not (stranger / "imported").exists()
    assert inspect_net([str(stranger / "net.prototxt"), "--allow-module", "stranger"]) == 1
    assert "is not a subclass of caffe.Layer" in capsys.readouterr().err and (stranger / "imported").exists()


def test_the_variable_allows_more(stranger, monkeypatch):
    monkeypatch.setenv("ALLOW_MODULES", "other stranger")
    layer_modules.restrict(caffe)
    with pytest.raises(caffe.LayerError, match="is not a subclass"):
        build(stranger, NET)
    monkeypatch.setenv("ALLOW_MODULES", "a/b")
    with pytest.raises(UserError, match="ALLOW_MODULES: 'a/b' is not a module name"):
        layer_modules.restrict(caffe)


def test_the_flag_adds_to_the_variable_in_this_process_alone(monkeypatch):
    monkeypatch.setenv("ALLOW_MODULES", "before")
    parser = argparse.ArgumentParser()
    layer_modules.add_flag(parser)
    parser.parse_args(["--allow-module", "a.b", "--allow-module", "c"])
    assert layer_modules.allowed() == ["pylayers", "before", "a.b", "c"] and os.environ["ALLOW_MODULES"] == "before"
    with pytest.raises(SystemExit):
        parser.parse_args(["--allow-module", "../x"])


def test_nets_for_real_caffe_are_checked_as_messages():
    net = caffe_pb2.NetParameter()
    net.layer.add(name="p", type="Python", python_param={"module": "os", "layer": "x"})
    with pytest.raises(UserError, match=r"a.prototxt: layer 'p' \(Python\): module 'os' is not allowed.*-module os"):
        layer_modules.check(net, "a.prototxt")
    net.layer[0].python_param.module = "pylayers.layer"
    layer_modules.check(net, "a.prototxt")


def test_layers_of_this_projects_name_from_elsewhere_are_refused(tmp_path, monkeypatch):
    import sys
    (tmp_path / "pylayers").mkdir()
    (tmp_path / "pylayers" / "__init__.py").write_text("raise SystemError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "pylayers"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(UserError, match="the layers 'pylayers' would come from .*, expected .*training/pylayers"):
        layer_modules.restrict(caffe)


def test_files_that_a_net_writes_stay_below_the_current_folder(tmp_path, monkeypatch):
    """Of nets for real Caffe too, and of those whose layers' types are numbers."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("/usr")
    layers = caffe_pb2.NetParameter(), caffe_pb2.NetParameter()
    outputs = [layers[0].layer.add(name="o", type="HDF5Output").hdf5_output_param,
               layers[1].layers.add(name="o", type=caffe_pb2.V1LayerParameter.HDF5_OUTPUT).hdf5_output_param]
    for net, output in zip(layers, outputs, strict=True):
        output.file_name = "features/a.h5"
        layer_modules.check(net, "a.prototxt")
        for name in ("../a.h5", "/usr/a.h5", "link/a.h5"):
            output.file_name = name
            with pytest.raises(UserError, match=rf"a.prototxt: layer 'o' \(HDF5Output\): file_name '{name}' leads out"):
                layer_modules.check(net, "a.prototxt")
    monkeypatch.setenv("ALLOW_OUTPUT", "/var:/usr")
    layer_modules.check(layers[0], "a.prototxt")
