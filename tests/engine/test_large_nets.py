"""The time that a large net takes grows with its size, not with the square of it."""

import gc
import time

import caffe
import numpy as np
import pytest
from caffe import layer, modelfile
from caffe.net_spec import layers as L
from caffe.net_spec import to_proto
from caffe.prototxt import parse_net
from caffe.shape_net import ShapeNet

from dsrg.io.errors import UserError
from dsrg.netinspect.checks import State
from dsrg.netinspect.class_counts import refuse_other_classes
from dsrg.netinspect.prototxt_source import MOST_UNKNOWN, Source
from tests.engine.nets import write
from training.loss_watch import loss_names

SMALL, TIMES = 250, 16


def input_layer(count):
    tops = " ".join(f'top: "x{k}"' for k in range(count))
    return f'layer {{ name: "in" type: "Input" {tops} input_param {{ shape {{ dim: 1 dim: 2 }} }} }}\n'


def wide(count):
    """One layer of `count` bottoms."""
    bottoms = " ".join(f'bottom: "x{k}"' for k in range(count))
    return input_layer(count) + f'layer {{ name: "c" type: "Concat" {bottoms} top: "c" }}\n'


def deep(count):
    return input_layer(1) + "".join(f'layer {{ name: "r{k}" type: "ReLU" bottom: "x{k}" top: "x{k + 1}" }}\n'
                                    for k in range(count))


def shared(count):
    """`count` readers of a blob, which share their weights by name."""
    return input_layer(1) + "".join(
        f'layer {{ name: "p{k}" type: "InnerProduct" bottom: "x0" top: "y{k}" param {{ name: "w" }} '
        "inner_product_param { num_output: 1 bias_term: false } }\n" for k in range(count))


def twice(count):
    """Layers in place, each name used by two of them."""
    return input_layer(1) + "".join(f'layer {{ name: "r{k // 2}" type: "ReLU" bottom: "x0" top: "x0" }}\n'
                                    for k in range(count))


def run(path, text):
    net = caffe.Net(path, caffe.TEST)
    net.forward()
    for index in range(len(net.layers)):  # as programs that draw nets ask
        net._top_ids(index), net._bottom_ids(index)


def shapes(path, text):
    net = parse_net(text)
    given = dict.fromkeys(net.layer[0].top, (3, 2))
    assert ShapeNet(net, caffe.TEST, inputs=given).nodes[-1].tops[0].dims[0] == 3


def inspect(path, text):
    assert not [f for f in State(Source(path), "test").findings if f.severity == "error"]


def growth(function, text, folder):
    """How many times the processor's time of a small net one of TIMES its size takes."""
    def seconds(count):
        net = text(count)
        path, begin = write(folder, net), time.process_time()
        function(path, net)
        return time.process_time() - begin

    seconds(2)  # what is imported at the first use
    return seconds(SMALL * TIMES) / seconds(SMALL)


@pytest.mark.parametrize(("function", "text"), [(run, deep), (run, wide), (shapes, wide), (inspect, twice)])
def test_sixteen_times_as_much_takes_nowhere_near_the_square_of_it(function, text, tmp_path):
    # linear: 16 and what memory adds; quadratic in part: toward 256, every time; a busy machine: now and then
    assert any(growth(function, text, tmp_path) < 64 for _ in range(4))


def test_many_parameters_shared_by_one_name_are_one_parameter(tmp_path):
    net = caffe.Net(write(tmp_path, shared(500)), caffe.TEST)
    net.params["p0"][0].data[...] = 7
    assert net.params["p499"][0].data.tolist() == [[7, 7]] and net.blobs["y499"].data.shape == (1, 1)


def test_a_net_in_python_may_be_deeper_than_pythons_stack():
    top = L.Input()
    for _ in range(3000):
        top = L.Eltwise(top, top)
    net = to_proto(top)
    assert len(net.layer) == 3001 and net.layer[0].type == "Input" and net.layer[-1].name == "Eltwise3000"
    assert list(net.layer[-1].bottom) == ["Eltwise2999"] * 2


def test_the_classes_of_a_deep_net_are_those_of_its_last_convolution(tmp_path):
    (tmp_path / "classes.txt").write_text("background\na\nb\n")
    net = parse_net(f'layer {{ name: "d" type: "ImageData" top: "x0" image_data_param {{ source: "{tmp_path}/l" }} }}\n'
                    'layer { name: "fc" type: "InnerProduct" bottom: "x0" top: "x0" inner_product_param '
                    "{ num_output: 3 } }\n" + deep(3000).partition("\n")[2]
                    + 'layer { name: "s" type: "Softmax" bottom: "x3000" top: "s" }')
    refuse_other_classes(net, "net.prototxt")
    net.layer[1].inner_product_param.num_output = 4
    with pytest.raises(UserError, match="layer 'fc' scores 4 classes with background, but the data has 3"):
        refuse_other_classes(net, "net.prototxt")


def test_bottoms_that_nobody_makes_are_all_named_and_compared_for_the_first_few(tmp_path):
    bottoms = " ".join(f'bottom: "y{k}"' for k in range(300))
    text = input_layer(300) + f'layer {{ name: "c" type: "Concat" {bottoms} top: "c" }}\n'
    findings = [f for f in State(Source(write(tmp_path, text)), "test").findings if "makes its bottom" in f.text]
    assert len(findings) == 300 and "its bottom 'y299'; blobs so far: x0, x1, x2, x3, x4, x5, x6, x7, ..." \
        in findings[-1].text
    assert all(len(f.text) < 200 for f in findings)


def test_unknown_fields_are_named_up_to_a_number(tmp_path):
    fields = "\n".join(f"nosuch{k}: 1" for k in range(3 * MOST_UNKNOWN))
    source = Source(write(tmp_path, f'layer {{ name: "a" type: "ReLU"\n{fields}\n}}'))
    assert source.net is None and len(source.findings) == MOST_UNKNOWN
    assert "no field 'nosuch0'" in source.findings[0].text and source.findings[-1].line == MOST_UNKNOWN + 1


def test_the_collector_does_not_look_through_a_net_while_it_is_made_and_written(tmp_path, monkeypatch):
    """It would find nothing, and took a quarter of the time of a net of thousands of layers."""
    seen = {}
    monkeypatch.setattr(layer.NativeLayer, "setup", lambda *a: seen.update(built=gc.isenabled()))
    monkeypatch.setattr(modelfile, "atomic_path", lambda path: seen.update(written=gc.isenabled()))
    path = write(tmp_path, deep(1))
    (tmp_path / "s.prototxt").write_text(f'net: "{path}" base_lr: 1 lr_policy: "fixed" snapshot_prefix: "{tmp_path}/s"')
    solver = caffe.get_solver(str(tmp_path / "s.prototxt"))
    with pytest.raises(TypeError):      # what stands in for the file has nothing to write to
        solver.snapshot()
    assert seen == {"built": False, "written": False} and gc.isenabled()


def test_a_constant_needs_no_generator(monkeypatch, tmp_path):
    """Making one takes longer than filling in most constants; what is drawn is drawn as ever."""
    made = []
    monkeypatch.setattr(layer.NativeLayer, "_filler_rng",
                        lambda self: made.append(self.name) or np.random.default_rng(5))
    text = input_layer(1) + ('layer { name: "p" type: "InnerProduct" bottom: "x0" top: "y" inner_product_param { '
                             'num_output: 2 weight_filler { type: "gaussian" } bias_filler { value: 3 } } }')
    net = caffe.Net(write(tmp_path, text), caffe.TEST)
    assert made == ["p"] and net.params["p"][1].data.tolist() == [3, 3]
    np.testing.assert_array_equal(net.params["p"][0].data,
                                  np.random.default_rng(5).normal(0, 1, (2, 2)).astype(np.float32))


def test_the_names_of_many_losses_are_found_in_one_look_at_the_net(tmp_path):
    """Each look makes a list of all outputs: one for each of 10,000 losses took seven seconds."""
    losses = "".join(f'layer {{ name: "l{k}" type: "EuclideanLoss" bottom: "x0" bottom: "x1" top: "l{k}" }}\n'
                     for k in range(30))

    class Watched(caffe.Net):
        looks = 0

        @property
        def outputs(self):
            self.looks += 1
            return super().outputs

    net = Watched(write(tmp_path, input_layer(2) + losses), caffe.TRAIN)
    assert loss_names(net) == [f"l{k}" for k in range(30)] and net.looks == 1
