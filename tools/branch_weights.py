"""Copies fc6 and fc7 of a VGG16 caffemodel into every branch of the paper's net: vgg16_20M to vgg16_20M_mc.

    python -m tools.branch_weights vgg16_20M.caffemodel vgg16_20M_mc.caffemodel

vgg16_20M is DeepLab's VGG16, whose fc6 (3x3) and fc7 have 1024 outputs; the four branches of voc12-vgg16 start from the
same weights, as the original's do. Layers of other names are kept as they are.
"""

import argparse
from pathlib import Path

from google.protobuf.message import DecodeError

from tools.common import UserError, atomic_write, run_main

COPIED = ("fc6", "fc7")


def branched(net, branches):
    """Put `branches` copies of each layer of COPIED in its place, named fc6_1, fc6_2, ..; of a NetParameter with layers
    of either generation.

    Raises
    ------
    UserError
        A layer of COPIED that is missing, or without weights.
    """
    layers = net.layer or net.layers  # those of before 2014 stand in `layers`
    for name in COPIED:
        found = [layer for layer in layers if layer.name == name]
        if len(found) != 1 or not found[0].blobs:
            raise UserError(f"no layer '{name}' with weights; the file has "
                            f"{', '.join(layer.name for layer in layers if layer.blobs) or 'no weights at all'}")
        for k in range(1, branches + 1):
            copy = layers.add()
            copy.CopyFrom(found[0])
            copy.name = f"{name}_{k}"
        layers.remove(found[0])


def parse_args(argv=None):
    parser = argparse.ArgumentParser(prog="python -m tools.branch_weights", description=__doc__.split("\n\n")[0])
    parser.add_argument("source", type=Path, help="caffemodel with fc6 and fc7")
    parser.add_argument("target", type=Path, help="caffemodel to write")
    parser.add_argument("--branches", type=int, default=4, help="number of copies (default: %(default)s)")
    args = parser.parse_args(argv)
    if args.branches < 1:
        parser.error("--branches must be 1 or more")
    return args


def main(argv=None):
    from training.findcaffe import caffe

    args = parse_args(argv)
    net = caffe.proto.caffe_pb2.NetParameter()
    try:
        net.ParseFromString(args.source.read_bytes())
    except DecodeError as error:
        raise UserError(f"{args.source}: no caffemodel, or cut off ({error})") from None
    try:
        branched(net, args.branches)
    except UserError as error:
        raise UserError(f"{args.source}: {error}") from None
    with atomic_write(args.target) as temporary:
        temporary.write_bytes(net.SerializeToString())
    print(f"{args.target}: {' and '.join(COPIED)} in {args.branches} branches")


if __name__ == "__main__":
    run_main(main)
