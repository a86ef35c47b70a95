# PYTHON_ARGCOMPLETE_OK
"""Export a trained network for other programs: ONNX, TorchScript, safetensors, a PyTorch checkpoint, a caffemodel.

    python -m tools.export work/demo --stage f --format onnx --out demo.onnx
    python -m tools.export work/demo --format torchscript --out demo.pt
    python -m tools.export models/f_iter_800.caffemodel --format safetensors --out f.safetensors
    python -m tools.export f.safetensors --format caffemodel --out f.caffemodel
    python -m tools.export models/f_iter_800.caffemodel --net deploy.prototxt --classes lists/classes.txt \\
        --format onnx --out f.onnx

onnx and torchscript hold net and weights, with class names and what photos go through first (mean, channel order,
sizes) in the metadata; the scores are the engine's to 1e-4. Any height and width go in where the net allows it. The
other formats hold weights alone, under layer names with numbers (conv1_1.0); the way back to a caffemodel gives the
same bits. docs/export.md shows how to run a file with ONNX Runtime alone.
"""

from pathlib import Path

from dsrg.export import PROGRAMS, WEIGHTS, convert, export_net, export_run
from dsrg.io.class_names import read_classes
from dsrg.io.command_line import command_parser
from dsrg.io.errors import run_main
from dsrg.io.overwriting import refuse_overwriting
from training.recipe_flags import add_stage
from training.shared_flags import add_allow_random


def parse_args(argv):
    parser = command_parser("tools.export", __doc__)
    parser.add_argument("source", type=Path, help="folder of a run, or weights: .caffemodel, .h5, .safetensors, .pth")
    parser.add_argument("--format", choices=(*PROGRAMS, *WEIGHTS), required=True, help="what to write")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="file to write")
    add_stage(parser, "of a run")
    parser.add_argument("--net", type=Path, metavar="PROTOTXT", help="deploy net of the weights, for onnx, torchscript")
    parser.add_argument("--classes", type=Path, metavar="FILE", help="class names in index order, for the metadata")
    parser.add_argument("--output-blob", metavar="NAME", help="export up to this blob alone (all outputs of --net)")
    add_allow_random(parser)
    args = parser.parse_args(argv)
    of_net = args.net or args.classes or args.output_blob or args.allow_random
    if args.source.is_dir() and of_net:
        parser.error("a run brings its own net and class names: leave out --net, --classes and what belongs to them")
    if not args.source.is_dir() and (args.stage or args.format in WEIGHTS and of_net):
        parser.error("--stage is a run's; --net, --classes and what belongs to them are for onnx and torchscript")
    if not args.source.is_dir() and args.format in PROGRAMS and not args.net:
        parser.error(f"--format {args.format} of weights needs their --net")
    return args


def main(argv=None):
    args = parse_args(argv)
    refuse_overwriting(args, {"--out": [args.out]})
    if args.source.is_dir():
        export_run(args.source, args.out, args.stage, args.format)
    elif args.format in WEIGHTS:
        convert(args.source, args.out, args.format)
    else:
        classes = read_classes(args.classes) if args.classes else ()
        export_net(args.net, args.source, args.out, args.format, None, classes, args.output_blob, args.allow_random)
    print(f"{args.out}: {args.out.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    run_main(main)
