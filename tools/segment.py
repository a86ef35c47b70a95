"""Segment photos with a trained net, refine with the dense CRF, write index PNGs.

    python -m tools.segment work/demo photo.jpg folder/ --out out/

takes everything from the run: the net, the newest weights of its last stage, sizes, mean and widths of the CRF that
its own segmentations were made with. Beside the index PNGs it writes overlays/ with a legend, and the share of each
class in shares.csv and shares.json. A photo may have any suffix that Pillow or OpenCV reads.

    python -m tools.segment --net deploy.prototxt --weights models/model-s_iter_8000.caffemodel \\
        --list lists/val_id.txt --images data/JPEGImages --out segmentations/val

names net, weights and photos one by one. With --labels lists/image_labels.txt an image holds only background and its
own labels: so pseudo-labels are made. A stopped command goes on where it was; OUT/settings.json tells what made the
maps, and those of other settings are redone.
"""

import argparse
import os
from dataclasses import replace
from pathlib import Path

from dsrg.crf_backend import CRF_BACKENDS, OWN, use_crf_backend
from dsrg.io import voc
from dsrg.io.errors import run_main
from dsrg.io.workers import available_cpus
from dsrg.model import load
from dsrg.scoring.listed_photos import segment_listed
from dsrg.scoring.multiscale import CRF_SCALE, MAX_SIDE
from dsrg.scoring.picture_folder import segment_pictures
from dsrg.scoring.recipe import SIZES, Recipe
from training.device_flags import add_flags


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m tools.segment", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    run = parser.add_argument_group("photos with a run's own settings")
    run.add_argument("run", type=Path, nargs="?", help="folder of a run, such as work/demo")
    run.add_argument("photos", type=Path, nargs="*", help="photos, and folders of photos")
    run.add_argument("--stage", choices=("f", "s"), help="whose weights (default: f where it was segmented, else s)")
    files = parser.add_argument_group("net, weights and photos one by one")
    files.add_argument("--net", type=Path, help="deploy prototxt")
    files.add_argument("--weights", type=Path, help="caffemodel")
    files.add_argument("--list", type=Path, help="image ids, one a line")
    files.add_argument("--images", type=Path, help="folder of the photos, <id>.jpg or .png")
    files.add_argument("--labels", type=Path, metavar="FILE",
                       help="image_labels.txt: allow only background and the image's labels (pseudo-labels)")
    files.add_argument("--scores", type=Path, metavar="DIR",
                       help="also write <id>.npz with 'scores', float16 (C, h, w), summed over sizes")
    results = parser.add_argument_group("results")
    results.add_argument("--out", type=Path, required=True, help="folder for the label maps, <id>.png")
    results.add_argument("--overwrite", action="store_true", help="redo maps that are already there")

    method = parser.add_argument_group("method (defaults in brackets; with a run: the run's own)")
    scale = method.add_mutually_exclusive_group()
    scale.add_argument("--sizes", type=int, nargs="+", metavar="N",
                       help=f"sides of square inputs ({' '.join(map(str, SIZES))})")
    scale.add_argument("--scales", type=float, nargs="+", metavar="F",
                       help="instead, factors of the photo's own size, e.g. 0.75 1 1.25")
    method.add_argument("--flip", action=argparse.BooleanOptionalAction, help="average with the mirrored photo (no)")
    method.add_argument("--crf", action=argparse.BooleanOptionalAction, help="refine with the dense CRF (yes)")
    method.add_argument("--crf-scale", type=float, metavar="S",
                        help="divide the CRF's spatial widths, 80 and 3 pixels, by S: about 500 / the photo's longer "
                             f"side ({CRF_SCALE})")
    method.add_argument("--crf-backend", choices=CRF_BACKENDS, default=os.environ.get("CRF_BACKEND") or OWN,
                        help="what computes the dense CRF (the variable CRF_BACKEND, or own)")
    method.add_argument("--max-side", type=int, metavar="N",
                        help=f"score and refine photos with a longer side shrunk to N pixels; 0: never ({MAX_SIDE})")
    method.add_argument("--mean", type=float, nargs=3, metavar=("B", "G", "R"),
                        help=f"mean pixel to subtract ({' '.join(map(str, voc.MEAN_BGR))})")
    method.add_argument("--output-blob", metavar="NAME", help="blob of the scores (the net's only output)")
    method.add_argument("--allow-random", metavar="LAYER", action="append", default=[],
                        help="a layer with parameters that may lack weights; without it such a net is refused")

    machine = parser.add_argument_group("machine")
    add_flags(machine)
    parser.set_defaults(precision=None)
    machine.add_argument("--workers", type=int, default=available_cpus(), metavar="N",
                         help="images whose CRF runs at a time, fewer where the memory is short (the cores)")
    args = parser.parse_args(argv)
    _check(args, parser)
    return args


def _check(args, parser):
    """Refuse arguments that do not go together."""
    needed = {"--net": args.net, "--weights": args.weights, "--list": args.list, "--images": args.images}
    missing = [flag for flag, value in needed.items() if value is None]
    given = [flag for flag, value in {**needed, "--labels": args.labels, "--scores": args.scores}.items() if value]
    if args.run and given:
        parser.error(f"a run brings its own net and weights: leave out {', '.join(given)}, or the run")
    if args.run and not args.photos:
        parser.error(f"no photos: python -m tools.segment {args.run} photo.jpg folder/ --out out/")
    if not args.run and missing:
        parser.error(f"give a run and photos, or {', '.join(missing)} too")
    if args.stage and not args.run:
        parser.error("--stage is a run's; without one --weights says it")
    numbers = [*(args.sizes or []), *(args.scales or []), args.crf_scale, args.workers]
    if min(number for number in numbers if number is not None) <= 0 or (args.max_side or 0) < 0:
        parser.error("--sizes, --scales, --crf-scale and --workers must be positive, --max-side 0 or more")


def recipe_of(args, recipe):
    """The recipe with what the command line says otherwise."""
    given = {"flip": args.flip, "crf": args.crf, "crf_scale": args.crf_scale, "max_side": args.max_side,
             "mean": args.mean and tuple(args.mean), "output_blob": args.output_blob}
    changes = {name: value for name, value in given.items() if value is not None}
    if args.sizes or args.scales:
        changes |= {"sizes": args.sizes and tuple(args.sizes), "scales": args.scales and tuple(args.scales)}
    return replace(recipe, **changes)


def main(argv=None):
    args = parse_args(argv)
    backend = use_crf_backend(args.crf_backend)
    if args.run:
        model = load(args.run, args.stage, args.device, args.precision, args.allow_random, backend)
        model = replace(model, recipe=recipe_of(args, model.recipe))
        return segment_pictures(model, args.photos, args.out, args.overwrite, args.workers)
    from training.findcaffe import caffe

    return segment_listed(caffe, args.net, args.weights, args.list, args.images, args.out, recipe_of(args, Recipe()),
                          labels_file=args.labels, scores_folder=args.scores, overwrite=args.overwrite,
                          crf_backend=backend, device=args.device, precision=args.precision or "fp32",
                          workers=args.workers, allow_random=args.allow_random)


if __name__ == "__main__":
    run_main(main)
