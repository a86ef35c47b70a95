# PYTHON_ARGCOMPLETE_OK
"""Segment photos with a trained net, refine with the dense CRF, write index PNGs.

    python -m tools.segment work/demo photo.jpg folder/ --out out/

takes everything from the run: the net, the newest weights of its last stage, sizes, mean and widths of the CRF that
its own segmentations were made with. Beside the index PNGs it writes overlays/ with a legend, and the share of each
class in shares.csv and shares.json. A photo may have any suffix that Pillow or OpenCV reads. --scores DIR writes the
probability of each class at each pixel, too, and whether it is calibrated.

    python -m tools.segment work/demo --web

opens a page on this machine alone, on which a photo is dropped and the stages of the run are compared.

    python -m tools.segment --net deploy.prototxt --weights models/model-s_iter_8000.caffemodel \\
        --list lists/val_id.txt --images data/JPEGImages --out segmentations/val

names net, weights and photos one by one. With --labels lists/image_labels.txt an image holds only background and its
own labels: so pseudo-labels are made. A stopped command goes on where it was; OUT/settings.json tells what made the
maps, and those of other settings are redone.
"""

from pathlib import Path

from dsrg import crf_backend
from dsrg.io.command_line import command_parser, print_result, sharing_ranks
from dsrg.io.errors import UserError, run_main
from dsrg.model import load
from dsrg.scoring.listed_photos import segment_listed
from dsrg.scoring.picture_folder import segment_pictures, shares_text
from dsrg.scoring.recipe import Recipe
from dsrg.scoring.sizes_of_net import sizes_of_net
from training.device_flags import add_flags
from training.recipe_flags import add_recipe_flags, add_stage, recipe_changes
from training.shared_flags import add_allow_random, add_workers, fraction, not_negative, temperature


def parse_args(argv):
    parser = command_parser("tools.segment", __doc__, json=True)
    run = parser.add_argument_group("photos with a run's own settings")
    run.add_argument("run", type=Path, nargs="?", help="folder of a run, such as work/demo")
    run.add_argument("photos", type=Path, nargs="*", help="photos, and folders of photos")
    add_stage(run, "whose weights")
    run.add_argument("--web", action="store_true", help="instead of photos: a page to drop them on, at 127.0.0.1")
    run.add_argument("--port", type=not_negative, metavar="N", help="of the page (default: one that is free)")
    files = parser.add_argument_group("net, weights and photos one by one")
    files.add_argument("--net", type=Path, help="deploy prototxt")
    files.add_argument("--weights", type=Path, help="caffemodel")
    files.add_argument("--list", type=Path, help="image ids, one a line")
    files.add_argument("--images", type=Path, help="folder of the photos, <id>.jpg or .png")
    files.add_argument("--labels", type=Path, metavar="FILE",
                       help="image_labels.txt: allow only background and the image's labels (pseudo-labels)")
    files.add_argument("--ignore-below", type=fraction, default=0.0, metavar="P",
                       help="with --labels: 255, which no training learns from, where the net itself gives a pixel's "
                            "class less than this probability (0: nowhere)")
    results = parser.add_argument_group("results")
    results.add_argument("--out", type=Path, help="folder for the label maps, <id>.png")
    results.add_argument("--overwrite", action="store_true", help="redo maps that are already there")
    results.add_argument("--scores", type=Path, metavar="DIR", help="also write <id>.npz with 'probabilities' and "
                         "'scores', float16 (C, h, w), and whether the probabilities are calibrated")
    results.add_argument("--temperature", type=temperature, metavar="T", help="what scores are divided by for the "
                         "probabilities (default: what tools.calibrate has fitted for the run, else 1)")
    method = parser.add_argument_group("method (defaults in brackets; with a run: the run's own)")
    add_recipe_flags(method)
    crf_backend.add_flag(method)
    add_allow_random(method)
    machine = parser.add_argument_group("machine")
    add_flags(machine, precision=None, precision_says="the run's own, or fp32")
    add_workers(machine, "images whose CRF runs at a time, fewer where the memory is short (the cores)")
    args = parser.parse_intermixed_args(argv)
    _check(args, parser)
    return args


def _check(args, parser):
    """Refuse arguments that do not go together."""
    needed = {"--net": args.net, "--weights": args.weights, "--list": args.list, "--images": args.images}
    missing = [flag for flag, value in needed.items() if value is None]
    given = [flag for flag, value in {**needed, "--labels": args.labels}.items() if value]
    if args.run and args.run.is_file():
        parser.error(f"{args.run} is a file; the folder of a run stands before the photos: python -m tools.segment "
                     f"work/demo {args.run} --out out/")
    if args.run and given:
        parser.error(f"a run brings its own net and weights: leave out {', '.join(given)}, or the run")
    if args.web and (not args.run or args.photos or args.out or args.json):
        parser.error("--web takes a run and no photos, --out or --json: python -m tools.segment work/demo --web")
    if args.port is not None and not (args.web and 0 <= args.port < 65536):
        parser.error("--port is a number below 65536, and goes with --web")
    if args.ignore_below and not args.labels:
        parser.error("--ignore-below is for pseudo-labels: it goes with --labels")
    if args.run and not args.photos and not args.web:
        parser.error(f"no photos: python -m tools.segment {args.run} photo.jpg folder/ --out out/")
    if not args.run and missing:
        parser.error(f"give a run and photos, or {', '.join(missing)} too")
    if not args.out and not args.web:
        parser.error("the following arguments are required: --out")
    if not args.run and (args.stage or args.json):
        parser.error("--stage and --json go with a run; without one --weights says whose")
    if args.temperature and not (args.scores or args.web):
        parser.error("--temperature is for the probabilities: give --scores DIR, too, or --web")
    if args.crf is False:
        parser.refuse_unused(args, "with --no-crf", "--crf-scale", "--crf-backend")
    if args.web:
        parser.refuse_unused(args, "with --web, which keeps no maps", "--overwrite", "--workers")
    if args.web and args.scores:
        parser.error("--web writes no files: leave --scores out")


def main(argv=None):
    args = parse_args(argv)
    ranks, changes = sharing_ranks(), recipe_changes(args)
    machine = {"precision": args.precision, "allow_random": args.allow_random,
               "crf_backend": crf_backend.use_crf_backend(args.crf_backend)}
    if args.web:
        from dsrg.webpage.server import serve  # Flask is for this alone

        return serve(args.run, args.port, stage=args.stage, changes=changes, temperature=args.temperature,
                     device=args.device, **machine)
    if args.run:
        model = load(args.run, args.stage, ranks.device(args.device), **machine)
        model = model.with_temperature(args.temperature) if args.temperature else model
        if args.crf_scale and not (args.crf or model.recipe.crf):
            raise UserError(f"--crf-scale changes nothing: {args.run} segments without the CRF; add --crf, or leave "
                            "it out")
        records, failed = segment_pictures(model.changed(**changes), args.photos, args.out, args.overwrite,
                                           ranks.part_of(args.workers), ranks, args.scores)
        if ranks.is_first:
            print_result(records, shares_text(records, args.out), args.json)
        return 1 if failed else 0
    from training.findcaffe import caffe

    recipe = Recipe(sizes=sizes_of_net(args.net, caffe.proto.caffe_pb2)).changed(**changes)
    return segment_listed(caffe, args.net, args.weights, args.list, args.images, args.out, recipe,
                          labels_file=args.labels, ignore_below=args.ignore_below, scores_folder=args.scores,
                          temperature=args.temperature, overwrite=args.overwrite, device=ranks.device(args.device),
                          workers=ranks.part_of(args.workers), ranks=ranks,
                          **{**machine, "precision": args.precision or "fp32"})


if __name__ == "__main__":
    run_main(main)
