# PYTHON_ARGCOMPLETE_OK
"""Make an experiment for your own data: a folder below prototxts/ with nets for its classes, from one that is there.

    python -m tools.new_experiment flowers --from demo --data my-data               # learns from nothing
    python -m tools.new_experiment flowers --from msrc15-squeezenet --data my-data  # needs SqueezeNet's weights
    python -m tools.new_experiment flowers --from voc12-vgg16 --classes 4 --batch 4 --iterations cam=500 s=500

Copies settings.yaml with other numbers in it, and makes the prototxts from those: to change more, edit settings.yaml
and run python -m tools.make_nets prototxts/flowers. Run it by its name: DATA_ROOT=my-data bash run.sh flowers.
"""

import argparse
import re
import shlex
from pathlib import Path

from dsrg.datasets.class_photos import class_warnings
from dsrg.experiments import few_classes
from dsrg.experiments.description import TRAININGS
from dsrg.experiments.experiment_folder import make_experiment
from dsrg.experiments.from_template import Wanted, new_settings, wanted_for
from dsrg.experiments.own_data import read_own_data
from dsrg.io.command_line import Named, command_parser
from dsrg.io.errors import UserError, run_main, warn
from dsrg.io.text_files import read_text
from dsrg.pipeline.settings import experiment_names, read_experiment
from training.shared_flags import positive

EXPERIMENTS = Path(__file__).resolve().parents[1] / "prototxts"


def parse_args(argv):
    parser = command_parser("tools.new_experiment", __doc__)
    parser.add_argument("name", help="of the new folder: letters, digits, - and _")
    parser.add_argument("--from", dest="template", required=True, metavar="EXPERIMENT", help="the experiment to copy")
    parser.add_argument("--data", type=Path, metavar="DATA_ROOT", help="choose iterations, rates and the widths of the "
                        "CRF for its photos and classes (docs/own-data.md has the rules)")
    parser.add_argument("--classes", type=positive, metavar="N", help="number of classes with background, instead")
    parser.add_argument("--size", type=positive, metavar="N", help="side of the square input (default: the template's)")
    parser.add_argument("--batch", type=positive, metavar="N", help="images a step of every training (default: the "
                        "template's)")
    parser.add_argument("--iterations", type=iterations, nargs="+", action=Named, default={},
                        metavar="TRAINING=N", help="of cam, s, f (default: "
                        "chosen for --data, else the template's); steps of the rate and snapshots follow in proportion")
    args = parser.parse_args(argv)
    if (args.data is None) == (args.classes is None):
        parser.error("give either --data or --classes")
    if args.classes is not None and not 2 <= args.classes <= 255:
        parser.error("--classes counts background: 2 to 255")
    return args


def iterations(text):
    """Type of the flag --iterations: a training and its number of iterations.

    Parameters
    ----------
    text : str
        Such as "cam=500".

    Returns
    -------
    (str, int)
        One of TRAININGS, and a number above 0.

    Raises
    ------
    argparse.ArgumentTypeError
        Any other text.
    """
    match = re.fullmatch(rf"({'|'.join(TRAININGS)})=(\d{{1,9}})", text)
    if match is None or not int(match[2]):
        raise argparse.ArgumentTypeError(f"expected a training ({', '.join(TRAININGS)}), '=' and its number of "
                                         f"iterations, 1 or more, such as cam=500; got '{text}'")
    return match[1], int(match[2])


def main(argv=None):
    args = parse_args(argv)
    folder = EXPERIMENTS / args.name
    if not re.fullmatch(r"[A-Za-z0-9][\w-]*", args.name):
        raise UserError(f"'{args.name}' is not a name for an experiment; use letters, digits, - and _")
    if folder.exists():
        raise UserError(f"{folder} exists; choose another name, or remove it first")
    if args.template not in experiment_names(EXPERIMENTS):
        raise UserError(f"no experiment '{args.template}'; choose one of {', '.join(experiment_names(EXPERIMENTS))}")
    template = read_experiment(EXPERIMENTS / args.template)
    if template.nets is None:
        raise UserError(f"{template.folder / 'settings.yaml'} has no `nets` to fill numbers into; choose another "
                        "experiment, or copy the folder and edit its prototxts")
    if args.data is None:
        wanted = Wanted(args.classes, args.size, args.batch, args.iterations)
        said = [f"numbers: {template.name}'s where none is given here; --data DATA_ROOT chooses them for your photos"]
    else:
        data = read_own_data(args.data)
        for line in class_warnings(data.classes, data.counts, data.alone):
            warn(f"warning: {line}")
        wanted, said = wanted_for(template, data, args.size, args.batch, args.iterations)
    text = read_text(template.folder / "settings.yaml", "settings")
    nets = make_experiment(folder, new_settings(template, text, args.name, wanted), args.template)
    print(f"{folder}: {wanted.classes} classes, inputs {nets.size}x{nets.size}, maps {nets.cells}x{nets.cells}")
    print("\n".join([*said, *few_classes.reasons(template, wanted.classes)]))
    weights = "".join(f" {variable}=.." for variable in template.needs)
    root = ".." if args.data is None else shlex.quote(str(args.data))
    print(f"next: DATA_ROOT={root}{weights} bash run.sh {args.name}")


if __name__ == "__main__":
    run_main(main)
