"""Whether the Caffe at hand trains BatchNorm from batch statistics: DeepLab-v2's does not.

Its layer computes no variance unless `use_global_stats` and `update_global_stats` are set, and on the GPU sends no
gradient through the statistics. DeepLab's own nets keep their statistics fixed and never notice; a net that learns them
would train to nothing without a word.
"""

import tempfile
from pathlib import Path

import numpy as np
from google.protobuf import text_format

from dsrg.io.errors import UserError

NET = """
layer { name: "in" type: "Input" top: "in" input_param { shape { dim: 2 dim: 1 dim: 1 dim: 2 } } }
layer { name: "bn" type: "BatchNorm" bottom: "in" top: "bn" }
"""
VALUES = np.array([-7, -3, 3, 7], np.float32).reshape(2, 1, 1, 2)      # mean 0, variance 29


def layers_that_learn_statistics(net):
    """Names of the BatchNorm layers of a NetParameter whose statistics are those of the batch in training."""
    return [layer.name for layer in net.layer
            if layer.type == "BatchNorm" and not layer.batch_norm_param.use_global_stats]


def normalises_batches(caffe):
    """Whether BatchNorm in training gives zero mean and variance one; on the mode (CPU or GPU) that is set."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.prototxt")
        path.write_text(NET)
        net = caffe.Net(str(path), caffe.TRAIN)
        net.blobs["in"].data[...] = VALUES
        net.forward()
        return np.allclose(net.blobs["bn"].data, VALUES / np.sqrt(29), atol=1e-3)


def refuse_what_it_cannot_train(caffe, net_text):
    """UserError for a net that learns statistics on a Caffe whose BatchNorm does not."""
    learning = layers_that_learn_statistics(text_format.Parse(net_text, caffe.proto.caffe_pb2.NetParameter()))
    if learning and not normalises_batches(caffe):
        raise UserError(f"layer '{learning[0]}' (BatchNorm), one of {len(learning)}: this Caffe's BatchNorm does not "
                        "normalise by the batch (DeepLab-v2's is so); build it with BVLC's (BATCH_NORM=bvlc in "
                        "docker/Dockerfile), set use_global_stats: true, or use --engine embedded")
