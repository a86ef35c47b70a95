# PYTHON_ARGCOMPLETE_OK
"""Make the initial weights of a net from a classifier trained on ImageNet, of Caffe or PyTorch.

    python -m tools.make_init --net prototxts/voc12-vgg16/train-s.prototxt --from VGG_ILSVRC_16_layers.caffemodel \\
        --out vgg16_init.caffemodel
    python -m tools.make_init --net prototxts/msrc15-squeezenet/train-s.prototxt --from squeezenet1_0.pth \\
        --out squeezenet_init.caffemodel

VGG16, ResNet (bottleneck) and SqueezeNet v1.0, by the names of the net's layers. Weights of torchvision are turned
from normalised RGB to the net's BGR minus the mean. VGG16's fc6 and fc7 are reduced where the net has fewer
filters and taps, and go into every branch (fc6_1, fc6_2, ..). Nothing in a file is run.
"""

from dataclasses import replace
from pathlib import Path

from dsrg.initweights.architectures import ARCHITECTURES, recognise
from dsrg.initweights.fit import check_strides, fit
from dsrg.initweights.init_file import save, summary, table
from dsrg.initweights.target_net import read_target
from dsrg.initweights.weight_files import read_store
from dsrg.io.command_line import command_parser
from dsrg.io.errors import UserError, run_main
from dsrg.io.overwriting import refuse_overwriting
from training.findcaffe import import_caffe
from training.shared_flags import number


def parse_args(argv):
    parser = command_parser("tools.make_init", __doc__)
    parser.add_argument("--net", type=Path, required=True, metavar="PROTOTXT", help="net to initialise; its data layer "
                        "says the mean (a deploy net: 104 117 123)")
    parser.add_argument("--from", dest="source", type=Path, required=True, metavar="FILE",
                        help=".caffemodel, .h5, .pth (a state dict) or .safetensors")
    parser.add_argument("--out", type=Path, required=True, help=".caffemodel to write")
    parser.add_argument("--kind", choices=("auto", *(a.kind for a in ARCHITECTURES)), default="auto",
                        help="architecture of the weights (default: told by the names in the file)")
    parser.add_argument("--trained-on", choices=("auto", "rgb", "bgr"), default="auto",
                        help="rgb: values 0..1 normalised as torchvision does; bgr: 0..255 minus the mean (default: "
                        "bgr for Caffe's files, rgb for PyTorch's)")
    parser.add_argument("--mean", type=number, nargs=3, metavar=("B", "G", "R"), help="mean of the net's input, "
                        "instead of its data layer's")
    parser.add_argument("--other-strides", action="store_true", help="copy a ResNet whose strides sit in other layers "
                        "than the net's")
    args = parser.parse_args(argv)
    if args.out.suffix != ".caffemodel":
        parser.error("--out ends in .caffemodel")
    return args


def main(argv=None):
    args = parse_args(argv)
    refuse_overwriting(args, {"--out": [args.out]})
    import_caffe("embedded")
    layers, net_input = read_target(args.net)
    if args.mean:
        net_input = replace(net_input, mean_bgr=tuple(args.mean))
    store = read_store(args.source)
    architecture = recognise(store, args.kind)
    if architecture.first not in layers:
        raise UserError(f"{args.source} is a {architecture.kind}, whose first layer is '{architecture.first}'; "
                        f"{args.net} has none: its layers are {', '.join(list(layers)[:4])}, ..")
    if not args.other_strides:
        check_strides(architecture, layers, args.source, args.net)
    rgb = args.trained_on == "rgb" or args.trained_on == "auto" and store.framework == "torch"
    result = fit(layers, architecture, net_input, rgb)
    save(args.out, args.net, layers, result.arrays)
    print("\n".join(table(result.rows)))
    mean = " ".join(f"{value:g}" for value in net_input.mean_bgr)
    print(f"input: BGR minus {mean}" + (f", times {net_input.scale:g}" if net_input.scale != 1 else "")
          + ("; the weights were trained on normalised RGB" if rgb else "; the weights were trained on BGR, too"))
    print(f"{args.out}: {summary(result.rows)}")


if __name__ == "__main__":
    run_main(main)
