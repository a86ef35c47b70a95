"""Every example in a docstring of the library, the layers and the commands holds."""

import doctest
import importlib

import pytest

from tests.conftest import ROOT

FOLDERS = ("dsrg", "training", "localization_cues", "tools", "CRF/python", "engine/caffe")


def modules_with_examples():
    """Dotted names of the modules that hold a doctest, as they are imported."""
    names = []
    for folder in FOLDERS:
        top = ROOT / folder if folder == "CRF/python" else (ROOT / folder).parent
        for path in sorted((ROOT / folder).rglob("*.py")):
            if doctest.DocTestParser().get_examples(path.read_text(encoding="utf-8")):
                names.append(".".join(path.relative_to(top).with_suffix("").parts).removesuffix(".__init__"))
    return names


MODULES = modules_with_examples()


def test_examples_are_found():
    assert {"dsrg.io.voc", "dsrg.scoring.metrics", "localization_cues.background_rules"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0 and result.failed == 0
