"""The settings.yaml of an experiment for other data, from that of another: numbers filled in, the rest as it is."""

import shlex
from dataclasses import dataclass, replace

from dsrg.experiments.description import check_size
from dsrg.experiments.own_data import choose_numbers
from dsrg.experiments.yaml_numbers import filled_in, without
from dsrg.io.errors import UserError

#: commands of settings.yaml that end with the CRF
WITH_CRF = ("label", "segment-s", "segment-f")


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
    few = [f"{command}: as {template.name} has it for so few classes ({wanted.classes} with background), of none of "
           "which much of what is salient is" for command in _of_few_classes(template, wanted.classes)]
    return wanted, [*numbers.reasons, *few]


def _of_few_classes(template, classes):
    """Arguments by command that the template keeps for data of so few classes; {} for more."""
    few = template.few_classes
    return few["arguments"] if few and classes <= few["most"] else {}


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
    values |= {("nets", "solvers", kind, "base_lr"): rate for kind, rate in (wanted.rates or {}).items()}
    if template.chosen_for and wanted.chosen_for:
        values |= {("chosen_for", name): wanted.chosen_for[name] for name in template.chosen_for}
    for command, words in (template.arguments | _of_few_classes(template, wanted.classes)).items():
        new = _arguments(words, _resized(old, size), wanted.crf_factor if command in WITH_CRF else 1.0)
        if new != list(template.arguments.get(command, ())):
            values["arguments", command] = shlex.join(new)
    try:
        text = filled_in(text, values)
    except KeyError as error:       # a key that stands there twice, or is merged in
        raise UserError(f"settings.yaml of {template.name} has no number of its own at {error}; write it") from None
    lines = [line for line in without(without(text, "make_data"), "few_classes").splitlines()
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


def _arguments(words, resize, crf_factor):
    """Arguments of a command: input sizes in proportion, the scale of the CRF (1 where none is given) by a factor."""
    new, option = [], None
    if crf_factor != 1 and "--crf-scale" not in words:
        words = [*words, "--crf-scale", "1"]
    for word in words:
        if word.startswith("--"):
            option = word
        elif option == "--sizes":
            if not (word.isascii() and word.isdecimal() and len(word) < 7):
                raise UserError(f"settings.yaml of the template: --sizes {word[:80]}: expected whole numbers")
            word = str(resize(int(word)))
        elif option == "--crf-scale" and crf_factor != 1:
            word = f"{float(word) * crf_factor:.3g}"
        new.append(word)
    return new
