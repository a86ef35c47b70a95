"""What a run is asked for (Settings, from run.sh's variables and the command line) and what its experiment says
(Experiment, from prototxts/<name>/settings.yaml)."""

from dataclasses import dataclass, field
from pathlib import Path

from dsrg.experiments.description import Nets, read_nets
from dsrg.io.errors import UserError
from dsrg.io.param_str import shown
from dsrg.io.text_files import read_text
from dsrg.io.yaml_text import parse_yaml
from dsrg.pipeline.allowed_values import (
    ARGUMENTS,
    fault_of_change,
    fault_of_cue_file,
    fault_of_maker,
    read_arguments,
)

#: kinds of training, each with solver-<kind>.prototxt
KINDS = ("cam", "s", "f", "full")
#: all trainings, in the order in which a run comes to them
ORDER = ("cam", "static", "s", "f", "full")
#: variables that can hold a caffemodel to start from
WEIGHT_VARIABLES = ("WEIGHTS", "VGG_WEIGHTS")
#: commands whose arguments an experiment chooses
COMMANDS = tuple(ARGUMENTS)


class UsageError(UserError):
    """A run that was asked for in words that do not fit."""


@dataclass(frozen=True)
class Settings:
    """One run, as it is asked for; paths are absolute, and nothing here is 'auto' any more.

    Attributes
    ----------
    experiment, ablation : str
        Names; "" for no ablation.
    work : Path
        Runs are made below it.
    data_root, cues, input_list : Path or None
    weights : dict of str to Path
        By variable, those that were given.
    masks : str
        Folder of the data root with the true masks.
    engine : str
        embedded or caffe.
    caffe : Path or None
        Folder of the real Caffe's Python package.
    precision, device, crf_backend : str
    seed : int
    max_iter, batch, snapshot_keep : int or None
    tensorboard : bool
        Whether trainings write event files for TensorBoard.
    live_page : bool
        Whether the page is made after every stage, and not by the stage report alone.
    nproc : int or None
        Processes that share the photos of stages which can; None: one for each device.
    skip_bad : bool
        Whether photos with faults are left out of the run, instead of stopping it.
    """

    experiment: str
    work: Path
    ablation: str = ""
    data_root: Path | None = None
    cues: Path | None = None
    input_list: Path | None = None
    weights: dict = field(default_factory=dict)
    masks: str = "SegmentationClass"
    engine: str = "embedded"
    caffe: Path | None = None
    caffe_root: str = ""
    precision: str = "fp32"
    device: str = "cpu"
    crf_backend: str = "own"
    seed: int = 0
    max_iter: int | None = None
    batch: int | None = None
    snapshot_keep: int | None = None
    tensorboard: bool = False
    live_page: bool = True
    skip_bad: bool = False
    nproc: int | None = None

    @property
    def processes(self):
        """Number of processes that share the photos of a stage which can be shared."""
        return self.nproc or len(self.device.split(","))

    def run_name(self, ablation=None):
        """Name of the run's folder below `work`.

        Parameters
        ----------
        ablation : str, optional
            Another than the settings' own.

        Returns
        -------
        str
        """
        ablation = self.ablation if ablation is None else ablation
        return self.experiment + (f"-{ablation}" if ablation else "") + (f"-seed{self.seed}" if self.seed else "")


@dataclass(frozen=True)
class Experiment:
    """prototxts/<name>/settings.yaml.

    Attributes
    ----------
    make_data : str
        Module that makes the data set (`--out FOLDER --seed N`), "" for experiments on the user's photos.
    needs : dict of str to str
        Variable of WEIGHT_VARIABLES that must be given -> what it holds.
    weights : dict of str to str
        Kind of training -> where it starts: a variable, an earlier training (its result), 'none', or a file, from
        where the run is started.
    skip : tuple of str
        Stages left out unless they are asked for by name.
    cue_file : str
        Where train-s looks for the cues.
    static, full : str
        What makes stage s the baseline of static seeds, and stage f the reference, as `--set` of training.train.
    arguments : dict of str to tuple of str
        Command of COMMANDS -> its arguments.
    chosen_for : dict of str to number
        "photos" (to train on) and "side" (the middle longer one, in pixels) of the data that the numbers were chosen
        for; {} where that is not said.
    few_classes : dict
        "most" (number of classes with background) and, as `arguments`, those of experiments made from this one: for
        data of so few classes, "arguments", or for more where its own are for so few, "otherwise"; {} where there are
        none.
    calibrate : bool
        Whether train photos are kept apart from stage f, to calibrate its probabilities on.
    nets : Nets or None
        What tools.make_nets makes the prototxts from; runs read the prototxts alone.
    """

    name: str
    folder: Path
    make_data: str = ""
    needs: dict = field(default_factory=dict)
    weights: dict = field(default_factory=dict)
    skip: tuple = ()
    cue_file: str = "cues/localization_cues.pickle"
    static: str = "update-seed.grow=false"
    full: str = "data.source=lists/train_full.txt"
    arguments: dict = field(default_factory=dict)
    chosen_for: dict = field(default_factory=dict)
    few_classes: dict = field(default_factory=dict)
    calibrate: bool = False
    nets: Nets | None = None

    def start_of(self, kind):
        """Where a kind of training starts; the reference starts where stage s does unless the experiment says so.

        Parameters
        ----------
        kind : str
            One of KINDS.

        Returns
        -------
        str
        """
        default = {"cam": "WEIGHTS", "s": "WEIGHTS", "f": "s", "full": self.weights.get("s", "WEIGHTS")}
        return self.weights.get(kind, default[kind])


def experiment_names(prototxts):
    """Names of the experiments below a folder, sorted.

    Parameters
    ----------
    prototxts : path

    Returns
    -------
    list of str
    """
    return sorted(path.parent.name for path in Path(prototxts).glob("*/settings.yaml"))


def read_experiment(folder):
    """Read the settings of the experiment in `folder`.

    Parameters
    ----------
    folder : path

    Returns
    -------
    Experiment

    Raises
    ------
    UserError
        No settings.yaml, an empty one, no YAML mapping, an unknown key, or a value of another type or that is not
        allowed.
    """
    folder = Path(folder)
    path = folder / "settings.yaml"
    if not path.exists():
        raise UserError(f"{path} does not exist; an experiment is a folder with prototxts and settings.yaml")
    try:
        content = parse_yaml(read_text(path, "settings"))
    except ValueError as error:
        raise UserError(f"{path} is not valid YAML: {error}") from None
    if content is None:
        raise UserError(f"{path} is empty; expected lines 'key: value', or {{}} for an experiment of defaults alone")
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected lines 'key: value', got {type(content).__name__}")
    return Experiment(folder.name, folder, **{
        str(key).replace("-", "_"): _checked(path, key, value) for key, value in content.items()})


def _checked(path, key, value):
    """The value of one key in the form that Experiment keeps it in."""
    def refuse(expected):
        raise UserError(f"{path}: {key}: expected {expected}, got {shown(value)}")

    if key == "nets":
        return read_nets(value, f"{path}: nets")
    if key == "chosen_for":
        fits = isinstance(value, dict) and set(value) == {"photos", "side"} and all(
            type(number) in (int, float) and number > 0 for number in value.values())
        return value if fits else refuse("photos and side, numbers above 0")
    if key == "few_classes":
        side = next((name for name in ("arguments", "otherwise") if isinstance(value, dict) and name in value), None)
        if side is None or set(value) != {"most", side} or type(value["most"]) is not int:
            refuse("most, a whole number, and arguments, or otherwise in their place")
        return {**value, side: read_arguments(value[side], f"{path}: few_classes: {side}")}
    if key in ("make_data", "cue_file", "static", "full"):
        if not isinstance(value, str):
            refuse("text")
        fault_of = {"make_data": fault_of_maker, "cue_file": fault_of_cue_file}.get(key, fault_of_change)
        if value and (fault := fault_of(value)):
            raise UserError(f"{path}: {key}: {fault}")
        return value
    if key == "calibrate":
        return value if isinstance(value, bool) else refuse("true or false")
    if key == "skip":
        return tuple(value) if _all_text(value, list) else refuse("a list of stages")
    if key == "arguments":
        return read_arguments(value, f"{path}: arguments")
    names = {"needs": WEIGHT_VARIABLES, "weights": KINDS}.get(key)
    if names is None:
        raise UserError(f"{path}: unknown key '{key}'; expected some of make_data, needs, weights, skip, cue_file, "
                        "static, full, arguments, chosen_for, few_classes, calibrate, nets")
    if not isinstance(value, dict) or not _all_text(list(value.values()), list) or not set(value) <= set(names):
        refuse(f"texts by {', '.join(names)}")
    if key == "weights":
        for kind, where in value.items():
            if where in ORDER and ORDER.index(where) >= ORDER.index(kind):
                earlier = ", ".join(ORDER[:ORDER.index(kind)])
                raise UserError(f"{path}: weights: {kind}: '{where}' is not trained before {kind}; expected "
                                f"{f'an earlier training ({earlier}), ' if earlier else ''}a variable "
                                f"({', '.join(WEIGHT_VARIABLES)}), none or a file")
    return value


def _all_text(values, kind):
    return isinstance(values, kind) and all(isinstance(value, str) for value in values)
