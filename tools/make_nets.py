# PYTHON_ARGCOMPLETE_OK
"""Write the prototxts of an experiment from the numbers in its settings.yaml (`nets`).

    python -m tools.make_nets prototxts/mine           # writes those that differ
    python -m tools.make_nets prototxts/mine --check   # says which differ, writes nothing
"""

import sys
from pathlib import Path

from dsrg.io.command_line import command_parser
from dsrg.io.errors import UserError, run_main
from dsrg.pipeline.settings import read_experiment
from training.findcaffe import import_caffe


def main(argv=None):
    parser = command_parser("tools.make_nets", __doc__)
    parser.add_argument("folder", type=Path, help="of the experiment")
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 where a file differs")
    args = parser.parse_args(argv)
    contents = made(args.folder.resolve())
    from dsrg.experiments import prototxt_files

    if args.check:
        different = prototxt_files.differing(args.folder, contents)
        for name in different:
            print(f"{args.folder / name} differs from what settings.yaml says", file=sys.stderr)
        return 1 if different else 0
    changed = prototxt_files.write(args.folder, contents)
    print(f"{args.folder}: {', '.join(changed) + ' written' if changed else 'all prototxts are as settings.yaml says'}")
    return 0


def made(folder):
    """Texts of the prototxts of the experiment in a folder, by file name.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    dict of str to str

    Raises
    ------
    UserError
        No `nets` in its settings.yaml, or numbers that do not fit.
    """
    experiment = read_experiment(folder)
    if experiment.nets is None:
        raise UserError(f"{folder / 'settings.yaml'} has no `nets` to make prototxts from; edit the prototxts, or "
                        "begin anew with python -m tools.new_experiment")
    import_caffe("embedded")
    from dsrg.experiments import prototxt_files

    messages = prototxt_files.prototxts(experiment.nets, experiment.cue_file)
    return prototxt_files.texts(messages, folder.name)


if __name__ == "__main__":
    run_main(main)
