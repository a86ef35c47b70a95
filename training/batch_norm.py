# PYTHON_ARGCOMPLETE_OK
"""Whether this Caffe trains BatchNorm from batch statistics: DeepLab-v2's does not.

Its layer computes no variance unless `use_global_stats` and `update_global_stats` are set, and on the GPU sends no
gradient through the statistics. DeepLab's own nets keep their statistics fixed and never notice; a net that learns them
would train to nothing without a word.

    python -m training.batch_norm --device 0

ends with status 0 where batch statistics are trained from, 3 where not.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np

from dsrg.find_caffe import is_embedded
from dsrg.io.command_line import command_parser
from dsrg.io.errors import UserError, run_main
from dsrg.io.prototxt_text import parse_prototxt
from dsrg.io.python_path import python_path

#: with `input` of old, which every Caffe reads: DeepLab-v2's has no layer type Input
NET = """
input: "in" input_shape { dim: 2 dim: 1 dim: 1 dim: 2 }
layer { name: "bn" type: "BatchNorm" bottom: "in" top: "bn" }
"""
VALUES = np.array([-7, -3, 3, 7], np.float32).reshape(2, 1, 1, 2)      # mean 0, variance 29


def layers_that_learn_statistics(net):
    """Names of the BatchNorm layers of a NetParameter whose statistics are those of the batch in training.

    Parameters
    ----------
    net : NetParameter

    Returns
    -------
    list of str
    """
    return [layer.name for layer in net.layer
            if layer.type == "BatchNorm" and not layer.batch_norm_param.use_global_stats]


def normalises_batches(caffe):
    """Whether BatchNorm in training gives zero mean and variance one; on the mode (CPU or GPU) that is set.

    Parameters
    ----------
    caffe : module

    Returns
    -------
    bool
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.prototxt")
        path.write_text(NET)
        net = caffe.Net(str(path), caffe.TRAIN)
        net.blobs["in"].data[...] = VALUES
        net.forward()
        return np.allclose(net.blobs["bn"].data, VALUES / np.sqrt(29), atol=1e-3)


def trains_batch_norm(caffe, device="cpu"):
    """The same without danger: DeepLab-v2's layer may end the process on the CPU, so real Caffe is asked in another.

    Parameters
    ----------
    caffe : module
    device : str
        Of --device.

    Returns
    -------
    bool
    """
    if not isinstance(caffe, ModuleType) or is_embedded(caffe):
        return normalises_batches(caffe)
    done = subprocess.run([sys.executable, "-m", "training.batch_norm", "--device", device],
                          env={**os.environ, "PYTHONPATH": python_path(os.environ)}, capture_output=True)
    return done.returncode == 0


def refuse_what_it_cannot_train(caffe, net_text, device="cpu"):
    """UserError for a net that learns statistics on a Caffe whose BatchNorm does not.

    Parameters
    ----------
    caffe : module
    net_text : str
    device : str
        Of --device.

    Raises
    ------
    UserError
    """
    learning = layers_that_learn_statistics(parse_prototxt(net_text, caffe.proto.caffe_pb2.NetParameter(), "net"))
    if learning and not trains_batch_norm(caffe, device):
        raise UserError(f"layer '{learning[0]}' (BatchNorm), one of {len(learning)}: this Caffe's BatchNorm does not "
                        "normalise by the batch (DeepLab-v2's is so); build it with BVLC's (BATCH_NORM=bvlc in "
                        "docker/Dockerfile), set use_global_stats: true, or use --engine embedded")


def main(argv=None):
    """Exit status 0 where this Caffe normalises by the batch on the device, 3 where not."""
    parser = command_parser("training.batch_norm", __doc__)
    parser.add_argument("--device", default="cpu", help="cpu, or the number of a GPU (default: %(default)s)")
    args = parser.parse_args(argv)
    from dsrg.caffe_device import use_machine
    from training.findcaffe import caffe

    use_machine(caffe, args.device, "auto")
    return 0 if normalises_batches(caffe) else 3


if __name__ == "__main__":
    run_main(main)
