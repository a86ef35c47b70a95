"""The engine as a package: what imports what, errors of one base class, a wheel that needs nothing of the rest."""

import ast
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import caffe
import pytest
from caffe.waiting import wait_briefly

from tests.conftest import ROOT

PACKAGE = ROOT / "engine" / "caffe"


def run(code, *paths, **kwargs):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120,
                          env={"PYTHONPATH": ":".join(map(str, paths)), "PATH": "/usr/bin:/bin"}, **kwargs)


@pytest.mark.parametrize("statement", [
    "from caffe.proto import caffe_pb2",
    "import caffe; caffe.proto.caffe_pb2.NetParameter(); caffe.TRAIN, caffe.CaffeError, caffe.__version__",
    "from caffe import prototxt; prototxt.parse_net('name: \"a\"')",
    "from caffe import layers as L, params as P, to_proto, NetSpec; to_proto(L.Input()); P.Pooling.MAX",
    "from caffe.coord_map import crop",
    "import caffe; caffe.log('x')",
])
def test_messages_and_prototxts_are_read_without_torch(statement):
    heavy = {"torch", "cv2", "h5py", "lmdb", "skimage", "scipy"}
    done = run(f"import sys\n{statement}\nprint(sorted({heavy} & sys.modules.keys()))", PACKAGE.parent)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


@pytest.mark.parametrize("first", ["import caffe", "import caffe.net", "from caffe.layers import pooling",
                                   "import caffe.layers.pooling", "from caffe import Net"])
def test_layers_is_pycaffes_whatever_is_imported_first(first):
    done = run(f"{first}\nimport caffe\nfrom caffe import layers as L\n"
               "assert L is caffe.layers is caffe.net_spec.layers and L.Pooling(ntop=0).type_name == 'Pooling'\n"
               "caffe.Net, caffe.io, caffe.draw, caffe.pycaffe, caffe.serialization\n"
               "assert {'Net', 'layers', 'io', 'TEST'} <= set(dir(caffe)) and 'Pooling' in caffe.layer_type_list()\n"
               "assert L is caffe.layers and not hasattr(caffe, 'nosuch')\nprint('good')", PACKAGE.parent)
    assert (done.returncode, done.stdout) == (0, "good\n"), done.stderr


@pytest.mark.parametrize("first", [
    "from caffe import layer_type_list", "from caffe.layer import layer_type_list",
    "from caffe._caffe import layer_type_list", "from caffe.layer import REGISTRY; layer_type_list = REGISTRY.keys",
    "import caffe.layer; layer_type_list = caffe.layer.REGISTRY.keys"])
def test_layer_types_are_known_before_any_net_is_built(first):
    done = run(f"{first}\nassert {{'Convolution', 'Data'}} <= set(layer_type_list())", PACKAGE.parent)
    assert done.returncode == 0, done.stderr


def test_openmps_threads_wait_briefly_unless_the_user_chose():
    """libgomp itself says what it read when torch loaded it."""
    before = "import os; os.environ.update({}); os.environ['OMP_DISPLAY_ENV'] = 'VERBOSE'; import caffe; caffe.Net"
    for chosen, rounds in ({}, "1000"), ({"GOMP_SPINCOUNT": "77"}, "77"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "0"):
        done = run(before.format(chosen), PACKAGE.parent)
        if "GOMP_SPINCOUNT" not in done.stderr:
            pytest.skip("this torch computes without GNU's OpenMP")
        assert re.search(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr)[1] == rounds


def test_a_program_that_has_loaded_torch_keeps_its_environment():
    done = run("import os, torch, caffe; caffe.Net; print('GOMP_SPINCOUNT' in os.environ)", PACKAGE.parent)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
    environment = {"KMP_BLOCKTIME": "5"}
    wait_briefly(environment)
    assert environment == {"KMP_BLOCKTIME": "5"}


def test_every_name_of_the_package_is_there():
    assert [name for name in caffe.__all__ if not hasattr(caffe, name)] == []


def imports(path):
    """Modules of the engine that a file imports, in functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 1 and path.parent == PACKAGE:
            yield from [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]


def test_modules_of_files_and_messages_import_each_other_without_a_circle():
    wanted = {path.stem: set(imports(path)) for path in PACKAGE.glob("*.py") if path.stem != "__init__"}
    remaining = dict(wanted)
    while free := [name for name, needs in remaining.items() if not needs & remaining.keys()]:
        for name in free:
            del remaining[name]
    assert remaining == {}


def test_errors_have_one_base_class_and_are_what_pycaffes_programs_expect():
    errors = {name: value for name, value in vars(caffe.errors).items() if isinstance(value, type)}
    assert len(errors) >= 8 and all(issubclass(error, caffe.CaffeError) for error in errors.values())
    for name, kind in dict(PrototxtError=ValueError, LayerError=ValueError, SolverError=ValueError,
                           ModelFileError=RuntimeError, OpenError=RuntimeError, DeviceError=RuntimeError).items():
        assert getattr(caffe, name) is errors[name] and issubclass(errors[name], kind)


def test_no_module_defines_an_error_outside_errors():
    own = {f"{path.stem}.{node.name}" for path in PACKAGE.rglob("*.py") if path.stem != "errors"
           for node in ast.walk(ast.parse(path.read_text()))
           if isinstance(node, ast.ClassDef) and node.name.endswith(("Error", "Exception"))}
    # of wire and coord_map: the first never leaves the readers, the others are pycaffe's
    assert own == {"protobuf_wire.WireError", "coord_map.UndefinedMapException", "coord_map.AxisMismatchException"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The engine's wheel, built from a copy without the rest of the project."""
    pytest.importorskip("setuptools", reason="builds the engine's wheel")
    folder = tmp_path_factory.mktemp("wheel")
    skipped = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    shutil.copytree(ROOT / "engine", folder / "engine", ignore=skipped)
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-q",
                    "--disable-pip-version-check", "-w", folder, folder / "engine"], check=True, timeout=300)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_the_package_alone(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(n for n in names if n.endswith(".dist-info/METADATA"))).decode()
    assert wheel.name.startswith("dsrg_caffe_engine-1.0.0-py3-none-any")
    assert {name.split("/")[0] for name in names} == {"caffe", names[-1].split("/")[0]}
    files = {str(path.relative_to(PACKAGE.parent)) for path in PACKAGE.rglob("*") if path.suffix in (".py", ".proto")}
    assert {name for name in names if name.startswith("caffe/")} == files
    for line in ("Name: dsrg-caffe-engine", "Version: 1.0.0", "Requires-Python: >=3.11", "Requires-Dist: torch>=2.11",
                 "Description-Content-Type: text/markdown"):
        assert line in metadata.splitlines()
    assert "Classifier: " in metadata and "# The embedded engine" in metadata


def test_what_the_engine_imports_is_what_its_package_requires(wheel):
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(next(n for n in archive.namelist() if n.endswith("METADATA"))).decode()
    required = {line.split(": ")[1].split(">")[0].split(";")[0].strip() for line in metadata.splitlines()
                if line.startswith("Requires-Dist")}
    packages = {"PIL": "pillow", "cv2": "opencv-python-headless", "google": "protobuf", "skimage": "scikit-image",
                "grpc_tools": "grpcio-tools"}
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else \
                [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            found |= {name.split(".")[0] for name in names}
    others = {packages.get(name, name) for name in found - {"caffe"} - sys.stdlib_module_names}
    assert required == others - {"grpcio-tools"}  # which makes caffe_pb2.py from a checkout


def test_the_unpacked_wheel_is_caffe(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    done = run("import caffe, caffe.__main__; print(caffe.__file__); caffe.__main__.main(['device_query'])",
               tmp_path / "site", cwd=tmp_path)
    assert done.returncode == 0 and Path(done.stdout.splitlines()[0]).parent == tmp_path / "site" / "caffe", done.stderr
    assert done.stdout.splitlines()[1].startswith("torch ")
