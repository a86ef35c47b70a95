"""What a net may do beyond computing: import modules of Python layers, write files.

A prototxt names modules (python_param) that are imported, and a file that HDF5Output writes. A program that runs nets
of its own trusts them, and everything is allowed; one that runs nets of strangers says what is, once, before it opens
them:

    caffe.allow_python_modules("pylayers", "mylayers.losses")
    caffe.allow_output_folders("/data/features")
"""

import os
import re

_modules = None  # packages and modules that may be imported; None: all
_folders = None  # folders that HDF5Output may write to beside the current one; None: all
_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


def allow_python_modules(*names):
    """From now on Python layers may come from these modules and what lies below them, and those allowed before.

    Parameters
    ----------
    *names : str
        Modules ("mylayers.losses") or packages ("pylayers"). Without any, no module at all is allowed that has not
        been before. "*" allows all.

    Raises
    ------
    ValueError
        A text that is not a module name.
    """
    global _modules
    for name in names:
        if name != "*" and not is_module_name(name):
            raise ValueError(f"'{name}' is not a module name; expected names with dots between them")
    _modules = {*(_modules or ()), *names}


def allow_output_folders(*folders):
    """From now on HDF5Output writes below the current folder and these, and those allowed before.

    Parameters
    ----------
    *folders : str or os.PathLike
    """
    global _folders
    _folders = {*(_folders or ()), *(os.path.realpath(folder) for folder in folders)}


def allow_everything():
    """Let nets import and write what they name, as at the start."""
    global _modules, _folders
    _modules = _folders = None


def is_module_name(name):
    """Whether a text is a module's name: identifiers with dots between them.

    Parameters
    ----------
    name : str

    Returns
    -------
    bool
    """
    return _NAME.fullmatch(name) is not None


def check_module(name):
    """Refuse a module of a Python layer that may not be imported.

    Parameters
    ----------
    name : str

    Raises
    ------
    ValueError
    """
    if not is_module_name(name):
        raise ValueError(f"module '{name}' is not a module name")
    if _modules is None or "*" in _modules:
        return
    if not any(name == allowed or name.startswith(allowed + ".") for allowed in _modules):
        raise ValueError(f"module '{name}' is not allowed: a net may run code of these only: "
                         f"{', '.join(sorted(_modules)) or 'none'}; allow it where you trust it (--allow-module, "
                         "ALLOW_MODULES, caffe.allow_python_modules)")


def check_output(path):
    """Refuse a file that a net may not write.

    Parameters
    ----------
    path : str or os.PathLike

    Raises
    ------
    ValueError
    """
    if _folders is None:
        return
    real = os.path.realpath(path)
    if not any(os.path.commonpath([real, folder]) == folder for folder in {os.path.realpath("."), *_folders}):
        raise ValueError(f"'{path}' is not allowed: a net may write below the current folder only; allow its folder "
                         "where you trust it (ALLOW_OUTPUT, caffe.allow_output_folders)")
