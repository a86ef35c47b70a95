"""The prototxts that are committed are those that settings.yaml says; an edit of either is put into both."""

import pytest

from dsrg.experiments.experiment_folder import prototxts_of
from tests.conftest import ROOT

FOLDERS = sorted(path.parent for path in (ROOT / "prototxts").glob("*/settings.yaml"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_committed_prototxts_are_what_their_numbers_make(folder, monkeypatch):
    monkeypatch.setenv("ENGINE", "embedded")
    contents = prototxts_of(folder)
    assert set(contents) == {path.name for path in folder.glob("*.prototxt")}
    for name, text in contents.items():
        assert text == (folder / name).read_text(), f"{name}: run python -m tools.make_nets prototxts/{folder.name}"


def test_every_experiment_is_found():
    assert {folder.name for folder in FOLDERS} >= {"demo", "msrc15-squeezenet", "voc12-vgg16", "voc12-resnet101",
                                                   "voc12-sec", "coco-vgg16"}
    assert not list((ROOT / "prototxts").glob("*/*.py")), "an experiment is numbers"
