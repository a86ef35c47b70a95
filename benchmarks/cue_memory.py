"""Memory that cues of many images take: AnnotationLayerCOCO on each kind of file, against the original's way.

    python -m benchmarks.cue_memory                      100,000 made images, about 3 minutes
    python -m benchmarks.cue_memory --images 20000

Each reader is a process of its own that lets every image pass once, in shuffled order. Printed are the largest resident
set of the whole process (torch and all), the part of it that cannot be dropped (no mapped file), and the growth of the
resident set over that before the file was opened. The peer reads the pickle as the original's layer does.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
CLASSES, CELLS, BATCH = 81, 41, 20
COVERED = 0.24  # of the cells; SEC's released cues have 24.0 %
READERS = ("original", "pickle", "npz")


def made_cues(images, rng):
    """Yield (number, labels, cues) of made images: runs of cells of background and one to four classes."""
    wanted = int(COVERED * CELLS * CELLS)
    for number in range(images):
        labels = np.sort(rng.choice(np.arange(1, CLASSES), rng.integers(1, 5), replace=False))
        cells = np.sort((rng.integers(CELLS * CELLS) + np.arange(wanted)) % (CELLS * CELLS))
        classes = np.repeat([0, *labels], -(-wanted // (len(labels) + 1)))[:wanted]
        yield number, labels, np.stack([classes, cells // CELLS, cells % CELLS])


def memory():
    """(peak resident set, resident set, anonymous part of it) of this process, MiB."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return [int(lines[key].split()[0]) / 1024 for key in ("VmHWM", "VmRSS", "RssAnon")]


def read_as_original(path, order):
    """The original's AnnotationLayer: pickle.load, then indexing into a dict."""
    import pickle

    with open(path, "rb") as file:
        content = pickle.load(file, encoding="latin1")
    cells = 0
    for number in order:
        cues = np.zeros((CLASSES, CELLS, CELLS), np.float32)
        cues[tuple(content[f"{number}_cues"])] = 1
        cells += int(cues.sum())
    return cells, memory()  # while the cues are held


def read_with_layer(path, order):
    """AnnotationLayerCOCO in a net of batches."""
    from training.findcaffe import caffe

    keys = f"layer: 'AnnotationLayerCOCO' param_str: \"{{'cues': '{path}', 'mirror': True}}\""
    inputs = (f'layer {{ name: "ids" type: "Input" top: "ids" input_param {{ shape {{ dim: {BATCH} }} }} }}'
              f'layer {{ name: "photos" type: "Input" top: "photos" input_param {{ shape {{ dim: {BATCH} dim: 3 dim: 9'
              ' dim: 9 } } }')
    layer = ('layer { name: "annotation" type: "Python" bottom: "ids" bottom: "photos" top: "labels" top: "cues"'
             f' top: "images" python_param {{ module: "pylayers" {keys} }} }}')
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(inputs + layer)
        file.flush()
        net = caffe.Net(file.name, caffe.TRAIN)
    cells = 0
    for first in range(0, len(order) - BATCH + 1, BATCH):
        net.blobs["ids"].data[...] = order[first:first + BATCH]
        net.forward()
        cells += int(net.blobs["cues"].data.sum())
    return cells, memory()


def read(reader, path, images):
    """Let every image pass once in this process; prints a JSON record."""
    from training.findcaffe import caffe

    caffe.set_mode_cpu()
    before = memory()[1]
    start = time.perf_counter()
    order = np.random.default_rng(1).permutation(images)
    cells, (peak, _, anonymous) = (read_as_original if reader == "original" else read_with_layer)(path, order)
    print(json.dumps({"cells": cells, "peak": peak, "anonymous": anonymous, "growth": peak - before,
                      "seconds": time.perf_counter() - start}))


def parse_args(argv=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cue_memory", description=__doc__.split("\n\n")[0])
    parser.add_argument("--images", type=int, default=100_000, help=f"a multiple of {BATCH} (default: %(default)s)")
    parser.add_argument("--read", nargs=2, metavar=("READER", "FILE"), help="measure one reader in this process")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    if args.read:
        read(args.read[0], Path(args.read[1]), args.images)
        return
    from dsrg.cuefile.writer import CueWriter

    with tempfile.TemporaryDirectory() as folder:
        files = {suffix: Path(folder) / f"cues.{suffix}" for suffix in ("npz", "pickle")}
        for suffix, path in files.items():
            before, start = memory()[0], time.perf_counter()
            with CueWriter(path) as writer:
                for entry in made_cues(args.images, np.random.default_rng(0)):
                    writer.add(*entry)
            print(f"written, .{suffix}: {args.images} images, {path.stat().st_size / 2**20:.0f} MiB, "
                  f"{time.perf_counter() - start:.0f} s; the writer's peak grew by {memory()[0] - before:.0f} MiB")
        found = {}
        for reader in READERS:
            path = files["npz" if reader == "npz" else "pickle"]
            command = [sys.executable, "-m", "benchmarks.cue_memory", "--images", str(args.images)]
            command += ["--read", reader, path]
            found[reader] = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
            print("{0}: peak {peak:.0f} MiB, of it {anonymous:.0f} MiB held at the end beside the mapped file; grew by "
                  "{growth:.0f} MiB; {seconds:.0f} s".format(f"read, {reader}", **found[reader]))
    if len({record["cells"] for record in found.values()}) != 1:
        raise SystemExit("error: the readers saw different cues")
    for reader in READERS[1:]:
        print(f"{reader}: {found[reader]['growth'] / found['original']['growth']:.2f} of the original's growth")


if __name__ == "__main__":
    main()
