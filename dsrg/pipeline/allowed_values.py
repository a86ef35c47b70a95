"""What settings.yaml may say of commands, modules and files: it may be a stranger's, and the run does what it says.

It chooses how commands compute, not where they write or whose code they run: arguments are those of ARGUMENTS, data are
made by this project's tools or by a module that the user allows (ALLOW_MODULES), and cues lie in the run's folder cues.
"""

import re
import shlex
from pathlib import Path, PurePosixPath

from dsrg import layer_modules
from dsrg.cuefile.writer import PICKLE_SUFFIXES
from dsrg.io.errors import UserError
from dsrg.io.image_ids import fault_of
from dsrg.io.param_str import shown

ROOT = Path(__file__).resolve().parents[2]
MAKERS = "tools"    # the package whose modules make data
CUES = "cues"       # the run's folder of cue files
_SEGMENT = ("--sizes", "--scales", "--flip", "--no-flip", "--crf", "--no-crf", "--crf-scale", "--max-side", "--mean",
            "--output-blob", "--allow-random")
#: arguments that an experiment may choose, by command; spelled out, since argparse takes --ou for --out
ARGUMENTS = {
    "cues": ("--saliency-maps", "--maps-blob", "--features-blob", "--classifier", "--allow-random", "--sizes", "--flip",
             "--mean", "--size", "--threshold", "--background", "--background-net", "--background-weights",
             "--background-blob", "--gate", "--prior", "--remainder", "--companion",
             "--overlap", "--leave-empty"),
    "label": (*_SEGMENT, "--ignore-below"), "segment-s": _SEGMENT, "segment-f": _SEGMENT}


def read_arguments(value, where):
    """Arguments of commands, as settings.yaml and ablations give them; `--option=value` comes out as two words.

    Parameters
    ----------
    value : object
        A dict of command -> text, as of a command line.
    where : str
        Named in errors.

    Returns
    -------
    dict of str to tuple of str

    Raises
    ------
    UserError
        Another command or type, a quotation mark that is not closed, or an argument that is not to be chosen or given
        twice.
    """
    if not isinstance(value, dict) or not all(isinstance(words, str) for words in value.values()) or not (
            value.keys() <= ARGUMENTS.keys()):
        raise UserError(f"{where}: expected texts by {', '.join(ARGUMENTS)}, got {shown(value)}")
    try:
        found = {name: _split_options(shlex.split(words)) for name, words in value.items()}
    except ValueError:
        raise UserError(f"{where}: expected words whose quotation marks are closed, got {shown(value)}") from None
    for name, words in found.items():
        if fault := fault_of_arguments(name, words):
            raise UserError(f"{where}: {name}: {fault}")
    return found


def fault_of_arguments(command, words):
    """What is wrong with the arguments of a command, the end of a sentence; None where nothing is.

    Parameters
    ----------
    command : str
        A key of ARGUMENTS.
    words : sequence of str

    Returns
    -------
    str or None
    """
    seen = {}
    for word in words:
        if not word.startswith("-") or re.match(r"-[.\d]", word):
            if not seen:
                return f"expected an option such as {ARGUMENTS[command][0]} first, got {shown(word)}"
            continue
        if word not in ARGUMENTS[command]:
            return (f"'{word.partition('=')[0]}' is not for an experiment to choose; expected some of "
                    f"{', '.join(ARGUMENTS[command])}")
        name = word.replace("--no-", "--", 1)
        if name in seen:
            twice = f"{word} is given twice" if seen[name] == word else f"{seen[name]} and {word} contradict each other"
            return f"{twice}; keep one of them"
        seen[name] = word
    return None


def _split_options(words):
    """The words with `--option=value` as two, the form that all who look for an option or its value see."""
    found = []
    for word in words:
        option, equals, value = word.partition("=")
        found += [option, value] if equals and option.startswith("--") else [word]
    return tuple(found)


def fault_of_maker(module):
    """What is wrong with the module that makes the data, the end of a sentence; None where nothing is.

    Parameters
    ----------
    module : str

    Returns
    -------
    str or None
    """
    allowed = (MAKERS, *layer_modules.allowed())
    if all(part.isidentifier() for part in module.split(".")) and any(
            module == name or module.startswith(f"{name}.") for name in allowed):
        path = ROOT.joinpath(*module.split("."))
        there = path.with_suffix(".py").is_file() or module.partition(".")[0] != MAKERS
        return None if there else f"there is no module '{module}'; expected such as {MAKERS}.make_demo_data"
    return (f"module '{module}' is not allowed: an experiment may run code of these only: {', '.join(allowed)}; where "
            f"you trust it, add it to the variable {layer_modules.MODULES}")


def fault_of_cue_file(name):
    """What is wrong with the name of the cue file, the end of a sentence; None where nothing is.

    Parameters
    ----------
    name : str

    Returns
    -------
    str or None
    """
    parts = PurePosixPath(name).parts
    if fault_of(name) or len(parts) < 2 or parts[0] != CUES:
        return f"'{name}' is not a file of the run's folder {CUES}; expected such as {CUES}/localization_cues.pickle"
    if PurePosixPath(name).suffix not in (*PICKLE_SUFFIXES, ".npz"):
        return f"'{name}' is no name of a cue file; expected one that ends in {', '.join(PICKLE_SUFFIXES)} or .npz"
    return None


def fault_of_change(text):
    """What is wrong with what changes a net for another training, the end of a sentence; None where nothing is.

    Parameters
    ----------
    text : str
        As training.train takes it with --set.

    Returns
    -------
    str or None
    """
    if re.fullmatch(r".+\.[A-Za-z_]\w*=.*", text, re.DOTALL):
        return None
    return f"expected LAYER.key=value, such as update-seed.grow=false, got {shown(text)}"
