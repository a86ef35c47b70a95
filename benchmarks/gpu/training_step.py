"""What a training step of one of the paper's nets takes on a device, and where the time goes.

    python -m benchmarks.gpu.training_step --stage s --batch 20 --device 0 --json s.json

In each precision: the median step, how long the device had nothing to do (by torch's profiler), copies between host
and device, peak memory; and from a pass that waits for the device after every layer, the share of data, network,
supervision and update. Stage s is run with its Python layers on numpy arrays, too.

The photos are made, the weights random; the work is that of the real training: 321x321 inputs, 21 classes.
"""

import argparse
import json
import os
import re
import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.gpu.narrow_nets import make_narrow
from benchmarks.vgg16_step import make_run, random_weights
from dsrg.io.atomic_files import write_text
from dsrg.io.errors import run_main
from training.findcaffe import caffe
from training.loss_watch import LossWatch

WARM_UP = 4


def make_masks(work):
    """Label maps for stage f and lists for stage f and the classifier, beside what make_run makes."""
    names = [line.split()[0] for line in (work / "lists/input_list.txt").read_text().splitlines()]
    rng = np.random.default_rng(0)
    (work / "made").mkdir()
    pairs = []
    for name in names:
        photo = cv2.imread(str(work / "data/JPEGImages" / name))
        mask = f"/made/{Path(name).stem}.png"
        cv2.imwrite(f"{work}{mask}", rng.integers(0, 21, photo.shape[:2], np.uint8))
        pairs.append(f"/data/JPEGImages/{name} {mask}\n")
    (work / "lists/train_f.txt").write_text("".join(pairs))
    for solver in work.glob("solver-*.prototxt"):       # random weights and masks: a real rate would leave numbers
        solver.write_text(re.sub(r"base_lr: \S+", "base_lr: 1e-9", solver.read_text()))
    (work / "lists/cam_train.txt").write_text((work / "lists/input_list.txt").read_text())


def synchronise():
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def timed_steps(solver, count):
    """Seconds of each of `count` steps, after some that warm up, done and read as training.train does.

    A step's update may still be computed while the next step is prepared.
    """
    watch = LossWatch(solver)
    for _ in range(WARM_UP):
        watch.step()
    synchronise()
    seconds = []
    for k in range(count):
        start = time.perf_counter()
        watch.step()
        if k == count - 1:
            synchronise()
        seconds.append(time.perf_counter() - start)
    return seconds


def busy(solver, count=3):
    """(share of the time in which the device computes or copies, seconds of copies a step), by torch's profiler."""
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    synchronise()
    with profile(activities=[ProfilerActivity.CUDA]) as recorded:
        start = time.perf_counter()
        solver.step(count)
        synchronise()
        wall = time.perf_counter() - start
    spans = [(event.time_range.start, event.time_range.end, event.name) for event in recorded.events()
             if event.device_type == DeviceType.CUDA]
    computing, last = 0.0, float("-inf")
    for begin, end, _ in sorted(spans):
        computing += max(0.0, end - max(begin, last))
        last = max(last, end)
    copies = {way: sum(end - begin for begin, end, name in spans if f"Memcpy {way}" in name) / 1e6 / count
              for way in ("HtoD", "DtoH")}
    return computing / 1e6 / wall, copies


def shares(solver, count=3):
    """{'data', 'network', 'supervision', 'update': seconds a step} with the device waited for after every layer."""
    net, spent, started = solver.net, {}, [0.0]

    def kind(index):
        layer = net.layers[index]
        if len(net.bottom_names[net._layer_names[index]]) == 0 or "Annotation" in type(layer).__name__:
            return "data"
        return "supervision" if layer.type == "Python" or "Loss" in layer.type else "network"

    def begin(index):
        synchronise()
        started[0] = time.perf_counter()

    def end(index):
        synchronise()
        spent[kind(index)] = spent.get(kind(index), 0.0) + time.perf_counter() - started[0]

    for name in ("forward", "backward"):
        getattr(net, f"before_{name}")(begin)
        getattr(net, f"after_{name}")(end)
    start = time.perf_counter()
    solver.step(count)
    synchronise()
    whole = time.perf_counter() - start
    return {name: seconds / count for name, seconds in
            {**spent, "update and the rest": whole - sum(spent.values())}.items()}


def measure(stage, precision, face, steps):
    """Figures of one precision, (title, text) one by one: those that are there stay if a later one fails."""
    caffe.set_precision(precision)
    caffe.device.set_python_layers(face)
    np.random.seed(0)  # noqa: NPY002 (Python layers draw from the global generator in setup)
    solver = caffe.SGDSolver(f"solver-{stage}.prototxt")
    solver.net.keep_blobs = False           # as training.train trains
    random_weights(solver.net)
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    seconds = timed_steps(solver, steps)
    title = precision if face == "auto" else f"{precision}, Python layers on {face}"
    loss = float(np.ravel(solver.net.blobs[solver.net.outputs[0]].data)[0])
    peak = f", peak {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if on_gpu else ""
    yield title, (f"{1e3 * statistics.median(seconds):.1f} ms a step (slowest {1e3 * max(seconds):.1f}; "
                  f"{len(seconds)} steps), loss {loss:.3f}{peak}")
    if on_gpu:
        yield f"{title}, device", told(device_figures, solver)
    yield f"{title}, layer by layer", told(lambda: ", ".join(
        f"{name} {1e3 * part:.1f} ms" for name, part in shares(solver).items()))


def device_figures(solver):
    """How busy the device is, and its copies, as text."""
    share, copies = busy(solver)
    return (f"busy {100 * share:.0f} % of the time; copies to it {1e3 * copies['HtoD']:.1f} ms, from it "
            f"{1e3 * copies['DtoH']:.1f} ms a step")


def told(function, *words):
    """The function's text, or what it failed with: profilers are refused on some machines."""
    try:
        return function(*words)
    except Exception as error:
        return f"not measured: {type(error).__name__}: {' '.join(str(error).split())[:200]}"


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.training_step", description=__doc__.split("\n")[0])
    parser.add_argument("--stage", choices=("s", "f", "cam"), required=True)
    parser.add_argument("--batch", type=int, help="photos a step (default: the net's)")
    parser.add_argument("--steps", type=int, default=15, help="steps that count (%(default)s)")
    parser.add_argument("--device", default="0", help="cpu, or the number of a CUDA device (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="narrow nets and two steps: a rehearsal")
    parser.add_argument("--json", type=Path, help="file for the figures")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    os.environ.setdefault("GLOG_minloglevel", "1")
    if args.device != "cpu":
        caffe.set_device(int(args.device))
        caffe.set_mode_gpu()
    faces = ("auto", "tensors" if args.device == "cpu" else "arrays") if args.stage == "s" else ("auto",)
    found, here = {}, Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        make_run(work, args.batch or 20, photos=8 if args.quick else 80)
        make_masks(work)
        if args.quick:
            for net in work.glob("*.prototxt"):
                make_narrow(net)
        os.chdir(work)
        for face in faces:
            for precision in ("fp32",) if args.quick else ("fp32", "tf32", "bf16"):
                if face != "auto" and precision == "tf32":
                    continue
                for title, text in measure(args.stage, precision, face, 2 if args.quick else args.steps):
                    print(f"{title}: {text}", flush=True)
                    found[title] = text
                    if args.json:
                        write_text(here / args.json, json.dumps(found, indent=1) + "\n")
        os.chdir(here)


if __name__ == "__main__":
    run_main(main)
