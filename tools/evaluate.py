# PYTHON_ARGCOMPLETE_OK
"""Compare label maps with the ground truth: IoU, precision and recall of each class, and their means.

    python -m tools.evaluate --pred segmentations/val --gt data/SegmentationClass --list lists/val_id.txt \\
        --classes lists/classes.txt --out results/val.json

Both folders hold index PNGs, `<id>.png`. Ground truth 255 does not count; a prediction of 255 is a miss.
Writes the JSON file and, beside it, the printed table as .txt.
"""

import json
from pathlib import Path

import numpy as np

from dsrg.io.atomic_files import write_text
from dsrg.io.class_names import read_classes
from dsrg.io.command_line import command_parser, print_json, sharing_ranks
from dsrg.io.counts import few_of
from dsrg.io.errors import UserError, run_main, warn
from dsrg.io.image_ids import file_of
from dsrg.io.label_png import load_label_png
from dsrg.io.lists import read_ids
from dsrg.io.output_folders import refuse_inputs_as_output
from dsrg.io.overwriting import beside, refuse_overwriting
from dsrg.io.process_share import ALONE
from dsrg.io.progress_bar import progress
from dsrg.io.versions import git_commit
from dsrg.io.workers import in_threads
from dsrg.scoring.collapse import collapse_warning
from dsrg.scoring.metrics import Result, confusion_matrix


def parse_args(argv):
    parser = command_parser("tools.evaluate", __doc__, json=True)
    parser.add_argument("--pred", type=Path, required=True, help="folder of label maps to judge, <id>.png")
    parser.add_argument("--gt", type=Path, required=True, help="folder of ground truth, <id>.png")
    parser.add_argument("--list", type=Path, required=True, help="image ids, one a line")
    parser.add_argument("--classes", type=Path, required=True,
                        help="class names in index order, background first")
    parser.add_argument("--out", type=Path, help="JSON file to write; the table goes beside it as .txt")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    refuse_inputs_as_output(args.out, args.gt, args.pred)
    refuse_overwriting(args, {"--out": beside(args.out, ".json", ".txt")})
    classes = read_classes(args.classes)
    ids = read_ids(args.list)
    ranks = sharing_ranks()
    result = evaluate(args.pred, args.gt, ids, len(classes), ranks)
    if not ranks.is_first:
        return
    table = result.table(classes)
    about = {"pred": str(args.pred), "gt": str(args.gt), "list": str(args.list), "commit": git_commit()}
    record = {**about, **result.as_dict(classes)}
    if args.json:
        print_json(record)
    else:
        print(table, end="")
    if warning := collapse_warning(result.pred_pixels, len(ids), args.pred, classes):
        warn(warning)
    if args.out:
        write_text(args.out.with_suffix(".txt"), table)
        write_text(args.out.with_suffix(".json"), json.dumps(record, indent=1, allow_nan=False) + "\n")


def evaluate(pred_dir, gt_dir, ids, num_classes, ranks=ALONE):
    """Compare the label maps of a list of images with the ground truth, on all cores.

    Parameters
    ----------
    pred_dir, gt_dir : path
        Folders of index PNGs named `<id>.png`.
    ids : sequence of str
    num_classes : int
        Classes with background; indices 0..num_classes-1 and 255 are allowed.
    ranks : Ranks, optional
        The processes that share the list; each of them gets the whole result.

    Returns
    -------
    Result

    Raises
    ------
    UserError
        A missing, unreadable or colour-coded map, maps of two sizes, an index out of range; names the image.
    """
    pred_dir, gt_dir = Path(pred_dir), Path(gt_dir)
    missing = [i for i in ids if not (file_of(pred_dir, i)).is_file()]
    if missing:
        raise UserError(f"{few_of(missing, ids, 'image')} no prediction in {pred_dir}, the first is "
                        f"'{missing[0]}.png'; let the segmentation finish or evaluate another list")

    def count(image_id):
        pred = load_label_png(file_of(pred_dir, image_id))
        gt = load_label_png(file_of(gt_dir, image_id))
        try:
            return confusion_matrix(gt, pred, num_classes)
        except ValueError as error:
            raise UserError(f"image '{image_id}': {error} ({pred_dir} against {gt_dir}); "
                            "check the class list, or make the label maps again from these photos") from None

    confusion = np.zeros((num_classes, num_classes + 1), np.int64)
    mine = ranks.share(ids)
    for counts in progress(in_threads(count, mine), "evaluate", len(mine)):
        confusion += counts
    return Result(ranks.sum(confusion), len(ids))


if __name__ == "__main__":
    run_main(main)
