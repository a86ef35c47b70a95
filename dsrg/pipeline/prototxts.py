"""Prototxts as the pipeline reads them: with protobuf and the project's caffe.proto, without importing an engine."""

import ast
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from google.protobuf import descriptor_pool, message_factory

from dsrg.io.errors import UserError
from dsrg.io.prototxt_text import params_of, parse_prototxt

MESSAGES = Path(__file__).resolve().parents[2] / "engine" / "caffe" / "proto" / "caffe_pb2.py"


@lru_cache(maxsize=1)
def messages():
    """Message class by name, from the serialised descriptors in the engine's caffe_pb2.py.

    They stand in a pool of their own, so that whichever Caffe a command imports as well keeps the names it registers.
    """
    calls = (node for node in ast.walk(ast.parse(MESSAGES.read_bytes())) if isinstance(node, ast.Call))
    serialised = next(call.args[0].value for call in calls
                      if getattr(call.func, "attr", None) == "AddSerializedFile")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(serialised)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe.{name}"))
            for name in ("SolverParameter", "NetParameter")}


def parse(text, kind, where, lenient=True):
    """A SolverParameter or NetParameter.

    Parameters
    ----------
    text : str
    kind : str
        'solver' or 'net'.
    where : path
        Named in errors.
    lenient : bool
        Pass over fields that the project's caffe.proto does not have (a fork's): enough for reading, not for writing.

    Returns
    -------
    SolverParameter or NetParameter

    Raises
    ------
    UserError
        With file, line and column.
    """
    message = messages()["SolverParameter"]() if kind == "solver" else messages()["NetParameter"]()
    return parse_prototxt(text, message, where, lenient)


@dataclass(frozen=True)
class Training:
    """What a solver says of the files of its training.

    Attributes
    ----------
    net : str
        Prototxt of the net.
    prefix : str
        snapshot_prefix.
    model : str
        The weights it ends with.
    """

    net: str
    prefix: str
    model: str

    def kept_files(self):
        """Names that say what made the model, beside it."""
        return f"{self.prefix}_solver.prototxt", f"{self.prefix}_net.prototxt"

    def snapshots(self, folder):
        """Snapshots under the prefix, relative to the folder of the run, sorted.

        Parameters
        ----------
        folder : path

        Returns
        -------
        list of str
        """
        stem = re.escape(PurePosixPath(self.prefix).name)
        wanted = re.compile(stem + r"_iter_\d+\.(caffemodel|solverstate)(\.h5)?")
        parent = PurePosixPath(self.prefix).parent
        place = Path(folder, parent)
        names = [path.name for path in place.iterdir()] if place.is_dir() else []
        return sorted(str(parent / name) for name in names if wanted.fullmatch(name))


def training(text, where, max_iter=None, prefix=None):
    """Read a solver.

    Parameters
    ----------
    max_iter, prefix : optional
        What the training is told instead of the solver's.

    Returns
    -------
    Training

    Raises
    ------
    UserError
        A solver that cannot be parsed, or lacks snapshot_prefix or net; a snapshot_prefix that leads out of the run.
    """
    solver = parse(text, "solver", where)
    net = solver.train_net or solver.net
    if not net:
        raise UserError(f"{where}: neither net nor train_net; give it the file of the net")
    prefix = prefix or solver.snapshot_prefix
    path = PurePosixPath(prefix)
    if not prefix or prefix.endswith("/"):
        raise UserError(f"{where}: snapshot_prefix '{prefix}' names no file; give it one, such as models/s")
    if path.is_absolute() or ".." in path.parts or path.parts[0] in ("data", "masks", "stale", "stamps"):
        raise UserError(f"{where}: snapshot_prefix '{prefix}' leads out of the run's own files; choose a folder in the "
                        "run, such as models/s")
    suffix = ".h5" if solver.snapshot_format == solver.HDF5 else ""
    return Training(net, str(path), f"{path}_iter_{max_iter or solver.max_iter}.caffemodel{suffix}")


@dataclass(frozen=True)
class NetFiles:
    """What a net reads and which Python layers it has.

    Attributes
    ----------
    lists : tuple of (str, str)
        (list of photos, what is put in front of its names).
    files : tuple of str
        Other files: cues, labels, mean files.
    layers : tuple of str
        Python layers as "module:class".
    """

    lists: tuple
    files: tuple
    layers: tuple


def net_files(text, where, exists, changes=""):
    """Files that the layers of a net name, in their fields or in their param_str.

    Parameters
    ----------
    exists : callable
        Whether a path, relative to the run, is a file: a text that is one counts as what the layer reads.
    changes : str
        "LAYER.key=value", one key of a param_str that the training changes; "" for none.

    Returns
    -------
    NetFiles

    Raises
    ------
    UserError
        A net that cannot be parsed, or without the Python layer of `changes`.
    """
    net = parse(text, "net", where)
    changed, _, value = changes.partition("=")
    changed, _, key = changed.rpartition(".")
    python_layers = [layer.name for layer in net.layer if layer.type == "Python"]
    if changes and changed not in python_layers:
        raise UserError(f"{where} has no Python layer '{changed}' for {changes}; its Python layers: "
                        f"{', '.join(python_layers) or 'none'}; `static` and `full` of settings.yaml name it")
    lists, files, layers = set(), set(), set()
    for layer in net.layer:
        if layer.type == "Python":
            layers.add(f"{layer.python_param.module}:{layer.python_param.layer}")
            params = params_of(layer, where)
            if changes and layer.name == changed:
                params = {**params, key: value}
            if isinstance(params.get("source"), str):
                root = params.get("root_folder", "")
                lists.add((params["source"], root if isinstance(root, str) else ""))
            values = list(params.values())
        else:
            values = []
            for field, value in layer.ListFields():
                if field.name.endswith("_param") and field.type == field.TYPE_MESSAGE and not _repeated(value):
                    texts = {f.name: v for f, v in value.ListFields() if isinstance(v, str)}
                    if texts.get("source"):
                        lists.add((texts["source"], texts.get("root_folder", "")))
                    values += texts.values()
        files.update(v for v in values if isinstance(v, str) and v and "\n" not in v and exists(v))
    return NetFiles(tuple(sorted(lists)), tuple(sorted(files)), tuple(sorted(layers)))


def _repeated(value):
    return not hasattr(value, "ListFields")


def listed_files(text, root):
    """Files that a list of photos names: "<photo> <number>" or "<photo> <label map>" a line.

    Parameters
    ----------
    text : str
        Content of the list, its lines ended by \\n.
    root : str
        root_folder.

    Returns
    -------
    photos, maps : list of str
        `root` in front of each, as Caffe and the layers join them; maps is [] for a list with numbers.
    """
    photos, maps = [], []
    for line in text.split("\n"):     # splitlines would cut names at the odder line ends of Unicode
        name, _, last = line.strip().rpartition(" ")
        if not name:
            if last:
                photos.append(_joined(root, last))
            continue
        photos.append(_joined(root, name.strip()))
        if not re.fullmatch(r"[+-]?\d+(\.\d*)?", last):
            maps.append(_joined(root, last))
    return photos, maps


def _joined(root, name):
    """Caffe puts root_folder in front as it stands; '.' and '/data/a.jpg' are './data/a.jpg'."""
    if root in (".", ""):
        return name.lstrip("/") if root else name
    return str(PurePosixPath(root, name.lstrip("/")))
