# PYTHON_ARGCOMPLETE_OK
"""Make a data root in VOC layout from COCO's photos and instance annotations.

    python -m tools.make_coco --train annotations/instances_train2014.json --train-photos train2014 \\
        --val annotations/instances_val2014.json --val-photos val2014 --out ~/coco

Photos are linked, not copied. Written are the label maps, ImageSets, image_labels.txt, classes.txt (81 names for COCO's
categories) and image_ids.txt, which gives input_list.txt COCO's image ids. Train photos without any object are left out
of the train list; val keeps all. Where regions overlap the smaller one wins, since COCO knows no depth and a large
region would swallow what stands before it. Crowd regions are ignored (255), as in COCO's evaluation, except where an
object lies on them; they count as image-level labels. A run that was cut off goes on.
"""

from pathlib import Path

from dsrg.datasets.from_coco import SETS, make_data_root
from dsrg.io.command_line import command_parser
from dsrg.io.errors import run_main


def parse_args(argv=None):
    parser = command_parser("tools.make_coco", __doc__)
    for name in SETS:
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="JSON", help=f"instances of the {name} set")
        parser.add_argument(f"--{name}-photos", type=Path, required=True, metavar="DIR", help="folder of its photos")
    parser.add_argument("--out", type=Path, required=True, help="data root to make")
    parser.add_argument("--masks", choices=("all", "val"), default="all",
                        help="label maps of all photos (default), or of val alone: those of train serve the evaluation "
                        "of cues and pseudo-labels and the fully supervised reference")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    files = {"train": (args.train, args.train_photos), "val": (args.val, args.val_photos)}
    print(make_data_root(files, args.out, args.masks))


if __name__ == "__main__":
    run_main(main)
