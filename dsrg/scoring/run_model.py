"""What a run predicts with: net, weights, classes, and the settings that its own segmentations were made with.

tools.segment leaves them beside its label maps (settings.json), those of run.sh in segmentations/<stage> and labels/.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from dsrg.io.class_names import read_classes
from dsrg.io.errors import UserError
from dsrg.io.json_files import parse_json
from dsrg.io.regular_files import read_file
from dsrg.scoring.label_map_folder import SETTINGS
from dsrg.scoring.recipe import Recipe

#: stage -> folders with the settings it was segmented with, in the order of preference
STAGES = {"f": ("segmentations/f",), "s": ("segmentations/s", "labels"), "static": ("segmentations/static",),
          "full": ("segmentations/full",)}
BY_ITSELF = ("f", "s")  # stages that are taken where none is named, in this order: the method's own
TITLES = {"static": "static seeds", "s": "stage s", "f": "stage f", "full": "fully supervised"}


@dataclass(frozen=True)
class RunModel:
    """Files and settings of a run's network.

    Attributes
    ----------
    net, weights : Path
    class_names : list of str
        In index order, background first.
    recipe : Recipe
    precision : str
        That of the run's segmentations.
    stage : str
        One of STAGES.
    """

    net: Path
    weights: Path
    class_names: list
    recipe: Recipe
    precision: str
    stage: str


def find_model(run, stage=None):
    """The newest weights of a run's last stage and how to use them.

    Parameters
    ----------
    run : path
        Folder of a run, such as work/demo.
    stage : str, optional
        One of STAGES; by default f where it was segmented, else s.

    Returns
    -------
    RunModel

    Raises
    ------
    UserError
        No run, or one that has not come to a segmentation yet.
    """
    run = Path(run)
    if not run.is_dir():
        what = "is a file, not the folder of a run" if run.exists() else "no such folder"
        raise UserError(f"{run}: {what}; give the folder of a run, such as work/demo")
    if stage not in (None, *STAGES):
        raise UserError(f"stage '{stage}': expected one of {', '.join(STAGES)}")
    for name in [stage] if stage else BY_ITSELF:
        if path := _settings_of(run, name):
            return _model(run, path, name)
    if not stage and not any((run / name).is_dir() for name in ("segmentations", "labels", "models", "stamps")):
        raise UserError(f"{run}: no run of this pipeline (it has neither models/ nor segmentations/); give the folder "
                        "of a run, such as work/demo")
    wanted = f"stage {stage}" if stage else "any stage"
    raise UserError(f"{run}: no {SETTINGS} of {wanted} in segmentations/ or labels/, so its sizes and widths are not "
                    "known; run its stage 'segment' first, or name net, weights and sizes one by one "
                    "(python -m tools.segment --help)")


def segmented_stages(run):
    """Stages of a run that `find_model` finds, in the order in which they are looked at: static, s, f, full.

    Parameters
    ----------
    run : path

    Returns
    -------
    list of str
    """
    return [stage for stage in TITLES if _settings_of(Path(run), stage)]


def _settings_of(run, stage):
    paths = (run / folder / SETTINGS for folder in STAGES[stage])
    return next((path for path in paths if path.is_file()), None)


def _model(run, path, stage):
    try:
        record = parse_json(read_file(path, "settings"))
        recipe, net, weights = Recipe.from_settings(record["settings"]), run / record["net"], run / record["weights"]
        precision = record["settings"]["precision"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not the settings of a segmentation ({error!r}); segment again with "
                        "--overwrite") from None
    try:
        weights = newest(weights)
    except OSError as error:
        raise UserError(f"{path}: its weights cannot be looked for ({error.strerror}); segment again with "
                        "--overwrite") from None
    return RunModel(net, weights, read_classes(run / "lists/classes.txt"), recipe, precision, stage)


def newest(weights):
    """The weights of the highest iteration beside `<prefix>_iter_<n>.caffemodel`; UserError where there are none.

    Parameters
    ----------
    weights : Path
        `<prefix>_iter_<n>.caffemodel`, or any file.

    Returns
    -------
    Path

    Raises
    ------
    UserError
        No weights of this prefix are there.
    """
    match = re.fullmatch(r"(.+)_iter_\d+(\.caffemodel(\.h5)?)", weights.name)
    if match is None:
        found = [weights] if weights.is_file() else []
    else:
        pattern = re.compile(re.escape(match[1]) + r"_iter_(\d+)\.caffemodel(\.h5)?")
        numbers = {int(m[1]): path for path in weights.parent.glob("*") if (m := pattern.fullmatch(path.name))}
        found = [numbers[number] for number in sorted(numbers)]
    if not found:
        raise UserError(f"{weights}: no such weights; train the stage again, or copy them there")
    return found[-1]
