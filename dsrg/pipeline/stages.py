"""The stages of the pipeline: a table, one row a stage.

    lists -> cam -> cues -> static, train-s -> label -> train-f, full -> segment -> evaluate -> report

A row says what the stage reads, what it makes, by which command, and which stages it follows. Commands run in the
folder of the run; all that a stage's result depends on is read or is a word of its command: stamps.py makes a stamp of
it. A new stage is a row here, and a command.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from dsrg.io.errors import UserError
from dsrg.io.photos import PHOTO_SUFFIXES
from dsrg.pipeline.prototxts import listed_files, net_files

#: stands in `code` for the engine that nets run on
CAFFE = "caffe"


@dataclass(frozen=True)
class Read:
    """Something that a stage reads.

    Attributes
    ----------
    label : str
        What a plan calls it.
    files : tuple of str
        Names as Run.path takes them, or absolute paths. One file is required, many are photos and the like: one of them
        that is missing is for the stage to complain about.
    listing : str
        Instead, a folder of which the names alone count.
    """

    label: str
    files: tuple = ()
    listing: str = ""

    @property
    def required(self):
        return len(self.files) == 1 and self.files[0] == self.label


@dataclass(frozen=True)
class Made:
    """What a stage makes: files, and folders with all that lies in them.

    Attributes
    ----------
    also : tuple of str
        What it may leave besides, and what is set aside with the rest: snapshots on the way, its log.
    """

    files: tuple = ()
    folders: tuple = ()
    also: tuple = ()


@dataclass(frozen=True)
class Stage:
    """One row of the table; the callables take a Run.

    Attributes
    ----------
    group : str
        The word that asks for it, where several stages share one ('segment').
    needs : tuple of str
        Stages that make what it reads.
    code : callable
        Modules that its command imports, CAFFE for the engine, "module:class" for Python layers.
    unkeyed : callable
        Words of the command that its result does not depend on.
    left_out : callable
        Why there is nothing to do, or None.
    always : bool
        It is run each time, and has no stamp.
    """

    name: str
    needs: tuple
    command: Callable
    reads: Callable = lambda run: []
    makes: Callable = lambda run: Made()
    code: Callable = lambda run: ()
    unkeyed: Callable = lambda run: []
    left_out: Callable = lambda run: None
    group: str = field(default="")
    always: bool = False

    def __post_init__(self):
        object.__setattr__(self, "group", self.group or self.name)


def python(module, *words):
    return [sys.executable, "-m", module, *map(str, words)]


def file(name):
    return Read(name, (name,))


# ---- what several rows share -------------------------------------------------------------------------------------


def photos_of(run, name):
    """The photos of a list of ids."""
    return Read(f"photos of {name}", run.files_of_ids("data/JPEGImages", run.ids(name) or [], PHOTO_SUFFIXES))


def masks_of(run, name):
    """The true masks of a list of ids."""
    return Read(f"masks of {name}", run.files_of_ids("masks", run.ids(name) or [], (".png",)))


def photos_of_list(run, name):
    """The photos of input_list.txt, names with their suffix."""
    return Read(f"photos of {name}", tuple(listed_files(run.text(name) or "", "data/JPEGImages")[0]))


def folder(run, name):
    """All files of a folder, those of its folders too; hidden ones do not count."""
    top = run.path(name)
    found = []
    for path in sorted(top.rglob("*")) if top.is_dir() else ():
        parts = path.relative_to(top).parts
        if path.is_file() and not any(part.startswith(".") for part in parts):
            found.append("/".join((name, *parts)))
    return tuple(found)


def argument_reads(run, command):
    """Files and folders among the arguments that the experiment gives a command: saliency maps, another net."""
    found = []
    for word in run.experiment.arguments.get(command, ()):
        path = run.folder / word
        if not word.startswith("-") and path.is_dir():
            found.append(Read(word, folder(run, word)))
        elif not word.startswith("-") and path.is_file():
            found.append(file(word))
    return found


def device(run):
    return ["--device", run.settings.device, "--precision", run.settings.precision]


def training(name, which, needs, *, left_out=lambda run: None, reads=()):
    """A row that trains by a solver, resumed from its newest snapshot; `which` is the training's name."""
    def command(run):
        start, changes = run.start(which), run.changes(which)
        words = ["--solver", run.solver(which)]
        words += ["--max-iter", run.settings.max_iter] if run.settings.max_iter else []
        words += ["--weights", start[1]] if start else []
        words += ["--resume", "--seed", run.settings.seed, *device(run), "--log", f"logs/{name}.jsonl"]
        if changes:
            words += ["--set", changes, "--snapshot-prefix", run.training(which).prefix]
        return python("training.train", *words)

    def inputs(run):
        train, start = run.training(which), run.start(which)
        found = [file(run.solver(which)), file(train.net)]
        found += [Read(start[0], (start[1],))] if start else []
        net = _net_files(run, which)
        found += [file(path) for path in sorted({*net.files, *reads, *(source for source, _ in net.lists)})]
        for source, root in net.lists:
            photos, maps = listed_files(run.text(source) or "", root)
            found += [Read(f"photos of {source}", tuple(photos))] if photos else []
            found += [Read(f"label maps of {source}", tuple(maps))] if maps else []
        return found

    def code(run):
        return ("training.train", CAFFE, *_net_files(run, which).layers)

    def makes(run):
        train = run.training(which)
        return Made(files=(train.model, *train.kept_files()),
                    also=(*train.snapshots(run.folder), f"logs/{name}.jsonl"))

    def unkeyed(run):
        keep = run.settings.snapshot_keep
        return ["--go-on", "", *(["--snapshot-keep", str(keep)] if keep else [])]     # the run says how to go on

    return Stage(name, needs, command, inputs, makes, code, unkeyed, left_out)


def _net_files(run, which):
    """What the net of a training names, as the training changes it."""
    name = run.training(which).net
    text = run.text(name)
    if text is None:
        raise UserError(f"{run.folder / name} does not exist; {run.solver(which)} names it as its net")
    return net_files(text, name, run.exists, run.changes(which))


def segmentation(name, model, needs, ids, out, which, *, labels=False, **row):
    """A row that segments the photos of a list with a trained net."""
    def command(run):
        words = ["--net", "deploy.prototxt", "--weights", run.model(model), "--list", ids, "--images",
                 "data/JPEGImages", "--out", out, *device(run)]
        words += ["--labels", "lists/image_labels.txt"] if labels else []
        return python("tools.segment", *words, *run.experiment.arguments.get(which, ()))

    def reads(run):
        found = [file("deploy.prototxt"), file(run.model(model)), file(ids), photos_of(run, ids)]
        found += [file("lists/image_labels.txt")] if labels else []
        return found + argument_reads(run, which)

    return Stage(name, needs, command, reads, lambda run: Made(folders=(out,)),
                 code=lambda run: ("tools.segment", CAFFE), **row)


def evaluation(name, predicted, needs, ids):
    """A row that compares a folder of label maps with the true masks."""
    def command(run):
        return python("tools.evaluate", "--pred", predicted, "--gt", f"data/{run.settings.masks}", "--list", ids,
                      "--classes", "lists/classes.txt", "--out", f"results/{name}.json")

    def reads(run):
        return [file(ids), file("lists/classes.txt"), Read(predicted, folder(run, predicted)), masks_of(run, ids)]

    def left_out(run):
        if not run.path(predicted).is_dir() and not set(needs[1:]) & run.coming:
            return f"there is no {predicted}"
        return no_masks(run, ids)

    return Stage(f"evaluate-{name}", needs, command, reads,
                 lambda run: Made(files=(f"results/{name}.json",), also=(f"results/{name}.txt",)),
                 code=lambda run: ("tools.evaluate",), left_out=left_out, group="evaluate")


def no_masks(run, ids):
    """Why the photos of a list cannot be measured, or None."""
    known = run.ids(ids)
    missing = run.without_mask(known) if known else 0
    return f"{missing} photos of {ids} have no mask in DATA_ROOT/{run.settings.masks}" if missing else None


# ---- single rows -------------------------------------------------------------------------------------------------


def list_reads(run):
    found = [Read("data/ImageSets/Segmentation", folder(run, "data/ImageSets/Segmentation")),
             Read("names of the photos", listing="data/JPEGImages")]
    found += [file(f"data/{name}") for name in ("image_labels.txt", "classes.txt", "image_ids.txt")
              if run.exists(f"data/{name}")]
    if not run.exists("data/image_labels.txt"):
        found += [Read("data/Annotations", folder(run, "data/Annotations"))]
    return found + ([Read("INPUT_LIST", (str(run.settings.input_list),))] if run.settings.input_list else [])


def list_command(run):
    numbers = run.settings.input_list
    return python("tools.make_lists", "--data", "data", "--out", "lists", "--masks", "masks",
                  *(["--numbers", numbers] if numbers else []))


def cam_quality_command(run):
    return python("localization_cues.classifier_quality", "--net", "cam-deploy.prototxt", "--weights",
                  run.model("cam"), "--list", "lists/cam_quality.txt", "--images", "data/JPEGImages", "--labels",
                  "lists/image_labels.txt", "--classes", "lists/classes.txt", "--out", "results/cam-quality.json",
                  "--device", run.settings.device)


def cue_command(run):
    return python("localization_cues.make_cues", "--net", "cam-deploy.prototxt", "--weights", run.model("cam"),
                  "--list", "lists/input_list.txt", "--images", "data/JPEGImages", "--labels",
                  "lists/image_labels.txt", "--out", run.experiment.cue_file, "--device", run.settings.device,
                  *run.experiment.arguments.get("cues", ()))


def cue_reads(run):
    return [file("cam-deploy.prototxt"), file(run.model("cam")), file("lists/input_list.txt"),
            file("lists/image_labels.txt"), photos_of_list(run, "lists/input_list.txt"), *argument_reads(run, "cues")]


def cue_evaluation(run):
    return python("localization_cues.evaluate_cues", "--cues", run.experiment.cue_file, "--list",
                  "lists/input_list.txt", "--masks", f"data/{run.settings.masks}", "--classes", "lists/classes.txt",
                  "--out", "results/cues.json")


def cam_is_given(run):
    """With finished cues the classifier is trained only where stage s starts from it."""
    if run.base is not None:
        return "the plain run's is taken"
    if run.given_cues is not None and run.experiment.start_of("s") != "cam":
        return "CUES is given, and stage s does not start from the classifier"
    return None


def cues_are_given(run):
    if run.base is not None:
        return "the plain run's are taken"
    return "CUES is given" if run.given_cues is not None else None


def data_is_given(run):
    if run.settings.data_root is not None or run.base is not None:
        return "DATA_ROOT is given" if run.base is None else "the plain run's is taken"
    return None if run.experiment.make_data else "the experiment has none of its own"


def no_reference(run):
    """Without masks there is no reference to train; asked for by name, the training says what it misses."""
    if "full" in run.asked or "data" in run.coming:
        return None
    if not run.path("masks").is_dir():
        return f"DATA_ROOT has no {run.settings.masks}"
    return no_masks(run, "lists/train_id.txt")


def no_model(model, stage):
    def left_out(run):
        if stage in run.coming:
            return None
        if model not in run.trainings:
            return f"the experiment has no {stage}"
        return None if run.path(run.model(model)).is_file() else f"{run.model(model)} is not trained"
    return left_out


#: (name of a model, the stage that trains it, whose arguments it is segmented with)
MODELS = (("static", "static", "segment-s"), ("s", "train-s", "segment-s"), ("f", "train-f", "segment-f"),
          ("full", "full", "segment-f"))

STAGES = (
    Stage("data", (),
          command=lambda run: python(run.experiment.make_data, "--out", "made-data", "--seed", run.settings.seed),
          makes=lambda run: Made(folders=("made-data",)),
          code=lambda run: (run.experiment.make_data,), left_out=data_is_given),
    Stage("lists", ("data",), command=list_command, reads=list_reads, makes=lambda run: Made(folders=("lists",)),
          code=lambda run: ("tools.make_lists",)),
    training("cam", "cam", ("lists",), left_out=cam_is_given, reads=("lists/image_labels.txt",)),
    Stage("cam-quality", ("lists", "cam"), command=cam_quality_command,
          reads=lambda run: [file("cam-deploy.prototxt"), file(run.model("cam")), file("lists/cam_quality.txt"),
                             file("lists/image_labels.txt"), file("lists/classes.txt"),
                             photos_of_list(run, "lists/cam_quality.txt")],
          makes=lambda run: Made(files=("results/cam-quality.json",), also=("results/cam-quality.txt",)),
          code=lambda run: ("localization_cues.classifier_quality", CAFFE), group="cam", left_out=cam_is_given),
    Stage("cues", ("lists", "cam"), command=cue_command, reads=cue_reads,
          makes=lambda run: Made(files=(run.experiment.cue_file,)),
          code=lambda run: ("localization_cues.make_cues", CAFFE), left_out=cues_are_given),
    training("static", "static", ("lists", "cam", "cues")),
    training("train-s", "s", ("lists", "cam", "cues")),
    segmentation("label", "s", ("lists", "train-s"), "lists/train_id.txt", "labels", "label", labels=True),
    training("train-f", "f", ("lists", "train-s", "label")),
    training("full", "full", ("lists", "cam", "train-s"), left_out=no_reference),
    *(segmentation(f"segment-{model}", model, ("lists", stage), "lists/val_id.txt", f"segmentations/{model}", which,
                   group="segment", left_out=no_model(model, stage)) for model, stage, which in MODELS),
    Stage("evaluate-cues", ("lists", "cues"), command=cue_evaluation,
          reads=lambda run: [file(run.experiment.cue_file), file("lists/input_list.txt"), file("lists/classes.txt"),
                             masks_of(run, "lists/train_id.txt")],
          makes=lambda run: Made(files=("results/cues.json",), also=("results/cues.txt",)),
          code=lambda run: ("localization_cues.evaluate_cues",), group="evaluate",
          left_out=lambda run: no_masks(run, "lists/train_id.txt")),
    evaluation("labels", "labels", ("lists", "label"), "lists/train_id.txt"),
    *(evaluation(model, f"segmentations/{model}", ("lists", f"segment-{model}"), "lists/val_id.txt")
      for model, *_ in MODELS),
    Stage("report", ("evaluate-cues", "evaluate-labels", *(f"evaluate-{model}" for model, *_ in MODELS)),
          command=lambda run: python("tools.report", ".", "--device", run.settings.device), always=True),
)
#: words that ask for stages, in their order
GROUPS = tuple(dict.fromkeys(stage.group for stage in STAGES))
#: what an ablation takes from the plain run, and what it leaves out unless asked: it is one of stage s
OF_THE_PLAIN_RUN = ("data", "lists", "cam", "cues")
NOT_OF_AN_ABLATION = ("static", "label", "train-f", "full")


def selected(words, skip=()):
    """The rows that these words ask for, in the table's order; without words all but `skip`.

    Raises
    ------
    UserError
        A word that is neither a stage nor a group of stages.
    """
    known = set(GROUPS) | {stage.name for stage in STAGES}
    for word in words:
        if word not in known:
            raise UserError(f"unknown stage '{word}'; expected some of: {' '.join(GROUPS)}")
    if words:
        return [stage for stage in STAGES if {stage.name, stage.group} & set(words)]
    return [stage for stage in STAGES if not {stage.name, stage.group} & set(skip)]
