"""Random small nets of all layer types, forward and backward, against slopes, against themselves, against real Caffe.

    PYTHONPATH=engine python -m tests.engine.random_nets --count 2000 --seed 1

prints the nets that differ (status 1 if there are any); with CAFFE_ROOT each net is compared with real Caffe as well.

A net is drawn from its seed. It runs in float64, where central differences along random directions
say what its gradients are (:func:`check_slopes`), and in float32 as programs run it: inputs in both memory layouts,
blobs looked at by nobody, before, between forward and backward, or at random, blobs freed once they are used, and the
backward pass of a net that never ran forward (:func:`check_runs`).
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from pathlib import Path

import caffe
import numpy as np
import torch
from caffe.layer import NativeLayer
from caffe.prototxt import parse_net

from tests.engine.random_drawing import draw

CPU = torch.device("cpu")
STEP = 1e-6  # of central differences, in float64
LOOKS = ("never", "before", "between", "at random")
#: layers whose backward pass needs what their own forward pass kept: state and masks that a cold net has not
WARM = {"LSTM", "RNN", "Filter", "Dropout"}


class Disagreement(AssertionError):
    """Two computations of one net that differ."""


class Run:
    """A sample's net with its values, in one dtype.

    Parameters
    ----------
    sample : Sample
    double : bool
        float64: blobs are never looked at through their numpy views, so that they keep what is written into them. That
        is why the engine's own memories and learnable parameters are used here, not pycaffe's float32 faces.
    layout : torch.memory_format
        Of inputs with four axes.
    """

    def __init__(self, sample, double=False, layout=torch.contiguous_format):
        self.sample, self.layout = sample, layout
        self.dtype = torch.float64 if double else torch.float32
        caffe.set_random_seed(sample.seed)
        with warnings.catch_warnings():  # a BatchNorm beside a layer of DeepLab-v2: BVLC Caffe's meaning is checked
            warnings.filterwarnings("ignore", message=".*update_global_stats")
            self.net = caffe.Net.from_param(parse_net(sample.text), sample.phase)
        for layer in self.net.layers:
            if double and isinstance(layer, NativeLayer):
                layer.fp32 = False
        rng = np.random.default_rng(sample.seed)
        self.params = {}
        for k, learnable in enumerate(self.net.learnable):
            values = learnable.blob.data_memory.array().astype(np.float64)
            if learnable.node.param.type == "BatchNorm":  # statistics: any mean, a positive variance and factor
                values = rng.uniform(0.5, 1.5, values.shape)
            elif learnable.node.param.type == "Parameter":
                values = rng.normal(size=values.shape)
            self.params[f"p{k}"] = np.float64(np.float32(values))
        self.weights = {name: np.float64(np.float32(rng.normal(size=self.net.blobs[name].dims)))
                        for name in self.net.outputs if not self.net.blob_loss_weights[name]}

    def tensor(self, values):
        value = torch.from_numpy(np.array(values)).to(self.dtype)
        return value.contiguous(memory_format=self.layout) if value.ndim == 4 else value

    def reset(self, values):
        """Inputs and parameters of these values, layers as if nothing had run."""
        for layer in self.net.layers:
            if isinstance(layer, NativeLayer):
                layer.seek(0)
            if hasattr(layer, "reset"):
                layer.reset()
        for name in self.sample.inputs:
            self.net.blobs[name].data_memory.write(self.tensor(values[name]))
        for k, learnable in enumerate(self.net.learnable):
            learnable.blob.data_memory.write(torch.from_numpy(np.array(values[f"p{k}"])).to(self.dtype))

    def values(self):
        return {**self.sample.inputs, **self.params}

    def loss(self, values):
        """The functional that gradients are of: the net's losses and its other outputs, weighted at random."""
        self.reset(values)
        total = float(self.net.run_forward())
        for name, weights in self.weights.items():
            if name not in self.sample.unread:
                total += float((array(self.net.blobs[name].data_memory) * self.weight_of(name, weights)).sum())
        return total

    def weight_of(self, name, weights):
        shape = self.net.blobs[name].dims
        return weights if weights.shape == shape else np.resize(weights, shape)  # Filter: the shape is that of the data

    def backward(self):
        """Gradients of inputs and parameters after a forward (or none)."""
        for name, weights in self.weights.items():
            self.net.blobs[name].diff_memory.write(self.tensor(self.weight_of(name, weights)))
        self.net.clear_param_diffs()
        self.net._backward()
        found = {name: array(self.net.blobs[name].diff_memory) for name in self.sample.smooth}
        params = {f"p{k}": array(p.blob.diff_memory) for k, p in enumerate(self.net.learnable)
                  if p.node.param.type != "BatchNorm"}
        return {**found, **params}

    def outputs(self):
        return {name: array(self.net.blobs[name].data_memory) for name in self.net.outputs}

    def look(self, share=1.0, rng=None):
        """Take the numpy views of blobs."""
        for name, blob in self.net.blobs.items():
            if name != "(automatic)" and (rng is None or rng.random() < share):
                assert blob.data.shape == blob.diff.shape


def array(memory):
    """A copy in float64 that exposes nothing."""
    return memory.read(CPU).detach().double().numpy().copy()


# ---- checks ------------------------------------------------------------------------------------------------


def check_slopes(sample, run, grads):
    """Compare gradients with central differences along random directions; the number of slopes compared.

    Where the slopes to both sides differ, a kink (of a ReLU, a maximum) lies at the place: it is left out.
    """
    rng = np.random.default_rng(sample.seed + 1)
    values = run.values()
    middle, compared = run.loss(values), 0
    for name, grad in grads.items():
        grad = grad.reshape(values[name].shape)  # a layer in place may have given an input another shape
        for _ in range(2):
            direction = rng.normal(size=grad.shape)
            if rng.integers(2) and direction.size > 1:  # one value alone
                direction = direction * (np.arange(grad.size) == rng.integers(grad.size)).reshape(grad.shape)
            after, before = (run.loss({**values, name: values[name] + s * STEP * direction}) for s in (1, -1))
            right, left = (after - middle) / STEP, (middle - before) / STEP
            slope, expected = (right + left) / 2, float((grad * direction).sum())
            size = np.abs(grad * direction).sum() + abs(slope)
            noise = 1e-9 * (1 + abs(middle)) / STEP
            if abs(right - left) > 1e-3 * size + 20 * noise:
                continue
            if not abs(slope - expected) <= 1e-3 * size + noise:
                raise Disagreement(f"gradient of {name}: {expected:.7g} along a direction, differences say {slope:.7g}")
            compared += 1
    return compared


def is_steady(run):
    """Whether outputs and gradients change little with the values, so that float32 can tell something.

    In float32 as well: a difference of equal numbers that another layer divides by is steady in float64 alone.
    """
    smooth = {*run.sample.smooth, *run.params}
    single = Run(run.sample)
    for which, size, slope in ((run, 1e-6, 200), (run, 1e-5, 200), (single, 1e-6, 2000)):
        rng, found = np.random.default_rng(run.sample.seed + 2), []
        for noise in (0, size):
            values = {k: v + noise * rng.normal(size=v.shape) * (k in smooth) for k, v in run.values().items()}
            which.reset(values)
            which.net._forward()
            found.append({**{f"output {k}": v for k, v in which.outputs().items()}, **which.backward()})
        here, there = found
        if any(not np.abs(there[k] - v).max(initial=0) <= slope * size * (1e-2 + np.abs(v).max(initial=0))
               for k, v in here.items()):
            return False
    return True


def compare(what, ours, expected):
    for name, right in expected.items():
        have = ours[name]
        bound = 2e-3 * np.abs(right).max(initial=0) + 2e-5
        if have.size == right.size:  # a layer in place may have given an input another shape
            have = have.reshape(right.shape)
        if have.shape != right.shape or not np.abs(have - right).max(initial=0) <= bound:
            raise Disagreement(f"{what}: {name} is {have.ravel()[:6]}, float64 says {right.ravel()[:6]}")


def check_runs(sample, outputs, grads):
    """Compare float32 runs of a net, with and without access to its blobs, with its float64 run."""
    for number, look in enumerate(LOOKS):
        for layout in (torch.contiguous_format, torch.channels_last):
            rng = np.random.default_rng(sample.seed + 3)
            run = Run(sample, layout=layout)
            if look == "before":
                run.look()
            for repeat in range(2):
                run.reset(run.values())
                if look == "at random":
                    run.look(0.3, rng)
                run.net._forward()
                if look in ("between", "at random"):
                    run.look(1 if look == "between" else 0.3, rng)
                what = f"float32, blobs seen {look}, {layout}, run {repeat}"
                compare(what, run.outputs(), outputs)
                compare(what, run.backward(), grads)
            if number == 0:
                compare(f"{what}, second backward", run.backward(), grads)
    check_freed(sample, outputs, grads)


def check_freed(sample, outputs, grads):
    """Compare a net that keeps no blobs after backward, seen by nobody and at random, with its float64 run."""
    for look in (0, 0.3):
        rng = np.random.default_rng(sample.seed + 4)
        run = Run(sample)
        run.net.keep_blobs = False
        for repeat in range(2):
            run.reset(run.values())
            run.look(look, rng)
            run.net._forward()
            what = f"float32, blobs freed, {look} of them seen, run {repeat}"
            compare(what, run.outputs(), outputs)
            compare(what, run.backward(), grads)
            compare(what, run.outputs(), outputs)


def check_cold(sample, warm, grads):
    """Compare the backward pass of a net that never ran, with the blobs of one that did, with that one's."""
    if sample.inplace or WARM.intersection(sample.types):
        return
    run = Run(sample)
    run.reset(run.values())
    for name, blob in run.net.blobs.items():
        if name != "(automatic)":
            blob.data_memory.write(warm.net.blobs[name].data_memory.read(CPU).float())
    compare("backward without forward", run.backward(), grads)


def check(sample):
    """All checks of one net; the number of slopes compared."""
    exact = Run(sample, double=True)
    exact.reset(exact.values())
    exact.net._forward()
    outputs, grads = exact.outputs(), exact.backward()
    if not all(np.abs(v).max(initial=0) < 1e6 for v in (*outputs.values(), *grads.values())):
        return 0  # not a number, or too large to tell anything
    compared = check_slopes(sample, exact, grads)
    if is_steady(exact):
        check_runs(sample, outputs, grads)
        exact.reset(exact.values())
        exact.net._forward()
        check_cold(sample, exact, grads)
    return compared


# ---- real Caffe --------------------------------------------------------------------------------------------


def known_to_differ(sample):
    """Whether a net holds what real Caffe is known to compute otherwise (engine/README.md, "What differs")."""
    shares = set()      # blobs whose diff is another blob's memory there
    for layer in parse_net(sample.text).layer:
        if layer.type == "Flatten" and layer.bottom[0] in shares:
            return True
        power = layer.power_param
        if layer.type == "Power" and power.shift == 0 and power.power not in (0, 1, 2):
            return True
        if (layer.type in ("Reshape", "LSTM", "RNN") or layer.type == "Concat" and len(layer.bottom) == 1
                or layer.type == "Slice" and len(layer.top) == 1):
            shares.update(layer.top)
    return False


def check_caffe(samples, root):
    """Run nets in real Caffe (root/python), which has a process of its own.

    Returns
    -------
    list of str
        Messages about nets that it computes otherwise.
    Counter
        Why it ended at others: a failed CHECK, by its text.
    """
    with tempfile.TemporaryDirectory() as folder:
        for sample in samples:
            if known_to_differ(sample):
                continue
            exact = Run(sample, double=True)
            exact.reset(exact.values())
            exact.net._forward()
            outputs, grads = exact.outputs(), exact.backward()
            if not is_steady(exact):
                continue
            names = {f"p{k}": f"{p.layer_name}/{p.index}" for k, p in enumerate(exact.net.learnable)}
            groups = {"in": sample.inputs, "weight": exact.weights, "param": exact.params, "out": outputs,
                      "grad": grads}
            arrays = {f"{group}/{names.get(k, k)}": v for group, values in groups.items() for k, v in values.items()}
            Path(folder, f"{sample.seed}.prototxt").write_text(sample.text)
            np.savez(Path(folder, f"{sample.seed}.npz"), phase=sample.phase, **arrays)
        env = dict(os.environ, PYTHONPATH=os.path.join(root, "python"), GLOG_minloglevel="2")
        return _compare(Path(folder), env)


def _compare(folder, env):
    """Run the script that takes nets out of the folder until none is left: a failed CHECK ends real Caffe's process."""
    messages, refused = [], Counter()
    while True:
        done = subprocess.run([sys.executable, Path(__file__).with_name("random_nets_caffe.py"), folder], env=env,
                              capture_output=True, text=True)
        messages += done.stdout.splitlines()
        left = sorted(folder.glob("*.prototxt"))
        if not left and done.returncode in (0, 1):
            return messages, refused
        if not left or done.returncode >= 0:        # an exception in Python's part: a fault of the comparison
            raise RuntimeError(f"real Caffe ended with status {done.returncode}: {done.stderr[-2000:]}")
        fatal = re.search(r"^F.*?\] (.*)", done.stderr, re.M)
        refused[fatal[1] if fatal else f"status {done.returncode}: {done.stderr[-300:]}"] += 1
        left[0].unlink()


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m tests.engine.random_nets", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200, help="number of nets (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first net; each next one counts one up")
    parser.add_argument("--only", nargs="+", metavar="TYPE", help="layer types to draw from (default all)")
    args = parser.parse_args(argv)
    wrong = slopes = 0
    for seed in range(args.seed, args.seed + args.count):
        sample = None
        try:
            sample = draw(seed, only=args.only)
            slopes += check(sample)
        except Exception as error:
            wrong += 1
            kind = "" if isinstance(error, Disagreement) else traceback.format_exc(limit=-4)
            print(f"seed {seed}: {type(error).__name__}: {error}\n{kind}{sample.text if sample else ''}", flush=True)
    root = os.environ.get("CAFFE_ROOT")
    if root:
        seeds = range(args.seed, args.seed + args.count)
        messages, refused = check_caffe([draw(s, plain=True, only=args.only) for s in seeds], root)
        wrong += len(messages)
        print(*messages, *(f"real Caffe ends at {count}: {why}" for why, count in refused.most_common()), sep="\n")
    print(f"{args.count} nets, {slopes} slopes, {'with' if root else 'without'} real Caffe: {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
