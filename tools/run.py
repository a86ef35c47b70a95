# PYTHON_ARGCOMPLETE_OK
"""Runs the pipeline of an experiment: from photos with image-level labels to a trained, evaluated network.

    python -m tools.run demo --plan                     # what would run, and why
    python -m tools.run demo --stages cues,train-s      # only these stages (what they read must be there)
    python -m tools.run demo --ablation static          # stage s with the changes of prototxts/ablations/static.yaml

A stage that is done is passed over; a run that was stopped goes on where it stopped. `bash run.sh` sets up and calls
this; its variables (DATA_ROOT=.. WEIGHTS=.. DEVICE=..) are read here from the environment, and nowhere further in.
"""

import argparse
import os
import shlex
import sys
from functools import partial

from dsrg.io.command_line import CommandParser, command_parser
from dsrg.io.errors import run_main, tell_error
from dsrg.io.terminal import is_quiet
from dsrg.pipeline.live_page import LivePage
from dsrg.pipeline.plan import plan
from dsrg.pipeline.processes import Stopped
from dsrg.pipeline.run_parts import Choice, parts
from dsrg.pipeline.run_request import ABLATIONS, PATHS, PROTOTXTS, VARIABLES, resolved, settings_of
from dsrg.pipeline.runner import execute
from dsrg.pipeline.settings import UsageError, experiment_names, read_experiment


class Parser(CommandParser):
    """Says in one line what does not fit."""

    def error(self, message):
        """Raise a UsageError instead of ending the process.

        Parameters
        ----------
        message : str
        """
        raise UsageError(f"{message}; see --help")


def parse_args(argv, environment):
    parser = command_parser("tools.run", __doc__, parser_class=Parser, allow_abbrev=False)
    parser.add_argument("experiment", nargs="*", help=f"one of {' '.join(experiment_names(PROTOTXTS))}")
    parser.add_argument("--stages", "--only", metavar="A,B",
                        help="only these stages, or groups of them such as segment")
    parser.add_argument("--from", dest="start", metavar="STAGE", help="begin with this stage")
    parser.add_argument("--ablation", metavar="NAME",
                        help="change layers as prototxts/ablations/NAME.yaml says")
    parser.add_argument("--plan", action="store_true", help="say what would run and why, and run nothing")
    parser.add_argument("--force", action="store_true", help="run these stages though they are done; earlier results "
                        "are moved to stale/")
    parser.add_argument("--skip-bad", action="store_true", help="leave photos with faults out of the run, instead of "
                        "stopping at them (SKIP_BAD=1)")
    parser.add_argument("--keep-edits", action="store_true", help="run with prototxts edited in the run's folder")
    parser.add_argument("--adopt", action="store_true", help="run nothing, and take the results that are there for "
                        "what they would be made from now: after a change that does not matter")
    parser.add_argument("--called-as", default="python -m tools.run", help=argparse.SUPPRESS)
    args = parser.parse_intermixed_args(argv)
    if len(args.experiment) > 1:
        raise UsageError(f"one experiment at a time, got '{args.experiment[0]}' and '{args.experiment[1]}'")
    for flag, text in (("--stages", args.stages), ("--from", args.start), ("--ablation", args.ablation),
                       ("STAGES", environment["STAGES"] or None)):
        if text is not None and not text.strip(" ,"):       # which would ask for all, as without the flag
            raise UsageError(f"{flag}: expected a name, got '{text}'")
    args.stages = tuple(filter(None, map(str.strip, (args.stages or environment["STAGES"]).split(","))))
    args.ablation = args.ablation or environment["ABLATION"]
    if args.adopt:
        parser.refuse_unused(args, "with --adopt, which runs nothing and takes what is there", "--force", "--plan")
    args.skip_bad = args.skip_bad or environment["SKIP_BAD"] == "1"
    args.experiment = args.experiment[0] if args.experiment else environment["EXPERIMENT"]
    return args


def command_again(called_as, argv, environment):
    """The command that goes on, as it can be typed where this one was.

    Parameters
    ----------
    called_as : str
        Such as "bash run.sh".
    argv : list of str
    environment : dict of str to str

    Returns
    -------
    str
    """
    given = [f"{name}={shlex.quote(environment[name])}" for name in (*PATHS, *VARIABLES)
             if os.environ.get(name) and environment[name] != VARIABLES.get(name, "")]
    words = [word for word in argv if word != "--force"]
    return " ".join([*given, called_as, *map(shlex.quote, words)])


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    environment = {name: os.environ.get(name) or VARIABLES.get(name, "") for name in (*PATHS, *VARIABLES)}
    try:
        return _main(argv, environment)
    except UsageError as error:
        tell_error(str(error))
        return 2


def _main(argv, environment):
    args = parse_args(argv, environment)
    again = command_again(args.called_as, [word for word in argv if not word.startswith("--called-as")], environment)
    settings = settings_of(args.experiment, args.ablation, environment, args.skip_bad)
    experiment = read_experiment(PROTOTXTS / args.experiment)
    choice = Choice(args.stages, args.start or "", args.force, args.keep_edits, args.adopt)
    found = parts(settings, experiment, ABLATIONS, choice)
    found = parts(resolved(settings), experiment, ABLATIONS, choice)
    if args.plan:
        print("\n".join(plan(found, choice)))
        return 0
    try:
        say = (lambda line: None) if is_quiet() else partial(print, flush=True)
        return execute(found, choice, say, live_page=LivePage if settings.live_page else None)
    except Stopped as stopped:
        print(f"stopped; go on with\n  {again}", file=sys.stderr)
        return 128 + stopped.number


if __name__ == "__main__":
    run_main(main)
