"""Speed of the DRFI saliency on one core, each part against a peer on the same input in one run.

    OMP_NUM_THREADS=1 python -m benchmarks.drfi [--photo FILE] [--runs N] [--json FILE]

| part | peer |
|---|---|
| the 15 segmentations | scikit-image's felzenszwalb, level by level |
| statistics of the regions | the same with a mask for each region |
| the forest, 200 trees | scikit-learn's predict, one job |
| a whole photo | the training-free localization_cues.saliency |

Both sides take turns; the median of the ratios of their times is printed, so that other load hits both.
"""

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial import cKDTree
from sklearn.ensemble import RandomForestRegressor

from dsrg.io.atomic_files import write_text
from dsrg.io.photos import load_image_bgr
from dsrg.saliency import background_detection as saliency
from dsrg.saliency.drfi import segmentation
from dsrg.saliency.drfi.features import region_statistics
from dsrg.saliency.drfi.filters import texture_filters
from dsrg.saliency.drfi.forest import from_scikit_learn
from dsrg.saliency.drfi.model import Model
from dsrg.saliency.drfi.photo_map import photo_features, saliency_map
from dsrg.saliency.drfi.pixels import BINS, pixel_data
from dsrg.saliency.drfi.segmentation import LEVELS, segmentations


def generated_photo(height=300, width=400, patches=65, seed=0):
    """Patches of one colour each, nearest to random points, with noise: as many regions as in a photo."""
    rng = np.random.default_rng(seed)
    points = rng.random((patches, 2)) * (height, width)
    cells = np.moveaxis(np.mgrid[:height, :width], 0, -1)
    colours = rng.integers(0, 256, (patches, 3))[cKDTree(points).query(cells)[1]]
    return np.clip(colours + rng.normal(0, 8, colours.shape), 0, 255).astype(np.uint8)


def statistics_by_mask(pixels, labels, count):
    """Area, mean, variance and histograms of one region after the other."""
    values = pixels.moments[:, :25]
    for region in range(count):
        mask = labels == region
        own = values[mask]
        yield (mask.sum(), own.mean(0), own.var(0, ddof=1),
               [np.bincount(words[mask], minlength=bins) / mask.sum() for words, bins in zip(pixels.words, BINS,
                                                                                           strict=True)])


def made_forest(rows, seed=0):
    """200 trees fitted to noise on features like these rows: as deep as they get."""
    rng = np.random.default_rng(seed)
    features = rows[rng.integers(len(rows), size=6000)] + rng.normal(0, 0.01, (6000, rows.shape[1]))
    targets = features[:, 3] * rng.random(6000) > np.median(features[:, 3]) / 2
    return RandomForestRegressor(200, max_features=15, min_samples_leaf=5, random_state=seed).fit(features, targets)


def cases(image_bgr):
    """Name, ours, peer."""
    model = Model(None, LEVELS, "clean", texture_filters(), 0)
    pixels = pixel_data(image_bgr)
    levels, features = photo_features(image_bgr, model)
    rows = np.concatenate(features)
    regressor = made_forest(rows)
    forest = from_scikit_learn(regressor)
    model = Model(forest, LEVELS, "clean", texture_filters(), 0)
    smoothed = [(segmentation.smooth(image_bgr.astype(np.float32) / 255, level.sigma), [level]) for level in LEVELS]
    counts = [int(regions.max()) + 1 for regions in levels]
    print(f"photo {image_bgr.shape[1]}x{image_bgr.shape[0]}, {len(rows)} regions at {len(LEVELS)} levels; forest of "
          f"{len(forest.feature)} nodes")
    return [
        ("segmentations", lambda: segmentations(image_bgr),
         lambda: [segmentation.by_scikit_image(*one) for one in smoothed]),
        ("statistics", lambda: [region_statistics(pixels, regions.ravel(), count)
                                for regions, count in zip(levels, counts, strict=True)],
         lambda: [list(statistics_by_mask(pixels, regions.ravel(), count))
                  for regions, count in zip(levels, counts, strict=True)]),
        ("forest", lambda: forest.predict(rows), lambda: regressor.predict(rows)),
        ("whole photo", lambda: saliency_map(image_bgr, model), lambda: saliency.saliency_map(image_bgr)),
    ]


def measure(ours, peer, runs):
    """Median seconds of both and median of peer / ours."""
    times = []
    for _ in range(runs):
        pair = []
        for call in (ours, peer):
            started = time.perf_counter()
            call()
            pair.append(time.perf_counter() - started)
        times.append(pair)
    times = np.array(times)
    return (*np.median(times, 0).tolist(), float(np.median(times[:, 1] / times[:, 0])))


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drfi", description=__doc__.split("\n")[0])
    parser.add_argument("--photo", type=Path, help="photo to measure on (default: a generated one of 400x300)")
    parser.add_argument("--runs", type=int, default=5, help="turns of each pair (default %(default)s)")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    args = parser.parse_args(argv)
    cv2.setNumThreads(1)
    results = {}
    for name, ours, peer in cases(load_image_bgr(args.photo) if args.photo else generated_photo()):
        seconds, others, ratio = measure(ours, peer, args.runs)
        results[name] = {"seconds": seconds, "peer_seconds": others, "ratio": ratio}
        print(f"{name:14s} {seconds:7.3f} s   peer {others:7.3f} s   peer / ours {ratio:6.2f}", flush=True)
    if args.json:
        write_text(args.json, json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
