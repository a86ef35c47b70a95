# PYTHON_ARGCOMPLETE_OK
"""Compares runs: one table of mean IoU, time and the settings that differ, and a drawing of it.

    python -m tools.compare work/demo work/demo-seed1 work/demo-static work/demo-static-seed1

Folders that differ in their seed alone (NAME and NAME-seed<N>) are one row, mean ± standard deviation. The settings are
those of the prototxts in the folders and of the commands of their stages, against the first row's; of the commands only
stages that both have run are compared (an ablation takes data, classifier and cues from the plain run, and its time is
without theirs). A second table has the mean difference to the first row, seed by seed, with its 95 % confidence
interval; one that contains 0 is called none, and of fewer than two common seeds nothing is said. Writes --out NAME.md
and NAME.png where asked, and with --html one page with the tables, IoU by class, losses on one axis and the photos that
the runs segment most differently.
"""

import os
from pathlib import Path

from dsrg.io.atomic_files import write_text
from dsrg.io.command_line import command_parser, print_result
from dsrg.io.errors import note, run_main
from dsrg.io.output_folders import refuse_inputs_as_output
from dsrg.io.overwriting import refuse_files_of, refuse_overwriting
from dsrg.io.versions import git_commit
from dsrg.report.comparison import as_records, draw, drawn_column, groups, is_table, table
from dsrg.report.paired_differences import difference_lines, differences_to_the_first
from training.findcaffe import import_caffe


def parse_args(argv=None):
    parser = command_parser("tools.compare", __doc__, json=True)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs; the others are compared with the first")
    parser.add_argument("--out", type=Path, metavar="NAME", help="write NAME.md and NAME.png too")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with curves and photos too")
    args = parser.parse_intermixed_args(argv)
    if args.out and not args.out.name:
        parser.error(f"--out {args.out} is a folder; give a name in it, such as {args.out / 'runs'}")
    return args


def _refuse_overwriting(args, names):
    """UserError for an output that is a file of the runs, unless an earlier comparison wrote it."""
    refuse_overwriting(args, {"--out": names, "--html": [args.html]})
    for run in args.runs:
        for path in names:      # a drawing tells nothing, but lies beside its table
            refuse_files_of(run, path, lambda _: names[0].is_file() and is_table(names[0]))
        if args.html:
            from dsrg.report.comparison_page import is_comparison

            refuse_files_of(run, args.html, is_comparison, "--html")


def main(argv=None):
    args = parse_args(argv)
    read = [run / name for run in args.runs for name in ("data/JPEGImages", "masks")]
    refuse_inputs_as_output(args.out, *read)
    refuse_inputs_as_output(args.html, *read, what="--html")
    names = [args.out.with_name(args.out.name + suffix) for suffix in (".md", ".png")] if args.out else []
    _refuse_overwriting(args, names)
    caffe = import_caffe(os.environ.get("ENGINE", "auto"), os.environ.get("CAFFE_ROOT"))
    found = groups(args.runs, caffe.proto.caffe_pb2)
    commits = sorted({c for g in found.values() for run in g["runs"] for c in run["commits"]})
    lines = [*table(found), *difference_lines(found), "",
             f"Evaluated at commit {', '.join(commits) or 'none'}; compared at {git_commit()}."]
    record = {"runs": as_records(found), "differences": differences_to_the_first(found), "evaluated_at": commits,
              "commit": git_commit()}
    print_result(record, lines, args.json)
    if names:
        write_text(names[0], "\n".join(lines) + "\n")
    if names and drawn_column(found):
        draw(found, names[1])
    elif names:
        note(f"note: no {names[1]}: nothing measured in these runs; run the stages segment and evaluate")
    if args.html:
        from dsrg.report.comparison_page import comparison_page  # its drawings take a second to load

        write_text(args.html, comparison_page(args.runs, found))


if __name__ == "__main__":
    run_main(main)
