"""Stubs say what the modules hold; wheels run on any machine of the architecture."""

import ast
import inspect
import re
from pathlib import Path

import densecrf._core
import densecrf.densecrf
import densecrf.utils
import krahenbuhl2013
import pytest

ROOT = Path(__file__).resolve().parents[2] / "CRF"


def stub_names(path):
    """Public names of a stub, with those of its classes as Class.name, and the arguments of functions."""
    names = {}

    def visit(body, prefix):
        for node in body:
            if isinstance(node, ast.ClassDef):
                names[prefix + node.name] = None
                visit(node.body, prefix + node.name + ".")
            elif isinstance(node, ast.FunctionDef):
                names[prefix + node.name] = [a.arg for a in (*node.args.args, *node.args.kwonlyargs) if a.arg != "self"]
            elif isinstance(node, ast.AnnAssign):
                names[prefix + node.target.id] = None

    visit(ast.parse(path.read_text()).body, "")
    return names


@pytest.mark.parametrize(
    ("module", "stub"),
    [
        (densecrf.densecrf, "densecrf/densecrf.pyi"),
        (densecrf.utils, "densecrf/utils.pyi"),
        (densecrf._core, "densecrf/_core.pyi"),
        (krahenbuhl2013, "krahenbuhl2013/__init__.pyi"),
    ],
)
def test_stub_matches_module(module, stub):
    names = stub_names(ROOT / "python" / stub)
    for name, arguments in names.items():
        found = module
        for part in name.split("."):
            found = getattr(found, part)  # AttributeError: the stub promises what is not there
        if arguments is not None and module is not densecrf._core:
            assert [a for a in inspect.signature(found).parameters if a != "self"] == arguments, name
        elif arguments is not None and not name.endswith("__init__"):
            assert re.findall(r"(\w+): ", found.__doc__.splitlines()[0].replace("self: ", "")) == arguments, name
    for name in getattr(module, "__all__", [n for n in dir(module) if not n.startswith("_")]):
        assert name in names, f"{name} is missing in {stub}"


def test_packages_are_marked_as_typed():
    for package in ("densecrf", "krahenbuhl2013"):
        assert (ROOT / "python" / package / "py.typed").is_file()


def test_no_build_for_the_building_machine_alone():
    assert "-march=native" not in (ROOT / "CMakeLists.txt").read_text()


def test_core_knows_nothing_of_python():
    for path in [*ROOT.glob("src/*"), *ROOT.glob("include/*/*")]:
        assert not re.search(r"#include [<\"](Python\.h|pybind11)", path.read_text()), path
