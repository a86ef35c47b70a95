"""The stages that train by a solver."""

from dsrg.io.errors import UserError
from dsrg.pipeline.prototxts import listed_files, net_files
from dsrg.pipeline.stage import CAFFE, Made, Read, Stage, device, file, python
from dsrg.pipeline.stage_files import no_masks


def training(name, which, needs, *, left_out=lambda run: None, reads=()):
    """A row that trains by a solver, resumed from its newest snapshot; `which` is the training's name.

    Parameters
    ----------
    name : str
        Of the stage.
    which : str
        Of the training: cam, static, s, f or full.
    needs : tuple of str
    left_out : callable
    reads : sequence of str
        Files that it reads and its net does not name.

    Returns
    -------
    Stage
    """
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
                    also=(*train.snapshots(run.folder), f"logs/{name}.jsonl", f"logs/{name}.log",
                          f"logs/tensorboard/{name}"))

    def unkeyed(run):
        keep = run.settings.snapshot_keep
        words = ["--go-on", "", "--caffe-log", f"logs/{name}.log"]      # the run says how to go on
        words += ["--snapshot-keep", str(keep)] if keep else []
        return words + (["--tensorboard", f"logs/tensorboard/{name}"] if run.settings.tensorboard else [])

    return Stage(name, needs, command, inputs, makes, code, unkeyed, left_out)


def _net_files(run, which):
    """What the net of a training names, as the training changes it."""
    name = run.training(which).net
    text = run.text(name)
    if text is None:
        raise UserError(f"{run.folder / name} does not exist; {run.solver(which)} names it as its net")
    return net_files(text, name, run.exists, run.changes(which))


def cam_is_given(run):
    """With finished cues the classifier is trained only where stage s starts from it.

    Parameters
    ----------
    run : Run

    Returns
    -------
    str or None
    """
    if run.base is not None:
        return "the plain run's is taken"
    if run.given_cues is not None and run.experiment.start_of("s") != "cam":
        return "CUES is given, and stage s does not start from the classifier"
    return None


def s_is_taken(run):
    """An ablation that changes nothing before stage s goes on from the plain run's.

    Parameters
    ----------
    run : Run

    Returns
    -------
    str or None
    """
    return "the plain run's is taken" if "s" in run.takes else None


def no_reference(run):
    """Why there is no reference to train, or None; asked for by name, it needs a folder of masks at least.

    Parameters
    ----------
    run : Run

    Returns
    -------
    str or None

    Raises
    ------
    UserError
        It was asked for by name, and there is no such folder.
    """
    if "full" not in run.asked:
        return no_masks(run, "lists/train_id.txt")
    if not run.path("masks").is_dir() and "data" not in run.coming:
        raise UserError(f"stage full learns from true masks, but {run.data} has no {run.settings.masks}; put <id>.png "
                        "of each train photo there, or leave the stage out")
    return None
