"""Weights of nets: shared, saved and copied, as pycaffe does it."""

import caffe
import h5py
import numpy as np
import pytest
from caffe.proto import caffe_pb2

from dsrg.initweights.parameter_shapes import parameter_shapes
from dsrg.io.errors import UserError
from tests.engine.nets import TINY, TWO_HEADS, build, input_layer


@pytest.fixture
def net(tmp_path):
    return build(tmp_path, TWO_HEADS)


def test_share_with_shares_data_and_not_diffs(tmp_path, net):
    other = build(tmp_path, TWO_HEADS)
    assert not np.array_equal(other.params["conv"][0].data, net.params["conv"][0].data)
    assert other.share_with(net) is None
    net.params["conv"][0].data[0, 0, 0, 0] = 7
    net.params["conv"][0].diff[...] = 1
    assert other.params["conv"][0].data[0, 0, 0, 0] == 7 and not other.params["conv"][0].diff.any()


def test_save_writes_layers_as_wired_with_shapes_and_phase(tmp_path, net):
    net.save(str(tmp_path / "a.caffemodel"))
    saved = caffe_pb2.NetParameter.FromString((tmp_path / "a.caffemodel").read_bytes())
    content = [(la.name, la.type, list(la.bottom), list(la.top), la.phase, [list(b.shape.dim) for b in la.blobs])
               for la in saved.layer]
    split = ["conv_relu_0_split_0", "conv_relu_0_split_1"]
    assert saved.name == "a" and content == [
        ("in", "Input", [], ["data"], 1, []),
        ("conv", "Convolution", ["data"], ["conv"], 1, [[4, 3, 3, 3], [4]]),
        ("relu", "ReLU", ["conv"], ["conv"], 1, []),
        ("conv_relu_0_split", "Split", ["conv"], split, 1, []),
        ("ip", "InnerProduct", split[:1], ["ip"], 1, [[5, 48], [5]]),
        ("sig", "Sigmoid", split[1:], ["sig"], 1, [])]
    assert not any(len(b.diff) for la in saved.layer for b in la.blobs)


def test_a_saved_model_of_caffe_is_written_back_byte_for_byte(tmp_path, data_files, net):
    net.copy_from(str(data_files / "a.caffemodel"))
    net.save(str(tmp_path / "b.caffemodel"))
    assert (tmp_path / "b.caffemodel").read_bytes() == (data_files / "a.caffemodel").read_bytes()


def test_save_hdf5_has_a_group_for_every_layer(tmp_path, data_files, net):
    path = str(tmp_path / "a.h5")
    net.save_hdf5(path)
    with h5py.File(path) as ours, h5py.File(data_files / "a.h5") as caffes:
        names, expected = [], []
        ours.visititems(lambda name, item: names.append((name, getattr(item, "shape", None))))
        caffes.visititems(lambda name, item: expected.append((name, getattr(item, "shape", None))))
    assert names == expected
    other = build(tmp_path, TWO_HEADS)
    other.load_hdf5(path)
    assert np.array_equal(other.params["ip"][0].data, net.params["ip"][0].data)
    third = build(tmp_path, TWO_HEADS, weights=path)
    assert np.array_equal(third.params["ip"][0].data, net.params["ip"][0].data)


def test_copy_from_leaves_layers_alone_that_only_one_side_has(tmp_path, net):
    net.save(str(tmp_path / "a.caffemodel"))
    other = build(tmp_path, TWO_HEADS.replace('name: "ip"', 'name: "ip2"'))
    kept = other.params["ip2"][0].data.copy()
    other.copy_from(str(tmp_path / "a.caffemodel"))
    assert np.array_equal(other.params["conv"][0].data, net.params["conv"][0].data)
    assert np.array_equal(other.params["ip2"][0].data, kept)


def test_copy_from_reads_a_v1_model(tmp_path, data_files):
    with np.load(data_files / "v1_net.npz") as z:
        weights, bias = z["param/conv1/0"], z["param/conv1/1"]
    outputs, channels, kernel, _ = weights.shape
    net = build(tmp_path, input_layer(1, channels, 8, 8) + f"""
        layer {{ name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
                convolution_param {{ num_output: {outputs} kernel_size: {kernel} }} }}""")
    net.copy_from(str(data_files / "v1_net.caffemodel"))
    assert np.array_equal(net.params["conv1"][0].data, weights)
    assert np.array_equal(net.params["conv1"][1].data, bias)


# -- what a reader finds and does not find -----------------------------------------------------------------------------

SLASHES = input_layer(1, 2, 5, 5) + """
layer { name: "conv1/7x7" type: "Convolution" bottom: "data" top: "c"
        convolution_param { num_output: 3 kernel_size: 3 weight_filler { type: "gaussian" std: 1 } } }
layer { name: "conv1/7x7/scale" type: "Scale" bottom: "c" top: "s"
        scale_param { bias_term: true filler { type: "uniform" } } }
layer { name: "conv1/relu" type: "ReLU" bottom: "s" top: "r" }
"""


def same_weights(a, b):
    return all(np.array_equal(x.data, y.data) for name in a.params
               for x, y in zip(a.params[name], b.params[name], strict=True))


def test_hdf5_keeps_layers_whose_names_have_slashes(tmp_path):
    first, second = build(tmp_path, SLASHES), build(tmp_path, SLASHES)
    assert not same_weights(first, second)
    path = str(tmp_path / "a.h5")
    first.save_hdf5(path)
    second.load_hdf5(path)
    assert same_weights(first, second)
    with h5py.File(path) as file:  # as Caffe's H5Gcreate puts them: a path of groups
        assert file["data/conv1/7x7/0"].shape == (3, 2, 3, 3) and file["data/conv1/7x7/scale/1"].shape == (3,)
    assert list(parameter_shapes(path, caffe_pb2)) == ["conv1/7x7", "conv1/7x7/scale"]
    with h5py.File(path, "a") as file:
        file["data/conv1/7x7/00"] = np.zeros(4)
    with pytest.raises(UserError, match="'conv1/7x7/00' is no parameter of a layer"):
        parameter_shapes(path, caffe_pb2)


def test_an_hdf5_snapshot_with_slashes_is_restored(tmp_path, tiny):
    text = TINY.replace('"conv1"', '"conv1/a"')
    solver = tiny("snapshot_format: HDF5 momentum: 0.9", net=text)
    solver.step(2)
    solver.snapshot()
    other = tiny("snapshot_format: HDF5 momentum: 0.9", net=text)
    other.restore(str(tmp_path / "snap_iter_2.solverstate.h5"))
    assert same_weights(solver.net, other.net)


@pytest.mark.parametrize("name", ["a//b", "/a", "a/", "./a", "a/."])
def test_names_that_hdf5_would_change_are_refused(tmp_path, name):
    net = build(tmp_path, TWO_HEADS.replace('name: "ip"', f'name: "{name}"'))
    with pytest.raises(caffe.ModelFileError, match=f"'{name}' is not a valid HDF5 path; rename the layer"):
        net.save_hdf5(str(tmp_path / "a.h5"))
    assert not (tmp_path / "a.h5").exists()
    net.save(str(tmp_path / "a.caffemodel"))  # which has no such limits
    assert same_weights(net, build(tmp_path, TWO_HEADS.replace('name: "ip"', f'name: "{name}"'),
                                   weights=str(tmp_path / "a.caffemodel")))


def test_a_name_in_the_place_of_a_parameter_is_refused(tmp_path):
    net = build(tmp_path, TWO_HEADS.replace('name: "ip"', 'name: "conv/0"'))
    with pytest.raises(caffe.ModelFileError, match="'conv/0' is where HDF5 keeps a parameter of layer 'conv'"):
        net.save_hdf5(str(tmp_path / "a.h5"))
    fine = build(tmp_path, TWO_HEADS.replace('name: "relu"', 'name: "conv/0"'))  # which has no parameters
    fine.save_hdf5(str(tmp_path / "a.h5"))
    assert same_weights(fine, build(tmp_path, TWO_HEADS, weights=str(tmp_path / "a.h5")))


def test_hdf5_that_is_no_weights_is_refused(tmp_path, net):
    path = str(tmp_path / "a.h5")
    for content, message in (({"data": [1.0]}, "its 'data' is an array, so this is data"),
                             ({"data/conv": [1.0]}, "'data/conv' is not a Caffe parameter"),
                             ({"data/conv/kernel": [1.0]}, "'data/conv/kernel' is not a Caffe parameter"),
                             ({"data/conv/0": [1.0], "data/conv/kernel": [1.0]}, "kernel' is not a Caffe parameter")):
        with h5py.File(path, "w") as file:
            for name, values in content.items():
                file[name] = values
        with pytest.raises(caffe.ModelFileError, match=message):
            net.load_hdf5(path)


@pytest.mark.parametrize("suffix", ["caffemodel", "h5"])
def test_copying_says_what_was_copied_and_what_not(tmp_path, net, suffix, logged):
    path = str(tmp_path / f"a.{suffix}")
    (net.save if suffix == "caffemodel" else net.save_hdf5)(path)
    build(tmp_path, TWO_HEADS, weights=path)
    assert logged() == [f"Copied 2 of 2 layers with parameters from {path}"]
    build(tmp_path, TWO_HEADS.replace('"ip"', '"ip2"')).copy_from(path)
    assert logged() == [f"Copied 1 of 2 layers with parameters from {path}; left as they were: ip2; not in the net: ip"]


@pytest.mark.parametrize("suffix", ["caffemodel", "h5"])
def test_weights_of_which_nothing_fits_are_refused(tmp_path, net, suffix):
    path = str(tmp_path / f"a.{suffix}")
    (net.save if suffix == "caffemodel" else net.save_hdf5)(path)
    other = build(tmp_path, TWO_HEADS.replace('"ip"', '"ip2"').replace('name: "conv"', 'name: "conv2"'))
    with pytest.raises(caffe.ModelFileError, match=r"none of its layers with parameters \(conv, ip\) has the name of "
                                                   r"one of the net 'a' \(conv2, ip2\)"):
        other.copy_from(path)
    with pytest.raises(caffe.LayerError, match="they have no weights to share"):
        other.share_with(net)
    bare = build(tmp_path, input_layer(2, 3) + 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }')
    bare.copy_from(path)  # nothing to fill, nothing missing
    bare.share_with(net)


def test_a_snapshot_that_lacks_a_layer_is_refused(tmp_path, tiny):
    solver = tiny()
    solver.step(1)
    solver.snapshot()
    model = str(tmp_path / "snap_iter_1.caffemodel")
    message = caffe_pb2.NetParameter.FromString((tmp_path / "snap_iter_1.caffemodel").read_bytes())
    kept = [layer for layer in message.layer if layer.name != "ip"]
    del message.layer[:]
    message.layer.extend(kept)
    (tmp_path / "snap_iter_1.caffemodel").write_bytes(message.SerializeToString())
    other = tiny()
    before = other.net.params["conv1"][0].data.copy()
    with pytest.raises(caffe.ModelFileError, match="snap_iter_1.caffemodel: lacks the layers ip of the net 'tiny'"):
        other.restore(str(tmp_path / "snap_iter_1.solverstate"))
    assert other.iter == 0 and np.array_equal(other.net.params["conv1"][0].data, before)
    other.net.copy_from(model)  # to finetune from it is another matter


def test_a_restore_says_what_it_restored(tmp_path, tiny, logged):
    solver = tiny("momentum: 0.9")
    solver.step(1)
    solver.snapshot()
    logged()
    tiny("momentum: 0.9").restore(str(tmp_path / "snap_iter_1.solverstate"))
    assert logged() == [f"Copied 2 of 2 layers with parameters from {tmp_path}/snap_iter_1.caffemodel",
                        f"Restored iteration 1 from {tmp_path}/snap_iter_1.solverstate: 4 history blobs"]


# -- two layers of one name --------------------------------------------------------------------------------------------

TWINS = input_layer(2, 3) + "".join(
    f'layer {{ NAME type: "InnerProduct" bottom: "{b}" top: "{t}" inner_product_param {{ num_output: 3 '
    'weight_filler { type: "xavier" } } }\n' for b, t in (("data", "one"), ("one", "two")))


@pytest.mark.parametrize("name", ["", 'name: "same"'])
def test_two_layers_of_one_name_are_warned_of_and_neither_saved_nor_loaded(tmp_path, name):
    given = name[7:-1]
    with pytest.warns(UserWarning, match=rf"layers 1 \(InnerProduct\), 2 \(InnerProduct\) are all named '{given}'"):
        net = build(tmp_path, TWINS.replace("NAME", name))
    for save in (net.save, net.save_hdf5):
        with pytest.raises(caffe.LayerError, match=f"cannot write .*/w: .* are all named '{given}'; give each a name"):
            save(str(tmp_path / "w"))
    assert not (tmp_path / "w").exists()
    path = str(tmp_path / "one.caffemodel")
    one = build(tmp_path, TWINS.replace("NAME", name, 1).replace("NAME", 'name: "other"'))
    one.save(path)
    kept = [layer.blobs[0].data.copy() for layer in net.layers[1:]]
    with pytest.raises(caffe.LayerError, match="which of them the weights of '.*one.caffemodel' are for"):
        net.copy_from(path)
    with pytest.raises(caffe.LayerError, match="which of them share their weights"):
        net.share_with(one)
    assert all(np.array_equal(a, layer.blobs[0].data) for a, layer in zip(kept, net.layers[1:], strict=True))


def test_a_file_with_two_layers_of_one_name_is_refused_where_the_name_matters(tmp_path, net):
    net.save(str(tmp_path / "a.caffemodel"))
    message = caffe_pb2.NetParameter.FromString((tmp_path / "a.caffemodel").read_bytes())
    message.layer[4].name = "conv"
    (tmp_path / "a.caffemodel").write_bytes(message.SerializeToString())
    with pytest.raises(caffe.LayerError, match="a.caffemodel' has several layers named 'conv'"):
        net.copy_from(str(tmp_path / "a.caffemodel"))


@pytest.mark.parametrize("extra", ["snapshot: 2", "snapshot: 0"])
def test_a_solver_that_could_not_snapshot_says_so_before_it_trains(tiny, extra):
    text = TINY.replace('name: "ip"', 'name: "conv1"')
    with (pytest.warns(UserWarning, match="are all named 'conv1'"),
          pytest.raises(caffe.LayerError, match="cannot write")):
        tiny(extra + " max_iter: 3", net=text).solve()


@pytest.mark.parametrize("extra", ["snapshot: 2", "snapshot: 0"])
def test_a_solver_whose_names_hdf5_cannot_keep_says_so_before_it_trains(tiny, extra):
    text = TINY.replace('name: "ip"', 'name: "conv1/0"')
    with pytest.raises(caffe.ModelFileError, match=r"snap_iter_<n>.caffemodel.h5: .* 'conv1/0' is where HDF5 keeps"):
        tiny(extra + " snapshot_format: HDF5 max_iter: 3", net=text).solve()
    tiny(extra + " max_iter: 1", net=text).solve()


def test_a_layer_without_parameters_may_have_the_name_of_one_with(tmp_path):
    text = TWO_HEADS.replace('name: "relu"', 'name: "conv"')
    net, other = build(tmp_path, text), build(tmp_path, text)
    for path, save in ((str(tmp_path / "a.caffemodel"), net.save), (str(tmp_path / "a.h5"), net.save_hdf5)):
        net.params["conv"][0].data[...] += 1
        save(path)
        other.copy_from(path)
        build(tmp_path, text).share_with(net)
        assert same_weights(net, other)


# -- parameters shared within a net and with another -------------------------------------------------------------------

def shared_convolutions(*names, share_mode=""):
    return input_layer(2, 1, 6, 6) + "".join(
        f'layer {{ name: "{name}" type: "Convolution" bottom: "data" top: "{name}" '
        f'param {{ name: "w" {share_mode} }} param {{ name: "b" }} '
        'convolution_param { num_output: 2 kernel_size: 3 weight_filler { type: "gaussian" std: 1 } } }\n'
        for name in names)


@pytest.mark.parametrize("names", [("conv", "only_here"), ("only_here", "conv"), ("x", "conv", "y")])
def test_parameters_shared_within_a_net_follow_when_another_net_shares_one_of_them(tmp_path, names):
    """Real Caffe 1.0 redirects the one that both nets have and leaves the others on the old memory."""
    trained = build(tmp_path, shared_convolutions("conv"))
    net = build(tmp_path, shared_convolutions(*names))
    for _ in range(2):  # a solver shares again before each test
        net.share_with(trained)
        trained.params["conv"][0].data[...] += 1
        for name in names:
            assert np.array_equal(net.params[name][0].data, trained.params["conv"][0].data)
            assert np.array_equal(net.params[name][1].data, trained.params["conv"][1].data)
    net.params["conv"][0].diff[...] = 3
    assert not trained.params["conv"][0].diff.any()
    net.blobs["data"].data[...] = np.random.default_rng(0).standard_normal((2, 1, 6, 6))
    outputs = net.forward()
    assert all(np.array_equal(outputs[name], outputs["conv"]) for name in names)


def test_permissively_shared_parameters_of_another_shape_follow_too(tmp_path):
    net = build(tmp_path, shared_convolutions("conv", share_mode="share_mode: PERMISSIVE") + """
        layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" param { name: "w" share_mode: PERMISSIVE }
                inner_product_param { num_output: 3 axis: -1 bias_term: false } }""")
    trained = build(tmp_path, shared_convolutions("conv"))
    net.share_with(trained)
    assert np.array_equal(net.params["ip"][0].data.ravel(), trained.params["conv"][0].data.ravel())


def test_the_test_nets_of_a_solver_see_the_trained_weights_in_layers_of_their_own(tmp_path, tiny):
    text = TINY.replace("param { lr_mult: 10 ", 'param { name: "w" lr_mult: 10 ') + """
        layer { name: "ip_b" type: "InnerProduct" bottom: "pool1" top: "ip_b" param { name: "w" }
                inner_product_param { num_output: 5 } include { phase: TEST } }"""
    solver = tiny("test_iter: 1 test_interval: 2", net=text)
    solver.step(3)
    test = solver.test_nets[0]
    assert np.array_equal(test.params["ip_b"][0].data, solver.net.params["ip"][0].data)
