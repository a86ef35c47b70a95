"""Finds Caffe: real pycaffe where it is installed, the embedded engine everywhere else.

The environment variable ENGINE decides: `caffe` wants real pycaffe, from CAFFE_ROOT/python or as an installed
module; `embedded` wants the engine of this repository; `auto` (the default) takes pycaffe where CAFFE_ROOT is set or
a module `caffe` is installed, and the engine otherwise. The choice is made at the first use, printed once, and puts
the repository's root and `training` on the Python path, so that nets find the module `pylayers`. Commands and
trainings say `from training.findcaffe import caffe`.
"""

import contextlib
import functools
import importlib
import importlib.metadata
import os
import re
import sys
from importlib.machinery import PathFinder
from pathlib import Path

from dsrg import layer_modules
from dsrg.io.errors import UserError, add_user_errors, note

ROOT = Path(__file__).resolve().parents[1]
ENGINE_FOLDER = ROOT / "engine"
ENGINES = ("auto", "embedded", "caffe")
_found = None


def the_caffe():
    """The module `caffe` of this process, found when it is first asked for as ENGINE and CAFFE_ROOT say."""
    global _found
    if _found is None:
        _found = find_caffe(os.environ.get("ENGINE", "auto"), os.environ.get("CAFFE_ROOT"))
    return _found


def find_caffe(engine="auto", caffe_root=None):
    """Choose, import and announce the module `caffe`, for what builds nets.

    Parameters
    ----------
    engine : str
        auto, embedded or caffe.
    caffe_root : str, optional
        Folder of a built Caffe; its subfolder `python` holds the module.

    Returns
    -------
    module

    Raises
    ------
    UserError
        An unknown engine, a CAFFE_ROOT without pycaffe, or no pycaffe where it was asked for.
    """
    caffe = import_caffe(engine, caffe_root)
    embedded = is_embedded(caffe)
    if not embedded and hasattr(caffe, "layer_type_list") and "Python" not in caffe.layer_type_list():
        raise UserError(f"{caffe.__file__}: this Caffe has no Python layers; build it with WITH_PYTHON_LAYER := 1, "
                        "or set ENGINE=embedded")
    layer_modules.restrict(caffe)
    _announce(caffe)
    return caffe


def import_caffe(engine="auto", caffe_root=None):
    """Import the module `caffe` without a word, for what reads and writes messages and builds no net.

    Of the embedded engine that loads no torch; arguments and errors as of find_caffe.

    Parameters
    ----------
    engine : str
    caffe_root : str, optional

    Returns
    -------
    module

    Raises
    ------
    UserError
    """
    for folder in (ROOT, ROOT / "training"):
        _put_on_path(folder)
    if "caffe" not in sys.modules:
        _import_from(folder_of_caffe(engine, caffe_root))
    caffe = sys.modules["caffe"]
    embedded = is_embedded(caffe)
    if embedded:
        add_user_errors(caffe.CaffeError)
    if embedded and engine == "caffe" or not embedded and engine == "embedded":
        raise UserError(f"ENGINE={engine}, but the module caffe is already loaded from {caffe.__file__}")
    return caffe


def is_embedded(caffe):
    """Whether a module `caffe` is the embedded engine, wherever it is installed; pycaffe otherwise.

    Parameters
    ----------
    caffe : module

    Returns
    -------
    bool
    """
    return getattr(caffe, "EMBEDDED_ENGINE", False)


@functools.cache
def _announce(caffe):
    """Say which Caffe it is, once a process, however often it is asked for."""
    note(f"caffe: {name_of(caffe)} from {Path(caffe.__file__).parent}")


def name_of(caffe):
    """Which Caffe a module is, with its version, such as "embedded engine 1.0.0".

    Parameters
    ----------
    caffe : module

    Returns
    -------
    str
    """
    what = "embedded engine" if is_embedded(caffe) else "pycaffe"
    return f"{what} {getattr(caffe, '__version__', '(no version)')}"


def folder_of_caffe(engine, caffe_root):
    """Folder to import `caffe` from, ENGINE_FOLDER for the embedded engine; arguments and errors as of find_caffe.

    Parameters
    ----------
    engine : str
    caffe_root : str or None

    Returns
    -------
    Path

    Raises
    ------
    UserError
    """
    if engine not in ENGINES:
        raise UserError(f"ENGINE={engine}: expected one of {', '.join(ENGINES)}")
    if engine == "embedded":
        return ENGINE_FOLDER
    if caffe_root:
        folder = Path(caffe_root) / "python"
        if not (folder / "caffe" / "__init__.py").is_file():
            raise UserError(f"CAFFE_ROOT={caffe_root}: no python/caffe in it; build pycaffe there (make pycaffe), "
                            "or unset CAFFE_ROOT for the embedded engine")
        return folder
    for entry in sys.path:
        found = PathFinder.find_spec("caffe", [entry])
        if found is not None and found.origin is not None and not _is_engine_source(Path(found.origin)):
            return Path(found.origin).parents[1]
    if engine == "caffe":
        raise UserError("ENGINE=caffe, but no module caffe is installed; set CAFFE_ROOT to a built Caffe, "
                        "or ENGINE=embedded")
    return ENGINE_FOLDER


def _is_engine_source(path):
    """Whether a module caffe, not imported yet, is the engine: this checkout's or one that pip installed."""
    if ENGINE_FOLDER in path.resolve().parents:
        return True
    with contextlib.suppress(OSError):
        return re.search(r"^EMBEDDED_ENGINE = True$", path.read_text(encoding="utf-8", errors="replace"),
                         re.MULTILINE) is not None
    return False


def _put_on_path(folder, first=False):
    """Add a folder to sys.path unless it is there; `first` moves it to the front."""
    folder = str(folder)
    if first and folder in sys.path:
        sys.path.remove(folder)
    if folder not in sys.path:
        sys.path.insert(0 if first else len(sys.path), folder)


def _import_from(folder):
    _put_on_path(folder, first=True)
    try:
        importlib.import_module("caffe")
    except Exception as error:
        if folder == ENGINE_FOLDER and not isinstance(error, ImportError):
            raise
        remedy = "run setup.sh and use its .venv" if folder == ENGINE_FOLDER else _remedy(error, Path(folder))
        raise UserError(f"the module caffe of {folder} does not load: {error}; {remedy}") from error


def _remedy(error, folder):
    """What to do about a pycaffe that does not load: pip's packages, protobuf, numpy's ABI, Python's version."""
    text = str(error)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    built_for = _python_of(folder / "caffe" / "_caffe.so")
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("caffe"):
        return "ENGINE=caffe bash setup.sh installs what pycaffe imports"
    if "escriptors cannot" in text or "protobuf" in text or "runtime_version" in text or "Gencode" in text:
        return (f"its caffe_pb2.py was made by a protoc that the installed protobuf {_version_of('protobuf')} does not "
                "read: take protoc 3.19 to 3.21 and build pycaffe again (make pycaffe)")
    if built_for not in (None, version):
        return f"it was built for Python {built_for}, this is {version}: rebuild pycaffe, or set PYTHON for setup.sh"
    if "numpy" in text.lower() or "_ARRAY_API" in text:
        return (f"it was built with the headers of another numpy than {_version_of('numpy')}: rebuild pycaffe with "
                "this one's (NUMPY_INCLUDE of docker/Makefile.config)")
    if isinstance(error, ImportError) and error.name == "caffe._caffe":
        return f"build it there (make pycaffe, for Python {version}), or set ENGINE=embedded"
    return f"rebuild pycaffe for Python {version}, or set ENGINE=embedded"


def _python_of(library):
    """Version of Python, "3.11", that a library asks for by the names of what it links; None where it tells none."""
    try:
        match = re.search(rb"lib(?:boost_)?python(\d)\.?(\d+)", library.read_bytes())
    except OSError:
        return None
    return match and f"{int(match[1])}.{int(match[2])}"


def _version_of(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(none)"
