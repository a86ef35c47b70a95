# PYTHON_ARGCOMPLETE_OK
"""Puts what a run measured into one table, and its pictures into one sheet.

    python -m tools.report work/demo                                   one run
    python -m tools.report work/demo work/demo-seed1 work/demo-seed2   mean and spread over several seeds

Writes into the first folder: report.html, the page of the run with tables, curves and photos, which shows what there
is after any stage; results/report.md and report.json, the table, which is printed as well; results/report.png, a sheet
with photo, cues, pseudo-label, segmentation and ground truth of a few photos; results/sheets/<stage>.jpg, the val
photos that each stage segments best, middling and worst, which are on the page, too.
"""

from pathlib import Path
from types import SimpleNamespace

from dsrg.crf_backend import use_crf_backend
from dsrg.io.atomic_files import write_text
from dsrg.io.command_line import command_parser
from dsrg.io.errors import UserError, run_main
from dsrg.pipeline import prototxts
from dsrg.report.montage import draw_montage
from dsrg.report.page import page
from dsrg.report.run_contents import open_cues, read_data_set
from dsrg.report.run_results import read_run
from dsrg.report.run_table import nothing_measured, remarks, report_lines, write_table
from dsrg.report.seed_growth import read_stored, seed_growth
from dsrg.report.sheets import PHOTOS, write_sheets
from training.shared_flags import not_negative


def parse_args(argv=None):
    parser = command_parser("tools.report", __doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs (same experiment, different seeds)")
    parser.add_argument("--photos", type=not_negative, default=6,
                        help="photos on the sheet; 0 leaves it out (default 6)")
    parser.add_argument("--sheets", type=not_negative, default=PHOTOS, metavar="N", help="val photos of each group, "
                        "best, median and worst, on the sheet of a stage; 0 draws none (default %(default)s)")
    parser.add_argument("--no-growth", action="store_true",
                        help="leave out how seeds grew, for which snapshots of stage s are run on six photos")
    parser.add_argument("--page-only", action="store_true", help="make report.html alone, quickly: from what lies "
                        "there, with fewer photos; while the run goes on the page renews itself")
    parser.add_argument("--device", default="cpu", help="cpu or a GPU number, for these snapshots (default cpu)")
    args = parser.parse_intermixed_args(argv)
    if args.page_only:
        parser.refuse_unused(args, "with --page-only", "--photos", "--sheets", "--no-growth", "--device")
    if args.no_growth:
        parser.refuse_unused(args, "with --no-growth", "--device")
    return args


def main(argv=None):
    args = parse_args(argv)
    if args.page_only:
        messages = SimpleNamespace(**prototxts.messages())
        for run in args.runs:
            write_text(run / "report.html", page(run, messages, read_stored(run), quick=True))
        return
    runs = [read_run(folder) for folder in args.runs]
    first = args.runs[0]
    measured = any(run["miou"] for run in runs)
    lines = report_lines(runs) if measured else [nothing_measured(first), *remarks(runs)]
    print("\n".join(lines))
    if measured:
        write_table(runs, lines, first / "results")
    sheets = write_sheets(first, args.sheets) if args.sheets else []
    write_page(first, growth=not args.no_growth, device=args.device)
    shown = first.resolve() if first == Path() else first       # run.sh stands in the run's folder, its user does not
    print(f"Page: {shown / 'report.html'}")
    if args.photos > 0 and draw_montage(first, first / "results/report.png", args.photos):
        print(f"Pictures: {shown / 'results/report.png'}")
    if sheets:
        print(f"Sheets: {' '.join(str(shown / path.relative_to(first)) for path in sheets)}")


def write_page(run, growth=True, device="cpu"):
    """Write report.html of a run; what cannot be computed for it is said on the page.

    Parameters
    ----------
    run : Path
        Folder of the run.
    growth : bool
        Compute how seeds grew from the snapshots of stage s, as far as there are cues and lists.
    device : str
        "cpu" or the number of a GPU, for these.

    Raises
    ------
    UserError
        A result or a prototxt that cannot be read, or a page that cannot be written.
    """
    from training.findcaffe import caffe

    cues, data_set, followed, notes = open_cues(run), read_data_set(run), None, []
    if growth and cues is not None and data_set is not None:
        try:
            use_crf_backend()
            followed = seed_growth(run, caffe, cues, data_set, device)
        except UserError as error:
            notes.append(f"How seeds grew is left out: {error}")
    write_text(run / "report.html", page(run, caffe.proto.caffe_pb2, followed, notes))


if __name__ == "__main__":
    run_main(main)
