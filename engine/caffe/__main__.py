"""``python -m caffe``: Caffe's command line (train, test, time, device_query) and its other tools.

Flags are written as Caffe's users write them (gflags): -solver x, --solver=x, before or after the command.
"""

import argparse
import signal
import sys
import tempfile
import traceback

import torch

import caffe
from caffe import binary_families, device, gflags, glog, torchrun, upgrade_tools
from caffe.errors import readable
from caffe.layer import NativeLayer
from caffe.timer import Timer


def _mode(args):
    if args.gpu is None:
        return
    if args.gpu == "all" or "," in args.gpu:
        raise SystemExit("error: --gpu takes one device here; for several start "
                         "torchrun --nproc-per-node N -m caffe train ...")
    caffe.set_device(int(args.gpu))
    caffe.set_mode_gpu()


def _use_local_rank(args):
    """Under torchrun each process takes the GPU of its rank."""
    rank = torchrun.local_rank()
    if rank is not None and args.gpu is not None:
        args.gpu = str(rank)


def train(args):
    """Train or finetune a model."""
    if args.snapshot and args.weights:
        raise SystemExit("error: give --snapshot to resume or --weights to finetune, not both")
    _use_local_rank(args)
    _mode(args)
    solver = caffe.get_solver(args.solver, args.level, _stages(args))
    for effect, number in ((args.sigint_effect, signal.SIGINT), (args.sighup_effect, signal.SIGHUP)):
        if effect != "none":
            signal.signal(number, lambda *_, effect=effect: setattr(solver, "request", effect))
    for path in (args.weights or "").split(","):
        if path:
            solver.net.copy_from(path)
            for net in solver.test_nets:
                net.copy_from(path)
    solver.solve(args.snapshot)


def _say(line):
    glog.info("caffe.cpp", line)


def test(args):
    """Score a model."""
    _mode(args)
    net = _net(args, caffe.TEST)
    sums, loss = {}, 0.0
    _say(f"Running for {args.iterations} iterations.")
    for index in range(args.iterations):
        loss += net._forward()
        for name in net.outputs:
            values = net.blobs[name].data_memory.array()
            for value in values.ravel():
                _say(f"Batch {index}, {name} = {value:g}")
            sums[name] = sums.get(name, 0.0) + values
    _say(f"Loss: {loss / args.iterations:g}")
    weights = net.blob_loss_weights
    for name in net.outputs:
        for value in sums[name].ravel() / args.iterations:
            tail = f" (* {weights[name]:g} = {weights[name] * value:g} loss)" if weights[name] else ""
            _say(f"{name} = {value:g}{tail}")


def time_(args):
    """Benchmark a model layer by layer, forward and backward."""
    _mode(args)
    net = _net(args, caffe.TEST if args.phase == "TEST" else caffe.TRAIN)
    _ask_every_layer_back(net)
    _say(f"Initial loss: {net._forward():g}")
    net._backward()
    clocks = {"forward": [0.0] * len(net.layers), "backward": [0.0] * len(net.layers)}
    timer, whole = Timer(), Timer()
    for direction in clocks:
        getattr(net, f"before_{direction}")(lambda index: timer.start())
        getattr(net, f"after_{direction}")(_adder(timer, clocks[direction]))
    totals = {"forward": 0.0, "backward": 0.0}
    _say("*** Benchmark begins ***")
    _say(f"Testing for {args.iterations} iterations.")
    for index in range(args.iterations):
        before = sum(totals.values())
        for direction in totals:
            whole.start()
            getattr(net, f"_{direction}")()
            whole.stop()
            totals[direction] += whole.ms
        _say(f"Iteration: {index + 1} forward-backward time: {sum(totals.values()) - before:g} ms.")
    _say("Average time per layer:")
    for k, name in enumerate(net._layer_names):
        for direction in clocks:
            _say(f"{name:>10}\t{direction}: {clocks[direction][k] / args.iterations:g} ms.")
    for direction in totals:
        _say(f"Average {direction.capitalize()} pass: {totals[direction] / args.iterations:g} ms.")
    _say(f"Average Forward-Backward: {sum(totals.values()) / args.iterations:g} ms.")
    _say(f"Total Time: {sum(totals.values()):g} ms.")
    _say("*** Benchmark ends ***")


def _ask_every_layer_back(net):
    """Have each layer run backward with the flags Caffe's `time` passes, though no loss may ask for it.

    A net without a loss passes no gradient to any bottom; what learns still computes the gradients of its parameters.
    """
    for node in net._nodes:
        node.needs_backward |= hasattr(node.layer, "backward")  # a Python layer may define none
        if isinstance(node.layer, NativeLayer):
            node.layer.param_propagate_down = node.param_needs


def _adder(timer, clock):
    def stop(index):
        timer.stop()
        clock[index] += timer.ms

    return stop


def _stages(args):
    return [s for s in args.stage.split(",") if s]


def _net(args, phase):
    return caffe.Net(args.model, phase, level=args.level, stages=_stages(args), weights=args.weights)


def device_query(args):
    """Show what the engine computes on."""
    wanted = range(torch.cuda.device_count())
    if args.gpu not in (None, "all"):
        wanted = [int(index) for index in args.gpu.split(",")]
    if missing := [index for index in wanted if index >= torch.cuda.device_count()]:
        raise SystemExit(f"error: --gpu {missing[0]}: torch {torch.__version__} finds {torch.cuda.device_count()} CUDA "
                         "device(s), numbered from 0")
    print(f"torch {torch.__version__}, CPU threads {torch.get_num_threads()}, bf16 native on the CPU: "
          f"{'yes' if device.native_bf16() else 'no'}")
    if not torch.cuda.is_available():
        print("CUDA devices: none")
    for index in wanted:
        p = torch.cuda.get_device_properties(index)
        print(f"Device id: {index}\n  Name: {p.name}\n  Compute capability: {p.major}.{p.minor}\n"
              f"  Total global memory: {p.total_memory}\n  Multiprocessors: {p.multi_processor_count}")


def convert_imageset(args):
    """Make an LMDB of the pictures of a list ("name label" lines)."""
    from caffe.convert_imageset import convert_imageset as convert

    if bool(args.resize_width) != bool(args.resize_height):
        raise SystemExit("error: give --resize_height and --resize_width, or neither")
    size = (args.resize_height, args.resize_width) if args.resize_height else None
    convert(args.root, args.list, args.database, args.gray, args.shuffle, size, args.check_size, args.encoded,
            args.encode_type)


def compute_image_mean(args):
    """Mean of an LMDB's pictures, as a binaryproto for mean_file and as numbers for mean_value."""
    from caffe.compute_image_mean import compute_image_mean as mean_of

    mean_of(args.database, args.output)


def extract_features(args):
    """Store blobs of a net that feeds itself in LMDBs."""
    from caffe import extract_features as tool

    tool.use_device(args.mode, int(args.device_id.removeprefix("DEVICE_ID=")))
    tool.extract_features(args.weights, args.model, args.blobs.split(","), args.databases.split(","), args.batches)


def _positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value}: expected 1 or more")
    return value


def _commands(sub):
    """Add the commands to the subparsers; returns their parsers."""
    parsers, log = [], gflags.log_flags()

    def command(name, run, help):
        p = sub.add_parser(name, help=help, description=help, parents=[log])
        p.set_defaults(run=run)
        parsers.append(p)
        return p

    _add_train(command("train", train, train.__doc__))
    for name, run in (("test", test), ("time", time_)):
        p = command(name, run, run.__doc__)
        p.add_argument("--model", required=True, help="net prototxt")
        p.add_argument("--weights", required=name == "test", help="caffemodel")
        p.add_argument("--iterations", type=_positive, default=50, help="passes to run")
        p.add_argument("--gpu", help="CUDA device; default: the CPU")
        _add_state(p)
        if name == "time":
            p.add_argument("--phase", choices=("TRAIN", "TEST"), default="TRAIN", help="phase of the net")
    p = command("device_query", device_query, device_query.__doc__)
    p.add_argument("--gpu", help="CUDA devices, separated by commas; default: all")
    _add_database_tools(command)
    for name, main in (("upgrade_net_proto_text", upgrade_tools.net_text),
                       ("upgrade_net_proto_binary", upgrade_tools.net_binary),
                       ("upgrade_solver_proto_text", upgrade_tools.solver_text)):
        p = command(name, lambda args, main=main: main(args.source, args.target), main.__doc__.splitlines()[0])
        p.add_argument("source", help="file to read")
        p.add_argument("target", help="file to write")
        if name == "upgrade_net_proto_binary":
            p.add_argument("--family", choices=binary_families.FAMILIES, default=binary_families.MERGED,
                           help="whose field numbers DeepLab-v2's parameters get: those of the forks merged with BVLC "
                                "Caffe (default) or those of its authors")
            p.set_defaults(run=lambda args: upgrade_tools.net_binary(args.source, args.target, args.family))
    return parsers


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
    p = command("convert_imageset", convert_imageset, convert_imageset.__doc__)
    p.add_argument("root", metavar="ROOTFOLDER/", help="put before each name as it is")
    p.add_argument("list", metavar="LISTFILE", help='lines "name label"')
    p.add_argument("database", metavar="DB_NAME", help="LMDB to make")
    gflags.add_switch(p, "gray", help="one channel instead of three")
    gflags.add_switch(p, "shuffle", help="another order than the list's, the same one every time")
    p.add_argument("--backend", **backend)
    p.add_argument("--resize_width", type=int, default=0, help="width to resize to")
    p.add_argument("--resize_height", type=int, default=0, help="height to resize to")
    gflags.add_switch(p, "check_size", help="refuse pictures of several sizes")
    gflags.add_switch(p, "encoded", help="store the pictures compressed")
    p.add_argument("--encode_type", default="", help="compression: png, jpg ...; default: that of each file")
    p = command("compute_image_mean", compute_image_mean, compute_image_mean.__doc__)
    p.add_argument("database", metavar="INPUT_DB", help="LMDB to read")
    p.add_argument("output", metavar="OUTPUT_FILE", nargs="?", help="binaryproto to write")
    p.add_argument("--backend", **backend)
    p = command("extract_features", extract_features, extract_features.__doc__)
    p.add_argument("weights", help="caffemodel")
    p.add_argument("model", help="net prototxt with a data layer, phase TEST")
    p.add_argument("blobs", metavar="blob[,blob...]", help="names of blobs")
    p.add_argument("databases", metavar="database[,database...]", help="LMDB to make for each blob")
    p.add_argument("batches", type=_positive, metavar="num_mini_batches", help="forwards to run")
    p.add_argument("backend", metavar="db_type", type=str.lower, choices=("lmdb",), help="lmdb")
    p.add_argument("mode", nargs="?", choices=("CPU", "GPU"), default="CPU", help="CPU or GPU")
    p.add_argument("device_id", nargs="?", default="0", help="CUDA device")


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m caffe", description=__doc__)
    parser.add_argument("--version", action="version", version=f"caffe version {caffe.__version__}")
    parsers = _commands(parser.add_subparsers(dest="command", required=True))
    words = sys.argv[1:] if argv is None else argv
    args = parser.parse_args(gflags.to_argparse(words, gflags.switches_of(*parsers)))
    try:
        with gflags.logging(args):
            args.run(args)
    except (ValueError, RuntimeError, OSError) as error:  # the engine's own errors are of these kinds
        sys.exit(f"error: {_line(error)}")
    except Exception as error:  # a layer of the user's, or a bug
        with tempfile.NamedTemporaryFile("w", prefix="caffe-", suffix=".traceback", delete=False) as file:
            traceback.print_exception(error, file=file)
        sys.exit(f"error: {type(error).__name__}: {_line(error)}; this is a bug, here or in a layer of yours; report "
                 f"it with the traceback in {file.name}")


def _line(error):
    """An error's text and its notes, which say in which layer, as one line."""
    return readable("; ".join([str(error), *getattr(error, "__notes__", ())]))


if __name__ == "__main__":
    main()
