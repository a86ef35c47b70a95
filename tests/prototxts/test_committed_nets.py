"""Each prototxts/<experiment>/make_nets.py writes exactly the prototxts that are committed beside it."""

import importlib.util

import pytest

from prototxts import vgg16
from tests.conftest import ROOT

SCRIPTS = sorted((ROOT / "prototxts").glob("*/make_nets.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.parent.name)
def test_committed_prototxts_are_what_the_script_writes(script, tmp_path):
    spec = importlib.util.spec_from_file_location("make_nets_" + script.parent.name.replace("-", "_"), script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    files = module.files()
    folder = tmp_path / script.parent.name
    folder.mkdir()
    vgg16.write(folder, files, script.name)
    assert set(files) == {p.name for p in script.parent.glob("*.prototxt")}
    for name in files:
        assert (folder / name).read_text() == (script.parent / name).read_text(), f"{name}: run {script.name} again"
