"""The parsers of ``python -m caffe``: Caffe's commands and flags, each with an example in its help."""

import argparse
import sys

import caffe

from . import binary_families, gflags, glog, net_commands, picture_files, upgrade_tools
from .errors import CommandError
from .net_commands import device_number

#: command -> an example of its use
EXAMPLES = {
    "train": "python -m caffe train --solver solver.prototxt --weights init.caffemodel",
    "test": "python -m caffe test --model net.prototxt --weights net.caffemodel --iterations 100",
    "time": "python -m caffe time --model deploy.prototxt --iterations 10 --gpu 0",
    "device_query": "python -m caffe device_query --gpu all",
    "convert_imageset": "python -m caffe convert_imageset --resize_height 256 --resize_width 256 photos/ list.txt db",
    "compute_image_mean": "python -m caffe compute_image_mean db mean.binaryproto",
    "extract_features": "python -m caffe extract_features net.caffemodel net.prototxt fc7 features 10 lmdb",
    "upgrade_net_proto_text": "python -m caffe upgrade_net_proto_text old.prototxt new.prototxt",
    "upgrade_net_proto_binary": "python -m caffe upgrade_net_proto_binary old.caffemodel new.caffemodel",
    "upgrade_solver_proto_text": "python -m caffe upgrade_solver_proto_text old.prototxt new.prototxt",
}


class _Parser(argparse.ArgumentParser):
    def _print_message(self, message, file=None):
        """As argparse's, but output that cannot be written is an error, as it is of a command that runs."""
        if file is not sys.stdout or file is None:
            super()._print_message(message, file)
            return
        print(message, end="", flush=True)


def parse(words):
    """Parse a command line in gflags' forms.

    Parameters
    ----------
    words : list of str

    Returns
    -------
    argparse.Namespace
        With `run`, the function that does it, which takes the namespace.
    """
    parser = _Parser(
        prog="python -m caffe", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Caffe's command line (train, test, time, device_query) and its other tools.\n\nFlags are written "
                    "as Caffe's users write them (gflags): -solver x, --solver=x, before or\nafter the command.",
        epilog=f"example: {EXAMPLES['train']}\n\nEach command has a --help of its own, with the flags of the log.")
    parser.add_argument("--version", action="version", version=f"caffe version {caffe.__version__}")
    gflags.add_switch(parser, "traceback", help="print the Python traceback of an error too")
    parsers = _commands(parser.add_subparsers(dest="command", required=True, metavar="COMMAND"))
    return parser.parse_args(gflags.to_argparse(words, gflags.switches_of(*parsers)))


def convert_imageset(args):
    """Make an LMDB of the pictures of a list ("name label" lines).

    Parameters
    ----------
    args : argparse.Namespace
    """
    from .convert_imageset import convert_imageset as convert

    height, width = args.resize_height, args.resize_width
    if bool(width) != bool(height):
        raise CommandError("give --resize_height and --resize_width, or neither")
    if height * width > picture_files.most_pixels():
        raise CommandError(f"--resize_height {height} --resize_width {width}: pictures of {height * width / 1e6:g} "
                           f"megapixels, expected {picture_files.most_pixels() / 1e6:g} at most; give smaller ones, or "
                           "raise --max_megapixels")
    if args.encode_type and not args.encoded:
        glog.info("convert_imageset", "--encode_type asks for encoded pictures, as with --encoded")
    convert(args.root, args.list, args.database, args.gray, args.shuffle, (height, width) if height else None,
            args.check_size, args.encoded or bool(args.encode_type), args.encode_type)


def compute_image_mean(args):
    """Mean of an LMDB's pictures, as a binaryproto for mean_file and as numbers for mean_value.

    Parameters
    ----------
    args : argparse.Namespace
    """
    from .compute_image_mean import compute_image_mean as mean_of

    mean_of(args.database, args.output)


def extract_features(args):
    """Store blobs of a net that feeds itself in LMDBs.

    Parameters
    ----------
    args : argparse.Namespace
    """
    from . import extract_features as tool

    tool.use_device(args.mode, device_number(args.device_id.removeprefix("DEVICE_ID="), "DEVICE_ID"))
    tool.extract_features(args.weights, args.model, args.blobs.split(","), args.databases.split(","), args.batches)


def _positive(text):
    return _at_least(1, text)


def _extent(text):
    return _at_least(0, text)


def _at_least(least, text):
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"'{text}': expected a whole number of {least} or more")
    return value


def _commands(sub):
    """Add the commands to the subparsers; returns their parsers."""
    parsers, common = [], _common_flags()

    def command(name, run, help):
        p = sub.add_parser(name, help=help, description=help, parents=[common],
                           formatter_class=argparse.RawDescriptionHelpFormatter,
                           epilog=f"example: {EXAMPLES[name]}")
        p.set_defaults(run=run)
        parsers.append(p)
        return p

    _add_train(command("train", net_commands.train, _summary(net_commands.train)))
    for name, run in (("test", net_commands.test), ("time", net_commands.time_)):
        p = command(name, run, _summary(run))
        p.add_argument("--model", required=True, help="net prototxt")
        p.add_argument("--weights", required=name == "test", help="caffemodel")
        p.add_argument("--iterations", type=_positive, default=50, help="passes to run")
        p.add_argument("--gpu", help="CUDA device; default: the CPU")
        _add_state(p)
        if name == "time":
            p.add_argument("--phase", choices=("TRAIN", "TEST"), default="TRAIN", help="phase of the net")
    p = command("device_query", net_commands.device_query, _summary(net_commands.device_query))
    p.add_argument("--gpu", help="CUDA devices, separated by commas; default: all")
    _add_database_tools(command)
    for name, main in (("upgrade_net_proto_text", upgrade_tools.net_text),
                       ("upgrade_net_proto_binary", upgrade_tools.net_binary),
                       ("upgrade_solver_proto_text", upgrade_tools.solver_text)):
        p = command(name, lambda args, main=main: main(args.source, args.target), _summary(main))
        p.add_argument("source", help="file to read")
        p.add_argument("target", help="file to write")
        if name == "upgrade_net_proto_binary":
            p.add_argument("--family", choices=binary_families.FAMILIES, default=binary_families.MERGED,
                           help="whose field numbers DeepLab-v2's parameters get: those of the forks merged with BVLC "
                                "Caffe (default) or those of its authors")
            p.set_defaults(run=lambda args: upgrade_tools.net_binary(args.source, args.target, args.family))
    return parsers


def _summary(function):
    return function.__doc__.splitlines()[0]


def _common_flags():
    """A parent parser with the flags that every command takes."""
    common = gflags.log_flags()
    gflags.add_switch(common, "traceback", default=argparse.SUPPRESS, help="print the Python traceback of an error too")
    common.add_argument("--max_megapixels", type=float, metavar="N",
                        help=f"largest picture that is decoded (default: the variable {picture_files.VARIABLE}, or "
                             f"{picture_files.MOST_MEGAPIXELS})")
    return common


def _add_state(p):
    p.add_argument("--level", type=int, default=0, help="network level")
    p.add_argument("--stage", default="", help="network stages, separated by commas")


def _add_train(p):
    p.add_argument("--solver", required=True, help="solver prototxt")
    p.add_argument("--weights", help="caffemodel(s) to start from, separated by commas")
    p.add_argument("--snapshot", help=".solverstate to resume from")
    p.add_argument("--gpu", help="CUDA device; default: as solver_mode says, else the CPU")
    _add_state(p)
    for number, effect in (("sigint", "stop"), ("sighup", "snapshot")):
        p.add_argument(f"--{number}_effect", choices=("snapshot", "stop", "none"), default=effect,
                       help=f"what {number.upper()} does after the iteration under way (default: {effect})")


def _add_database_tools(command):
    backend = dict(type=str.lower, choices=("lmdb",), default="lmdb", help="kind of database")
    p = command("convert_imageset", convert_imageset, _summary(convert_imageset))
    p.add_argument("root", metavar="ROOTFOLDER/", help="put before each name as it is")
    p.add_argument("list", metavar="LISTFILE", help='lines "name label"')
    p.add_argument("database", metavar="DB_NAME", help="LMDB to make")
    gflags.add_switch(p, "gray", help="one channel instead of three")
    gflags.add_switch(p, "shuffle", help="another order than the list's, the same one every time")
    p.add_argument("--backend", **backend)
    p.add_argument("--resize_width", type=_extent, default=0, help="width to resize to")
    p.add_argument("--resize_height", type=_extent, default=0, help="height to resize to")
    gflags.add_switch(p, "check_size", help="refuse pictures of several sizes")
    gflags.add_switch(p, "encoded", help="store the pictures compressed")
    p.add_argument("--encode_type", default="", help="compression: png, jpg ...; default: that of each file")
    p = command("compute_image_mean", compute_image_mean, _summary(compute_image_mean))
    p.add_argument("database", metavar="INPUT_DB", help="LMDB to read")
    p.add_argument("output", metavar="OUTPUT_FILE", nargs="?", help="binaryproto to write")
    p.add_argument("--backend", **backend)
    p = command("extract_features", extract_features, _summary(extract_features))
    p.add_argument("weights", help="caffemodel")
    p.add_argument("model", help="net prototxt with a data layer, phase TEST")
    p.add_argument("blobs", metavar="blob[,blob...]", help="names of blobs")
    p.add_argument("databases", metavar="database[,database...]", help="LMDB to make for each blob")
    p.add_argument("batches", type=_positive, metavar="num_mini_batches", help="forwards to run")
    p.add_argument("backend", metavar="db_type", type=str.lower, choices=("lmdb",), help="lmdb")
    p.add_argument("mode", nargs="?", choices=("CPU", "GPU"), default="CPU", help="CPU or GPU")
    p.add_argument("device_id", nargs="?", default="0", help="CUDA device")
