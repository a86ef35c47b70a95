"""The name pydensecrf for the package dense-crf: `pydensecrf.densecrf` and `pydensecrf.utils`.

Stands at the end of Python's path, behind every installed package. Where another pydensecrf is found all the same, say
in the system's packages below a virtual environment, importing this one is an error: which of two programs computes is
never left to the order of folders.
"""

import sys
from importlib.machinery import PathFinder
from pathlib import Path


def _another(here):
    """Folder of another package pydensecrf on Python's path, or None."""
    for folder in sys.path:
        spec = PathFinder.find_spec("pydensecrf", [folder])
        if spec is not None and spec.origin is not None and Path(spec.origin).resolve().parent != here:
            return Path(spec.origin).parent
    return None


_found = _another(Path(__file__).resolve().parent)
if _found is not None:
    raise ImportError(
        f"two packages pydensecrf: {_found} and the stand-in of dense-crf; uninstall either that one or "
        "dense-crf-pydensecrf",
        name="pydensecrf",
    )
