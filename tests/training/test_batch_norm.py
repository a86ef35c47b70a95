"""A net that learns BatchNorm's statistics is refused on a Caffe whose BatchNorm cannot."""

import re
from types import SimpleNamespace

import caffe
import numpy as np
import pytest
from google.protobuf import text_format

from dsrg.io.errors import UserError
from tests.training.runs import NET, make_run
from tests.training.test_facade import python
from training import batch_norm

LEARNING = 'layer { name: "bn1" type: "BatchNorm" } layer { name: "bn2" type: "BatchNorm" }'
FIXED = 'layer { name: "bn" type: "BatchNorm" batch_norm_param { use_global_stats: true } }'


class DeepLabNet:
    """Subtracts the mean; the variance stays 0, so that the result is divided by the root of eps."""

    def __init__(self, path, phase):
        assert phase == caffe.TRAIN
        self.blobs = {name: SimpleNamespace(data=np.zeros((2, 1, 1, 2), np.float32)) for name in ("in", "bn")}

    def forward(self):
        x = self.blobs["in"].data
        self.blobs["bn"].data[...] = (x - x.mean()) / np.sqrt(1e-5)


@pytest.fixture
def deeplab():
    return SimpleNamespace(Net=DeepLabNet, TRAIN=caffe.TRAIN, proto=caffe.proto)


def test_the_engine_normalises_batches():
    assert batch_norm.normalises_batches(caffe)
    batch_norm.refuse_what_it_cannot_train(caffe, LEARNING)


def test_deeplabs_caffe_is_refused_for_nets_that_learn_statistics(deeplab):
    with pytest.raises(UserError, match=r"layer 'bn1' \(BatchNorm\), one of 2: .*BATCH_NORM=bvlc.*--engine embedded"):
        batch_norm.refuse_what_it_cannot_train(deeplab, LEARNING)


@pytest.mark.parametrize("text", [FIXED, 'layer { name: "c" type: "Convolution" }'])
def test_fixed_statistics_and_nets_without_the_layer_pass(deeplab, text):
    """Nothing to refuse, so this Caffe is not even asked."""
    net = text_format.Parse(text, caffe.proto.caffe_pb2.NetParameter())
    assert not batch_norm.layers_that_learn_statistics(net)
    del deeplab.Net
    batch_norm.refuse_what_it_cannot_train(deeplab, text)


def test_a_layer_that_ends_the_process_is_refused_in_one_line(tmp_path):
    """DeepLab-v2's on the CPU: its failed CHECK must not take the training's process with it."""
    make_run(tmp_path, net=NET.replace('bottom: "conv" top: "conv" dropout_param { dropout_ratio: 0.5 } }',
                                       'bottom: "conv" top: "conv" }\nlayer { name: "bn" type: "BatchNorm" '
                                       'bottom: "conv" top: "conv" }'))
    done = python(["-m", "training.train", "--solver", "solver.prototxt"], tmp_path, "2016",
                  FACADE_BATCH_NORM="deeplab")
    assert done.returncode == 1
    assert re.fullmatch(r"caffe: pycaffe .*\nerror: layer 'bn' \(BatchNorm\), one of 1: this Caffe's BatchNorm does "
                        r"not normalise by the batch .*\n", done.stderr), done.stderr
