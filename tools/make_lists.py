# PYTHON_ARGCOMPLETE_OK
"""Write the lists that the nets and the other commands read, from a data root in VOC layout.

    python -m tools.make_lists --data data --out lists

Reads ImageSets/Segmentation/*.txt, classes.txt, image_labels.txt or Annotations/*.xml, and the names of the
photos. Neither photos nor masks are opened: image-level labels are all the supervision there is.

Files written (the format of the original's lists): input_list.txt, train_id.txt, val_id.txt, train_f.txt,
train_full.txt where there is a folder of masks, image_labels.txt, classes.txt; and cam_train.txt and cam_quality.txt,
the photos that the classifier of the cues learns from, and the tenth that is set apart to judge it by. Photos are
numbered from 0 in the order of the train set, unless --numbers, or the data root's image_ids.txt, gives each its own:
that of a cue file made elsewhere, or COCO's.
"""

from pathlib import Path

from dsrg.datasets.voc_lists import TRAIN_SETS, make_lists
from dsrg.io.command_line import command_parser
from dsrg.io.errors import run_main


def parse_args(argv):
    parser = command_parser("tools.make_lists", __doc__)
    parser.add_argument("--data", type=Path, default=Path("data"),
                        help="data root in VOC layout (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("lists"),
                        help="folder for the lists (default: %(default)s)")
    parser.add_argument("--train-set", metavar="NAME",
                        help="list of ImageSets/Segmentation to train on (default: the first that exists of "
                        f"{', '.join(TRAIN_SETS)})")
    parser.add_argument("--val-set", metavar="NAME", default="val",
                        help="list to evaluate on (default: %(default)s)")
    parser.add_argument("--labels", choices=("auto", "file", "xml", "none"), default="auto",
                        help="image-level labels from image_labels.txt (file), from Annotations/*.xml (xml), "
                        "the first of these that exists (auto, the default), or no labels at all (none)")
    parser.add_argument("--numbers", type=Path, metavar="FILE",
                        help='"<photo> <number>" a line, as in the input_list.txt that came with a cue file: the '
                        "numbers of input_list.txt (default: image_ids.txt of the data root, where there is one)")
    parser.add_argument("--masks", type=Path, metavar="DIR",
                        help="folder of true masks that train_full.txt names (default: SegmentationClass of the "
                        "data root)")
    parser.add_argument("--leave-out", type=Path, metavar="FILE", help="photos that no list is to name, '<id> <why>' a "
                        "line (left_out.txt of tools.check_data); the others keep their numbers")
    parser.add_argument("--calibrate", action="store_true", help="keep the photos of cam_quality.txt out of "
                        "train_f.txt, too, and name them in calibration_id.txt: stage f is calibrated on them")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    print(make_lists(args.data, args.out, args.train_set, args.val_set, args.labels, args.numbers, args.masks,
                     args.leave_out, args.calibrate))


if __name__ == "__main__":
    run_main(main)
