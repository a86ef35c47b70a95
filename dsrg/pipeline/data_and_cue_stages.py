"""The stages that make what trainings read: the data set, its lists, the cues; and that measure classifier and cues."""

import os

from dsrg.datasets.left_out import LEFT_OUT
from dsrg.pipeline.stage import CAFFE, Made, Read, Stage, file, python
from dsrg.pipeline.stage_files import (
    argument_reads,
    folder,
    masks_of,
    no_masks,
    photos_and_masks_of_data,
    photos_of_list,
)
from dsrg.pipeline.training_stages import cam_is_given


def made_data(name, needs):
    """The row that makes the data set of an experiment that has one of its own.

    Parameters
    ----------
    name : str
    needs : tuple of str

    Returns
    -------
    Stage
    """
    def left_out(run):
        if run.base is not None:
            return "the plain run's is taken"
        if run.settings.data_root is not None:
            return "DATA_ROOT is given"
        return None if run.experiment.make_data else "the experiment has none of its own"

    return Stage(name, needs,
                 command=lambda run: python(run.experiment.make_data, "--out", "made-data", "--seed",
                                            run.settings.seed),
                 makes=lambda run: Made(folders=("made-data",)),
                 code=lambda run: (run.experiment.make_data,), left_out=left_out)


def data_check(name, needs):
    """The row that reads the whole data set before anything is made of it, and stops at faults.

    Parameters
    ----------
    name : str
    needs : tuple of str

    Returns
    -------
    Stage
    """
    def command(run):
        words = ["data", "--masks", "masks", "--out", "check", "--cache", "stamps/pictures.cache"]
        if run.settings.cues is not None:
            cells = run.experiment.nets.cells if run.experiment.nets else None
            words += ["--cues", run.experiment.cue_file, *(["--cue-size", cells, cells] if cells else [])]
        words += ["--numbers", run.settings.input_list] if run.settings.input_list else []
        return python("tools.check_data", *words, *(["--skip-bad"] if run.settings.skip_bad else []))

    def reads(run):
        cues = [file(run.experiment.cue_file)] if run.settings.cues is not None else []
        return [*_lists_of_data(run), *photos_and_masks_of_data(run), *cues]

    return Stage(name, needs, command, reads, lambda run: Made(folders=("check",)),
                 code=lambda run: ("tools.check_data",),
                 left_out=lambda run: "the plain run's is taken" if run.base is not None else None)


def _lists_of_data(run):
    """The lists and labels of the data root, the names of its photos, and the numbers given with cues."""
    found = [Read("data/ImageSets/Segmentation", folder(run, "data/ImageSets/Segmentation")),
             Read("names of the photos", listing="data/JPEGImages")]
    found += [file(f"data/{name}") for name in ("image_labels.txt", "classes.txt", "image_ids.txt")
              if run.exists(f"data/{name}")]
    if not run.exists("data/image_labels.txt"):
        found += [Read("data/Annotations", folder(run, "data/Annotations"))]
    return found + ([Read("INPUT_LIST", (str(run.settings.input_list),))] if run.settings.input_list else [])


def lists(name, needs):
    """The row that makes the lists of photos and of their labels.

    Parameters
    ----------
    name : str
    needs : tuple of str

    Returns
    -------
    Stage
    """
    def left_out(run):
        """The photos that the check leaves out, in the plain run's folder of an ablation."""
        return os.path.relpath(run.base.folder / LEFT_OUT, run.folder) if run.base is not None else LEFT_OUT

    def command(run):
        numbers = run.settings.input_list
        return python("tools.make_lists", "--data", "data", "--out", "lists", "--masks", "masks",
                      *(["--numbers", numbers] if numbers else []),
                      *(["--leave-out", left_out(run)] if run.settings.skip_bad else []),
                      *(["--calibrate"] if run.experiment.calibrate else []))

    def reads(run):
        there = Read("folder of the masks", value="there" if run.path("masks").is_dir() else "missing")
        return [*_lists_of_data(run), there, *([file(left_out(run))] if run.settings.skip_bad else [])]

    return Stage(name, needs, command, reads, lambda run: Made(folders=("lists",)),
                 also_needs=lambda run: ("check",) if run.settings.skip_bad and run.base is None else (),
                 code=lambda run: ("tools.make_lists",))


def classifier_quality(name, needs):
    """The row that measures the trained classifier, before cues are made with it.

    Parameters
    ----------
    name : str
    needs : tuple of str

    Returns
    -------
    Stage
    """
    def command(run):
        return python("localization_cues.classifier_quality", *_classified(run, "lists/cam_quality.txt"), "--classes",
                      "lists/classes.txt", "--out", "results/cam-quality.json", "--device", run.settings.device)

    def reads(run):
        return [*_classified_reads(run, "lists/cam_quality.txt"), file("lists/classes.txt")]

    return Stage(name, needs, command, reads,
                 lambda run: Made(files=("results/cam-quality.json",), also=("results/cam-quality.txt",)),
                 code=lambda run: ("localization_cues.classifier_quality", CAFFE), group="cam", left_out=cam_is_given)


def cues(name, needs):
    """The row that makes the cue file.

    Parameters
    ----------
    name : str
    needs : tuple of str

    Returns
    -------
    Stage
    """
    def command(run):
        return python("localization_cues.make_cues", *_classified(run, "lists/input_list.txt"), "--out",
                      run.experiment.cue_file, "--device", run.settings.device,
                      *run.experiment.arguments.get("cues", ()))

    def reads(run):
        return [*_classified_reads(run, "lists/input_list.txt"), *argument_reads(run, "cues")]

    def left_out(run):
        if "cues" in run.takes:
            return "the plain run's are taken"
        return "CUES is given" if run.given_cues is not None else None

    return Stage(name, needs, command, reads, lambda run: Made(files=(run.experiment.cue_file,)),
                 code=lambda run: ("localization_cues.make_cues", CAFFE), left_out=left_out, shared=True,
                 arguments="cues")


def _classified(run, photos):
    """Words of a command that runs the trained classifier on a list of photos with labels."""
    return ["--net", "cam-deploy.prototxt", "--weights", run.model("cam"), "--list", photos, "--images",
            "data/JPEGImages", "--labels", "lists/image_labels.txt"]


def _classified_reads(run, photos):
    return [file("cam-deploy.prototxt"), file(run.model("cam")), file(photos), file("lists/image_labels.txt"),
            photos_of_list(run, photos)]


def cue_evaluation(name, needs):
    """The row that compares the cues with the true masks.

    Parameters
    ----------
    name : str
    needs : tuple of str

    Returns
    -------
    Stage
    """
    def command(run):
        return python("localization_cues.evaluate_cues", "--cues", run.experiment.cue_file, "--list",
                      "lists/input_list.txt", "--masks", f"data/{run.settings.masks}", "--classes",
                      "lists/classes.txt", "--out", "results/cues.json")

    def reads(run):
        return [file(run.experiment.cue_file), file("lists/input_list.txt"), file("lists/classes.txt"),
                masks_of(run, "lists/train_id.txt")]

    return Stage(name, needs, command, reads,
                 lambda run: Made(files=("results/cues.json",), also=("results/cues.txt",)),
                 code=lambda run: ("localization_cues.evaluate_cues",), group="evaluate",
                 left_out=lambda run: no_masks(run, "lists/train_id.txt"))
