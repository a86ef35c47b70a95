"""What a solver step of the embedded engine costs beyond the same network and update written by hand in PyTorch.

    python -m benchmarks.engine_step                    VGG16-ASPP with a quarter of the channels, 161 px, batch 4
    python -m benchmarks.engine_step --width 16 --size 65 --batch 1 --steps 50      small layers: overhead shows

Both sides have the same weights, pictures, labels, layout of memory (channels_last) and threads; steps are interleaved
and the ratio of each pair counts, so that other load on the machine hits both. First three steps without dropout are
compared, to show that both do the same.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

CLASSES, BASE_LR, MOMENTUM, DECAY = 21, 1e-3, 0.9, 5e-4
# channels, convolutions, stride of the pooling, dilation
STAGES = ((64, 2, 2, 1), (128, 2, 2, 1), (256, 3, 2, 1), (512, 3, 1, 1), (512, 3, 1, 2))
BRANCHES = (6, 12, 18, 24)


def net_text(args, labels, dropout):
    """Prototxt of the network; `labels` is the extent of the label maps."""
    from caffe import layers as L
    from caffe import params as P
    from caffe import to_proto

    learn = [dict(lr_mult=1, decay_mult=1), dict(lr_mult=2, decay_mult=0)]

    def conv(x, n, kernel, dilation=1):
        pad = dilation * (kernel // 2)
        return L.Convolution(x, num_output=n, kernel_size=kernel, pad=pad, dilation=dilation, param=learn,
                             weight_filler=dict(type="msra"))

    x = L.Input(shape=dict(dim=[args.batch, 3, args.size, args.size]))
    target = L.Input(shape=dict(dim=[args.batch, 1, labels, labels]))
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
    loss = L.SoftmaxWithLoss(L.Eltwise(*branches), target)
    return str(to_proto(loss))


class ByHand:
    """The same network and update in plain PyTorch, with the weights of a net."""

    def __init__(self, net, images, labels, dropout):
        self.layers = [[torch.from_numpy(b.data_memory.array()) for b in blobs] for blobs in net.params.values()]
        self.layers = [[w.contiguous(memory_format=torch.channels_last).requires_grad_(), b.requires_grad_()]
                       for w, b in self.layers]
        self.parameters = [p for layer in self.layers for p in layer]
        self.history = [torch.zeros_like(p) for p in self.parameters]
        self.images = images.contiguous(memory_format=torch.channels_last)
        self.labels, self.dropout = labels, dropout

    def loss(self):
        layers = iter(self.layers)

        def conv(x, kernel=3, dilation=1):
            return F.conv2d(x, *next(layers), padding=dilation * (kernel // 2), dilation=dilation)

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
        return F.cross_entropy(total, self.labels)

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


def make_pair(args, images, target, dropout):
    """Solver of the engine and its peer, with the same weights and data."""
    import caffe

    with tempfile.TemporaryDirectory() as folder:
        net, solver = Path(folder, "net.prototxt"), Path(folder, "solver.prototxt")
        net.write_text(net_text(args, target.shape[-1], dropout))
        solver.write_text(f'net: "{net}" base_lr: {BASE_LR} momentum: {MOMENTUM} weight_decay: {DECAY} '
                          'lr_policy: "fixed" random_seed: 1')
        solver = caffe.get_solver(str(solver))
    for name, values in zip(solver.net.inputs, (images, target.float()[:, None]), strict=True):
        solver.net.blobs[name].data_memory.write(values)
    return solver, ByHand(solver.net, images, target, dropout)


def difference(solver, peer):
    """Largest difference of the losses of three steps, relative."""
    worst = 0.0
    for _ in range(3):
        solver.step(1)
        ours, theirs = float(solver.net.blobs[solver.net.outputs[0]].data), float(peer.step().detach())
        worst = max(worst, abs(ours - theirs) / abs(theirs))
    return worst


def measure(args, solver, peer, title):
    """Time interleaved steps of both and print the medians."""
    times = {"engine": [], "by hand": []}
    for _ in range(args.steps + 2):
        for name, step in (("engine", lambda: solver.step(1)), ("by hand", peer.step)):
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    ratio = statistics.median(a / b for a, b in zip(times["engine"][2:], times["by hand"][2:], strict=True))
    engine, by_hand = (1e3 * statistics.median(values[2:]) for values in times.values())
    print(f"{title}: engine {engine:.1f} ms, by hand {by_hand:.1f} ms a step; ratio {ratio:.3f} "
          f"(medians of {args.steps} pairs, {torch.get_num_threads()} threads)")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=4, help="divisor of VGG16's channels")
    parser.add_argument("--size", type=int, default=161, help="height and width of the pictures")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=15, help="pairs of steps that count")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    os.environ.setdefault("GLOG_minloglevel", "1")
    labels = (args.size + 7) // 8
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.standard_normal((args.batch, 3, args.size, args.size), dtype=np.float32))
    target = torch.from_numpy(rng.integers(0, CLASSES, (args.batch, labels, labels)))
    print(f"losses of three steps without dropout differ by {difference(*make_pair(args, images, target, False)):.1e}")
    for dropout in (False, True):
        measure(args, *make_pair(args, images, target, dropout), "with dropout" if dropout else "without dropout")


if __name__ == "__main__":
    main()
