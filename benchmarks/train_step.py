"""A solver step of the embedded engine beside the same network and update written by hand in PyTorch, and real Caffe.

    python -m benchmarks.train_step                    VGG16-ASPP with a quarter of the channels, 161 px, batch 4
    python -m benchmarks.train_step --width 1 --size 321 --batch 2      the paper's network
    python -m benchmarks.train_step --width 16 --size 65 --batch 1 --steps 50      small layers: overhead shows
    CAFFE_ROOT=/opt/caffe python -m benchmarks.train_step      and the same steps on real Caffe, in a process of its own

Engine and PyTorch have the same weights, pictures, labels and threads; steps are interleaved and the ratio of each pair
counts, so that other load on the machine hits both. First three steps without dropout are compared, to show that both
do the same. `--layout` is that of the network by hand; the engine chooses its own (`benchmarks.layouts`).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.resident_memory import growth

CLASSES, BASE_LR, MOMENTUM, DECAY = 21, 1e-3, 0.9, 5e-4
# channels, convolutions, stride of the pooling, dilation
STAGES = ((64, 2, 2, 1), (128, 2, 2, 1), (256, 3, 2, 1), (512, 3, 1, 1), (512, 3, 1, 2))
BRANCHES = (6, 12, 18, 24)


def net_text(args, labels, dropout):
    """Prototxt of the network; `labels` is the extent of the label maps."""
    from caffe import NetSpec
    from caffe import layers as L
    from caffe import params as P

    learn = [dict(lr_mult=1, decay_mult=1), dict(lr_mult=2, decay_mult=0)]

    def conv(x, n, kernel, dilation=1):
        pad = dilation * (kernel // 2)
        return L.Convolution(x, num_output=n, kernel_size=kernel, pad=pad, dilation=dilation, param=learn,
                             weight_filler=dict(type="msra"))

    n = NetSpec()
    n.data = x = L.Input(shape=dict(dim=[args.batch, 3, args.size, args.size]))
    n.target = target = L.Input(shape=dict(dim=[args.batch, 1, labels, labels]))
    top = x
    for channels, count, stride, dilation in STAGES:
        for _ in range(count):
            top = L.ReLU(conv(top, channels // args.width, 3, dilation), in_place=True)
        top = L.Pooling(top, pool=P.Pooling.MAX, kernel_size=3, stride=stride, pad=1)
    branches = []
    for dilation in BRANCHES:
        branch = top
        for kernel in (3, 1):
            branch = L.ReLU(conv(branch, 1024 // args.width, kernel, dilation if kernel == 3 else 1), in_place=True)
            branch = L.Dropout(branch, in_place=True) if dropout else branch
        branches.append(conv(branch, CLASSES, 1))
    n.loss = L.SoftmaxWithLoss(L.Eltwise(*branches), target)
    return str(n.to_proto())


class ByHand:
    """The same network and update in plain PyTorch, with the weights of a net, where `images` are.

    `rounded`: convolutions run under bf16 autocast, as the engine's do.
    """

    def __init__(self, net, images, labels, dropout, rounded=False, layout=torch.channels_last):
        self.autocast = torch.autocast(images.device.type, torch.bfloat16, enabled=rounded)
        self.layers = [[torch.from_numpy(b.data_memory.array()).to(images.device) for b in blobs]
                       for blobs in net.params.values()]
        self.layers = [[w.contiguous(memory_format=layout).requires_grad_(), b.requires_grad_()]
                       for w, b in self.layers]
        self.parameters = [p for layer in self.layers for p in layer]
        self.history = [torch.zeros_like(p) for p in self.parameters]
        self.images = images.contiguous(memory_format=layout)
        self.labels, self.dropout = labels, dropout

    def loss(self):
        layers = iter(self.layers)

        def conv(x, kernel=3, dilation=1):
            return F.conv2d(x, *next(layers), padding=dilation * (kernel // 2), dilation=dilation)

        with self.autocast:
            total = self.scores(conv)
        return F.cross_entropy(total.float(), self.labels)

    def scores(self, conv):
        x = self.images
        for _, count, stride, dilation in STAGES:
            for _ in range(count):
                x = F.relu(conv(x, dilation=dilation))
            x = F.max_pool2d(x, 3, stride, 1, ceil_mode=True)
        total = 0
        for dilation in BRANCHES:
            y = x
            for kernel in (3, 1):
                y = F.relu(conv(y, kernel, dilation if kernel == 3 else 1))
                y = F.dropout(y) if self.dropout else y
            total = total + conv(y, kernel=1)
        return total

    def step(self):
        for p in self.parameters:
            p.grad = None
        loss = self.loss()
        loss.backward()
        with torch.no_grad():
            for k, (p, v) in enumerate(zip(self.parameters, self.history, strict=True)):
                bias = k % 2
                grad = p.grad if bias else p.grad.add(p, alpha=DECAY)
                v.mul_(MOMENTUM).add_(grad, alpha=BASE_LR * (2 if bias else 1))
                p.sub_(v)
        return loss


def write_solver(folder, args, labels, dropout):
    """Net and solver as files; the solver's path."""
    net, solver = folder / "net.prototxt", folder / "solver.prototxt"
    net.write_text(net_text(args, labels, dropout))
    solver.write_text(f'net: "{net}" base_lr: {BASE_LR} momentum: {MOMENTUM} weight_decay: {DECAY} '
                      'lr_policy: "fixed" random_seed: 1')
    return solver


def seconds_of_real_caffe(args, root, images, target):
    """Median seconds of a step with dropout on the pycaffe of CAFFE_ROOT, with as many threads, on the CPU."""
    with tempfile.TemporaryDirectory() as folder:
        solver = write_solver(Path(folder), args, target.shape[-1], True)
        np.savez(f"{folder}/arrays.npz", data=images.cpu().numpy(), target=target.cpu().float()[:, None].numpy())
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(args.threads))
        command = [os.environ.get("PYTHON") or sys.executable, str(Path(__file__).with_name("caffe_steps.py")),
                   str(solver), str(args.steps), f"{folder}/arrays.npz", *(["--cpu-time"] if args.cpu_time else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder,
                              env={**os.environ, **threads, "PYTHONPATH": f"{root}/python", "GLOG_minloglevel": "2"})
    return statistics.median(json.loads(done.stdout.splitlines()[-1]))


def make_pair(args, images, target, dropout):
    """Solver of the engine and its peer, with the same weights and data."""
    import caffe

    with tempfile.TemporaryDirectory() as folder:
        solver = caffe.get_solver(str(write_solver(Path(folder), args, target.shape[-1], dropout)))
    solver.net.keep_blobs = False           # as training.train and `caffe train` do
    for name, values in zip(solver.net.inputs, (images, target.float()[:, None]), strict=True):
        solver.net.blobs[name].data_memory.write(values)
    return solver, ByHand(solver.net, images, target, dropout, args.precision == "bf16", getattr(torch, args.layout))


def difference(solver, peer):
    """Largest difference of the losses of three steps, relative."""
    worst = 0.0
    for _ in range(3):
        solver.step(1)
        ours, theirs = float(solver.net.blobs[solver.net.outputs[0]].data), float(peer.step().detach())
        worst = max(worst, abs(ours - theirs) / abs(theirs))
    return worst


def memory(step, device):
    """MiB at the peak of some steps, beyond what there was before; None on the CPU."""
    if device.type == "cpu":
        return None
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    step()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def memory_on_the_cpu(args, argv):
    """MiB at the peak of two steps of each side, beyond what there was before, a process each, as a line (Linux)."""
    command = [sys.executable, "-m", "benchmarks.train_step", *argv, "--memory-of"]
    ours, theirs = (float(subprocess.run([*command, side], check=True, capture_output=True, text=True).stdout)
                    for side in ("engine", "hand"))
    return f"two steps take {ours:.0f} against {theirs:.0f} MiB; ratio {ours / theirs:.3f}"


def print_memory(args, images, target):
    """Child of memory_on_the_cpu: print what two steps of one side add to the resident memory at the peak."""
    solver, peer = make_pair(args, images, target, True)
    print(growth(lambda: [solver.step(1) if args.memory_of == "engine" else peer.step() for _ in range(2)]))


def measure(args, solver, peer):
    """Interleaved steps of both: medians, their ratio and, on a GPU, the memory of a step, as a line."""
    times = {"engine": [], "by hand": []}
    sides = (("engine", lambda: solver.step(1)), ("by hand", peer.step))
    device = peer.images.device
    clock = time.process_time if args.cpu_time else time.perf_counter
    for _ in range(args.steps + 2):
        for name, step in sides:
            start = clock()
            step()
            if device.type == "cuda":
                torch.cuda.synchronize()
            times[name].append(clock() - start)
    ratio = statistics.median(a / b for a, b in zip(times["engine"][2:], times["by hand"][2:], strict=True))
    engine, by_hand = (1e3 * statistics.median(values[2:]) for values in times.values())
    peaks = [memory(step, device) for _, step in sides]
    needs = "" if peaks[0] is None else f"; a step takes {peaks[0]:.0f} against {peaks[1]:.0f} MiB"
    return (f"engine {engine:.1f} ms, by hand {by_hand:.1f} ms a step; ratio {ratio:.3f} "
            f"(medians of {args.steps} pairs, {torch.get_num_threads()} threads){needs}")


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train_step", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=4, help="divisor of VGG16's channels")
    parser.add_argument("--size", type=int, default=161, help="height and width of the pictures")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=15, help="pairs of steps that count")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu", help="cpu, or the number of a CUDA device")
    parser.add_argument("--layout", choices=("channels_last", "contiguous_format"), default="channels_last",
                        help="of the network by hand (%(default)s)")
    parser.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="fp32")
    parser.add_argument("--memory-of", choices=("engine", "hand"), help=argparse.SUPPRESS)
    parser.add_argument("--cpu-time", action="store_true", help="compare processor time instead of elapsed time: the "
                        "work done, on a machine that is busy otherwise; with one thread")
    return parser.parse_args(argv)


def compare(argv):
    """{'losses', 'without dropout', 'with dropout': what was found, a line}."""
    import caffe

    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    os.environ.setdefault("GLOG_minloglevel", "1")
    if args.device != "cpu":
        caffe.set_device(int(args.device))
        caffe.set_mode_gpu()
    caffe.set_precision(args.precision)
    labels = (args.size + 7) // 8
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.standard_normal((args.batch, 3, args.size, args.size), dtype=np.float32))
    target = torch.from_numpy(rng.integers(0, CLASSES, (args.batch, labels, labels)))
    images, target = (tensor.to(caffe.device.current()) for tensor in (images, target))
    if args.memory_of:
        print_memory(args, images, target)
        return {}
    found = {"losses": "three steps without dropout differ by "
                       f"{difference(*make_pair(args, images, target, False)):.1e}"}
    for dropout in (False, True):
        pair = make_pair(args, images, target, dropout)
        found["with dropout" if dropout else "without dropout"] = measure(args, *pair)
    if args.device == "cpu" and os.path.exists("/proc/self/clear_refs"):
        found["memory, with dropout"] = memory_on_the_cpu(args, argv)
    root = os.environ.get("CAFFE_ROOT")
    if root and args.device == "cpu" and args.precision == "fp32":
        seconds = seconds_of_real_caffe(args, root, images, target)
        found["real Caffe, with dropout"] = (f"{1e3 * seconds:.1f} ms a step (median of {args.steps}, {args.threads} "
                                             "threads)")
    return found


def main(argv=None):
    for title, text in compare(sys.argv[1:] if argv is None else argv).items():
        print(f"{title}: {text}")


if __name__ == "__main__":
    main()
