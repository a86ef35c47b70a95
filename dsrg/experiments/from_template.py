"""The settings.yaml of an experiment for other data, from that of another: numbers filled in, the rest as it is."""

import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dsrg.experiments.description import check_size
from dsrg.experiments.yaml_numbers import filled_in, without
from dsrg.io.errors import UserError
from dsrg.io.photos import is_photo
from dsrg.io.picture_files import open_picture
from dsrg.io.regular_files import read_file

CRF_PHOTO_SIDE = 500  # the longer side of the photos that the CRF's widths are for (VOC)
PHOTOS_MEASURED = 50


@dataclass(frozen=True)
class Wanted:
    """What the new experiment is to have; None leaves the template's.

    Attributes
    ----------
    classes : int
        With background.
    size, batch : int or None
        Side of the square input; images a step, of every training.
    iterations : dict of str to int
        max_iter by training. Snapshots and steps of the rate follow in proportion.
    crf_scale : float or None
        What the widths of the CRF behind the nets are divided by, where the template divides them.
    """

    classes: int
    size: int | None = None
    batch: int | None = None
    iterations: dict | None = None
    crf_scale: float | None = None


def new_settings(template, text, name, wanted):
    """Text of the new settings.yaml.

    Parameters
    ----------
    template : dsrg.pipeline.settings.Experiment
        With `nets`.
    text : str
        Its settings.yaml.
    name : str
        Of the new experiment.
    wanted : Wanted

    Raises
    ------
    UserError
        A size that does not line up, iterations of a training that the template does not have.
    """
    old = template.nets
    size = wanted.size or old.size
    check_size(size, old.stride, "--size")
    values = {("nets", "classes"): wanted.classes, ("nets", "size"): size}
    if old.crf_scale:
        cells = (size - 1) // old.stride + 1
        values["nets", "crf_scale"] = max(1, round(old.crf_scale * old.cells / cells))
    if wanted.batch:
        values |= {("nets", "batch", kind): wanted.batch for kind in old.batch}
    for kind, iterations in (wanted.iterations or {}).items():
        values |= _solver(old, kind, iterations, template.name)
    for command, words in template.arguments.items():
        new = _arguments(words, _resized(old, size), wanted.crf_scale)
        if new != list(words):
            values["arguments", command] = shlex.join(new)
    lines = [line for line in without(filled_in(text, values), "make_data").splitlines()
             if not line.startswith(f"# {template.name}:")]
    head = (f"# {name}: made from {template.name} by tools.new_experiment. The prototxts beside this file are made "
            "from `nets`.")
    return "\n".join([head, *lines]) + "\n"


def _solver(nets, kind, iterations, template):
    """A solver's numbers that depend on how long it trains."""
    if kind not in nets.solvers:
        raise UserError(f"--iterations: {template} has no training '{kind}'; it has {', '.join(nets.solvers)}")
    solver = nets.solvers[kind]
    share = iterations / solver["max_iter"]
    values = {("nets", "solvers", kind, "max_iter"): iterations}
    for name in ("stepsize", "snapshot"):
        if name in solver:
            values["nets", "solvers", kind, name] = max(1, round(solver[name] * share))
    return values


def _resized(nets, size):
    """Function from an input size of the template to the one of the same ratio that lines up."""
    return lambda other: max(1, round((other - 1) / (nets.size - 1) * (size - 1) / nets.stride)) * nets.stride + 1


def _arguments(words, resize, crf_scale):
    """Arguments of a command: input sizes in proportion, CRF widths by the photos."""
    new, option = [], None
    for word in words:
        if word.startswith("--"):
            option = word
        elif option == "--sizes":
            word = str(resize(int(word)))
        elif option == "--crf-scale" and crf_scale is not None:
            word = f"{crf_scale:g}"
        new.append(word)
    return new


def crf_scale_of_photos(folder):
    """What to divide the CRF's widths by for the photos of a folder (a sample, by their middle longer side).

    Parameters
    ----------
    folder : path

    Returns
    -------
    float

    Raises
    ------
    UserError
        No photo in the folder, or one that cannot be read.
    """
    folder = Path(folder)
    photos = sorted(path for path in folder.rglob("*") if is_photo(path.name)) if folder.is_dir() else []
    if not photos:
        raise UserError(f"no photo in {folder}; --data is a data root in VOC layout (python -m tools.make_dataset)")
    sides = []
    for k in np.unique(np.linspace(0, len(photos) - 1, PHOTOS_MEASURED).astype(int)):
        with open_picture(read_file(photos[k], "photo"), photos[k], "photo") as image:
            sides.append(max(image.size))
    return round(CRF_PHOTO_SIDE / float(np.median(sides)), 2)
