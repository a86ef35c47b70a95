"""Sees to it that `dsrg` is the library beside this folder, before a layer imports it.

A program called dsrg.py hides the package of that name: Python looks into the program's folder first. And programs
written for the original put the folder `training` on the path, which is all that its layers needed.
"""

import importlib.util
import sys
from importlib.machinery import PathFinder
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "dsrg"


def take_own_library():
    """Load the package `dsrg` of this project unless a package of that name is loaded or comes first on the path."""
    found = PathFinder.find_spec("dsrg")
    if hasattr(sys.modules.get("dsrg"), "__path__") or (found and found.submodule_search_locations is not None):
        return
    spec = importlib.util.spec_from_file_location("dsrg", FOLDER / "__init__.py",
                                                  submodule_search_locations=[str(FOLDER)])
    sys.modules["dsrg"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


take_own_library()
