# PYTHON_ARGCOMPLETE_OK
"""Write the prototxts of an experiment from the numbers in its settings.yaml (`nets`).

    python -m tools.make_nets prototxts/mine           # writes those that differ
    python -m tools.make_nets prototxts/mine --check   # says which differ, writes nothing
"""

import sys
from pathlib import Path

from dsrg.experiments.experiment_folder import prototxts_of
from dsrg.io.command_line import command_parser
from dsrg.io.errors import run_main


def main(argv=None):
    parser = command_parser("tools.make_nets", __doc__)
    parser.add_argument("folder", type=Path, help="of the experiment")
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 where a file differs")
    args = parser.parse_args(argv)
    contents = prototxts_of(args.folder.resolve())
    from dsrg.experiments import prototxt_files  # not before the engine is found

    if args.check:
        different = prototxt_files.differing(args.folder, contents)
        for name in different:
            print(f"{args.folder / name} differs from what settings.yaml says", file=sys.stderr)
        return 1 if different else 0
    changed = prototxt_files.write(args.folder, contents)
    print(f"{args.folder}: {', '.join(changed) + ' written' if changed else 'all prototxts are as settings.yaml says'}")
    return 0


if __name__ == "__main__":
    run_main(main)
