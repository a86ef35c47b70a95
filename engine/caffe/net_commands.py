"""What ``python -m caffe`` does with nets: train, test, time, device_query; each takes its parsed arguments."""

import signal

import torch

import caffe
from caffe import device, glog, torchrun
from caffe.errors import CommandError
from caffe.layer import NativeLayer
from caffe.timer import Timer


def _mode(args):
    if args.gpu is None:
        return
    if args.gpu == "all" or "," in args.gpu:
        raise CommandError("--gpu takes one device here; for several start torchrun --nproc-per-node N -m caffe train "
                           "...")
    caffe.set_device(device_number(args.gpu, "--gpu"))
    caffe.set_mode_gpu()


def device_number(text, what):
    """The number of a device.

    Parameters
    ----------
    text : str
    what : str
        What messages call it: "--gpu".

    Returns
    -------
    int

    Raises
    ------
    CommandError
        No number, or one beyond any device's.
    """
    if not (text.isdecimal() and len(text) < 10):
        raise CommandError(f"{what} {text[:80]}: expected the number of a CUDA device, from 0")
    return int(text)


def _use_local_rank(args):
    """Under torchrun each process takes the GPU of its rank."""
    rank = torchrun.local_rank()
    if rank is not None and args.gpu is not None:
        args.gpu = str(rank)


def train(args):
    """Train or finetune a model.

    Parameters
    ----------
    args : argparse.Namespace
    """
    if args.snapshot and args.weights:
        raise CommandError("give --snapshot to resume or --weights to finetune, not both")
    _use_local_rank(args)
    _mode(args)
    solver = caffe.get_solver(args.solver, args.level, _stages(args))
    solver.net.keep_blobs = False           # no program is there to read them
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
    """Score a model.

    Parameters
    ----------
    args : argparse.Namespace
    """
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
    """Benchmark a model layer by layer, forward and backward.

    Parameters
    ----------
    args : argparse.Namespace
    """
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
    for node in net.nodes:
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
    """Show what the engine computes on.

    Parameters
    ----------
    args : argparse.Namespace
    """
    wanted = range(torch.cuda.device_count())
    if args.gpu not in (None, "all"):
        wanted = [device_number(index, "--gpu") for index in args.gpu.split(",")]
    if missing := [index for index in wanted if index >= torch.cuda.device_count()]:
        raise CommandError(f"--gpu {missing[0]}: torch {torch.__version__} finds {torch.cuda.device_count()} CUDA "
                           "device(s), numbered from 0")
    print(f"torch {torch.__version__}, CPU threads {torch.get_num_threads()}, bf16 native on the CPU: "
          f"{'yes' if device.native_bf16() else 'no'}")
    if not torch.cuda.is_available():
        print("CUDA devices: none")
    for index in wanted:
        p = torch.cuda.get_device_properties(index)
        print(f"Device id: {index}\n  Name: {p.name}\n  Compute capability: {p.major}.{p.minor}\n"
              f"  Total global memory: {p.total_memory}\n  Multiprocessors: {p.multi_processor_count}")
