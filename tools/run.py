"""Runs the pipeline of an experiment: from photos with image-level labels to a trained, evaluated network.

    python -m tools.run demo --plan                       what would run, and why
    python -m tools.run demo --stages cues,train-s        only these stages (what they read must be there)
    python -m tools.run demo --ablation static            stage s with the changes of prototxts/ablations/static.yaml

A stage that is done is passed over; a run that was stopped goes on where it stopped. `bash run.sh` sets up and calls
this; its variables (DATA_ROOT=.. WEIGHTS=.. DEVICE=..) are read here from the environment, and nowhere further in.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from dsrg.caffe_device import PRECISIONS
from dsrg.crf_backend import CRF_BACKENDS, OWN
from dsrg.io.errors import UserError, run_main
from dsrg.pipeline import runner
from dsrg.pipeline.processes import Stopped
from dsrg.pipeline.settings import WEIGHT_VARIABLES, Settings, UsageError, experiment_names, read_experiment
from training.findcaffe import ENGINE_FOLDER, folder_of_caffe

ROOT = Path(__file__).resolve().parents[1]
PROTOTXTS = ROOT / "prototxts"
ABLATIONS = PROTOTXTS / "ablations"
#: variables that hold a path, and what must be there
PATHS = {"DATA_ROOT": "folder", "CUES": "file", "INPUT_LIST": "file", **dict.fromkeys(WEIGHT_VARIABLES, "file")}
#: the others, with their defaults
VARIABLES = {"EXPERIMENT": "demo", "MASKS": "SegmentationClass", "ENGINE": "auto", "CAFFE_ROOT": "", "DEVICE": "cpu",
             "PRECISION": "auto", "SEED": "0", "MAX_ITER": "", "BATCH": "", "WORK": "work", "STAGES": "",
             "ABLATION": "", "SNAPSHOT_KEEP": "", "CRF_BACKEND": OWN}


class Parser(argparse.ArgumentParser):
    """Says in one line what does not fit."""

    def error(self, message):
        raise UsageError(f"{message}; see --help")


def parse_args(argv, environment):
    parser = Parser(prog="python -m tools.run", description=__doc__, allow_abbrev=False,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", nargs="*", help=f"one of {' '.join(experiment_names(PROTOTXTS))}")
    parser.add_argument("--stages", "--only", default=environment["STAGES"], metavar="A,B",
                        help="only these stages, or groups of them such as segment")
    parser.add_argument("--from", dest="start", default="", metavar="STAGE", help="begin with this stage")
    parser.add_argument("--ablation", default=environment["ABLATION"], metavar="NAME",
                        help="change layers as prototxts/ablations/NAME.yaml says")
    parser.add_argument("--plan", action="store_true", help="say what would run and why, and run nothing")
    parser.add_argument("--force", action="store_true", help="run these stages though they are done; earlier results "
                        "are moved to stale/")
    parser.add_argument("--keep-edits", action="store_true", help="run with prototxts edited in the run's folder")
    parser.add_argument("--adopt", action="store_true", help="run nothing, and take the results that are there for "
                        "what they would be made from now: after a change that does not matter")
    parser.add_argument("--called-as", default="python -m tools.run", help=argparse.SUPPRESS)
    args = parser.parse_intermixed_args(argv)
    if len(args.experiment) > 1:
        raise UsageError(f"one experiment at a time, got '{args.experiment[0]}' and '{args.experiment[1]}'")
    args.experiment = args.experiment[0] if args.experiment else environment["EXPERIMENT"]
    return args


def settings_of(args, environment):
    """Settings of what was asked for; UsageError where a word does not fit, UserError where a path is not there."""
    def number(name, least):
        text = environment[name]
        if not re.fullmatch(r"\d*", text) or (text and int(text) < least):
            raise UsageError(f"{name}={text}: expected a whole number, {least} or more")
        return int(text) if text else None

    if args.experiment not in experiment_names(PROTOTXTS):
        raise UsageError(f"unknown experiment '{args.experiment}'; expected one of: "
                         f"{' '.join(experiment_names(PROTOTXTS))}")
    known = sorted(path.stem for path in ABLATIONS.glob("*.yaml"))
    if args.ablation and args.ablation not in known:
        raise UsageError(f"unknown ablation '{args.ablation}'; expected one of: {' '.join(known)}")
    for name, allowed in (("ENGINE", ("auto", "embedded", "caffe")), ("PRECISION", PRECISIONS),
                          ("CRF_BACKEND", CRF_BACKENDS)):
        if environment[name] not in allowed:
            raise UsageError(f"{name}={environment[name]}: expected {', '.join(allowed[:-1])} or {allowed[-1]}")
    numbers = {"seed": number("SEED", 0) or 0, "max_iter": number("MAX_ITER", 0) or None,
               "batch": number("BATCH", 1), "snapshot_keep": number("SNAPSHOT_KEEP", 1)}
    paths = {name: _existing(name, environment[name], kind) for name, kind in PATHS.items()}
    data = paths["DATA_ROOT"]
    if data is not None and not (data / "JPEGImages").is_dir():
        raise UserError(f"DATA_ROOT={data} has no folder JPEGImages; expected VOC layout (see README, Data)")
    weights = {name: paths[name] for name in WEIGHT_VARIABLES if paths[name] is not None}
    return Settings(args.experiment, Path(environment["WORK"]).absolute(), args.ablation, data, paths["CUES"],
                    paths["INPUT_LIST"], weights, environment["MASKS"], environment["ENGINE"], None,
                    environment["CAFFE_ROOT"], environment["PRECISION"], environment["DEVICE"],
                    environment["CRF_BACKEND"], **numbers)


def _existing(name, text, kind):
    """The absolute path that a variable names, or None."""
    if not text:
        return None
    path = Path(text).absolute()
    if not (path.is_dir() if kind == "folder" else path.is_file()):
        raise UserError(f"{name}={text}: no such {kind}")
    return path


def resolved(settings):
    """The settings with engine and precision as they will be, where they were left to the machine."""
    folder = folder_of_caffe(settings.engine, settings.caffe_root)
    if folder != ENGINE_FOLDER:
        if settings.precision not in ("auto", "fp32"):
            raise UserError(f"PRECISION={settings.precision}: pycaffe computes in fp32 only; leave it out, or set "
                            "ENGINE=embedded")
        return replace(settings, engine="caffe", caffe=folder / "caffe", precision="fp32")
    settings = replace(settings, engine="embedded")
    if settings.precision == "auto":
        settings = replace(settings, precision=_native_precision(settings.device))
    return settings


def _native_precision(device):
    """bf16 or fp32, asked of the engine in a process of its own: torch is slow to load and large to keep."""
    code = ("from training.findcaffe import find_caffe; from dsrg.caffe_device import use_machine; import sys; "
            "print(use_machine(find_caffe('embedded'), sys.argv[1], 'auto'))")
    done = subprocess.run([sys.executable, "-c", code, device], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise UserError(f"PRECISION=auto: the engine could not report the precision for DEVICE={device} "
                        f"({last[0].removeprefix('dsrg.io.errors.UserError: ')}); choose another DEVICE, "
                        "or set PRECISION")
    return done.stdout.split()[-1]


def command_again(called_as, argv, environment):
    """The command that goes on, as it can be typed where this one was."""
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
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def _main(argv, environment):
    args = parse_args(argv, environment)
    again = command_again(args.called_as, [word for word in argv if not word.startswith("--called-as")], environment)
    settings = settings_of(args, environment)
    experiment = read_experiment(PROTOTXTS / args.experiment)
    choice = runner.Choice(tuple(filter(None, args.stages.split(","))), args.start, args.force, args.keep_edits,
                           args.adopt)
    found = runner.parts(settings, experiment, ABLATIONS, choice)
    found = runner.parts(resolved(settings), experiment, ABLATIONS, choice)
    if args.plan:
        print("\n".join(runner.plan(found, choice)))
        return 0
    try:
        return runner.execute(found, choice, lambda line: print(line, flush=True))
    except Stopped as stopped:
        print(f"stopped; go on with\n  {again}", file=sys.stderr)
        return 128 + stopped.number


if __name__ == "__main__":
    run_main(main)
