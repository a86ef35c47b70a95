"""Puts what a run measured into one table, and its pictures into one sheet.

    python -m tools.report work/demo                                   one run
    python -m tools.report work/demo work/demo-seed1 work/demo-seed2   mean and spread over several seeds

Prints the table and writes results/report.md, report.json and report.png (photo, cues, pseudo-label, segmentation,
ground truth of a few photos) into the first folder.
"""

import argparse
import json
from pathlib import Path

from dsrg.io.atomic_files import write_text
from dsrg.io.errors import UserError, run_main
from dsrg.io.versions import git_commit
from dsrg.report.montage import draw_montage
from dsrg.report.run_results import cost, read_run, remarks, table


def parse_args(argv=None):
    parser = argparse.ArgumentParser(prog="python -m tools.report", description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs (same experiment, different seeds)")
    parser.add_argument("--photos", type=int, default=6, help="photos on the sheet; 0 leaves it out (default 6)")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    runs = [read_run(folder) for folder in args.runs]
    lines = table(runs)
    if len(lines) == 2:
        return report_pictures(args.runs[0], args.photos)
    commits = ", ".join(sorted(set.union(*(r["commits"] for r in runs))))
    count = f"{len(runs)} runs; mean ± standard deviation. " if len(runs) > 1 else ""
    lines += ["", f"{count}Evaluated at commit {commits}; this report at {git_commit()}."]
    if line := cost(runs):
        lines.append(line)
    lines += remarks(runs)
    text = "\n".join(lines)
    print(text)
    results = args.runs[0] / "results"
    write_text(results / "report.md", text + "\n")
    records = [{**run, "commits": sorted(run["commits"])} for run in runs]
    write_text(results / "report.json", json.dumps(records, indent=1) + "\n")
    if args.photos > 0 and draw_montage(args.runs[0], results / "report.png", args.photos):
        print(f"Pictures: {results / 'report.png'}")


def report_pictures(run, photos):
    """All there is to show of a run on data without masks; UserError where masks or segmentations are missing."""
    without_masks = (run / "data").is_dir() and not (run / "data/SegmentationClass").is_dir()
    if not without_masks or photos < 1 or not draw_montage(run, run / "results/report.png", photos):
        raise UserError(f"{run}/results: nothing measured yet; run the stages segment and evaluate")
    print(f"Nothing measured: {run / 'data'} has no SegmentationClass. Pictures: {run / 'results/report.png'}")


if __name__ == "__main__":
    run_main(main)
