"""The stages that segment photos with a trained net, and that compare label maps with the true masks."""

from dsrg.pipeline.prototxts import net_files
from dsrg.pipeline.stage import CAFFE, Made, Read, Stage, device, file, python
from dsrg.pipeline.stage_files import argument_reads, folder, masks_of, no_masks, photos_of


def segmentation(name, model, needs, ids, out, which, *, labels=False, group="",
                 left_out=lambda run: None):
    """A row that segments the photos of a list with a trained net.

    Parameters
    ----------
    name : str
    model : str
        Name of the training that makes the weights.
    needs : tuple of str
    ids : str
        The list of photos.
    out : str
        Folder of the label maps.
    which : str
        Whose arguments in settings.yaml, one of COMMANDS.
    labels : bool
        Allow the image's own labels alone: pseudo-labels.
    group, left_out
        As of Stage.

    Returns
    -------
    Stage
    """
    def command(run):
        words = ["--net", "deploy.prototxt", "--weights", run.model(model), "--list", ids, "--images",
                 "data/JPEGImages", "--out", out, *device(run)]
        words += ["--labels", "lists/image_labels.txt"] if labels else []
        return python("tools.segment", *words, *run.experiment.arguments.get(which, ()))

    def reads(run):
        found = [file("deploy.prototxt"), file(run.model(model)), file(ids), photos_of(run, ids)]
        found += [file("lists/image_labels.txt")] if labels else []
        return found + argument_reads(run, which)

    def nothing(run):
        return f"{ids} names no photo" if run.ids(ids) == [] else left_out(run)

    return Stage(name, needs, command, reads, lambda run: Made(folders=(out,)),
                 code=lambda run: ("tools.segment", CAFFE), left_out=nothing, group=group, shared=True,
                 arguments=which)


def calibration(name, model, needs):
    """A row that fits the temperature of a model's probabilities, and measures them where there are true masks.

    Parameters
    ----------
    name : str
    model : str
        Name of the training that makes the weights.
    needs : tuple of str

    Returns
    -------
    Stage
    """
    apart, val, settings = "lists/calibration_id.txt", "lists/val_id.txt", f"segmentations/{model}/settings.json"

    def reads(run):
        training = run.training(model)
        labels = Read(f"label maps of {apart}", run.files_of_ids("labels", run.ids(apart) or [], (".png",)))
        return [file("deploy.prototxt"), file(run.model(model)), file("lists/classes.txt"),
                Read(f"settings of segmentations/{model}", (settings,)), file(training.kept_files()[1]),
                *(file(source) for source, _ in net_files(run.text(training.net), training.net, run.exists).lists),
                file(apart), photos_of(run, apart), labels, photos_of(run, val), masks_of(run, val)]

    def left_out(run):
        if not run.experiment.calibrate:
            return "the experiment keeps no photo apart (calibrate in settings.yaml)"
        if run.ids(apart) == []:
            return "there are too few train photos to keep some apart"
        if needs[-1] not in run.coming and not run.exists(settings):
            return f"stage {model} has segmented no photo"
        return None

    return Stage(name, needs, lambda run: python("tools.calibrate", ".", "--stage", model, *device(run)), reads,
                 lambda run: Made(files=(f"calibration/{model}.json",)), code=lambda run: ("tools.calibrate", CAFFE),
                 left_out=left_out)


def evaluation(name, predicted, needs, ids):
    """A row that compares a folder of label maps with the true masks.

    Parameters
    ----------
    name : str
        Of the result, results/<name>.json.
    predicted : str
        Folder of label maps.
    needs : tuple of str
    ids : str
        The list of photos.

    Returns
    -------
    Stage
    """
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
                 code=lambda run: ("tools.evaluate",), left_out=left_out, group="evaluate", shared=True)


def no_model(model, stage):
    """Why a model's photos are not segmented, as `left_out` of a Stage.

    Parameters
    ----------
    model : str
    stage : str
        That trains it.

    Returns
    -------
    callable
    """
    def left_out(run):
        if stage in run.coming:
            return None
        if model not in run.trainings:
            return f"the experiment has no {stage}"
        return None if run.path(run.model(model)).is_file() else f"{run.model(model)} is not trained"
    return left_out
