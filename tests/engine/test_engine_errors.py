"""Where Caffe aborts the process, an exception: who, expected, got, what next, with file and line."""

import re
from pathlib import Path

import caffe
import numpy as np
import pytest
from caffe import ModelFileError, PrototxtError

from tests.engine.nets import CLASSIFIER, TWO_HEADS, build, input_layer, write

IP = 'layer { name: "y" type: "InnerProduct" bottom: "data" top: "y" inner_product_param { num_output: 3 } }\n'


def refused(tmp_path, text, message, error=caffe.LayerError):
    with pytest.raises(error, match=message) as caught:
        build(tmp_path, text)
    return str(caught.value)


def test_unknown_layer_type_names_file_line_and_the_known_types(tmp_path):
    message = refused(tmp_path, input_layer(1, 2) + 'layer { name: "a" type: "Nope" bottom: "data" top: "y" }',
                      r"net.prototxt:2: layer 'a': unknown layer type 'Nope'; known types: ")
    assert "Convolution, " in message


def test_unknown_field_and_syntax_error_name_file_line_and_column(tmp_path):
    refused(tmp_path, 'layer {\n  nam: "x"\n}',
            r"net.prototxt:2:3: LayerParameter has no field 'nam'; did you mean 'name'", PrototxtError)
    refused(tmp_path, 'layer { name: "a" ', r"net.prototxt:1:\d+: ", PrototxtError)


def test_unknown_bottom(tmp_path):
    refused(tmp_path, input_layer(1, 2) + IP.replace('bottom: "data"', 'bottom: "dat"'),
            r"net.prototxt:2: layer 'y' \(InnerProduct\): unknown bottom blob 'dat' .*did you mean 'data'",
            PrototxtError)


def test_a_top_made_twice(tmp_path):
    refused(tmp_path, input_layer(1, 2) + IP + IP.replace('name: "y"', 'name: "z"'),
            r"net.prototxt:3: layer 'z' \(InnerProduct\): top blob 'y' is already made by another layer")


def test_in_place_on_a_layer_that_cannot(tmp_path):
    refused(tmp_path, input_layer(1, 2) + IP.replace('top: "y"', 'top: "data"'),
            r"net.prototxt:2: layer 'y' \(InnerProduct\) cannot work in place: top\[0\] 'data' is its bottom; "
            "give the top another name")


@pytest.mark.parametrize(("layer", "message"), [
    ('name: "a" type: "ReLU" bottom: "data" bottom: "label" top: "y"',
     r"layer 'a' \(ReLU\): 2 bottom blob\(s\), expected 1"),
    ('name: "a" type: "ReLU" bottom: "data"', r"layer 'a' \(ReLU\): 0 top blob\(s\), expected 1"),
    ('name: "a" type: "EuclideanLoss" bottom: "data" top: "l"', r"1 bottom blob\(s\), expected 2"),
    ('name: "a" type: "Concat" top: "l"', r"0 bottom blob\(s\), expected 1 or more"),
    ('name: "a" type: "Accuracy" bottom: "data" bottom: "label" top: "a" top: "b" top: "c"',
     r"3 top .*expected 1 to 2"),
    ('name: "a" type: "TanH" bottom: "data" top: "y" loss_weight: 1 loss_weight: 2',
     r"layer 'a' \(TanH\): 2 loss_weight for 1 tops; give one for each top or none"),
    ('name: "a" type: "TanH" bottom: "data" top: "y" param { lr_mult: 1 }',
     r"layer 'a' \(TanH\): 1 param {...} entries, but the layer has 0 parameter blob\(s\)"),
    ('name: "a" type: "TanH" bottom: "data" top: "y" propagate_down: true propagate_down: false',
     r"layer 'a' \(TanH\): 2 propagate_down for 1 bottoms; give one for each bottom or none"),
    ('name: "a" type: "Deconvolution" bottom: "data" bottom: "label" top: "y" convolution_param { num_output: 1 '
     'kernel_size: 1 }', r"layer 'a' \(Deconvolution\): 2 bottoms but 1 tops; this type makes one top for each bottom"),
])
def test_counts_that_do_not_fit(tmp_path, layer, message):
    refused(tmp_path, input_layer(1, 2, 3, 3) + input_layer(1, 2, 3, 3, name="label") + f"layer {{ {layer} }}",
            "net.prototxt:3: .*" + message)


def test_a_forward_error_names_file_and_line_and_leaves_the_net_whole(tmp_path):
    net = build(tmp_path, TWO_HEADS)
    before = net.forward()["ip"].copy()
    net.blobs["data"].reshape(2, 3, 7, 7)
    message = r"net.prototxt:7: layer 'ip' \(InnerProduct\): the bottom is .* weights were made for 48"
    for call in (net.reshape, net.forward, net.forward):
        with pytest.raises(caffe.LayerError, match=message) as caught:
            call()
        assert str(caught.value).count("net.prototxt") == 1
    net.blobs["data"].reshape(2, 3, 6, 5)
    net.blobs["data"].data[...] = 0
    assert np.array_equal(net.forward()["ip"], before)


# -- weights --------------------------------------------------------------------------------------------------


@pytest.fixture
def trained(tmp_path):
    """A net, its weights, and the path of other weights."""
    net = build(tmp_path, TWO_HEADS)
    path = str(tmp_path / "a.caffemodel")
    net.save(path)
    net.params["conv"][0].data[...] = 5
    return net, path


def unchanged(net):
    return (net.params["conv"][0].data == 5).all()


def test_copy_from_a_missing_file(trained):
    with pytest.raises(RuntimeError, match="^Could not open file nope.caffemodel"):
        trained[0].copy_from("nope.caffemodel")


def test_copy_from_other_shapes_copies_nothing(tmp_path, trained):
    _, path = trained
    net = build(tmp_path, TWO_HEADS.replace("num_output: 5", "num_output: 6"))
    net.params["conv"][0].data[...] = 5
    message = (r"net.prototxt:7: layer 'ip' \(InnerProduct\): parameter 0 is \(6, 48\) here but \(5, 48\) in "
               r"'.*a.caffemodel'; rename the layer to learn it")
    with pytest.raises(caffe.LayerError, match=message):
        net.copy_from(path)
    assert unchanged(net)


def test_copy_from_another_number_of_blobs(tmp_path, trained):
    _, path = trained
    net = build(tmp_path, TWO_HEADS.replace("num_output: 5", "bias_term: false num_output: 5"))
    net.params["conv"][0].data[...] = 5
    with pytest.raises(caffe.LayerError, match=r"layer 'ip' \(InnerProduct\) has 1 parameter blob\(s\), '.*' has 2"):
        net.copy_from(path)
    assert unchanged(net)
    bare = build(tmp_path, TWO_HEADS.replace("num_output: 4", "bias_term: false num_output: 4"))
    bare.save(path)
    with pytest.raises(caffe.LayerError, match=r"layer 'conv' \(Convolution\) has 2 parameter blob\(s\), '.*' has 1"):
        trained[0].copy_from(path)
    with pytest.raises(caffe.LayerError, match=r"has 2 parameter blob\(s\), the other net has 1"):
        trained[0].share_with(bare)
    assert unchanged(trained[0])


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:5] + b"\xff" * 40 + b[45:], lambda b: b""])
def test_copy_from_a_damaged_file(tmp_path, trained, damage):
    net, path = trained
    Path(path).write_bytes(damage(Path(path).read_bytes()))
    with pytest.raises((ModelFileError, caffe.LayerError), match=re.escape(path)):
        net.copy_from(path)
    assert unchanged(net)


def test_share_with_other_shapes(tmp_path, trained):
    other = build(tmp_path, TWO_HEADS.replace("num_output: 5", "num_output: 6"))
    with pytest.raises(caffe.LayerError, match=r"parameter 0 is \(6, 48\) here but \(5, 48\) in the other net"):
        other.share_with(trained[0])
    assert not (other.params["conv"][0].data == 5).any()


# -- solvers --------------------------------------------------------------------------------------------------

SOLVER = 'net: "{net}"\nbase_lr: 0.1 lr_policy: "fixed" max_iter: 3 solver_mode: CPU snapshot_prefix: "{folder}/snap" '


@pytest.fixture
def solver_refused(tmp_path):
    text = SOLVER.format(net=write(tmp_path, CLASSIFIER), folder=tmp_path)

    def check(extra, message, error=caffe.SolverError, replace=("", "")):
        path = write(tmp_path, text.replace(*replace) + extra, "solver.prototxt")
        with pytest.raises(error, match=message):
            caffe.get_solver(path)

    return check


def test_missing_solver_files():
    for build_solver in (caffe.SGDSolver, caffe.get_solver):
        with pytest.raises(RuntimeError, match="^Could not open file nope.prototxt"):
            build_solver("nope.prototxt")


def test_solver_settings_that_cannot_be(solver_refused):
    solver_refused('type: "Sgd"', "solver.prototxt: solver type 'Sgd', expected one of SGD, Nesterov, AdaGrad, RMSProp")
    solver_refused("", "lr_policy 'cosine': expected fixed, step", replace=("fixed", "cosine"))
    solver_refused("", "lr_policy 'step': stepsize 0, expected a positive number", replace=("fixed", "step"))
    solver_refused("", "lr_policy 'poly': max_iter 0, expected", replace=('"fixed" max_iter: 3', '"poly"'))
    for name in ("gamma", "weight_decay", "clip_gradients", "power"):
        for value in ("nan", "inf", "-inf"):
            solver_refused(f"{name}: {value}", f"{name} {value}: expected a finite number")
    solver_refused('regularization_type: "L3"', "regularization_type 'L3': expected L1 or L2")
    solver_refused("iter_size: 0", "iter_size 0: expected 1 or more")
    solver_refused("average_loss: 0", "average_loss 0: expected 1 or more")
    solver_refused('type: "AdaGrad" momentum: 0.9', "AdaGrad solver: momentum 0.9 cannot be used; leave it out")
    solver_refused('type: "RMSProp" rms_decay: 1', "RMSProp solver: rms_decay 1, expected 0 <= rms_decay < 1")
    solver_refused('type: "Adam" momentum: 1', r"Adam solver: momentum 1 and momentum2 0.999, expected \[0, 1\)")
    solver_refused("bas_lr: 1", r"solver.prototxt:2:\d+: .* no field 'bas_lr'; did you mean 'base_lr'", PrototxtError)


def test_nets_of_a_solver_that_do_not_fit(solver_refused, tmp_path):
    solver_refused(f'train_net: "{tmp_path}/net.prototxt"', "give one of net, net_param, .* it has net, train_net")
    solver_refused("", "give one of net, net_param, .* it has none", replace=("net:", "# net:"))
    solver_refused("test_iter: 1", "test nets need test_interval")
    test_net = f'test_net: "{tmp_path}/net.prototxt"'
    solver_refused(f"test_iter: 1 test_interval: 1 {test_net} {test_net}",
                   r"1 test_iter for 2 test net\(s\); give one each")
    solver_refused("test_iter: 1 test_interval: 1 test_state { } test_state { }", r"2 test_state for 1 test net\(s\)")
    solver_refused("", "Could not open file .*gone.prototxt", RuntimeError, replace=("net.prototxt", "gone.prototxt"))


def test_a_snapshot_folder_that_is_missing_is_noticed_before_training(solver_refused):
    solver_refused("snapshot: 1", "snapshot_prefix '.*none/snap': folder '.*none' does not exist or cannot be written; "
                                  "create it", replace=("/snap", "/none/snap"))
    solver_refused("snapshot_diff: true snapshot_format: HDF5", "snapshot_diff is written with .* BINARYPROTO only")


def test_restore_refuses_what_is_not_this_solvers(tmp_path):
    def make(name, text, extra=""):
        text = SOLVER.format(net=write(tmp_path, text, f"{name}.net"), folder=tmp_path).replace("/snap", f"/{name}")
        return caffe.get_solver(write(tmp_path, text + extra, f"{name}.solver"))

    solver = make("one", CLASSIFIER, "momentum: 0.9")
    solver.step(2)
    weights, history = solver.net.params["ip"][0].data.copy(), solver.history()[0][0].clone()
    others = {
        "wide": make("wide", CLASSIFIER.replace("num_output: 4", "num_output: 5")),
        "adam": make("adam", CLASSIFIER, 'type: "Adam"'),
        "renamed": make("renamed", CLASSIFIER.replace('"ip"', '"fc"')),
    }
    for other in others.values():
        other.step(1)
        other.snapshot()

    def refuses(state, message, error=caffe.SolverError):
        with pytest.raises(error, match=message):
            solver.restore(str(tmp_path / state))
        assert solver.iter == 2 and np.array_equal(solver.net.params["ip"][0].data, weights)
        assert (solver.history()[0][0] == history).all()

    refuses("none.solverstate", "Could not open file", RuntimeError)
    refuses("wide_iter_1.solverstate", r"history blob 0 is \(5, 3\), but the parameter of layer 'ip' is \(4, 3\); "
                                       "it was written for another net")
    refuses("adam_iter_1.solverstate", r"holds 4 history blobs, this SGD solver needs 2 \(1 for each of 2 parameters\)")
    refuses("one.solver", "one.solver", ModelFileError)
    (tmp_path / "wide_iter_1.caffemodel").rename(tmp_path / "renamed_iter_1.caffemodel")
    refuses("renamed_iter_1.solverstate", r"parameter 0 is \(4, 3\) here but \(5, 3\)", caffe.LayerError)
    (tmp_path / "renamed_iter_1.caffemodel").unlink()
    refuses("renamed_iter_1.solverstate", r"names the weights '.*', which do not exist; neither does", RuntimeError)
    state = (tmp_path / "adam_iter_1.solverstate").read_bytes()
    (tmp_path / "half.solverstate").write_bytes(state[: len(state) // 2])
    refuses("half.solverstate", "half.solverstate: ", ModelFileError)
