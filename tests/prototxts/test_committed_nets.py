"""The prototxts that are committed are those that settings.yaml says; an edit of either is put into both."""

import re
from pathlib import Path

import pytest

from dsrg.experiments.experiment_folder import prototxts_of
from tests.conftest import EXPERIMENTS, ROOT


@pytest.mark.parametrize("folder", EXPERIMENTS, ids=lambda path: path.name)
def test_committed_prototxts_are_what_their_numbers_make(folder, monkeypatch):
    monkeypatch.setenv("ENGINE", "embedded")
    contents = prototxts_of(folder)
    assert set(contents) == {path.name for path in folder.glob("*.prototxt")}
    for name, text in contents.items():
        assert text == (folder / name).read_text(), f"{name}: run python -m tools.make_nets prototxts/{folder.name}"


def test_every_experiment_is_found():
    assert [folder.name for folder in EXPERIMENTS] == ["coco-vgg16", "demo", "msrc15-squeezenet", "voc12-resnet101",
                                                       "voc12-sec", "voc12-vgg16"]
    assert not [path for folder in EXPERIMENTS for path in folder.glob("*.py")], "an experiment is numbers"


def test_the_suite_tests_the_projects_experiments_alone():
    """A user's lie in the same folder, with prototxts edited by hand and names that tests make for themselves."""
    globs = re.compile(r'prototxts.*glob\("\*/|glob\("prototxts/\*/')
    found = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py")
             if path != Path(__file__) and any(map(globs.search, path.read_text(encoding="utf-8").splitlines()))}
    # of run.sh's list of all that can be run, and of links within documents
    assert found == {"tests/docs/test_run_help.py", "tests/test_pipeline.py"}, "take tests.conftest.EXPERIMENTS"
