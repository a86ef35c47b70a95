"""The settings.yaml of an experiment for other data, from that of another: numbers filled in, the rest as it is."""

import shlex
from dataclasses import dataclass, replace

from dsrg.experiments.adapted_arguments import adapted
from dsrg.experiments.description import check_blobs, check_size
from dsrg.experiments.few_classes import changed_sides
from dsrg.experiments.own_data import choose_numbers
from dsrg.experiments.yaml_numbers import filled_in, without
from dsrg.io.errors import UserError


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
    rates : dict of str to float
        base_lr by training.
    crf_factor : float
        What the template's scale of the CRF behind the nets is multiplied by; the widths are divided by the scale.
    chosen_for : dict of str to float or None
        "photos" and "side" of the new data, recorded for the next experiment made from this one.
    """

    classes: int
    size: int | None = None
    batch: int | None = None
    iterations: dict | None = None
    rates: dict | None = None
    crf_factor: float = 1.0
    chosen_for: dict | None = None


def wanted_for(template, data, size=None, batch=None, iterations=None):
    """What an experiment for a data set is to have: what was asked for, and numbers chosen for the rest.

    Parameters
    ----------
    template : dsrg.pipeline.settings.Experiment
        With `nets`. One without `chosen_for` lends its numbers as they are.
    data : dsrg.experiments.own_data.OwnData
    size, batch : int, optional
        Side of the square input; images a step.
    iterations : dict of str to int, optional
        By training, those that were asked for.

    Returns
    -------
    Wanted
    list of str
        A line on each choice, and what it follows from.
    """
    chosen_for = {"photos": data.photos, "side": round(data.side)}
    wanted = Wanted(len(data.classes), size, batch, iterations or {}, chosen_for=chosen_for)
    if not template.chosen_for:
        return wanted, [f"numbers: {template.name}'s, which does not say what data they were chosen for"]
    numbers = choose_numbers(template.nets, template.chosen_for, data, batch, iterations)
    wanted = replace(wanted, iterations=numbers.iterations, rates=numbers.rates, crf_factor=numbers.crf_factor)
    return wanted, numbers.reasons


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

    Returns
    -------
    str

    Raises
    ------
    UserError
        A size that does not line up, or is too large for the batch; iterations of a training that the template does
        not have; arguments of the template that are no numbers.
    """
    old = template.nets
    size = wanted.size or old.size
    check_size(size, old.stride, "--size")
    batches = {kind: wanted.batch or batch for kind, batch in old.batch.items()}
    check_blobs(replace(old, size=size, batch=batches), "--size, --batch")
    before = template.arguments
    template, text = changed_sides(template, text, wanted.classes)
    values = {("nets", "classes"): wanted.classes, ("nets", "size"): size}
    if old.crf_scale:
        cells = (size - 1) // old.stride + 1
        values["nets", "crf_scale"] = max(1, round(old.crf_scale * old.cells / cells))
    if wanted.batch:
        values |= {("nets", "batch", kind): wanted.batch for kind in old.batch}
    for kind, iterations in (wanted.iterations or {}).items():
        values |= _solver(old, kind, iterations, template.name)
    values |= {("nets", "solvers", kind, "base_lr"): rate for kind, rate in (wanted.rates or {}).items()}
    if template.chosen_for and wanted.chosen_for:
        values |= {("chosen_for", name): wanted.chosen_for[name] for name in template.chosen_for}
    values |= _texts(template, before, size, wanted.crf_factor)
    try:
        text = filled_in(text, values)
    except KeyError as error:       # a key that stands there twice, or is merged in
        raise UserError(f"settings.yaml of {template.name} has no value of its own at {error}; write it") from None
    lines = [line for line in without(text, "make_data").removesuffix("\n").split("\n")
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


def _texts(template, before, size, crf_factor):
    """Arguments that change: the experiment's own (`before`: those in its text), and for other numbers of classes."""
    groups = {("arguments",): (before, template.arguments)}
    for side in ("arguments", "otherwise"):
        kept = template.few_classes.get(side, {})
        groups["few_classes", side] = (kept, kept)
    values = {}
    for keys, (old, arguments) in groups.items():
        for command, words in arguments.items():
            new = adapted(template, command, words, size, crf_factor)
            if new != list(old.get(command, ())):
                values[*keys, command] = shlex.join(new)
    return values
