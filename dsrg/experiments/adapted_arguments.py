"""Arguments of an experiment's commands for inputs and photos of other sizes than its template's."""

from dsrg.io.errors import UserError

#: commands of settings.yaml that end with the CRF
WITH_CRF = ("label", "segment-s", "segment-f")
MOST_DIGITS = 6         # of a size
LEAST_SCALE, MOST_SCALE = 1e-6, 1e6     # of the CRF, as the commands take it


def adapted(template, command, words, size, crf_factor):
    """The arguments of a command: sizes of inputs and maps in proportion, the scale of the CRF by a factor.

    Parameters
    ----------
    template : dsrg.pipeline.settings.Experiment
        With `nets`.
    command : str
        Its name in settings.yaml.
    words : sequence of str
        Its arguments there, each value behind its option.
    size : int
        Side of the new square input.
    crf_factor : float
        What the scale of the CRF, 1 where none is given, is multiplied by in commands that have one.

    Returns
    -------
    list of str

    Raises
    ------
    UserError
        Sizes or a scale that are no numbers.
    """
    where = f"settings.yaml of {template.name}: {command}"
    factor = crf_factor if command in WITH_CRF else 1.0
    if factor != 1 and "--crf-scale" not in words:
        words = [*words, "--crf-scale", "1"]
    change = {"--sizes": lambda word: _size(template.nets, word, size, f"{where}: --sizes"),
              "--size": lambda word: _cells(template.nets, word, size, f"{where}: --size"),
              "--crf-scale": lambda word: _scale(word, factor, f"{where}: --crf-scale")}
    new, option = [], None
    for word in words:
        if word.startswith("--"):
            option = word
        elif option in change:
            word = change[option](word)
        new.append(word)
    return new


def _size(nets, word, size, where):
    """An input size in its proportion to training's, on the next one that lines up."""
    cells = (_whole(word, where) - 1) / (nets.size - 1) * (size - 1) / nets.stride
    return str(max(1, round(cells)) * nets.stride + 1)


def _cells(nets, word, size, where):
    """A side of the map of cues in proportion."""
    return str(max(1, round(_whole(word, where) * ((size - 1) // nets.stride + 1) / nets.cells)))


def _scale(word, factor, where):
    try:
        scale = float(word)
    except ValueError:
        scale = 0.0
    if not (LEAST_SCALE <= scale <= MOST_SCALE and LEAST_SCALE <= scale * factor <= MOST_SCALE):
        by = f", also times {factor:g} for these photos" if factor != 1 else ""
        raise UserError(f"{where} {word[:80]}: expected a number from {LEAST_SCALE:f} to {MOST_SCALE:.0f}{by}")
    return f"{scale * factor:.3g}" if factor != 1 else word


def _whole(word, where):
    if not (word.isascii() and word.isdecimal() and len(word) <= MOST_DIGITS and int(word)):
        raise UserError(f"{where} {word[:80]}: expected whole numbers from 1, of {MOST_DIGITS} digits at most")
    return int(word)
