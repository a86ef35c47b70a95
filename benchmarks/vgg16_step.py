"""Seconds a training step of the full-size network of the paper takes: stage s of prototxts/voc12-vgg16.

    python -m benchmarks.vgg16_step --iterations 5 --batch 2              fp32, then bf16 and the ratio
    python -m benchmarks.vgg16_step --work DIR --precision fp32           keeps the run folder, writes losses.txt

Runs on a made VOC data set (tools.make_voc_sample) with cues from its boxes and random weights, so the losses mean
nothing; the work done is that of the real training: 321x321 inputs, 21 classes, CRF, region growing, all losses.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np

from dsrg.io.python_path import python_path

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENT = ROOT / "prototxts" / "voc12-vgg16"
MAP = 41


def make_run(work, batch, photos=12):
    """A run folder as run.sh makes it: prototxts (batch changed), data, lists, cues."""
    from dsrg.cuefile.format import save_cues
    from dsrg.io.lists import read_ids
    from dsrg.io.voc import CLASSES

    for prototxt in EXPERIMENT.glob("*.prototxt"):
        shutil.copy(prototxt, work)
    taken_by = {"train-s": "batch_size: 20", "train-f": "'batch_size': 10", "cam-train": "batch_size: 15"}
    for name, taken in taken_by.items():
        net, key = work / f"{name}.prototxt", taken.rsplit(" ", 1)[0]
        net.write_text(net.read_text().replace(taken, f"{key} {batch}"))
    commands = (["tools.make_voc_sample", "--out", "data", "--photos", str(photos)],
                ["tools.make_lists", "--data", "data", "--out", "lists"])
    for command in commands:
        subprocess.run([sys.executable, "-m", *command], cwd=work, check=True, capture_output=True,
                       env={**os.environ, "PYTHONPATH": python_path(os.environ)})
    cues = {n: box_cues(work / "data/Annotations" / f"{image_id}.xml", CLASSES)
            for n, image_id in enumerate(read_ids(work / "lists/train_id.txt"))}
    save_cues(work / "cues/localization_cues.pickle", cues)
    (work / "models").mkdir()


def box_cues(annotation, classes):
    """Cues of one photo: the middle of each object's box, background along the frame; (labels, cues)."""
    root = ET.parse(annotation).getroot()
    width, height = (int(root.findtext(f"size/{side}")) for side in ("width", "height"))
    label_map = np.full((MAP, MAP), -1)
    label_map[[0, -1], :] = label_map[:, [0, -1]] = 0
    labels = set()
    for thing in root.iter("object"):
        number = classes.index(thing.findtext("name"))
        labels.add(number)
        x, y = (sum(float(thing.findtext(f"bndbox/{axis}{end}")) for end in ("min", "max")) / 2 for axis in "xy")
        row, column = int(y / height * MAP), int(x / width * MAP)
        label_map[max(row - 2, 1) : row + 3, max(column - 2, 1) : column + 3] = number
    rows, columns = np.nonzero(label_map >= 0)
    return np.array(sorted(labels)), np.stack([label_map[rows, columns], rows, columns])


def random_weights(net):
    """He's weights where the experiment expects ImageNet's; the layers of the scores have fillers."""
    import caffe
    import torch

    rng = np.random.default_rng(0)
    for name, blobs in net.params.items():
        if not name.startswith("fc8"):
            fan_in = np.prod(blobs[0].shape[1:])
            values = rng.standard_normal(tuple(blobs[0].shape), np.float32) * np.float32(np.sqrt(2 / fan_in))
            # not through .data, whose numpy view would pin the weights to another layout than a training's
            blobs[0].data_memory.write(torch.from_numpy(values).to(caffe.device.current()))


def steps(work, iterations, precision):
    """Train; (seconds of each step, losses of each step as rows of seed and constrain loss)."""
    from training.findcaffe import caffe

    os.chdir(work)
    caffe.set_mode_cpu()
    caffe.set_precision(precision)
    np.random.seed(0)  # noqa: NPY002 (Python layers draw from the global generator in setup)
    solver = caffe.SGDSolver("solver-s.prototxt")
    solver.net.keep_blobs = False           # as training.train trains
    random_weights(solver.net)
    seconds, losses = [], []
    for _ in range(iterations):
        start = time.perf_counter()
        solver.step(1)
        seconds.append(time.perf_counter() - start)
        losses.append([float(solver.net.blobs[n].data.reshape(-1)[0]) for n in ("loss-Seed", "loss-Constrain")])
    return seconds, losses


def parse_args(argv=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vgg16_step", description=__doc__.split("\n")[0])
    parser.add_argument("--iterations", type=int, default=5, help="steps; the first is not counted (default 5)")
    parser.add_argument("--batch", type=int, default=2, help="photos a step (default 2)")
    parser.add_argument("--precision", choices=("fp32", "bf16"), help="one precision only (default: both)")
    parser.add_argument("--work", type=Path, help="empty folder to keep the run in (default: a temporary one)")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    medians = {}
    with tempfile.TemporaryDirectory() as temporary:
        work = (args.work or Path(temporary)).resolve()
        make_run(work, args.batch)
        for precision in [args.precision] if args.precision else ["fp32", "bf16"]:
            seconds, losses = steps(work, args.iterations, precision)
            medians[precision] = statistics.median(seconds[1:] or seconds)
            first, last = (" and ".join(f"{loss:.3f}" for loss in losses[k]) for k in (0, -1))
            print(f"{precision}: {medians[precision]:.2f} s a step of batch {args.batch} (median of "
                  f"{len(seconds[1:])}); seed and constrain loss {first}, then {last}")
            np.savetxt(work / "losses.txt", losses)
        os.chdir(ROOT)
    if len(medians) == 2:
        print(f"bf16 takes {medians['bf16'] / medians['fp32']:.2f} of the time of fp32")


if __name__ == "__main__":
    main()
