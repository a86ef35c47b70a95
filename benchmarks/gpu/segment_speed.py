"""Photos a second through tools.segment's work on a device: the paper's net at three sizes, fused, refined by the CRF.

    python -m benchmarks.gpu.segment_speed --device 0 --json segment.json

The photos (375x500) are made and the weights random. The time of a few photos is taken off that of many, so that start
and warming up do not count.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.gpu.narrow_nets import make_narrow
from benchmarks.vgg16_step import EXPERIMENT, random_weights
from dsrg.io.atomic_files import write_text
from dsrg.io.errors import run_main
from dsrg.io.workers import available_cpus
from dsrg.scoring.listed_photos import segment_listed
from dsrg.scoring.recipe import Recipe
from tools import make_voc_sample
from training.findcaffe import caffe

FEW = 4


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.segment_speed", description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=int, default=64, help="photos that count (%(default)s)")
    parser.add_argument("--device", default="0", help="cpu, or the number of a CUDA device (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a narrow net and four photos: a rehearsal")
    parser.add_argument("--json", type=Path, help="file for the figures")
    return parser.parse_args(argv)


def make_folder(work, photos, narrow):
    """Photos, the paper's deploy net and random weights for it; the ids."""
    make_voc_sample.main(["--out", str(work / "data"), "--photos", str(photos)])
    net = work / "deploy.prototxt"
    shutil.copy(EXPERIMENT / "deploy.prototxt", net)
    if narrow:
        make_narrow(net)
    net = caffe.Net(str(net), caffe.TEST)
    random_weights(net)
    net.save(str(work / "random.caffemodel"))
    return sorted(path.stem for path in (work / "data/JPEGImages").iterdir())


def seconds_of(work, ids, device, precision, recipe):
    """Seconds for the photos of some ids, from net to label maps on disk."""
    listed, out = work / "ids.txt", work / "out"
    write_text(listed, "".join(f"{name}\n" for name in ids))
    start = time.perf_counter()
    segment_listed(caffe, work / "deploy.prototxt", work / "random.caffemodel", listed, work / "data/JPEGImages", out,
                   recipe, device=device, precision=precision, overwrite=True)
    return time.perf_counter() - start


def main(argv=None):
    args = parse_args(argv)
    found, many = {}, 4 if args.quick else args.photos
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        ids = make_folder(work, FEW + many, args.quick)
        for precision in ("fp32",) if args.quick else ("fp32", "tf32", "bf16"):
            for title, recipe in (("with CRF", Recipe()), ("without CRF", Recipe(crf=False))):
                few = seconds_of(work, ids[:FEW], args.device, precision, recipe)
                rate = many / (seconds_of(work, ids, args.device, precision, recipe) - few)
                found[f"{precision}, sizes {recipe.sizes}, {title}"] = (
                    f"{rate:.1f} photos a second ({many} photos, {available_cpus()} cores)")
                if args.json:
                    write_text(args.json, json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    run_main(main)
