"""What is asked for, as runs with their stages: one run, or of an ablation the plain run and its own."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from dsrg.io.errors import UserError
from dsrg.pipeline import run_folder
from dsrg.pipeline.prototxt_edits import read_ablation
from dsrg.pipeline.run import Run
from dsrg.pipeline.settings import WEIGHT_VARIABLES, UsageError
from dsrg.pipeline.stage_arguments import check_arguments
from dsrg.pipeline.stages import (
    BEFORE_RETRAINING,
    NOT_OF_A_RETRAINING,
    NOT_OF_AN_ABLATION,
    OF_THE_PLAIN_RUN,
    STAGES,
    selected,
)
from dsrg.pipeline.stamps import Stamps


@dataclass(frozen=True)
class Choice:
    """Which stages are wanted.

    Attributes
    ----------
    words : tuple of str
        Stages or groups asked for by name; () for all of the experiment.
    start : str
        Begin with this stage, what comes before is not looked at.
    force : bool
        Run the stages that were asked for, or follow `start`, though they are done.
    keep_edits : bool
        Run with prototxts that were edited in the run's folder.
    adopt : bool
        Take the results that lie there for what they are now made from.
    """

    words: tuple = ()
    start: str = ""
    force: bool = False
    keep_edits: bool = False
    adopt: bool = False


@dataclass
class Part:
    """A run and its rows: of an ablation the plain run is a part too."""

    run: Run
    texts: dict                 # the experiment's prototxts
    rows: list
    says: str | None = None
    stamps: Stamps = field(init=False)

    def __post_init__(self):
        self.stamps = Stamps(self.run)


def parts(settings, experiment, ablations, choice):
    """The parts of what is asked for, in their order.

    Parameters
    ----------
    settings : Settings
    experiment : Experiment
    ablations : path
        Folder of the ablations.
    choice : Choice

    Returns
    -------
    list of Part

    Raises
    ------
    UsageError
        Stages, data or weights that do not fit.
    UserError
        An ablation that does not fit, a prototxt that was edited in the run's folder, arguments that a stage's command
        does not take, files that are not there.
    """
    takes = read_ablation(Path(ablations, f"{settings.ablation}.yaml")).takes() if settings.ablation else ()
    of_plain, left_out = ((BEFORE_RETRAINING, NOT_OF_A_RETRAINING) if "s" in takes else
                          (OF_THE_PLAIN_RUN, NOT_OF_AN_ABLATION))
    try:
        selected((), experiment.skip)
    except UserError as error:
        raise UserError(f"{experiment.folder / 'settings.yaml'}: skip: {error}") from None
    rows = _rows(choice, experiment.skip + (left_out if settings.ablation else ()))
    found, base = [], None
    wholes = [(settings, rows, choice.words)]
    if settings.ablation:
        plain = _without_ablation(settings)
        wholes.insert(0, (plain, selected(of_plain), of_plain))
    for these, wanted, words in wholes:
        texts, ablation = run_folder.prototxts_of(these, experiment, ablations)
        its = replace(experiment, arguments={**experiment.arguments, **(ablation.arguments if ablation else {})})
        folder = these.work / these.run_name()
        run = Run(these, its, folder, run_folder.with_edits(folder, texts, choice.keep_edits), base,
                  takes if ablation else ())
        run.asked = frozenset(words)
        base = run
        if not run.trainings:
            raise UserError(f"{experiment.folder} has no solver; an experiment has at least solver-s.prototxt")
        part = Part(run, texts, wanted, ablation and ablation.says)
        run_folder.refuse_older(run, choice.adopt)
        _check_data(run)
        _check_trainings(part)
        if not choice.words and not choice.start and wanted is rows:
            _check_skipped(part)
        check_arguments(part, found, ablation and (Path(ablations, f"{settings.ablation}.yaml"), ablation.arguments))
        found.append(part)
    return found


def _rows(choice, skip):
    """The rows that are asked for, one at least."""
    try:
        rows = selected(choice.words, skip)
        first = selected([choice.start]) if choice.start else []
    except UserError as error:
        raise UsageError(str(error)) from None
    if first and not choice.words and not set(first) & set(rows):
        raise UsageError(f"--from {choice.start}: this run leaves {choice.start} out unless it is asked for by name: "
                         f"--stages {choice.start}")
    if first:
        rows = [row for row in rows if STAGES.index(row) >= STAGES.index(first[0])]
    if not rows:
        raise UsageError(f"--stages {','.join(choice.words)} --from {choice.start}: none of these stages comes at "
                         f"{choice.start} or after it, so that there is nothing to run" if first else
                         "the experiment leaves all stages out (skip in settings.yaml); name some with --stages")
    return rows


def _without_ablation(settings):
    return replace(settings, ablation="")


def _check_data(run):
    if run.base is None and run.settings.data_root is None and not run.experiment.make_data:
        raise UsageError(f"experiment {run.experiment.name} needs DATA_ROOT, a folder in VOC layout (JPEGImages/, "
                         "ImageSets/, ...)")


def _check_skipped(part):
    """What the experiment skips is there, where a stage reads it that is not skipped."""
    run = part.run
    skipped = {row.name: row for row in STAGES if {row.name, row.group} & set(run.experiment.skip)}
    for row in part.rows:
        for name in (name for name in (*row.needs, *row.also_needs(run)) if name in skipped):
            try:
                made = skipped[name].makes(run)
            except UserError:       # the experiment has no such training
                continue
            if row.left_out(run) or skipped[name].left_out(run):
                continue
            read = {run.experiment.cue_file, *(file for read in row.reads(run) for file in read.files)}
            missing = [path for path in (*made.folders, *(file for file in made.files if file in read))
                       if not run.path(path).exists()]
            if missing:
                raise UserError(f"{run.experiment.folder / 'settings.yaml'}: skip: stage {row.name} reads what stage "
                                f"{name} makes, and {missing[0]} is not in {run.folder}; do not skip {name}, or run it "
                                f"before: --stages {name}")


def _check_trainings(part):
    """Weights are asked for by the trainings that start from them; their nets must be there, as they are changed."""
    run = part.run
    for row in part.rows:
        name = {"cam": "cam", "static": "static", "train-s": "s", "train-f": "f", "full": "full"}.get(row.name)
        if name not in run.trainings or row.left_out(run):
            continue
        row.code(run)       # reads the net, with the change of `static` or `full`
        where = run.experiment.start_of("s" if name == "static" else name)
        if where in WEIGHT_VARIABLES and where in run.experiment.needs and where not in run.settings.weights:
            raise UsageError(f"experiment {run.experiment.name} needs {where}, {run.experiment.needs[where]}; stage "
                             f"{row.name} starts from it")
        start = run.start(name)
        if start and where not in run.trainings and not run.path(start[1]).is_file():
            raise UserError(f"{run.experiment.folder / 'settings.yaml'}: weights: stage {row.name} starts from "
                            f"'{where}', and there is no such file ({start[1]}); expected a variable "
                            f"({', '.join(WEIGHT_VARIABLES)}), an earlier training of the experiment, none or a file")
