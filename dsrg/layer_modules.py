"""What a net or solver of a stranger may do: whose code its Python layers run, and where it writes.

A prototxt names a module (python_param), and whoever builds the net imports it: the one place where a net can run
code. Commands build nets of strangers, so they let nets name this project's layers only. `--allow-module NAME` allows
more in the process of the command; the variable ALLOW_MODULES (names with blanks between them) does so in all processes
of a shell or a run. ALLOW_OUTPUT does it for the folders that files are written to which a prototxt names (HDF5Output,
snapshot_prefix): otherwise below the current folder only.
"""

import argparse
import importlib.util
import os
from pathlib import Path

from dsrg.io.errors import UserError

OURS = ("pylayers",)
MODULES, FOLDERS = "ALLOW_MODULES", "ALLOW_OUTPUT"
HOME = Path(__file__).resolve().parents[1] / "training"
V1_HDF5_OUTPUT = 10         # V1LayerParameter.LayerType, of nets from before "type" was a text
_added = []


class _Allow(argparse.Action):
    """Allows the module in this process."""

    def __call__(self, parser, namespace, value, option_string=None):
        if not all(part.isidentifier() for part in value.split(".")):
            parser.error(f"{option_string} {value}: expected the name of a module, such as mylayers.losses")
        _added.append(value)


def add_flag(parser):
    """Add --allow-module to an argparse parser.

    Parameters
    ----------
    parser : argparse.ArgumentParser or a group of one
    """
    parser.add_argument("--allow-module", action=_Allow, metavar="NAME", dest=argparse.SUPPRESS,
                        help="let the net's Python layers come from this module, too, and run its code; may be given "
                             "several times (default: the variable ALLOW_MODULES)")


def allowed():
    """Names of the modules that nets may name."""
    return [*OURS, *os.environ.get(MODULES, "").split(), *_added]


def restrict(caffe):
    """Let the nets that `caffe` builds import allowed modules only.

    Real Caffe imports what a net names; `check` is what there is for its nets.

    Parameters
    ----------
    caffe : module

    Raises
    ------
    UserError
        This project's layers would come from another folder, which lies before it on the Python path.
    """
    for name in OURS:
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None or HOME not in Path(found.origin).resolve().parents:
            raise UserError(f"the layers '{name}' would come from {found and found.origin}, expected {HOME / name}; "
                            "take that folder off PYTHONPATH, or start from another one")
    if hasattr(caffe, "allow_python_modules"):
        try:
            caffe.allow_python_modules(*allowed())
        except ValueError as error:
            raise UserError(f"{MODULES}: {error}") from None
        caffe.allow_output_folders(*output_folders())


def output_folders():
    """Folders besides the current one that prototxts may write to."""
    return [folder for folder in os.environ.get(FOLDERS, "").split(os.pathsep) if folder]


def check_output(path, where):
    """Refuse a path to be written, which a prototxt names, outside the current folder and those that are allowed.

    Parameters
    ----------
    path : path
        It counts where links lead.
    where : str
        What names it, for the error.

    Raises
    ------
    UserError
    """
    real = os.path.realpath(path)
    folders = [os.path.realpath(folder) for folder in (".", *output_folders())]
    if not any(os.path.commonpath([real, folder]) == folder for folder in folders):
        raise UserError(f"{where} '{path}' leads out of the current folder ({real}): a prototxt may write below that "
                        f"one only; where you trust it, allow the folder: {FOLDERS}={os.path.dirname(real)}")


def check(net, path):
    """Refuse a NetParameter with a Python layer of a module, or an output file in a folder, that is not allowed.

    Parameters
    ----------
    net : NetParameter
    path : path
        Where it was read from, for the error.

    Raises
    ------
    UserError
    """
    for layer in (*net.layer, *net.layers):
        if layer.type in ("HDF5Output", V1_HDF5_OUTPUT):
            check_output(layer.hdf5_output_param.file_name, f"{path}: layer '{layer.name}' (HDF5Output): file_name")
    for layer in net.layer:
        module = layer.python_param.module
        ours = any(module == name or module.startswith(name + ".") for name in allowed())
        if layer.type == "Python" and not ours:
            raise UserError(f"{path}: layer '{layer.name}' (Python): module '{module}' is not allowed: a net may "
                            f"run code of these only: {', '.join(allowed())}; where you trust it, add "
                            f"--allow-module {module}")
