"""What tests of the training command share."""

import pytest

from tests.training.runs import make_run
from training import train


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """A run folder as working directory, and a function that trains there and returns what was printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENGINE", "embedded")
    monkeypatch.setenv("GLOG_minloglevel", "1")
    make_run(tmp_path)

    def call(*words):
        status = train.main(["--solver", "solver.prototxt", *words])
        call.printed = capsys.readouterr().err
        return status

    call.folder = tmp_path
    return call
