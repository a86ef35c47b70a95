# PYTHON_ARGCOMPLETE_OK
"""Make the data set of the experiment demo, in the layout of VOC.

    python -m tools.make_demo_data --out work/demo-data --seed 0

Photos of textured creatures of six classes on textured grounds, each with its class written mostly on its head, so
that image-level labels show a part and growing has to find the whole; dsrg/datasets/demo_scenes.py tells the rules. The
same seed makes the same bytes, with any number of processes. The folder appears whole or not at all: it is written
beside and renamed.
"""

from pathlib import Path

from dsrg.datasets.demo_data import make_demo_data
from dsrg.datasets.demo_scenes import CLASSES
from dsrg.io.command_line import command_parser
from dsrg.io.errors import run_main
from training.shared_flags import add_workers, not_negative, positive


def parse_args(argv):
    parser = command_parser("tools.make_demo_data", __doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to make; replaced if this command made it")
    parser.add_argument("--train", type=positive, default=240, metavar="N",
                        help="photos to train on (default: %(default)s)")
    parser.add_argument("--val", type=positive, default=80, metavar="N",
                        help="photos to evaluate on (default: %(default)s)")
    parser.add_argument("--seed", type=not_negative, default=0, help="of everything drawn (default: %(default)s)")
    add_workers(parser)
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    make_demo_data(args.out, args.train, args.val, args.seed, args.workers)
    print(f"{args.out}: {args.train} photos in train, {args.val} in val, {len(CLASSES) - 1} classes and background")


if __name__ == "__main__":
    run_main(main)
