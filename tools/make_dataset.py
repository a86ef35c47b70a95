# PYTHON_ARGCOMPLETE_OK
"""Make a data root in VOC layout from a folder of photos and their labels: a text file, or a folder a class.

    python -m tools.make_dataset --photos ~/photos --labels ~/labels.txt --out my-data
    python -m tools.make_dataset --photos ~/photos --labels ~/labels.csv --classes names.txt --val 0.25 --out my-data
    python -m tools.make_dataset --photos ~/photos --class-folders --out my-data    # photos/cow/.., photos/horse/..

The labels file names a photo and its classes on each line, apart by spaces, or as CSV by commas, semicolons or tabs
where names hold spaces; a photo may stand on several lines. A header, # comments and tables of 0 and 1 are understood.
Classes are names, or numbers from 1 with --classes. Photos are named as files below --photos, with or without suffix.
With --class-folders there is no such file: a photo shows the class that the first folder below --photos is called.
Each photo and mask is opened once; faults in any of them are reported together, before anything is written.

Writes JPEGImages/ (links to the photos, or copies), ImageSets/Segmentation/{train,val}.txt, image_labels.txt,
classes.txt, and SegmentationClass/ with --masks.
"""

import shlex
from pathlib import Path

from dsrg.datasets.folder_summary import summary
from dsrg.datasets.from_folder import FolderOptions, make_data_root
from dsrg.io.command_line import command_parser
from dsrg.io.errors import note, run_main
from training.shared_flags import fraction, not_negative


def parse_args(argv):
    parser = command_parser("tools.make_dataset", __doc__)
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR", help="folder of photos, searched with its "
                        "folders")
    labels = parser.add_mutually_exclusive_group(required=True)
    labels.add_argument("--labels", type=Path, metavar="FILE", help="photo and its classes on each line")
    labels.add_argument("--class-folders", action="store_true", help="instead: each folder in --photos is called as "
                        "the class that its photos, and those of its folders, show")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="data root to make; must not exist")
    parser.add_argument("--classes", type=Path, metavar="FILE", help="class names in index order, first line "
                        "background (default: the names in the labels, in the order of their characters)")
    parser.add_argument("--val", type=fraction, default=0.2, metavar="SHARE",
                        help="share of the photos set apart for evaluation (default: %(default)s); every class keeps "
                        "a photo to learn from")
    parser.add_argument("--val-list", type=Path, metavar="FILE", help="the photos to set apart, one a line, instead")
    parser.add_argument("--seed", type=not_negative, default=0, help="of the choice of --val (default: %(default)s)")
    parser.add_argument("--masks", type=Path, metavar="DIR", help="index PNGs <photo>.png (255 = ignored), of all "
                        "photos or some, for evaluation and the fully supervised reference")
    parser.add_argument("--masks-stored", action="store_true", help="the masks are of the pixels as stored: turn them "
                        "as the EXIF orientation turns their photos (default: they are of the upright photos)")
    parser.add_argument("--trust-masks", action="store_true", help="take masks whose classes are not those that most "
                        "of their photos are labelled with")
    parser.add_argument("--skip-unlabelled", action="store_true", help="leave photos without a label out")
    parser.add_argument("--unused-classes", action="store_true", help="take --classes that no photo shows")
    parser.add_argument("--copy", action="store_true", help="copy photos and masks instead of linking them")
    args = parser.parse_args(argv)
    if args.val_list:
        parser.refuse_unused(args, "with --val-list, which names the photos", "--val", "--seed")
    if not args.masks:
        parser.refuse_unused(args, "without --masks", "--masks-stored", "--trust-masks")
    if not args.classes:
        parser.refuse_unused(args, "without --classes", "--unused-classes")
    return args


def main(argv=None):
    args = parse_args(argv)
    labels = None if args.class_folders else args.labels
    found = make_data_root(FolderOptions(
        args.photos, labels, args.out, classes=args.classes, val=args.val, val_list=args.val_list, seed=args.seed,
        masks=args.masks, masks_stored=args.masks_stored, trust_masks=args.trust_masks,
        skip_unlabelled=args.skip_unlabelled, unused_classes=args.unused_classes, copy=args.copy))
    print("\n".join(summary(found, args.out, links=not args.copy)))
    print(f"next: python -m tools.new_experiment NAME --from msrc15-squeezenet --data {shlex.quote(str(args.out))}")
    for line in found.notes:
        note(f"note: {line}")


if __name__ == "__main__":
    run_main(main)
