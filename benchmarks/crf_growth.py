"""How time and memory of the dense CRF grow with the photo: processor seconds and peak memory a megapixel.

    python -m benchmarks.crf_growth [--megapixels 1 4 16] [--labels 21] [--threads 1]

Each size is refined once by a process of its own, as tools.segment does it at a photo's own size (ten steps, widths of
500-pixel photos). Photo and scores are smooth fields of a fiftieth of the height, enlarged, with noise of every pixel.
"""

import argparse
import math
import subprocess
import sys
import time

import cv2
import krahenbuhl2013
import numpy as np

from benchmarks.resident_memory import growth

COARSE = 100        # rows of the fields that are enlarged


def make_input(height, width, labels):
    """A photo (H, W, 3) uint8 and log-probabilities (H, W, labels) float32, with no second array of its size."""
    rng = np.random.default_rng(0)

    def field(channels, span):
        coarse = cv2.GaussianBlur(rng.random((COARSE, COARSE * width // height, channels), np.float32), (0, 0), 2)
        coarse = (coarse - coarse.min()) / np.ptp(coarse) * span
        return [cv2.resize(coarse[..., c], (width, height), interpolation=cv2.INTER_LINEAR) for c in range(channels)]

    image = np.empty((height, width, 3), np.uint8)
    for c, plane in enumerate(field(3, 255)):
        image[..., c] = np.clip(plane + 8 * rng.standard_normal(plane.shape, np.float32), 0, 255)
    unary = np.empty((height, width, labels), np.float32)
    for c, plane in enumerate(field(labels, 8)):
        unary[..., c] = plane
    for row in unary:
        row -= np.log(np.exp(row).sum(-1, keepdims=True))
    return image, np.maximum(unary, np.float32(math.log(1e-5)))


def measure(megapixels, labels, threads):
    """Child: print processor seconds, elapsed seconds and the growth of resident memory at the peak (MB, Linux)."""
    height = round(math.sqrt(megapixels * 1e6 * 3 / 4))
    image, unary = make_input(height, height * 4 // 3, labels)
    spent, start, refined = time.process_time(), time.perf_counter(), []
    memory = growth(lambda: refined.append(krahenbuhl2013.CRF_batch(image[None], unary[None], threads=threads)))
    spent, elapsed = time.process_time() - spent, time.perf_counter() - start
    assert abs(float(refined[0][0, ::97, ::89].sum(-1).mean()) - 1) < 1e-3
    print(spent, elapsed, memory)


def parse_args(argv=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crf_growth", description=__doc__.split("\n")[0])
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 4, 16], help="sizes of photos (%(default)s)")
    parser.add_argument("--labels", type=int, default=21, help="classes (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads of the CRF (%(default)s)")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    if args.measure:
        measure(args.megapixels[0], args.labels, args.threads)
        return
    print(f"{args.labels} classes, {args.threads} threads")
    print(f"{'photo':>8}{'processor':>12}{'elapsed':>11}{'memory':>10}{'a megapixel':>24}")
    for size in args.megapixels:
        command = [sys.executable, "-m", "benchmarks.crf_growth", "--measure", "--megapixels", str(size), "--labels",
                   str(args.labels), "--threads", str(args.threads)]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        spent, elapsed, memory = map(float, out.split())
        print(f"{size:>5g} MP{spent:>10.2f} s{elapsed:>9.2f} s{memory:>7.0f} MB{spent / size:>12.2f} s, "
              f"{memory / size:>5.0f} MB", flush=True)


if __name__ == "__main__":
    main()
