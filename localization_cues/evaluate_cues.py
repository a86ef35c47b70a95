# PYTHON_ARGCOMPLETE_OK
"""Compare a cue file with masks: precision, recall, coverage and IoU of each class, at the cue size.

    python -m localization_cues.evaluate_cues --cues cues/localization_cues.pickle --list lists/input_list.txt \\
        --masks data/SegmentationClass --classes lists/classes.txt --out results/cues.json

A mask is read at the pixels the cells stand for (corner cells on corner pixels). A cell without a cue is a
miss of its class and nobody's false alarm; void (255) does not count. Writes JSON and, beside it, the table.
"""

import json
from pathlib import Path

from dsrg.cuefile.format import load_cues
from dsrg.cuefile.map_size import size_of_map
from dsrg.io.atomic_files import write_text
from dsrg.io.class_names import read_classes
from dsrg.io.command_line import command_parser, print_json
from dsrg.io.counts import counted
from dsrg.io.errors import UserError, run_main
from dsrg.io.lists import read_input_list
from dsrg.io.output_folders import refuse_inputs_as_output
from dsrg.io.overwriting import beside, refuse_overwriting
from dsrg.io.versions import git_commit
from localization_cues.cue_quality import coverage_table, evaluate
from training.shared_flags import add_map_size


def parse_args(argv):
    parser = command_parser("localization_cues.evaluate_cues", __doc__, json=True)
    parser.add_argument("--cues", type=Path, required=True, help="cue file, .pickle or .npz")
    parser.add_argument("--list", type=Path, required=True, help='photos, "<name>.jpg <number>" a line')
    parser.add_argument("--masks", type=Path, required=True, help="folder of index PNGs, <id>.png")
    parser.add_argument("--classes", type=Path, required=True, help="class names in index order, background first")
    add_map_size(parser, "size of the cue map (default: of the .json beside the file, else up to the last cue)")
    parser.add_argument("--out", type=Path, help="JSON file to write; the table goes beside it as .txt")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    refuse_inputs_as_output(args.out, args.masks)
    refuse_overwriting(args, {"--out": beside(args.out, ".json", ".txt")})
    classes = read_classes(args.classes)
    names = read_input_list(args.list)
    cues = load_cues(args.cues)
    size = tuple(args.size or size_of_map(args.cues, cues))
    cues.check(len(classes), size)
    without = [name for number, name in names.items() if number not in cues]
    if without:
        raise UserError(f"{args.cues} has no cues for {counted(len(without), 'photo')} of {args.list}, the first is "
                        f"{without[0]}; the file belongs to another list")
    result, cells = evaluate(cues, names, args.masks, size, len(classes))
    coverage = cells / (len(names) * size[0] * size[1])
    table = result.table(classes) + coverage_table(coverage, classes)
    report = result.as_dict(classes)
    for row, share in zip(report["classes"], coverage, strict=True):
        row["coverage"] = float(share)
    record = {"cues": str(args.cues), "size": list(size), "commit": git_commit(),
              "coverage_foreground": float(coverage[1:].sum()), "coverage_background": float(coverage[0]), **report}
    if args.json:
        print_json(record)
    else:
        print(table, end="")
    if args.out:
        write_text(args.out.with_suffix(".txt"), table)
        write_text(args.out.with_suffix(".json"), json.dumps(record, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    run_main(main)
