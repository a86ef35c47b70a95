"""The text of nets and solvers into messages, on any Caffe: errors name file, line and column, and what was meant.

Needs protobuf alone. The embedded engine, a package of its own, has a reader of its own, which upgrades old files too.
"""

import difflib
import re
from functools import lru_cache
from pathlib import Path

from google.protobuf import text_format

from dsrg.io import collector
from dsrg.io.errors import UserError
from dsrg.io.param_str import parse_param_str
from dsrg.io.regular_files import read_file
from dsrg.io.text_files import fault_of_text, with_unix_lines

_LACKS_DEEPLAB = ("this Caffe lacks DeepLab-v2's layer type: python -m docker.check_caffe --nets FOLDER puts a Python "
                  "layer into a copy of the net")
#: what to do about a field that a message does not have
REMEDIES = {
    "hole": "DeepLab-v1's `hole` is `dilation` today",
    "interp_param": _LACKS_DEEPLAB,
    "seg_accuracy_param": _LACKS_DEEPLAB,
}


def read_prototxt(path, message, kind):
    """Fill a message from a file.

    Parameters
    ----------
    path : path
    message : NetParameter or SolverParameter
        Empty; of whichever caffe.proto the reader goes by.
    kind : str
        What errors call the file: "net", "solver".

    Returns
    -------
    message, text : the message, filled, and the text of the file

    Raises
    ------
    UserError
        No such file, a binary file, or text that does not fit the message: `path:line:column: ...`.
    """
    text = read_text(path, kind)
    return parse_prototxt(text, message, path), text


def read_folder(folder):
    """Texts of the prototxts that lie in a folder, by file name; UserError for one that is not text.

    Parameters
    ----------
    folder : path

    Returns
    -------
    dict of str to str

    Raises
    ------
    UserError
        A prototxt that cannot be read as UTF-8 text.
    """
    return {path.name: read_text(path, "prototxt") for path in sorted(Path(folder).glob("*.prototxt"))}


def read_text(path, kind="prototxt"):
    """The text of a prototxt, its lines ended by \\n.

    Parameters
    ----------
    path : path
    kind : str
        What errors call it.

    Returns
    -------
    str

    Raises
    ------
    UserError
        A file that cannot be read as UTF-8 text.
    """
    data = read_file(path, kind)
    if fault := fault_of_text(data):
        raise UserError(f"{kind} {path} is not text; expected a prototxt in UTF-8 ({fault})")
    return with_unix_lines(data.decode("utf-8-sig"))


def parse_prototxt(text, message, where, lenient=False):
    """Fill a message from text.

    Parameters
    ----------
    text : str
    message : protobuf message
        Empty.
    where : path
        The file that errors name.
    lenient : bool
        Skip fields that the message does not have (those of another fork of Caffe): enough for reading, not for
        writing.

    Returns
    -------
    The message.

    Raises
    ------
    UserError
        `where:line:column: ...`; for an unknown field or value with the names that come near it.
    """
    try:
        message.ParseFromString(_serialized(text, type(message), lenient))
        return message
    except text_format.ParseError as error:
        line, column = error.GetLine() or 1, error.GetColumn() or 1
        raise UserError(f"{where}:{line}:{column}: {_explained(str(error), message.DESCRIPTOR.file)}") from None
    except RecursionError:
        raise UserError(f"{where}: its brackets nest too deep") from None


@lru_cache(maxsize=8)
def _serialized(text, kind, lenient):
    """A message's bytes: protobuf reads text slowly (a second for 10,000 layers), and a command asks several times."""
    with collector.held_back():
        return text_format.Parse(text, kind(), allow_unknown_field=lenient).SerializePartialToString()


def params_of(layer, where):
    """The param_str of a Python layer.

    Parameters
    ----------
    layer : LayerParameter
    where : path
        What errors name in front of the layer.

    Returns
    -------
    dict
        {} where it is no mapping.

    Raises
    ------
    UserError
        A text that cannot be read.
    """
    try:
        params = parse_param_str(layer.python_param.param_str)
    except ValueError as error:
        raise UserError(f"{where}: layer '{layer.name}': {error}") from None
    return params if isinstance(params, dict) else {}


def _explained(text, file):
    """protobuf's message without its position, its types by their short names, with a remedy where one is known."""
    text = re.sub(r"^\d+:\d+ : ", "", text)
    text = re.sub(r"^'.*': (?=[A-Z])", "", text, flags=re.DOTALL)   # the line of the file, repeated
    unknown = re.match(r'Message type "([\w.]+)" has no field named "(.*?)"', text)
    if unknown:
        message = _message(file, unknown[1])
        known = sorted(message.fields_by_name) if message else ()
        return f"{_short(unknown[1])} has no field '{unknown[2]}'{_remedy(unknown[2], known)}"
    unknown = re.match(r'Enum type "([\w.]+)" has no value (?:named |with number )?"?(.*?)"?\.$', text)
    if unknown:
        enum = _enum(file, unknown[1])
        known = list(enum.values_by_name) if enum else ()
        return f"{_short(unknown[1])} has no value '{unknown[2]}'" + (f"; it has {', '.join(known)}" if known else "")
    repeated = re.match(r'Message type "([\w.]+)" should not have multiple "(.*?)" fields', text)
    if repeated:
        return f"{_short(repeated[1])} takes one '{repeated[2]}', and more are given; keep one of them"
    return text[:1].lower() + text[1:]


def _remedy(field, known):
    if field in REMEDIES:
        return f"; {REMEDIES[field]}"
    near = difflib.get_close_matches(field, known, n=3, cutoff=0.75)
    if near:
        return "; did you mean " + " or ".join(f"'{name}'" for name in near) + "?"
    return f"; it has {', '.join(known)}" if 0 < len(known) <= 20 else ""


def _short(name):
    return name.removeprefix("caffe.")


def _message(file, full_name):
    """Descriptor of a message of a .proto by its full name, or None."""
    return file.message_types_by_name.get(_short(full_name))


def _enum(file, full_name):
    owner, _, name = _short(full_name).rpartition(".")
    message = _message(file, owner) if owner else None
    return (message.enum_types_by_name if message else file.enum_types_by_name).get(name)
