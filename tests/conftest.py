"""Fixtures for every test: where the material beside the project lies, and seeded generators."""

import os
import re
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from dsrg.io import terminal

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "data"
#: the project's own experiments, as the README's table has them; a user's may lie beside them
EXPERIMENTS = [ROOT / "prototxts" / name for name in sorted(re.findall(
    r"^\| `([\w-]+)` \|", (ROOT / "README.md").read_text(encoding="utf-8").split("## Experiments")[1].split("\n## ")[0],
    re.MULTILINE))]
PATIENCE = 1000  # seconds a command run by a test may take: ends a hang on a busy machine, says nothing about speed

# Workers of one run share the cores, and so do the processes that their tests start.
if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1)) > 1:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background, or nohup, has these ignored, and every child would inherit that: the
# tests of Ctrl-C would wait for a signal that nobody hears.
for _number, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", metavar="N",
                     help="what the engine computes on in every test: cpu, or the number of a CUDA device")


@pytest.fixture(autouse=True)
def engine_device(request):
    """Run the test on the device of --device; nothing is imported for the CPU."""
    device = request.config.getoption("--device")
    if device == "cpu":
        yield
        return
    import caffe

    caffe.set_device(int(device))
    caffe.set_mode_gpu()
    yield
    caffe.set_mode_cpu()


def shared_root():
    """Folder with goldens, photos and weights that the project does not ship (variable DSRG_SHARED)."""
    return Path(os.environ.get("DSRG_SHARED", ROOT.parent / "shared")).resolve()


@pytest.fixture(scope="session")
def shared():
    """Path of the shared material; the test is skipped where it is absent."""
    path = shared_root()
    if not (path / "goldens").is_dir():
        pytest.skip(f"no shared material at {path}: set DSRG_SHARED to the folder that holds goldens/ and data/")
    return path


@pytest.fixture
def rng():
    """A seeded numpy generator, the same in every run."""
    return np.random.default_rng(20180618)


@pytest.fixture(autouse=True)
def loud_again():
    """--quiet of a command holds for the rest of its process; each test ends without."""
    level = os.environ.get("GLOG_minloglevel")
    yield
    terminal.be_quiet(False)
    if level is None:
        os.environ.pop("GLOG_minloglevel", None)


@pytest.fixture(scope="session")
def caffe():
    """The embedded engine, whatever ENGINE says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENGINE", "embedded")
        from training.findcaffe import caffe
    return caffe


@pytest.fixture(scope="session")
def pb(caffe):
    """The engine's messages."""
    return caffe.proto.caffe_pb2


@pytest.fixture(autouse=True)
def everything_allowed(monkeypatch):
    """Commands restrict what nets may import for the rest of their process; each test begins and ends without."""
    monkeypatch.delenv("ALLOW_MODULES", raising=False)
    monkeypatch.delenv("ALLOW_OUTPUT", raising=False)
    monkeypatch.setattr("dsrg.layer_modules._added", [])
    _lift_restrictions()
    yield
    _lift_restrictions()


def _lift_restrictions():
    permissions = sys.modules.get("caffe.permissions")
    if permissions is not None:
        permissions.allow_everything()
