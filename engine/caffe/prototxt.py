"""Text and binary NetParameter and SolverParameter: reading and writing, errors with file:line:col.

Every reader upgrades old files (upgrade.py), as Caffe does. What is done with a net once it is read, phase rules and
splits, is in netstate.py and can be imported from here too.
"""

import os
import re
from pathlib import Path

from google.protobuf import text_encoding, text_format
from google.protobuf.message import DecodeError

from . import binary_families, collector, upgrade
from .errors import OpenError, PrototxtError
from .glog import info
from .limits import TooMuch, check_layers
from .netstate import filter_net, insert_splits, layer_included, state_meets_rule
from .proto import caffe_pb2, is_repeated
from .protobuf_wire import WireError, check_text
from .prototxt_errors import explain, layer_lines
from .regular_files import refuse_special
from .text_files import other_encoding, with_unix_lines

__all__ = [
    "PrototxtError",
    "TEST",
    "TRAIN",
    "filter_net",
    "insert_splits",
    "layer_included",
    "layer_lines",
    "parse_net",
    "parse_solver",
    "read_net",
    "read_solver",
    "read_text",
    "state_meets_rule",
    "to_text",
]

TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST


def read_bytes(path):
    """Content of a file; OpenError (a RuntimeError) "Could not open file X" like pycaffe's when it cannot be opened.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    bytes

    Raises
    ------
    OpenError
    """
    refuse_special(path)
    try:
        return Path(path).read_bytes()
    except OSError as error:
        reason = "" if isinstance(error, FileNotFoundError) else f" ({error.strerror or error})"
        raise OpenError(f"Could not open file {path}{reason}") from None


def read_text(path):
    """Text of a prototxt. Comments in Latin-1 are read too; a binary file is refused.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    str

    Raises
    ------
    OpenError
        A file that cannot be opened.
    PrototxtError
        A binary file, or text in UTF-16 or UTF-32.
    """
    data = read_bytes(path)
    if encoding := other_encoding(data):
        raise PrototxtError(f"{path}: {encoding} text, expected UTF-8; save it as UTF-8")
    if b"\0" in data[:4096]:
        raise PrototxtError(f"{path}: a binary file, expected a prototxt (text); weights are given separately")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return with_unix_lines(text)    # protobuf's comments end at \n alone


def parse_net(text, name="<string>"):
    """NetParameter of prototxt text, upgraded to today's `layer` form.

    Parameters
    ----------
    text : str
    name : str
        The file to name in errors.

    Returns
    -------
    NetParameter

    Raises
    ------
    PrototxtError
        ``name:line:col: ...`` for syntax, unknown fields and values; names near a misspelt one are listed.
    """
    net = _parse(text, caffe_pb2.NetParameter(), name)
    return _upgraded(upgrade.upgrade_net, net, text, name)


def parse_solver(text, name="<string>"):
    """SolverParameter of prototxt text, with `solver_type` turned into `type`; errors as in parse_net.

    Parameters
    ----------
    text : str
    name : str
        The file to name in errors.

    Returns
    -------
    SolverParameter

    Raises
    ------
    PrototxtError
    """
    solver = _parse(text, caffe_pb2.SolverParameter(), name)
    return _upgraded(upgrade.upgrade_solver, solver, text, name)


def read_net(path, phase=None, level=0, stages=()):
    """NetParameter of a prototxt (or binary) file, upgraded.

    Parameters
    ----------
    path : str or os.PathLike
    phase : int, optional
        caffe.TRAIN or caffe.TEST: keep only the layers of this state. None keeps all layers.
    level, stages : int, sequence of str
        The rest of the state, used with `phase`.

    Returns
    -------
    NetParameter

    Raises
    ------
    RuntimeError
        "Could not open file X".
    PrototxtError
        As parse_net.
    """
    name = os.fspath(path)
    data = read_bytes(path)
    net = _decode(data, name) if b"\0" in data[:4096] else parse_net(read_text(path), name)
    return net if phase is None else filter_net(net, phase, level, stages)


def read_solver(path):
    """SolverParameter of a prototxt file, upgraded, with a snapshot_prefix.

    Without `snapshot_prefix` the prefix is the solver file without its suffix; a prefix that is a folder gets
    the solver file's name appended (both as Caffe does).

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    SolverParameter

    Raises
    ------
    OpenError, PrototxtError
    """
    name = os.fspath(path)
    solver = parse_solver(read_text(path), name)
    if not solver.HasField("snapshot_prefix"):
        solver.snapshot_prefix = os.path.splitext(name)[0]
        info("prototxt", f"{name}: no snapshot_prefix, using {solver.snapshot_prefix}")
    elif os.path.isdir(solver.snapshot_prefix):
        solver.snapshot_prefix = os.path.join(solver.snapshot_prefix, Path(name).stem)
        info("prototxt", f"{name}: snapshot_prefix is a folder, using {solver.snapshot_prefix}")
    return solver


def to_text(message, full_floats=False):
    """Prototxt text of a message.

    `full_floats` writes float32 values widened to double (0.30000001192092896 for 0.3), as pycaffe's str()
    did; otherwise the shortest text that reads back to the same float32.

    Parameters
    ----------
    message : Message
    full_floats : bool

    Returns
    -------
    str
    """
    if not full_floats:
        return text_format.MessageToString(message)
    return "".join(f"{line}\n" for line in _widened(message))


def _widened(message, indent=""):
    """Lines of prototxt text, floats in full."""
    for field, value in message.ListFields():
        for item in value if is_repeated(field) else [value]:
            if field.message_type is not None:
                yield f"{indent}{field.name} {{"
                yield from _widened(item, indent + "  ")
                yield f"{indent}}}"
                continue
            if field.enum_type is not None:
                item = field.enum_type.values_by_number[item].name
            elif isinstance(item, bool):
                item = str(item).lower()
            elif isinstance(item, (str, bytes)):
                item = f'"{text_encoding.CEscape(item, as_utf8=True)}"'
            yield f"{indent}{field.name}: {item}"


def _decode(data, name):
    """NetParameter of binary data that stands where a prototxt is expected."""
    net = caffe_pb2.NetParameter()
    try:
        net.ParseFromString(bytes(binary_families.to_engine(data)))
        check_text(net)
    except (DecodeError, WireError, UnicodeDecodeError):
        if encoding := other_encoding(data):
            raise PrototxtError(f"{name}: {encoding} text, expected UTF-8; save it as UTF-8") from None
        raise PrototxtError(f"{name}: neither a prototxt nor a binary NetParameter") from None
    return _upgraded(upgrade.upgrade_net, net, None, name)


def _parse(text, message, name):
    try:
        with collector.held_back():
            text_format.Parse(text, message)
    except text_format.ParseError as error:
        line, column = error.GetLine() or 1, error.GetColumn() or 1
        raise PrototxtError(f"{name}:{line}:{column}: {explain(str(error))}") from None
    except (ValueError, TypeError, RecursionError, MemoryError) as error:  # what protobuf leaves to Python
        raise PrototxtError(f"{name}: not readable as a prototxt: {error}") from None
    missing = message.FindInitializationErrors()
    if missing:
        at = _line_of_field_owner(text, message, missing[0])
        raise PrototxtError(f"{name}{at}: required field missing: {', '.join(missing)}")
    return message


def _line_of_field_owner(text, net, field):
    """':line' of the layer a required field is missing from, '' where it is in no layer."""
    match = re.match(r"layer\[(\d+)\]", field)
    line = layer_lines(text).get(int(match[1])) if match else None
    return f":{line}" if line else ""


def _upgraded(function, message, text, name):
    try:
        if isinstance(message, caffe_pb2.NetParameter):
            check_layers(message, name)
        function(message)
    except TooMuch as error:
        raise PrototxtError(str(error)) from None
    except upgrade.UpgradeError as error:
        line = layer_lines(text).get(error.layer) if text and error.layer else None
        where = f"{name}:{line}" if line else name
        raise PrototxtError(f"{where}: {error}", layer=error.layer) from None
    return message
