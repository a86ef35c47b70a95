"""PYTHONPATH of processes that the project starts."""

import os

from dsrg.io.python_path import python_path
from tests.conftest import ROOT


def test_what_was_given_is_kept_absolute_behind_the_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = os.pathsep.join(["", "site", "/opt/wheels", "."])
    expected = [str(ROOT), f"{tmp_path}/site", "/opt/wheels", str(tmp_path)]
    assert python_path({"PYTHONPATH": given}).split(os.pathsep) == expected
    assert python_path({}) == python_path({"PYTHONPATH": ""}) == str(ROOT)
