"""Python layers: the contract of pycaffe's, and errors that name the layer and its place in the prototxt."""

import sys
import types

import caffe
import numpy as np
import pytest

from tests.engine.nets import build, input_layer, python_layer


@pytest.fixture
def net(tmp_path):
    text = "force_backward: true\n" + input_layer(2, 3) + python_layer("p", "Recorder", ["data"], ["y"])
    return build(tmp_path, text.replace('layer: "Recorder"', 'layer: "Recorder" param_str: "{\'a\': 1}"'))


def test_calls_and_what_they_see(net):
    layer = net.layer_dict["p"]
    assert layer.calls == ["setup", "reshape"]
    assert layer.seen == {"param_str": "{'a': 1}", "phase": caffe.TEST, "bottoms": 1, "types": ("RawBlobVec", "Blob")}
    net.blobs["data"].data[...] = 1
    assert (net.forward()["y"] == 8).all()
    net.blobs["y"].diff[...] = 1
    assert (net.backward()["data"] == 8).all()
    assert layer.calls == ["setup", "reshape", "reshape", "forward", "backward"]
    assert layer.propagate_down == ("BoolVec", [True])


def test_the_layer_of_the_net_is_the_users_object(net):
    layer = net.layers[1]
    assert layer is net.layer_dict["p"] and type(layer).__name__ == "Recorder" and isinstance(layer, caffe.Layer)
    assert layer.type == "Python" and isinstance(layer.param_str, str)


def test_param_str_is_empty_by_default(tmp_path):
    net = build(tmp_path, input_layer(2, 3) + python_layer("p", "Recorder", ["data"], ["y"]), caffe.TRAIN)
    assert net.layer_dict["p"].seen["param_str"] == "" and net.layer_dict["p"].seen["phase"] == caffe.TRAIN


def test_its_parameters_are_parameters_of_the_net(net, tmp_path):
    assert {name: [tuple(b.shape) for b in blobs] for name, blobs in net.params.items()} == {"p": [(2, 3)]}
    net.params["p"][0].data[...] = 3
    net.save(str(tmp_path / "a.caffemodel"))
    net.params["p"][0].data[...] = 0
    net.copy_from(str(tmp_path / "a.caffemodel"))
    assert (net.params["p"][0].data == 3).all()


def test_its_parameters_learn(tmp_path):
    (tmp_path / "net.prototxt").write_text(
        input_layer(1, 3) + python_layer("p", "Recorder", ["data"], ["y"], "loss_weight: 1"))
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/net.prototxt" base_lr: 0.5 lr_policy: "fixed" solver_mode: CPU')
    solver = caffe.SGDSolver(str(tmp_path / "solver.prototxt"))
    solver.net.blobs["data"].data[...] = [[1, 2, 3]]
    solver.step(1)
    assert solver.net.params["p"][0].data[0, 0] == 4 - 0.5 * 2 * 6


def test_labels_and_gradients_between_python_and_native_layers(tmp_path, rng):
    """A Python layer in the middle: the same as the same net without it."""
    ip = """layer {{ name: "{0}" type: "InnerProduct" bottom: "{1}" top: "{0}"
                    inner_product_param {{ num_output: 3 weight_filler {{ type: "xavier" }} }} }}\n"""
    head = "force_backward: true\n" + input_layer(2, 3) + ip.format("a", "data")
    with_it = build(tmp_path, head + python_layer("p", "Copy", ["a"], ["c"]) + ip.format("b", "c"))
    without = build(tmp_path, head + ip.format("b", "a"))
    without.share_with(with_it)
    x, diff = rng.standard_normal((2, 2, 3)).astype(np.float32)
    results = []
    for net in (with_it, without):
        out = net.forward(data=x)["b"].copy()
        results.append([out, net.backward(b=diff)["data"].copy(), net.params["a"][0].diff.copy()])
    for ours, theirs in zip(*results, strict=True):
        assert np.array_equal(ours, theirs)
    assert with_it.layer_dict["p"].propagate_down == [True]


def test_in_place_python_layer(tmp_path):
    net = build(tmp_path, input_layer(2, 3) + python_layer("p", "Copy", ["data"], ["data"]))
    net.blobs["data"].data[...] = 2
    assert (net.forward()["data"] == 2).all()


# -- errors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("layer", "error", "message", "where"), [
    ("FailsInSetup", KeyError, "bad setup", "net.prototxt:2: in setup of layer 'p' (Python)"),
    ("FailsInReshape", OSError, "no list", "net.prototxt:2: in setup of layer 'p' (Python)"),
])
def test_errors_in_setup_pass_unchanged_with_their_place(tmp_path, layer, error, message, where):
    with pytest.raises(error, match=message) as caught:
        build(tmp_path, input_layer(2, 3) + python_layer("p", layer, ["data"], ["y"]))
    assert caught.value.__notes__[0].endswith(where)


def test_errors_in_forward_pass_unchanged_with_their_place(tmp_path):
    net = build(tmp_path, input_layer(2, 3) + python_layer("p", "FailsInForward", ["data"], ["y"]))
    with pytest.raises(ValueError, match="^boom in forward") as caught:
        net.forward()
    assert str(caught.value) == "boom in forward"
    assert caught.value.__notes__[0].endswith("net.prototxt:2: in forward of layer 'p' (Python)")


def test_a_missing_backward_is_noticed_when_it_is_called(tmp_path):
    text = input_layer(2, 3) + python_layer("p", "NoBackward", ["data"], ["y"])
    net = build(tmp_path, "force_backward: true\n" + text)
    net.forward()
    with pytest.raises(AttributeError, match="'NoBackward' object has no attribute 'backward'"):
        net.backward()


def test_a_layer_that_cannot_be_found(tmp_path, monkeypatch):
    text = input_layer(2, 3) + python_layer("p", "Copy", ["data"], ["y"])

    def fails(text, message):
        with pytest.raises(caffe.LayerError, match=message):
            build(tmp_path, text)

    fails(text.replace("tests.engine.python_layers", "no_such_module"),
          r"net.prototxt:2: layer 'p' \(Python\): no module 'no_such_module' on sys.path; put its folder on PYTHONPATH")
    fails(text.replace('"Copy"', '"Copyy"'), "Copyy in module 'tests.engine.python_layers' .* does not exist")
    fails(text.replace('"Copy"', '"NoLayer"'), "NoLayer in module .* is not a subclass of caffe.Layer")
    fails(text.replace('layer: "Copy"', ""), "python_param needs both module and layer")
    builtin = types.ModuleType("typed_in")  # a module without a file
    monkeypatch.setitem(sys.modules, "typed_in", builtin)
    fails(text.replace("tests.engine.python_layers", "typed_in"), "Copy in module 'typed_in' .* does not exist")


def test_a_module_that_fails_to_import_says_why_itself(tmp_path, monkeypatch):
    (tmp_path / "broken_layers.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        build(tmp_path, input_layer(2, 3) + python_layer("p", "Copy", ["data"], ["y"]).replace(
            "tests.engine.python_layers", "broken_layers"))
