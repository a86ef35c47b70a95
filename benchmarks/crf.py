"""Speed and peak memory of the dense CRF against pydensecrf (package pydensecrf2), on the same input in one run.

    python -m benchmarks.crf [--runs N] [--cases NAME ...] [--cpu-time] [--json FILE]

Each case alternates both implementations and prints the median of the ratios of their times, so that other load on
the machine hits both. Inputs are generated: smooth colour fields with noise, scores of the sizes DSRG uses.
Peak memory is that of a process of its own that loads the input, refines it once and ends.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from typing import NamedTuple

import krahenbuhl2013
import numpy as np
from densecrf import _core
from scipy.ndimage import gaussian_filter

from benchmarks.resident_memory import growth

try:
    import pydensecrf.densecrf as peer
except ImportError:
    peer = None


class Case(NamedTuple):
    """One size; `goal` is the ratio to reach."""

    height: int
    width: int
    labels: int
    scale: float
    batch: int
    threads: int
    goal: float
    runs: int


CASES = {
    "41x41x21, 1 thread": Case(41, 41, 21, 12.0, 1, 1, 10, 31),
    "20 of 41x41x21, 2 threads": Case(41, 41, 21, 12.0, 20, 2, 20, 9),
    "375x500x21, 1 thread": Case(375, 500, 21, 1.0, 1, 1, 4, 7),
    "375x500x21, 2 threads": Case(375, 500, 21, 1.0, 1, 2, 7.5, 7),
    "375x500x81, 2 threads": Case(375, 500, 81, 1.0, 1, 2, 8, 3),
}
MEMORY_CASE = "375x500x81, 2 threads"


def make_input(case, seed=0):
    """Images (N, H, W, 3) uint8 and unaries (N, H, W, M) float32: probabilities where scaled, else their logs."""
    images, unaries = [], []
    for n in range(case.batch):
        rng = np.random.default_rng([seed, n])
        smooth = case.height / 20
        base = np.stack([gaussian_filter(rng.random((case.height, case.width)), smooth) for _ in range(3)], -1)
        base = (base - base.min()) / np.ptp(base) * 255
        noise = gaussian_filter(rng.standard_normal(base.shape) * 60, (1, 1, 0)) + rng.standard_normal(base.shape) * 8
        images.append(np.clip(base + noise, 0, 255).astype(np.uint8))
        logits = rng.standard_normal((case.labels, case.height, case.width))
        logits = np.stack([gaussian_filter(plane, case.height / 15) for plane in logits], -1)
        logits *= 3 / logits.std()
        p = np.exp(logits - logits.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        unaries.append(p if case.scale > 1 else np.log(np.maximum(p, 1e-5)))
    return np.stack(images), np.stack(unaries).astype(np.float32)


def ours(case, images, unaries):
    """Refine with this project's core."""
    return krahenbuhl2013.CRF_batch(images, unaries, scale_factor=case.scale, threads=case.threads)


def theirs(case, images, unaries):
    """Refine with pydensecrf, as its documentation says; one thread is all it has."""
    refined = []
    for image, unary in zip(images, unaries, strict=True):
        crf = peer.DenseCRF2D(case.width, case.height, case.labels)
        crf.setUnaryEnergy(np.ascontiguousarray((-unary).transpose(2, 0, 1).reshape(case.labels, -1)))
        crf.addPairwiseGaussian(sxy=3 / case.scale, compat=3)
        crf.addPairwiseBilateral(sxy=80 / case.scale, srgb=13, rgbim=image, compat=10)
        refined.append(np.array(crf.inference(10)).T.reshape(unary.shape))
    return np.stack(refined)


def compare(case, runs, clock=time.perf_counter):
    """Median seconds of both by `clock`, median of the ratios, and the largest difference of q."""
    images, unaries = make_input(case)
    difference = float(np.abs(ours(case, images, unaries) - theirs(case, images, unaries)).max())
    seconds = []
    for _ in range(runs):
        start = clock()
        theirs(case, images, unaries)
        middle = clock()
        ours(case, images, unaries)
        seconds.append((middle - start, clock() - middle))
    seconds = np.array(seconds)
    ratio = float(np.median(seconds[:, 0] / seconds[:, 1]))
    return float(np.median(seconds[:, 0])), float(np.median(seconds[:, 1])), ratio, difference


def peak_memory(case_name, which):
    """MB by which refining once raises the resident memory of a process that holds modules and input."""
    command = [sys.executable, "-m", "benchmarks.crf", "--memory-of", which, "--cases", case_name]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_memory(case_name, which):
    """Child of `peak_memory`: print the growth of its resident memory at the peak (Linux)."""
    case = CASES[case_name]
    images, unaries = make_input(case)
    print(growth(ours if which == "ours" else theirs, case, images, unaries))


def parse_args():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crf", description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="NAME", help="default: all")
    parser.add_argument("--runs", type=int, help="repetitions of each case (default: by size)")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="compare processor time instead of elapsed time: the work done, on a machine that is busy otherwise",
    )
    parser.add_argument("--json", metavar="FILE", help="write the results to FILE as well")
    parser.add_argument("--memory-of", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    args = parse_args()
    if args.memory_of:
        measure_memory(args.cases[0], args.memory_of)
        return 0
    if peer is None:
        print("error: the module pydensecrf is not installed; bash setup.sh --dev brings it", file=sys.stderr)
        return 1
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"{_core.instruction_set()}"
    )
    print(f"{'case':28}{'pydensecrf':>12}{'ours':>10}{'ratio':>8}{'goal':>7}{'max |dq|':>11}")
    results = {}
    for name in args.cases:
        case = CASES[name]
        a, b, ratio, difference = compare(
            case, args.runs or case.runs, time.process_time if args.cpu_time else time.perf_counter
        )
        results[name] = {"pydensecrf_s": a, "ours_s": b, "ratio": ratio, "goal": case.goal, "max_dq": difference}
        print(
            f"{name:28}{a * 1e3:>9.1f} ms{b * 1e3:>7.1f} ms{ratio:>8.1f}{case.goal:>7.1f}{difference:>11.1e}",
            flush=True,
        )
    if MEMORY_CASE in args.cases:
        a, b = peak_memory(MEMORY_CASE, "theirs"), peak_memory(MEMORY_CASE, "ours")
        results["peak memory"] = {"pydensecrf_mb": a, "ours_mb": b, "ratio": a / b, "goal": 2}
        print(
            f"peak memory above the input at {MEMORY_CASE}: pydensecrf {a:.0f} MB, ours {b:.0f} MB, "
            f"ratio {a / b:.1f} (goal 2)"
        )
    if args.json:
        with open(args.json, "w") as file:
            json.dump(results, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
