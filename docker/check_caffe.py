"""Check that the Caffe at hand serves this project's nets, on the CPU: python -m docker.check_caffe

Loads it as ENGINE and CAFFE_ROOT say, asks for the layer types of the nets, and runs a Python layer forward.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from dsrg.io.errors import UserError, run_main
from training.batch_norm import normalises_batches

TYPES = ("Convolution", "Pooling", "ReLU", "Dropout", "Eltwise", "Concat", "BatchNorm", "Scale", "InnerProduct",
         "Power", "Flatten", "Input", "ImageData", "Python", "Interp", "SegAccuracy", "SoftmaxWithLoss",
         "SigmoidCrossEntropyLoss")

NET = """
layer { name: "scores" type: "Input" top: "scores" input_param { shape { dim: 1 dim: 3 dim: 2 dim: 2 } } }
layer { name: "softmax" type: "Python" bottom: "scores" top: "softmax"
  python_param { module: "pylayers" layer: "SoftmaxLayer" } }
"""


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m docker.check_caffe", description=__doc__.split("\n")[0])
    parser.add_argument("--batch-norm", action="store_true", help="fail also when BatchNorm does not learn statistics")
    args = parser.parse_args(argv)
    from training.findcaffe import caffe

    missing = sorted(set(TYPES) - set(caffe.layer_type_list()))
    if missing:
        raise UserError(f"{caffe.__file__}: this Caffe lacks the layer types {', '.join(missing)}; the nets need them")
    caffe.set_mode_cpu()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.prototxt")
        path.write_text(NET)
        net = caffe.Net(str(path), caffe.TEST)
        net.blobs["scores"].data[...] = 0
        net.forward()
    if not np.allclose(net.blobs["softmax"].data, 1 / 3):
        raise UserError(f"SoftmaxLayer of equal scores gave {net.blobs['softmax'].data.ravel()}, expected 1/3")
    if not normalises_batches(caffe):
        if args.batch_norm:
            raise UserError(f"{caffe.__file__}: BatchNorm does not normalise by the batch, as DeepLab-v2's does not")
        print("note: BatchNorm does not normalise by the batch; nets that learn its statistics are refused")
    print(f"{caffe.__file__}: {len(TYPES)} layer types and a Python layer work")


if __name__ == "__main__":
    run_main(main)
