"""What the project's CRF saves where the pipeline uses it, against pydensecrf (package pydensecrf2) in the same run.

    python -m benchmarks.pipeline_crf

1. The supervision block of a training step: softmax, CRF, region growing, balanced seed and constrain loss, forward and
   gradients, batch 20, 21 classes, 41x41 maps of 321x321 photos. Before: pydensecrf, photo by photo, once for CRFLayer
   and once for DSRGLayer, as the original. After: krahenbuhl2013.CRF_batch, once for both.
2. One 375x500 photo of tools.segment after the network: three score maps of 21 classes zoomed to the photo, summed,
   softmax, CRF, labels. Before: photos one after the other with pydensecrf. After: as tools.segment does it, a photo a
   core. The network's time is the same in both and left out.

Prints medians and the ratio; runs are interleaved.
"""

import argparse
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import krahenbuhl2013
import numpy as np
from scipy.ndimage import gaussian_filter

from dsrg.io.voc import MEAN_BGR
from dsrg.io.workers import available_cpus
from dsrg.scoring import multiscale
from dsrg.supervision import losses
from dsrg.supervision.refinement import Refinement
from dsrg.supervision.region_growing import grow_seeds

BATCH, CLASSES, MAP, INPUT = 20, 21, 41, 321
PHOTO = (375, 500)


def smooth_scores(rng, height, width):
    """Scores (C, H, W) with structure of a tenth of the map, as a network gives them."""
    scores = np.stack([gaussian_filter(rng.standard_normal((height, width)), height / 15) for _ in range(CLASSES)])
    return (3 * scores / scores.std()).astype(np.float32)


def smooth_photo(rng, height, width):
    """A picture (H, W, 3) uint8 with soft regions and noise."""
    base = np.stack([gaussian_filter(rng.random((height, width)), height / 20) for _ in range(3)], axis=-1)
    base = (base - base.min()) / np.ptp(base) * 255
    return np.clip(base + 8 * rng.standard_normal(base.shape), 0, 255).astype(np.uint8)


def make_batch(rng):
    """Scores, photos as network input, labels and cues of one training batch."""
    scores = np.stack([smooth_scores(rng, MAP, MAP) for _ in range(BATCH)])
    pictures = [smooth_photo(rng, INPUT, INPUT).transpose(2, 0, 1) for _ in range(BATCH)]
    images = np.stack(pictures).astype(np.float32) - np.reshape(MEAN_BGR, (3, 1, 1))
    labels = np.zeros((BATCH, CLASSES), np.float32)
    cues = np.zeros((BATCH, CLASSES, MAP, MAP), np.float32)
    for k in range(BATCH):
        present = [0, *rng.choice(np.arange(1, CLASSES), 2, replace=False)]
        labels[k, present] = 1
        best = np.array(present)[scores[k][present].argmax(axis=0)]
        for c in present:
            cues[k, c] = (best == c) & (rng.random((MAP, MAP)) < 0.3)
    return scores, images, labels, cues


def supervision_block(scores, images, labels, cues, refinements):
    """One forward and backward of everything between the scores and the losses; `refinements`: one or two objects."""
    probs = losses.floored_softmax(scores)
    for_crf = refinements[0](probs, images)
    for_growing = refinements[-1](probs, images)
    grown = grow_seeds(labels, cues, for_growing, 0.99, 0.85)
    _, seed_gradient = losses.balanced_seed_loss(probs, grown)
    log_refined = np.log(for_crf)
    _, probs_gradient, log_gradient = losses.constrain_loss(probs, log_refined)
    gradient = seed_gradient + probs_gradient + (1 - for_crf) * log_gradient
    return losses.floored_softmax_backward(scores, gradient)


def supervision(repeats):
    """Median seconds of the block (before, after)."""
    batch = make_batch(np.random.default_rng(0))
    times = {"before": [], "after": []}
    for _ in range(repeats):
        krahenbuhl2013.set_backend("pydensecrf")
        times["before"].append(timed(supervision_block, *batch, (Refinement(), Refinement())))
        krahenbuhl2013.set_backend("own")
        shared = Refinement()
        times["after"].append(timed(supervision_block, *batch, (shared, shared)))
    return statistics.median(times["before"]), statistics.median(times["after"])


def label_photo(maps, photo):
    return multiscale.label_map(multiscale.fuse_scores(maps, *PHOTO), photo)


def photos(repeats, count=4):
    """Median seconds a photo (before, after)."""
    rng = np.random.default_rng(1)
    jobs = [([smooth_scores(rng, size, size) for size in (31, 41, 51)], smooth_photo(rng, *PHOTO))
            for _ in range(count)]
    times = {"before": [], "after": []}
    with ThreadPoolExecutor(available_cpus()) as pool:
        for _ in range(repeats):
            krahenbuhl2013.set_backend("pydensecrf")
            times["before"].append(timed(lambda: [label_photo(*job) for job in jobs]))
            krahenbuhl2013.set_backend("own")
            times["after"].append(timed(lambda: list(pool.map(lambda job: label_photo(*job), jobs))))
    return tuple(statistics.median(values) / count for values in times.values())


def timed(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def parse_args(argv=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline_crf", description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=7, help="runs of each, interleaved (default 7)")
    return parser.parse_args(argv)


def main(argv=None):
    repeats = parse_args(argv).repeats
    print(f"{available_cpus()} cores, medians of {repeats} interleaved runs")
    for what, (before, after) in (("supervision block, batch 20", supervision(repeats)),
                                  ("one 375x500 photo after the network", photos(max(2, repeats // 2)))):
        print(f"{what}: {before:.3f} s with pydensecrf, {after:.3f} s here, {before / after:.1f} times")


if __name__ == "__main__":
    main()
