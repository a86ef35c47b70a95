"""Stubs say what the modules hold; wheels run on any machine of the architecture."""

import ast
import email
import inspect
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import densecrf._core
import densecrf.densecrf
import densecrf.utils
import krahenbuhl2013
import numpy as np
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


def build_wheel(project, folder, *modules):
    """Build a wheel as pip does it, with the build tools that are installed here; the contents by name."""
    for module in modules:
        pytest.importorskip(module, reason="builds wheels without a network: bash setup.sh --dev")
    settings = [f"--config-settings=build-dir={ROOT}/build/wheel"] if project == ROOT else []  # kept: compiled once
    command = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index", "-w", folder]
    run = subprocess.run([*command, *settings, project], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    (wheel,) = Path(folder).glob("*.whl")
    return wheel


def names_and_metadata(wheel):
    with zipfile.ZipFile(wheel) as contents:
        names = set(contents.namelist())
        (path,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        return names, email.message_from_bytes(contents.read(path))


def description(metadata):
    return metadata.get_payload(decode=True).decode().strip()


@pytest.mark.slow
def test_wheel_holds_all_of_the_package_and_computes_alone(tmp_path, crf_data):
    wheel = build_wheel(ROOT, tmp_path / "wheels", "scikit_build_core", "pybind11")
    names, metadata = names_and_metadata(wheel)
    sources = {str(p.relative_to(ROOT / "python")) for p in (ROOT / "python").rglob("*.py*") if p.suffix != ".pyc"}
    compiled = {name for name in names if re.fullmatch(r"densecrf/_core\.[^/]*\.(so|pyd)", name)}
    dist_info = {name for name in names if ".dist-info/" in name}
    assert len(compiled) == 1 and len(sources) > 8
    assert names == sources | {f"{p}/py.typed" for p in ("densecrf", "krahenbuhl2013")} | compiled | dist_info
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert metadata["Version"] == project["version"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert description(metadata) == (ROOT / "README.md").read_text().strip()
    assert metadata.get_all("Classifier") == project["classifiers"]
    assert metadata.get_all("Requires-Dist") == ["numpy>=1.22"]
    assert any(name.endswith("/LICENSE") for name in dist_info)

    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as contents:
        contents.extractall(site)
    numpy = Path(np.__file__).parent
    for path in (numpy, numpy.with_name("numpy.libs")):
        if path.exists():
            (site / path.name).symlink_to(path)
    program = (
        "import sys; sys.path.append(sys.argv[1]); import densecrf, krahenbuhl2013, numpy as np\n"
        "with np.load(sys.argv[2]) as z: image, unary, q = z['image'], z['unary'].astype('f4'), z['q']\n"
        "got = krahenbuhl2013.CRF(image, unary, maxiter=1, scale_factor=12.0)\n"
        "print(densecrf.__file__, abs(got - q.astype('f4')).max() < 2e-3)"
    )
    golden = crf_data[0] / "crf_wrapper_6_41x41x21_it1_s12.npz"
    run = subprocess.run([sys.executable, "-I", "-S", "-c", program, site, golden], capture_output=True, text=True)
    assert run.stdout.split() == [str(site / "densecrf" / "__init__.py"), "True"], run.stderr


def test_wheel_of_the_stand_in_owns_nothing_of_pydensecrf(tmp_path):
    compat = ROOT / "pydensecrf_compat"
    names, metadata = names_and_metadata(build_wheel(compat, tmp_path, "hatchling"))
    assert {name for name in names if ".dist-info/" not in name} == {
        "dense_crf_pydensecrf.pth",
        *(f"dense_crf_pydensecrf/pydensecrf/{name}.py" for name in ("__init__", "densecrf", "utils")),
    }
    assert metadata.get_all("Requires-Dist") == ["dense-crf>=1.0"]
    assert description(metadata) == (compat / "README.md").read_text().strip()


def test_package_carries_the_licence_of_the_project():
    assert (ROOT / "LICENSE").read_bytes() == (ROOT.parent / "LICENSE").read_bytes()
