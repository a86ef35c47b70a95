# PYTHON_ARGCOMPLETE_OK
"""Fit the temperatures that make a trained net's probabilities mean what they say.

    python -m tools.calibrate work/demo
    python -m tools.calibrate work/demo --stage f --list held-out.txt --labels their-masks/

One number for the net's scores, which are divided by it before the softmax, and one for what the CRF makes of them are
fitted to the label maps of photos that the net has not learned from: by default the pseudo-labels of the train photos
that the run has kept apart from stage f (calibrate: true in settings.yaml). Label maps stay as they are. Writes
calibration/<stage>.json into the run, which tools.segment, dsrg.load, tools.export and the report read, with the
reliability before and after, on the val photos with true masks, too.
"""

from pathlib import Path

from dsrg.calibration.of_run import calibrate, measured_lines
from dsrg.calibration.record import Calibration, record_path, write_record
from dsrg.io.command_line import command_parser
from dsrg.io.errors import run_main
from dsrg.model import load
from training.device_flags import add_flags
from training.recipe_flags import add_stage
from training.shared_flags import add_workers


def parse_args(argv=None):
    parser = command_parser("tools.calibrate", __doc__)
    parser.add_argument("run", type=Path, help="folder of a run, such as work/demo")
    add_stage(parser, "whose weights")
    parser.add_argument("--list", type=Path, metavar="FILE", help="ids of photos of the run's data to fit on (default: "
                        "those kept apart, lists/calibration_id.txt)")
    parser.add_argument("--labels", type=Path, metavar="DIR", help="folder of their label maps (default: the run's "
                        "pseudo-labels, labels/)")
    add_flags(parser, precision=None, precision_says="the run's own, or fp32")
    add_workers(parser, "photos whose scores are brought to their size at a time (the cores)")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    model = load(args.run, args.stage, args.device, args.precision)
    record = calibrate(args.run, model, args.list, args.labels, args.workers)
    target = record_path(args.run, model.files.stage)
    write_record(target, record)
    print("\n".join([f"{target}:", *measured_lines(record)]))
    print(Calibration.of_run(args.run, model.files.stage, model.files).temperature(model.recipe).line())


if __name__ == "__main__":
    run_main(main)
