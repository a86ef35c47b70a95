"""Where Python processes that the project starts look for modules."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def python_path(environment):
    """PYTHONPATH for a process that may run in another folder: the project, then what this process was given.

    What a machine keeps outside of its site-packages (``pip install --target``) is on PYTHONPATH alone.

    Parameters
    ----------
    environment : mapping of str to str
        Of this process.

    Returns
    -------
    str
        Absolute paths; an empty entry, which would mean the other folder, is left out.
    """
    given = [entry for entry in environment.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return os.pathsep.join([str(ROOT), *map(os.path.abspath, given)])
